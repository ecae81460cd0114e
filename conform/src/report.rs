//! What a comparison found: how often the two differ, by area, and where.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::compare::Difference;
use crate::known::List;
use crate::operation::Operation;

/// How one area did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Operations compared.
    pub operations: u64,
    /// Those that differed, in known ways only.
    pub known: u64,
    /// Those that differed in a new way.
    pub new: u64,
}

impl Tally {
    /// How many of a thousand operations differed, known or not.
    #[must_use]
    pub fn per_thousand(&self) -> f64 {
        if self.operations == 0 {
            return 0.0;
        }
        #[allow(clippy::cast_precision_loss)]
        let rate = (self.known + self.new) as f64 * 1000.0 / self.operations as f64;
        rate
    }
}

/// A new divergence, shrunk.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Divergence {
    /// The sequence; the last request is the one whose answers differ.
    pub sequence: Vec<Operation>,
    /// Where they differ, in ways that are not known.
    pub differences: Vec<Difference>,
    /// The file that replays it.
    pub file: Option<String>,
}

/// A place where answers differed in a new way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// How often.
    pub times: u64,
    /// One of the requests.
    pub request: Operation,
    /// How its answers differed there.
    pub difference: Difference,
}

/// A whole comparison.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What the reference says that it is.
    pub reference: String,
    /// Seed of the generated sequences.
    pub seed: u64,
    /// By area.
    pub areas: BTreeMap<String, Tally>,
    /// Files that replay scheduler cases.
    pub kept: Vec<String>,
    /// New divergences, one for each place.
    pub divergences: Vec<Divergence>,
    /// Where answers differed in a new way, by what is said there.
    pub places: BTreeMap<String, Place>,
    /// How often each known divergence was met, in the order of the list.
    pub met: Vec<u64>,
}

impl Report {
    /// An empty one, of a comparison in which these divergences are known.
    #[must_use]
    pub fn against(known: &List) -> Self {
        Self { met: vec![0; known.entries().len()], ..Self::default() }
    }

    /// Counts an operation.
    pub fn count(&mut self, area: &str, known: bool, new: bool) {
        let tally = self.areas.entry(area.to_owned()).or_default();
        tally.operations += 1;
        tally.new += u64::from(new);
        tally.known += u64::from(known && !new);
    }

    /// Notes where an answer differed in a new way.
    pub fn note(&mut self, request: &Operation, difference: &Difference) {
        let key = format!(
            "{} {} {}",
            difference.pointer,
            short(&difference.embedded, 120),
            short(&difference.reference, 120)
        );
        let place = || Place { times: 0, request: request.clone(), difference: difference.clone() };
        self.places.entry(key).or_insert_with(place).times += 1;
    }

    /// Adds what another comparison found.
    pub fn add(&mut self, other: Self) {
        for (area, tally) in other.areas {
            let sum = self.areas.entry(area).or_default();
            sum.operations += tally.operations;
            sum.known += tally.known;
            sum.new += tally.new;
        }
        self.divergences.extend(other.divergences);
        self.kept.extend(other.kept);
        for (key, place) in other.places {
            self.places.entry(key).and_modify(|it| it.times += place.times).or_insert(place);
        }
        for (sum, times) in self.met.iter_mut().zip(other.met) {
            *sum += times;
        }
    }

    /// Over all areas.
    #[must_use]
    pub fn total(&self) -> Tally {
        let add = |sum: Tally, tally: &Tally| Tally {
            operations: sum.operations + tally.operations,
            known: sum.known + tally.known,
            new: sum.new + tally.new,
        };
        self.areas.values().fold(Tally::default(), add)
    }

    /// A table for a person, in Markdown, worst area first.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text =
            String::from("| area | operations | differ | of a thousand | new |\n|---|---:|---:|---:|---:|\n");
        let mut areas: Vec<(&str, Tally)> =
            self.areas.iter().map(|(area, tally)| (area.as_str(), *tally)).collect();
        areas.sort_by(|a, b| b.1.per_thousand().total_cmp(&a.1.per_thousand()).then(a.0.cmp(b.0)));
        areas.push(("**all**", self.total()));
        for (area, tally) in areas {
            let differ = tally.known + tally.new;
            let _ = writeln!(
                text,
                "| {area} | {} | {differ} | {:.0} | {} |",
                tally.operations,
                tally.per_thousand(),
                tally.new
            );
        }
        text
    }

    /// New divergences, each with how to see it again.
    #[must_use]
    pub fn told(&self) -> String {
        let mut text = String::new();
        for divergence in &self.divergences {
            let last = divergence.sequence.last().map(Operation::line).unwrap_or_default();
            let _ = writeln!(text, "new divergence in {} request(s): {last}", divergence.sequence.len());
            for difference in divergence.differences.iter().take(6) {
                text.push_str(&sides(difference));
            }
            if let Some(file) = &divergence.file {
                let _ = writeln!(text, "  again: cargo xtask conform --replay {file}");
            }
        }
        for file in &self.kept {
            let _ = writeln!(text, "a scheduler case; again: cargo xtask conform --replay {file}");
        }
        text
    }

    /// Where answers differed in a new way, most often first.
    #[must_use]
    pub fn places(&self, most: usize) -> String {
        let mut places: Vec<&Place> = self.places.values().collect();
        places.sort_by(|a, b| b.times.cmp(&a.times).then(a.difference.pointer.cmp(&b.difference.pointer)));
        let told = places.iter().take(most);
        told.map(|it| format!("{:>6} × {}\n{}", it.times, it.request.line(), sides(&it.difference))).collect()
    }

    /// Known divergences that were met, most often first.
    #[must_use]
    pub fn known(&self, list: &List) -> String {
        let mut met: Vec<(u64, usize)> = self
            .met
            .iter()
            .enumerate()
            .filter(|(_, times)| **times > 0)
            .map(|(at, times)| (*times, at))
            .collect();
        met.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut text = String::new();
        for (times, at) in met {
            if let Some(entry) = list.entries().get(at) {
                let _ = writeln!(text, "{times:>6} × {} — {}", entry.pointer, entry.reason.trim());
            }
        }
        text
    }
}

/// What the two sides say at one place.
fn sides(difference: &Difference) -> String {
    let Difference { pointer, embedded, reference } = difference;
    let (embedded, reference) = (short(embedded, 300), short(reference, 300));
    format!("  {pointer}\n    embedded:  {embedded}\n    reference: {reference}\n")
}

fn short(value: &serde_json::Value, most: usize) -> String {
    value.to_string().chars().take(most).collect()
}
