//! The comparison itself: sequences to both sides, differences told apart, new ones shrunk and kept.

use std::path::PathBuf;

use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::compare::{self, Difference};
use crate::generate::{each_value, sequence};
use crate::known::List;
use crate::operation::{Answer, Operation};
use crate::report::{Divergence, Report};
use crate::side::Side;
use crate::{Error, normal, replay};

/// How a comparison is to be made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides every sequence.
    pub seed: u64,
    /// How many sequences.
    pub sequences: u32,
    /// Whether every value of every kind is asked for once, beside them.
    pub values: bool,
    /// The longest of them, beside the request that begins it.
    pub longest: usize,
    /// Where new divergences are kept; nowhere when `None`.
    pub keep: Option<PathBuf>,
    /// How many steps of shrinking a new divergence is worth.
    pub shrinking: u32,
    /// How many new divergences are shrunk and told; the others are counted only.
    pub most: usize,
    /// Whether what was made on the reference is deleted at the end. While requests are compared nothing is: the
    /// controllers would be busy with it.
    pub tidy: bool,
    /// A divergence to plant, to see that it is found.
    pub planted: Option<Planted>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            sequences: 100,
            values: false,
            longest: 8,
            keep: None,
            shrinking: 40,
            most: 20,
            tidy: true,
            planted: None,
        }
    }
}

/// A lie told of the embedded cluster's answers, which a comparison must find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planted {
    /// Area whose answers are changed.
    pub area: String,
    /// Pointer into the answer's document.
    pub pointer: String,
}

impl Planted {
    fn change(&self, operation: &Operation, document: &mut Value) {
        if operation.area == self.area
            && let Some(place) = document.pointer_mut(&self.pointer)
        {
            *place = json!("planted");
        }
    }
}

/// Two sides, and what has been asked of them so far.
struct Pair<'a> {
    embedded: &'a Side,
    reference: &'a Side,
    known: &'a List,
    planted: Option<&'a Planted>,
    seed: u64,
    namespaces: u64,
    /// Whether a sequence is compared to its end, whatever happens in it.
    all: bool,
}

/// How two answers to one request differ.
struct Compared {
    new: Vec<Difference>,
    known: Vec<usize>,
}

impl Pair<'_> {
    /// Sends a sequence to both, each in a new namespace of the same name. Answers are compared up to the first
    /// request that only one of them did, or all of them.
    async fn ask(&mut self, sequence: &[Operation]) -> Result<Vec<Compared>, Error> {
        self.namespaces += 1;
        let namespace = format!("conform-{}-{}", self.seed, self.namespaces);
        let (ours, theirs) = futures::join!(
            answers(self.embedded, sequence, &namespace),
            answers(self.reference, sequence, &namespace)
        );
        let (ours, theirs) = (ours?, theirs?);
        let mut compared = Vec::new();
        for (operation, (ours, theirs)) in sequence.iter().zip(ours.iter().zip(&theirs)) {
            compared.push(self.compare(operation, ours, theirs));
            // What one has stored and the other has not is different from here on by nature.
            if !self.all && ours.is_success() != theirs.is_success() {
                break;
            }
        }
        Ok(compared)
    }

    /// Deletes what was made, where somebody else may want the cluster.
    async fn tidy(&self, wanted: bool) -> Result<(), Error> {
        for number in (1..=self.namespaces).filter(|_| wanted) {
            self.reference.drop_namespace(&format!("conform-{}-{number}", self.seed)).await?;
        }
        Ok(())
    }

    fn compare(&self, operation: &Operation, ours: &Answer, theirs: &Answer) -> Compared {
        let mut ours = normal::document(ours.document());
        if let Some(planted) = self.planted {
            planted.change(operation, &mut ours);
        }
        let theirs = normal::document(theirs.document());
        let mut compared = Compared { new: Vec::new(), known: Vec::new() };
        for difference in compare::between(&ours, &theirs) {
            match self.known.find(&operation.area, &operation.path, &difference) {
                Some(entry) => compared.known.push(entry),
                None => compared.new.push(difference),
            }
        }
        compared
    }
}

async fn answers(side: &Side, sequence: &[Operation], namespace: &str) -> Result<Vec<Answer>, Error> {
    side.make_namespace(namespace).await?;
    let mut answers = Vec::new();
    for operation in sequence {
        answers.push(side.ask(operation, namespace).await?);
    }
    Ok(answers)
}

/// Compares generated sequences.
///
/// # Errors
/// When one of the sides does not answer, or a divergence cannot be kept.
pub async fn run(
    options: &Options,
    embedded: &Side,
    reference: &Side,
    known: &List,
) -> Result<Report, Error> {
    let version = reference.get("/version").await?;
    let mut report = Report {
        reference: version["gitVersion"].as_str().unwrap_or("unknown").to_owned(),
        seed: options.seed,
        ..Report::against(known)
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&options.seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
    let strategy = sequence(options.longest);
    let planted = options.planted.as_ref();
    let mut pair =
        Pair { embedded, reference, known, planted, seed: options.seed, namespaces: 0, all: false };
    let mut told = Vec::new();
    for _ in 0..options.sequences {
        let Ok(mut tree) = strategy.new_tree(&mut runner) else { continue };
        let operations = tree.current();
        let compared = pair.ask(&operations).await?;
        let Some(place) = take(&mut report, &mut told, options.most, &operations, &compared) else {
            continue;
        };
        let found = shrink(&mut pair, &mut tree, &place, options.shrinking).await?;
        keep(options, &mut report, found)?;
    }
    for operations in each_value().filter(|_| options.values) {
        let compared = pair.ask(&operations).await?;
        let Some(place) = take(&mut report, &mut told, options.most, &operations, &compared) else {
            continue;
        };
        let found = shown(&mut pair, operations, &place).await?;
        keep(options, &mut report, found)?;
    }
    pair.tidy(options.tidy).await?;
    Ok(report)
}

/// An area, and the pointer of a difference in it.
type At = (String, String);

/// Counts what came of a sequence. Says where it differs in a way that is worth looking into: one that is new and has not
/// been `told`, of which there may be so many.
fn take(
    report: &mut Report,
    told: &mut Vec<At>,
    most: usize,
    operations: &[Operation],
    compared: &[Compared],
) -> Option<At> {
    let mut first = None;
    for (operation, compared) in operations.iter().zip(compared) {
        report.count(&operation.area, !compared.known.is_empty(), !compared.new.is_empty());
        for entry in &compared.known {
            report.met[*entry] += 1;
        }
        for difference in &compared.new {
            report.note(operation, difference);
            let place = (operation.area.clone(), difference.pointer.clone());
            if first.is_none() && !told.contains(&place) {
                first = Some(place);
            }
        }
    }
    let place = first.filter(|_| told.len() < most)?;
    told.push(place.clone());
    Some(place)
}

/// Reports a divergence, and keeps it to be played again.
fn keep(options: &Options, report: &mut Report, found: Option<Divergence>) -> Result<(), Error> {
    let Some(mut divergence) = found else { return Ok(()) };
    if let Some(folder) = &options.keep {
        let name = format!("{}-{}", options.seed, report.divergences.len() + 1);
        divergence.file = Some(replay::keep(folder, &name, &divergence.sequence)?);
    }
    report.divergences.push(divergence);
    Ok(())
}

/// The shortest sequence found that still differs at this place.
async fn shrink(
    pair: &mut Pair<'_>,
    tree: &mut impl ValueTree<Value = Vec<Operation>>,
    place: &At,
    steps: u32,
) -> Result<Option<Divergence>, Error> {
    let mut best = shown(pair, tree.current(), place).await?;
    let mut steps = steps;
    let mut more = best.is_some() && tree.simplify();
    while more && steps > 0 {
        steps -= 1;
        more = match shown(pair, tree.current(), place).await? {
            Some(smaller) => {
                best = Some(smaller);
                tree.simplify()
            }
            None => tree.complicate(),
        };
    }
    Ok(best)
}

/// The sequence up to the first request that differs at this place.
async fn shown(
    pair: &mut Pair<'_>,
    mut sequence: Vec<Operation>,
    (area, pointer): &At,
) -> Result<Option<Divergence>, Error> {
    let compared = pair.ask(&sequence).await?;
    let differs = |(operation, compared): (&Operation, &Compared)| {
        operation.area == *area && compared.new.iter().any(|difference| difference.pointer == *pointer)
    };
    let Some(at) = sequence.iter().zip(&compared).position(differs) else { return Ok(None) };
    sequence.truncate(at + 1);
    let differences = compared.into_iter().nth(at).map(|compared| compared.new).unwrap_or_default();
    Ok(Some(Divergence { sequence, differences, file: None }))
}

/// Plays one sequence; says what differs at each of its requests.
///
/// # Errors
/// When one of the sides does not answer.
pub async fn play(
    sequence: &[Operation],
    embedded: &Side,
    reference: &Side,
    known: &List,
) -> Result<Report, Error> {
    // Beside namespaces of an earlier play, which may still be on their way out.
    let seed = u64::from(std::process::id());
    let mut pair = Pair { embedded, reference, known, planted: None, seed, namespaces: 0, all: true };
    let mut report = Report::against(known);
    for (at, compared) in pair.ask(sequence).await?.into_iter().enumerate() {
        report.count(&sequence[at].area, !compared.known.is_empty(), !compared.new.is_empty());
        if !compared.new.is_empty() {
            for difference in &compared.new {
                report.note(&sequence[at], difference);
            }
            let sequence = sequence[..=at].to_vec();
            report.divergences.push(Divergence { sequence, differences: compared.new, file: None });
        }
    }
    pair.tidy(true).await?;
    Ok(report)
}
