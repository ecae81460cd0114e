//! Expectations: pure functions of what was seen. They do no I/O.

mod cluster;
mod invariants;
mod requests;
mod result;
mod resumed;
mod schema;
mod tools;

use crate::event::Mismatch;
use crate::observe::{Observation, Snapshot};
use crate::scenario::{Expect, Matcher, Placed};

pub(crate) use cluster::{counted, key as resource_key};
pub use invariants::invariants;
pub(crate) use requests::matches as request_matches;
pub use resumed::{End, resumed};
pub use schema::ResultSchema;
pub(crate) use tools::matches as call_matches;

/// What judging came to.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// How many single expectations were judged.
    pub checked: usize,
    /// Those that did not hold.
    pub mismatches: Vec<Mismatch>,
}

impl Judged {
    /// Adds what another judgement came to.
    pub fn and(&mut self, other: Judged) {
        self.checked += other.checked;
        self.mismatches.extend(other.mismatches);
    }

    /// Something that should have happened and did not, with no place of its own.
    #[must_use]
    pub fn missed(expectation: &str, expected: &str, observed: String) -> Self {
        let mismatch = Mismatch {
            expectation: expectation.to_owned(),
            expected: expected.to_owned(),
            observed,
            place: None,
        };
        Self { checked: 1, mismatches: vec![mismatch] }
    }

    fn check(&mut self, at: &At<'_>, name: &str, matcher: &Matcher, observed: Option<&serde_json::Value>) {
        self.checked += matcher.conditions();
        for wrong in matcher.check(observed) {
            let expectation =
                if wrong.path.is_empty() { name.to_owned() } else { format!("{name}.{}", wrong.path) };
            self.mismatches.push(Mismatch {
                expectation,
                expected: wrong.expected,
                observed: wrong.observed,
                place: at.place(),
            });
        }
    }

    fn fail(&mut self, at: &At<'_>, name: &str, expected: impl Into<String>, observed: impl Into<String>) {
        self.mismatches.push(Mismatch {
            expectation: name.to_owned(),
            expected: expected.into(),
            observed: observed.into(),
            place: at.place(),
        });
    }
}

/// Where an expectation stands.
#[derive(Clone, Copy)]
struct At<'a> {
    file: &'a str,
    line: u64,
}

impl At<'_> {
    fn of<'a, T>(file: &'a str, placed: &Placed<T>) -> At<'a> {
        At { file, line: placed.line }
    }

    fn place(&self) -> Option<String> {
        Some(if self.line == 0 { self.file.to_owned() } else { format!("{}:{}", self.file, self.line) })
    }
}

/// Judges what a step expects. `run` is the newest run, `origin` the cluster before the first step, `now` the
/// cluster as it is.
#[must_use]
pub fn judge(
    file: &str,
    expect: &Expect,
    run: Option<&Observation>,
    origin: &Snapshot,
    now: &Snapshot,
) -> Judged {
    let mut judged = Judged::default();
    match run {
        Some(run) => {
            result::judge(&mut judged, file, expect, run);
            requests::judge(&mut judged, file, expect, &run.requests);
            tools::judge(&mut judged, file, expect, &run.calls);
        }
        None if expect.needs_run() => {
            let at = At { file, line: 0 };
            judged.checked += 1;
            judged.fail(&at, "run", "the installer was run before this expectation", "it was not");
        }
        None => {}
    }
    cluster::judge(&mut judged, file, expect, origin, now);
    judged
}

impl Expect {
    /// Whether it says anything of a run of the installer.
    fn needs_run(&self) -> bool {
        self.exit.is_some()
            || self.signal.is_some()
            || self.ok.is_some()
            || self.status.is_some()
            || self.phase.is_some()
            || self.next.is_some()
            || self.blockers.is_some()
            || !self.evidence.is_empty()
            || !self.result.is_empty()
            || self.stdout.is_some()
            || self.stderr.is_some()
            || self.requests.is_some()
            || !self.tools.is_empty()
    }
}
