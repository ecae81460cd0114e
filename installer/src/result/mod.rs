//! What a run says: the result document, and the exit code that goes with it.

mod blocker;
mod commands;
mod derive;
mod evidence;
mod plan;
pub mod storage;

use schemars::JsonSchema;
use serde::Serialize;

pub use blocker::{Blocker, Class, Code};
pub use commands::{Check, CheckVerdict, Cleanup, LeftBehind, Preflight};
pub use derive::{Verdict, derive};
pub use evidence::{
    Container, Controller, CoreRelease, Definitions, Eks, Evidence, Karpenter, NodeGroup, Phase1, Phase3,
    Phase4, Platform, PodReport, PodsBesides, ReleaseEvidence, Replicas, Stack, Termination, Warning,
    WorkloadReport,
};

pub use plan::{Plan, PlannedAction, PlannedStep, typed};
pub use storage::Phase2;

use crate::phases::Phase;
use crate::retry::Target;

/// The version of the result document. A field that changes its meaning changes this.
pub const SCHEMA_VERSION: u32 = 1;

/// A result and the exit code of the process that reports it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The document for standard output.
    pub result: RunResult,
    /// `0` ok, `1` error, `2` usage, `3` blocked, `4` state unknown, `130`/`143` interrupted.
    pub exit: u8,
}

/// The one JSON document that a run writes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunResult {
    /// Version of this document's shape.
    pub schema_version: u32,
    /// Whether what was asked for is done.
    pub ok: bool,
    /// How the run ended.
    pub status: Status,
    /// The phase that the run ended in; `null` when it ended before one was chosen (usage errors).
    pub phase: Option<Phase>,
    /// What was read from the cluster, by phase; a phase that did not run is absent.
    pub evidence: Evidence,
    /// Why the run could not go on; empty when `ok`.
    pub blockers: Vec<Blocker>,
    /// What to do next.
    pub next: Next,
    /// The gate that was forced, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forced: Option<Forced>,
    /// What would be done; only of a run that was asked to change nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// Numbers worth watching over time.
    pub telemetry: Telemetry,
    /// Every call that was tried again.
    pub retries: Vec<Retry>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every phase is done.
    Completed,
    /// The phase asked for is done, more remain.
    CompletedPhase,
    /// Something that an earlier phase should have provided is missing.
    BlockedPhase,
    /// Anything else that stops the run.
    Error,
}

impl Status {
    /// The name in the result and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::CompletedPhase => "completed_phase",
            Self::BlockedPhase => "blocked_phase",
            Self::Error => "error",
        }
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Next {
    /// The kind of step.
    pub action: Action,
    /// The phase that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
}

/// The kind of the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Run the named phase.
    Install,
    /// Put the named phase right.
    Fix,
    /// Read the blockers first; going on would do harm.
    Stop,
    /// Nothing is left to do.
    None,
}

/// A gate that did not hold and was passed because somebody said so.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Forced {
    /// The phase whose gate it was.
    pub phase: Phase,
    /// The reason given with `--reason`.
    pub reason: String,
    /// What the gate would have stopped at.
    pub blockers: Vec<Blocker>,
}

/// A call that failed for a passing reason and was tried again.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Whom the call went to.
    pub target: Target,
    /// What was tried, such as `list nodes` or `helm upgrade`.
    pub operation: String,
    /// 1 for the first retry.
    pub attempt: u32,
    /// Why the attempt before it failed.
    pub error: String,
    /// How long was waited first, in milliseconds.
    pub delay_ms: u64,
    /// When the failure was seen, in milliseconds since the run began.
    pub at_ms: u64,
}

/// Numbers about the run.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Telemetry {
    /// Duration of the run, in milliseconds.
    pub duration_ms: u64,
    /// Requests sent to the API server.
    pub api_requests: u32,
    /// Tools run.
    pub tool_calls: u32,
    /// Calls that were tried again.
    pub retries: u32,
    /// How often each target was given up on; targets that never were are absent.
    pub circuits_opened: std::collections::BTreeMap<String, u32>,
    /// Repairs begun.
    pub repair_attempts: u32,
    /// Repairs that ended in a deployed release.
    pub repair_successes: u32,
    /// Time spent in repairs, in milliseconds.
    pub repair_duration_ms: u64,
    /// Verdict of each gate that was reached: `passed`, `blocked`, `unknown` or `forced`.
    pub gates: std::collections::BTreeMap<String, String>,
}
