//! The exposition format: families of samples, written and read back.
//!
//! Only what both OpenMetrics and the older Prometheus format know is used, since textfile collectors read
//! the older one: counters, gauges and labels.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What the samples of a family are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, but for resets; its samples end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One number, and the labels that tell it from its siblings.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Name and value of each label.
    pub labels: Vec<(String, String)>,
    /// The number.
    pub value: f64,
}

/// Samples that mean the same thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Name, without `_total`; ends with the unit when it has one.
    pub name: &'static str,
    /// What its samples are.
    pub kind: Kind,
    /// Such as `seconds`.
    pub unit: Option<&'static str>,
    /// What it means; without quotes.
    pub help: &'static str,
    /// The samples, no two of which have the same labels.
    pub samples: Vec<Sample>,
}

impl Family {
    /// Name of its samples.
    #[must_use]
    pub fn sample_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Gauge => self.name.to_owned(),
        }
    }
}

/// Writes families as text.
#[must_use]
pub fn render(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        let Family { name, help, .. } = family;
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = writeln!(text, "# TYPE {name} {kind}");
        if let Some(unit) = family.unit {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(text, "# HELP {name} {}", escape(help));
        for Sample { labels, value } in &family.samples {
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(text, "{}{labels} {value}", family.sample_name());
        }
    }
    text.push_str("# EOF\n");
    text
}

fn escape(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// The samples by name that an earlier text of ours holds; `None` when it is not such a text, whole and
/// legible.
#[must_use]
pub fn carried(text: &str) -> Option<BTreeMap<String, Vec<Sample>>> {
    let lines = text.strip_suffix("# EOF\n")?;
    let mut found: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for line in lines.lines().filter(|line| !line.starts_with('#')) {
        let (name, sample) = sample(line)?;
        found.entry(name.to_owned()).or_default().push(sample);
    }
    Some(found)
}

fn sample(line: &str) -> Option<(&str, Sample)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            rest = rest.strip_prefix(',').unwrap_or(rest);
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((label.to_owned(), value));
            rest = after;
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ')?.parse().ok().filter(|value: &f64| value.is_finite())?;
    Some((name, Sample { labels, value }))
}

/// A label's value up to its closing quote, and what follows that.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}
