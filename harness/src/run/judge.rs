//! From what a process left to an observation.

use std::sync::Arc;

use interpose::cloud::Account;
use interpose::record::Call;
use kubesim::tap::Recording;

use super::subject::Ended;
use crate::expect::ResultSchema;
use crate::observe::{Observation, ResultDocument, Snapshot};
use crate::scenario::Subcommand;

/// What was known before the run.
pub(super) struct Before {
    pub(super) snapshot: Snapshot,
    pub(super) requests: usize,
    pub(super) calls: usize,
    pub(super) phase: Option<String>,
    pub(super) command: Subcommand,
    pub(super) deadline: std::time::Duration,
}

/// What is known after it.
pub(super) struct After {
    pub(super) snapshot: Snapshot,
    pub(super) requests: Vec<Recording>,
    pub(super) calls: Vec<Call>,
    pub(super) account: Account,
    pub(super) schema: Option<Arc<ResultSchema>>,
}

/// Puts together what was seen of one run.
pub(super) fn observe(
    before: Before,
    ended: Ended,
    after: After,
    origin: &Snapshot,
    secrets: Vec<String>,
) -> Observation {
    Observation {
        result: ResultDocument::read(&ended.stdout),
        schema: after.schema,
        ending: ended.ending,
        sent: ended.sent,
        elapsed: ended.elapsed,
        deadline: before.deadline,
        stdout: ended.stdout,
        stderr: ended.stderr,
        requests: after.requests.into_iter().skip(before.requests).collect(),
        calls: after.calls.into_iter().skip(before.calls).collect(),
        left_behind: ended.left_behind,
        phase: before.phase,
        command: before.command,
        secrets,
        origin: origin.clone(),
        before: before.snapshot,
        after: after.snapshot,
        account: after.account,
    }
}
