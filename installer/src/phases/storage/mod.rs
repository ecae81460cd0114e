//! Phase 2: the object store that workloads need.

use super::compute::Ended;
use crate::context::Run;
use crate::result::{Blocker, Code, Phase2};

/// Runs the phase; what it reads goes into `evidence`. Without a configured store there is nothing to do,
/// and the evidence says so.
pub async fn run(run: &Run<'_>, evidence: &mut Phase2) -> Ended {
    let Some(storage) = &run.settings.storage else {
        run.step("storage", "no object store is configured: there is nothing to do");
        return Ended::default();
    };
    evidence.configured = true;
    let blocker = Blocker::new(
        Code::Usage,
        format!("bucket {:?} is configured, and this build cannot make it yet", storage.bucket),
        "leave storage out of the configuration",
    );
    Ended { blockers: vec![blocker], forced: None }
}
