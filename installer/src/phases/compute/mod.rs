//! Phase 3: Karpenter.
//!
//! Platform gate, the release's state, what that state asks for, readiness, diagnosis: in this order, and
//! nothing is changed before the gate has held.

mod compatibility;
mod definitions;
mod provisioning;
mod readiness;

use std::time::Duration;

use readiness::definitions_lacking;
pub(crate) use readiness::{ControllerState, LABEL, numbers};

use super::force::pass;
use crate::cluster::Cluster;
use crate::context::Run;
use crate::helm::{Chart, ReleaseStatus};
use crate::phases::Phase;
use crate::platform::{Nodes, PlatformHealth};
use crate::release::{Change, Codes, Gate, Work};
use crate::result::{Blocker, Class, Code, Forced, Phase3};

const CODES: Codes = Codes {
    setup: Code::KarpenterSetupFailed,
    repair: Code::KarpenterRepairFailed,
    locked: Code::KarpenterReleaseLocked,
    elsewhere: Code::KarpenterReleaseElsewhere,
};

/// How the phase ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// Why it is not done; empty when it is.
    pub blockers: Vec<Blocker>,
    /// The gate that was forced.
    pub forced: Option<Forced>,
}

impl From<Result<Forced, Vec<Blocker>>> for Ended {
    fn from(gate: Result<Forced, Vec<Blocker>>) -> Self {
        match gate {
            Ok(forced) => Self { blockers: Vec::new(), forced: Some(forced) },
            Err(blockers) => Self { blockers, forced: None },
        }
    }
}

/// Runs the phase; what it reads goes into `evidence`, also when it does not come to its end.
pub async fn run(run: &Run<'_>, evidence: &mut Phase3) -> Ended {
    let mut forced = None;
    let mut gate_held = false;
    let outcome = steps(run, evidence, &mut forced, &mut gate_held).await;
    if let Some(message) = run.jump() {
        evidence.warnings.push(crate::result::Warning { code: "CLOCK_JUMPED".into(), message });
    }
    let mut blockers = outcome.err().unwrap_or_default();
    if gate_held && forgivable(&blockers) {
        match pass(run, Phase::Compute, "controller", std::mem::take(&mut blockers)) {
            Ok(passed) => forced = Some(passed),
            Err(held) => blockers = held,
        }
    }
    Ended { blockers, forced }
}

/// Whether the blockers are a gate that did not hold, as opposed to a state that is not known, a wrong
/// cluster or a run that was ended: those cannot be forced.
pub(super) fn forgivable(blockers: &[Blocker]) -> bool {
    use Code::{
        KarpenterControllerNotReady, KarpenterReleaseFailed, KarpenterRepairFailed, KarpenterSetupFailed,
        ReleaseNotReady, ReleaseRepairFailed, ReleaseSetupFailed,
    };
    let gates = [
        KarpenterControllerNotReady,
        KarpenterReleaseFailed,
        KarpenterRepairFailed,
        KarpenterSetupFailed,
        ReleaseNotReady,
        ReleaseRepairFailed,
        ReleaseSetupFailed,
    ];
    blockers.first().is_some_and(|first| gates.contains(&first.code))
        && blockers.iter().all(|blocker| !matches!(blocker.code.class(), Class::Unknown | Class::Signal(_)))
}

/// The phase at work: what it has read so far.
struct Compute<'a, 'r> {
    run: &'r Run<'r>,
    cluster: &'a Cluster<'r>,
    nodes: Nodes,
    evidence: &'a mut Phase3,
    /// Whether what has to be seen to before the first change has been.
    prepared: bool,
    /// The pods of the Ready controller.
    replicas: Vec<String>,
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
        *forced = Some(pass(run, Phase::Foundation, "platform", health.blockers)?);
    }
    *gate_held = true;
    let mut compute = Compute {
        run,
        cluster: &cluster,
        nodes: health.nodes,
        evidence,
        prepared: false,
        replicas: Vec::new(),
    };
    let mut work = compute.work();
    if run.dry() {
        return compute.plan(work).await;
    }
    let acted = work.act(&mut compute).await;
    compute.note(&work);
    acted?;
    compute.become_ready().await?;
    compute.look_around().await;
    Ok(())
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
    if let Some(skew) = run.skew() {
        let message = run.skew_words(skew);
        evidence.warnings.push(crate::result::Warning { code: "CLOCK_SKEW".into(), message });
    }
    if health.healthy {
        run.gate("platform", "passed");
        run.step("platform-gate", health.summary());
    } else {
        run.gate("platform", "blocked");
        run.fail("platform-gate", format!("{}; nothing is installed", health.summary()));
    }
    Ok(health)
}

impl<'a, 'r> Compute<'a, 'r> {
    /// The release, of which nothing is known yet.
    fn work(&self) -> Work<'a, 'r> {
        let settings = &self.run.settings.karpenter;
        let replicas = settings.replicas.map(|replicas| format!("replicas={replicas}"));
        let chart = Chart {
            release: settings.release.clone(),
            reference: settings.chart.clone(),
            version: Some(settings.version.clone()),
            namespace: settings.namespace.clone(),
            values: settings.values.clone(),
            needed: self
                .cluster_name()
                .map(|name| format!("settings.clusterName={name}"))
                .into_iter()
                .collect(),
            set: replicas.into_iter().chain(settings.set.iter().cloned()).collect(),
            adopt: false,
        };
        Work::new(self.cluster, Phase::Compute, CODES, true, chart)
    }

    /// The cluster's name for the chart: as asked for, or else as the kubeconfig has it.
    fn cluster_name(&self) -> Option<String> {
        let asked = self.run.settings.cluster.name.as_ref();
        asked.or(self.evidence.identity.name.as_ref()).cloned()
    }

    /// Plans the phase: the release, and then the controller as it is or as it will have to be.
    async fn plan(&mut self, mut work: Work<'_, '_>) -> Result<(), Vec<Blocker>> {
        let planned = work.plan(self).await;
        self.note(&work);
        if planned? {
            work.plan_readiness("Karpenter's controller");
            return Ok(());
        }
        match self.judge_controller(Duration::ZERO).await {
            Err(blockers) if definitions_lacking(&blockers) => {
                if !self.complete_definitions().await? {
                    return Err(blockers);
                }
                work.plan_readiness("Karpenter's controller");
                Ok(())
            }
            judged => judged,
        }
    }

    /// Takes over what is known of the release.
    fn note(&mut self, work: &Work<'_, '_>) {
        let (karpenter, record) = (&mut self.evidence.karpenter, &work.record);
        karpenter.release.clone_from(&record.release);
        karpenter.existed = record.existed;
        (karpenter.installed, karpenter.needs_repair) = (record.installed, record.needs_repair);
        karpenter.repair_attempted = record.repair_attempted;
        karpenter.repair_succeeded = record.repair_succeeded;
        karpenter.script_ran = record.script_ran;
        karpenter.namespace.clone_from(&work.helm.namespace);
    }
}

impl Gate for Compute<'_, '_> {
    fn forget(&mut self) {
        let karpenter = &mut self.evidence.karpenter;
        (karpenter.controller_ready, karpenter.controller) = (None, None);
        (karpenter.pending_pods, karpenter.pending_besides) = (None, None);
    }

    async fn before(&mut self, change: Change) -> Result<(), Vec<Blocker>> {
        if self.prepared {
            return Ok(());
        }
        if self.cluster_name().is_none() {
            return Err(vec![Blocker::new(
                Code::Usage,
                "the chart needs the cluster's name (settings.clusterName), CLUSTER_NAME is not set and \
                 the kubeconfig's context does not name an EKS cluster",
                "set CLUSTER_NAME, or pass --cluster-name",
            )]);
        }
        self.see_compatibility().await?;
        // The first installation brings the definitions along; Helm never adds them later.
        if change == Change::Repair {
            self.complete_definitions().await?;
        }
        self.prepared = true;
        Ok(())
    }

    async fn is_ready(&mut self, namespace: &str) -> bool {
        namespace.clone_into(&mut self.evidence.karpenter.namespace);
        self.controller_is_ready().await
    }

    async fn explain(&mut self, namespace: &str, mut blocker: Blocker, words: &str) -> Vec<Blocker> {
        namespace.clone_into(&mut self.evidence.karpenter.namespace);
        let findings = match self.look_at_controller(Some(words)).await {
            Ok(findings) => findings,
            Err(error) => {
                // The first error stays the first; this one says why there is no more to say.
                return vec![blocker, error.blocker(Some(&self.cluster.connection.server))];
            }
        };
        match &findings.why {
            Some(why) => blocker.message.push_str(&format!("; {why}")),
            None => blocker.message.push_str("; the reason is unrecognised: these are its own words"),
        }
        findings.complete(blocker)
    }
}

/// Sees whether the Karpenter that is asked for runs on the cluster; the evidence takes the warnings.
pub(crate) async fn see_version(
    run: &Run<'_>,
    cluster: &Cluster<'_>,
    evidence: &mut Phase3,
) -> Result<(), Vec<Blocker>> {
    let nodes = Nodes::default();
    let mut compute = Compute { run, cluster, nodes, evidence, prepared: false, replicas: Vec::new() };
    compute.see_compatibility().await
}

/// What `status` says of the phase: everything is read, nothing is waited for, nothing is changed.
pub async fn inspect(run: &Run<'_>, evidence: &mut Phase3) -> Result<bool, Vec<Blocker>> {
    evidence.karpenter.namespace.clone_from(&run.settings.karpenter.namespace);
    let cluster = connect(run, evidence).await?;
    let health = gate(run, &cluster, evidence).await?;
    let nodes = health.nodes.clone();
    let mut compute =
        Compute { run, cluster: &cluster, nodes, evidence, prepared: false, replicas: Vec::new() };
    let mut blockers = health.blockers;
    let mut work = compute.work();
    let found = work.find().await;
    compute.note(&work);
    let release = found?;
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
    if let Err(more) = compute.judge_controller(Duration::ZERO).await {
        blockers.extend(more);
    }
    if blockers.is_empty() { Ok(true) } else { Err(blockers) }
}
