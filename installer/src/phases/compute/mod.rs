//! Phase 3: Karpenter.
//!
//! Platform gate, the release's state, what that state asks for, readiness, diagnosis: in this order, and
//! nothing is changed before the gate has held.

mod change;
mod readiness;
mod release;

use crate::cluster::Cluster;
use crate::context::Run;
use crate::helm::{Helm, HelmError, Release, ReleaseStatus};
use crate::phases::Phase;
use crate::platform::{Nodes, PlatformHealth};
use crate::result::{Blocker, Class, Code, Forced, Phase3};

/// How the phase ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// Why it is not done; empty when it is.
    pub blockers: Vec<Blocker>,
    /// The gate that was forced.
    pub forced: Option<Forced>,
}

/// Runs the phase; what it reads goes into `evidence`, also when it does not come to its end.
pub async fn run(run: &Run<'_>, evidence: &mut Phase3) -> Ended {
    let mut forced = None;
    let mut gate_held = false;
    let outcome = steps(run, evidence, &mut forced, &mut gate_held).await;
    let mut blockers = outcome.err().unwrap_or_default();
    let force = run.settings.force.as_ref().filter(|force| force.phase == Phase::Compute);
    if let Some(force) = force
        && gate_held
        && forgivable(&blockers)
    {
        run.warn("forced", format!("the compute phase is forced: {}", force.reason));
        run.gate("controller", "forced");
        forced = Some(Forced {
            phase: Phase::Compute,
            reason: force.reason.clone(),
            blockers: std::mem::take(&mut blockers),
        });
    }
    Ended { blockers, forced }
}

/// Whether the blockers are a gate that did not hold, as opposed to a state that is not known, a wrong
/// cluster or a run that was ended: those cannot be forced.
fn forgivable(blockers: &[Blocker]) -> bool {
    use Code::{KarpenterControllerNotReady, KarpenterRepairFailed, KarpenterSetupFailed};
    blockers.first().is_some_and(|first| {
        matches!(first.code, KarpenterControllerNotReady | KarpenterRepairFailed | KarpenterSetupFailed)
    }) && blockers.iter().all(|blocker| !matches!(blocker.code.class(), Class::Unknown | Class::Signal(_)))
}

/// The phase at work: what it has read so far.
struct Compute<'a, 'r> {
    run: &'r Run<'r>,
    cluster: &'a Cluster<'r>,
    helm: Helm<'r>,
    nodes: Nodes,
    evidence: &'a mut Phase3,
}

async fn steps(
    run: &Run<'_>,
    evidence: &mut Phase3,
    forced: &mut Option<Forced>,
    gate_held: &mut bool,
) -> Result<(), Vec<Blocker>> {
    evidence.karpenter.namespace.clone_from(&run.settings.karpenter.namespace);
    let cluster = connect(run, evidence).await?;
    let health = gate(run, &cluster, evidence).await?;
    if !health.healthy {
        let force = run.settings.force.as_ref().filter(|force| force.phase == Phase::Foundation);
        let Some(force) = force else {
            return Err(health.blockers);
        };
        run.warn("forced", format!("the platform gate is forced: {}", force.reason));
        run.gate("platform", "forced");
        *forced = Some(Forced {
            phase: Phase::Foundation,
            reason: force.reason.clone(),
            blockers: health.blockers,
        });
    }
    *gate_held = true;
    let helm = Helm::new(run, &cluster.connection);
    let mut compute = Compute { run, cluster: &cluster, helm, nodes: health.nodes, evidence };
    compute.act().await?;
    compute.become_ready().await
}

/// Connects, and sees that the kubeconfig leads to the cluster that was asked for.
async fn connect<'r>(run: &'r Run<'r>, evidence: &mut Phase3) -> Result<Cluster<'r>, Vec<Blocker>> {
    let cluster = Cluster::connect(run).await.map_err(|error| {
        run.fail("connect", error.to_string());
        vec![error.blocker(None)]
    })?;
    evidence.identity = cluster.connection.identity.clone();
    super::right_cluster(run, &cluster)?;
    Ok(cluster)
}

/// Reads the platform and says whether it is fit.
async fn gate(
    run: &Run<'_>,
    cluster: &Cluster<'_>,
    evidence: &mut Phase3,
) -> Result<PlatformHealth, Vec<Blocker>> {
    let health = match PlatformHealth::read(cluster).await {
        Ok(health) => health,
        Err(error) => {
            run.gate("platform", "unknown");
            run.fail("platform-gate", error.to_string());
            return Err(vec![error.blocker(Some(&cluster.connection.server))]);
        }
    };
    evidence.platform = health.evidence();
    evidence.warnings.extend(health.warnings.iter().cloned());
    if health.healthy {
        run.gate("platform", "passed");
        run.step("platform-gate", health.summary());
    } else {
        run.gate("platform", "blocked");
        run.fail("platform-gate", format!("{}; nothing is installed", health.summary()));
    }
    Ok(health)
}

impl Compute<'_, '_> {
    /// Writes what Helm last said into the evidence.
    fn note(&mut self, release: Option<&Release>) {
        let karpenter = &mut self.evidence.karpenter;
        karpenter.release.exists = Some(release.is_some());
        karpenter.release.status = release.map(|release| release.word.clone());
        karpenter.release.revision = release.map(|release| release.revision);
        let is = |status| release.is_some_and(|release| release.status == status);
        karpenter.installed = Some(is(ReleaseStatus::Deployed));
        karpenter.needs_repair = Some(is(ReleaseStatus::Failed));
    }

    /// Something is about to change: until it is read again, nothing is known of the release.
    fn forget(&mut self) {
        let karpenter = &mut self.evidence.karpenter;
        karpenter.release = crate::result::ReleaseEvidence::default();
        (karpenter.installed, karpenter.needs_repair) = (None, None);
        (karpenter.controller_ready, karpenter.controller) = (None, None);
        karpenter.pending_pods = None;
    }

    /// Asks Helm for the release.
    async fn read_release(&mut self) -> Result<Option<Release>, HelmError> {
        let release = self.helm.status().await?;
        self.note(release.as_ref());
        Ok(release)
    }

    /// The same, where not knowing ends the phase.
    async fn release_or_stop(&mut self) -> Result<Option<Release>, Vec<Blocker>> {
        let run = self.run;
        self.read_release().await.map_err(|error| {
            run.fail("helm-status", error.to_string());
            vec![error.blocker()]
        })
    }
}

/// What `status` says of the phase: everything is read, nothing is waited for, nothing is changed.
pub async fn inspect(run: &Run<'_>, evidence: &mut Phase3) -> Result<bool, Vec<Blocker>> {
    evidence.karpenter.namespace.clone_from(&run.settings.karpenter.namespace);
    let cluster = connect(run, evidence).await?;
    let health = gate(run, &cluster, evidence).await?;
    let helm = Helm::new(run, &cluster.connection);
    let mut compute = Compute { run, cluster: &cluster, helm, nodes: health.nodes.clone(), evidence };
    let mut blockers = health.blockers;
    let mut release = compute.release_or_stop().await?;
    if release.is_none()
        && let Some(adopted) = compute.elsewhere().await?
    {
        compute.helm.namespace.clone_from(&adopted);
        compute.evidence.karpenter.namespace = adopted;
        release = compute.release_or_stop().await?;
    }
    compute.evidence.karpenter.existed = Some(release.is_some());
    let Some(release) = release else {
        run.step("helm-status", "there is no release: the compute phase has not run");
        return if blockers.is_empty() { Ok(false) } else { Err(blockers) };
    };
    run.step("helm-status", format!("release is {} at revision {}", release.word, release.revision));
    if release.status != ReleaseStatus::Deployed {
        blockers.push(
            Blocker::new(
                Code::KarpenterReleaseFailed,
                format!(
                    "the Helm release is {} at revision {}: {}",
                    release.word, release.revision, release.description
                ),
                "run the compute phase: it finishes or repairs the release",
            )
            .commands(["eks-installer install --phase compute"]),
        );
    }
    if let Err(more) = compute.judge_controller(std::time::Duration::ZERO).await {
        blockers.extend(more);
    }
    if blockers.is_empty() { Ok(true) } else { Err(blockers) }
}
