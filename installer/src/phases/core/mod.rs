//! Phase 4: the application stack. An ordered list of Helm releases, each brought to `deployed` and then
//! gated on everything that it runs; the first that is not Ready stops the rest.

mod gate;
mod workloads;

use self::gate::Stack;
use super::Phase;
use super::compute::{self, Ended, forgivable};
use super::force;
use crate::cluster::Cluster;
use crate::context::Run;
use crate::platform::{Nodes, PlatformHealth};
use crate::result::{Blocker, Code, CoreRelease, Evidence, Forced, Phase3, Phase4};
use crate::settings::ReleaseSettings;

/// Runs the phase; what it reads goes into the evidence. It never starts while phase 3 is not ok: when
/// this run has not come through it, it is looked at first. Without configured releases there is nothing
/// to do beyond that, and the evidence says so.
pub async fn run(run: &Run<'_>, evidence: &mut Evidence) -> Ended {
    let mut forced = None;
    let blockers = steps(run, evidence, &mut forced).await.err().unwrap_or_default();
    Ended { blockers, forced }
}

/// Passes a gate that somebody has said may be passed; other blockers are given back.
fn pass(
    run: &Run<'_>,
    phase: Phase,
    blockers: Vec<Blocker>,
    forced: &mut Option<Forced>,
) -> Result<(), Vec<Blocker>> {
    if !forgivable(&blockers) {
        return Err(blockers);
    }
    *forced = Some(force::pass(run, phase, phase.name(), blockers)?);
    Ok(())
}

async fn steps(
    run: &Run<'_>,
    evidence: &mut Evidence,
    forced: &mut Option<Forced>,
) -> Result<(), Vec<Blocker>> {
    if evidence.phase3.is_none()
        && let Err(blockers) = compute_is_done(run, evidence.phase3.insert(Phase3::default())).await
    {
        pass(run, Phase::Compute, blockers, forced)?;
    }
    let phase4 = evidence.phase4.insert(Phase4::default());
    let releases = &run.settings.core.releases;
    if releases.is_empty() {
        run.step("core", "no releases are configured: there is nothing to do");
        return Ok(());
    }
    phase4.configured = true;
    let cluster = Cluster::connect(run).await.map_err(|error| {
        run.fail("connect", error.to_string());
        vec![error.blocker(None)]
    })?;
    super::right_cluster(run, &cluster)?;
    let platform = PlatformHealth::read(&cluster).await.map_err(|error| {
        run.fail("platform-gate", error.to_string());
        vec![error.blocker(Some(&cluster.connection.server))]
    })?;
    for release in releases {
        let kept = phase4.releases.len();
        phase4.releases.push(CoreRelease::default());
        let outcome = one(&cluster, &platform.nodes, release, &mut phase4.releases[kept]).await;
        if let Err(blockers) = outcome {
            run.gate("core", "blocked");
            pass(run, Phase::Core, blockers, forced)?;
        }
    }
    if forced.is_none() && !run.plans_something() {
        run.gate("core", "passed");
    }
    Ok(())
}

/// One release: deployed, then Ready.
async fn one(
    cluster: &Cluster<'_>,
    nodes: &Nodes,
    release: &ReleaseSettings,
    evidence: &mut CoreRelease,
) -> Result<(), Vec<Blocker>> {
    release.name.clone_into(&mut evidence.name);
    release.namespace.clone_into(&mut evidence.namespace);
    let mut stack = Stack::new(cluster, nodes, release, evidence);
    let mut work = stack.work();
    if cluster.run.dry() {
        let planned = work.plan(&mut stack).await;
        stack.note(&work);
        if planned? {
            work.plan_readiness(&format!("everything that release {} runs", release.name));
            return Ok(());
        }
        return stack.become_ready().await;
    }
    let acted = work.act(&mut stack).await;
    stack.note(&work);
    acted?;
    stack.become_ready().await
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
