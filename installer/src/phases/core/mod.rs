//! Phase 4: the application stack.

use super::compute::{self, Ended};
use crate::context::Run;
use crate::result::{Blocker, Code, Evidence, Phase3, Phase4};

/// Runs the phase; what it reads goes into the evidence. It never starts while phase 3 is not ok: when
/// this run has not come through it, it is looked at first. Without configured releases there is nothing
/// to do beyond that, and the evidence says so.
pub async fn run(run: &Run<'_>, evidence: &mut Evidence) -> Ended {
    if evidence.phase3.is_none()
        && let Err(blockers) = compute_is_done(run, evidence.phase3.insert(Phase3::default())).await
    {
        return Ended { blockers, forced: None };
    }
    let phase4 = evidence.phase4.insert(Phase4::default());
    if run.settings.core.releases.is_empty() {
        run.step("core", "no releases are configured: there is nothing to do");
        return Ended::default();
    }
    phase4.configured = true;
    let blocker = Blocker::new(
        Code::Usage,
        "releases are configured, and this build cannot install them yet",
        "leave core out of the configuration",
    );
    Ended { blockers: vec![blocker], forced: None }
}

/// Sees that phase 3 is done, changing nothing.
async fn compute_is_done(run: &Run<'_>, evidence: &mut Phase3) -> Result<(), Vec<Blocker>> {
    if compute::inspect(run, evidence).await? {
        return Ok(());
    }
    Err(vec![
        Blocker::new(
            Code::Phase3Incomplete,
            "there is no Karpenter release: the compute phase has not run",
            "run the compute phase first",
        )
        .commands(["eks-installer install --phase compute"]),
    ])
}
