//! What happens in a run, as a stream: the one way from the runner to any report.
//!
//! The stream is kept as `events.ndjson`, one event a line, so that every report can be made again from it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::parity::Parity;
use crate::verdict::Verdict;

/// Something that happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    /// The run began.
    RunStarted {
        /// When.
        at: Timestamp,
        /// The seed of everything that is random.
        seed: u64,
        /// Name of the backend.
        backend: String,
        /// The installer's command line.
        installer: String,
        /// How many scenarios run at the same time.
        jobs: usize,
        /// Names of the scenarios, in the order of every report.
        scenarios: Vec<String>,
    },
    /// A scenario began. On several backends it does so on each, and its name has the backend's after an `@`.
    ScenarioStarted {
        /// Its name.
        scenario: String,
        /// Its area.
        area: String,
        /// Its file.
        file: String,
        /// What the situation is.
        summary: String,
        /// Name of the backend.
        backend: String,
    },
    /// A cluster is there and its faults are in.
    ClusterReady {
        /// Name of the scenario.
        scenario: String,
        /// Which of its runs.
        attempt: Attempt,
        /// How long that took, in milliseconds.
        elapsed_ms: u64,
        /// What it is like, in words.
        shape: String,
    },
    /// A step is done.
    StepFinished {
        /// Name of the scenario.
        scenario: String,
        /// Which of its runs.
        attempt: Attempt,
        /// Number of the step, from 1.
        step: usize,
        /// What it did and what came of it, in words.
        what: String,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
        /// How many single expectations were judged.
        checked: usize,
        /// Those that did not hold.
        mismatches: Vec<Mismatch>,
    },
    /// A scenario ended.
    ScenarioFinished {
        /// Its name.
        scenario: String,
        /// How it ended.
        verdict: Verdict,
        /// How long it took, control included, in milliseconds.
        elapsed_ms: u64,
        /// Why it ended so, where the mismatches do not say.
        reason: Option<String>,
        /// What the control came to, in words.
        control: Option<String>,
        /// Folder with everything that was recorded, if it was kept.
        kept: Option<String>,
        /// How it compares with the first backend, if there are several.
        parity: Option<Parity>,
        /// What could not be cleaned up.
        left: Vec<String>,
        /// The command that runs it again.
        again: String,
    },
    /// The run ended.
    RunFinished {
        /// When.
        at: Timestamp,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
        /// Exit code.
        exit: u8,
    },
}

/// One of a scenario's two runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attempt {
    /// The scenario itself.
    Main,
    /// Its negative control.
    Control,
}

/// An expectation that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mismatch {
    /// Which expectation, such as `evidence.phase3.karpenter.repairAttempted` or `invariant 1`.
    pub expectation: String,
    /// What was expected.
    pub expected: String,
    /// What was seen.
    pub observed: String,
    /// Where it stands: file and line; none for an invariant.
    pub place: Option<String>,
}
