//! A verdict turned into its opposite, with everything that goes with it.

use eks_installer::Outcome;
use eks_installer::phases::Phase;
use eks_installer::result::{Blocker, Class, Code, Phase3, RunResult, derive};

/// Whether the compute phase failed at Helm or at the controller, as opposed to a state that is not
/// known or a run that was ended.
pub(crate) fn compute_failed(blockers: &[Blocker]) -> bool {
    let first = blockers.first().map(|blocker| blocker.code);
    let at = [Code::KarpenterSetupFailed, Code::KarpenterRepairFailed, Code::KarpenterControllerNotReady];
    first.is_some_and(|first| at.contains(&first))
        && blockers
            .iter()
            .all(|it| !matches!(it.code.class(), Class::Unknown | Class::Signal(_) | Class::Usage))
}

/// Replaces the blockers, and makes status, next step and exit code follow from the new ones.
pub(crate) fn with_blockers(outcome: Outcome, blockers: Vec<Blocker>) -> Outcome {
    let verdict = derive(&blockers, Phase::Compute.successor());
    let result = RunResult {
        ok: verdict.ok,
        status: verdict.status,
        next: verdict.next,
        blockers,
        phase: Some(Phase::Compute),
        ..outcome.result
    };
    Outcome { result, exit: verdict.exit }
}

/// Says that the compute phase is complete, and nothing that would contradict it.
pub(crate) fn complete(outcome: Outcome) -> Outcome {
    let mut outcome = with_blockers(outcome, Vec::new());
    if let Some(phase) = &mut outcome.result.evidence.phase3 {
        whitewash(phase);
    }
    let telemetry = &mut outcome.result.telemetry;
    telemetry.repair_successes = telemetry.repair_attempts;
    telemetry.gates.insert("controller".to_owned(), "passed".to_owned());
    outcome
}

fn whitewash(phase: &mut Phase3) {
    let platform = &mut phase.platform;
    platform.platform_healthy = platform.platform_healthy.map(|_| true);
    let karpenter = &mut phase.karpenter;
    karpenter.release.exists = Some(true);
    karpenter.release.status = Some("deployed".to_owned());
    (karpenter.installed, karpenter.needs_repair) = (Some(true), Some(false));
    karpenter.repair_succeeded = karpenter.repair_attempted.then_some(true);
    karpenter.controller_ready = Some(true);
    if let Some(controller) = &mut karpenter.controller {
        controller.observed_generation = controller.generation;
        controller.replicas = controller.desired;
        controller.updated = controller.desired;
        controller.available = controller.desired;
    }
    karpenter.pending_pods = Some(Vec::new());
}
