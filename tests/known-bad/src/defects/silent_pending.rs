//! Pods of the controller that stay Pending are no reason to stop, and not a word is said of them.

use eks_installer::Outcome;
use eks_installer::cli::Hooks;

use crate::{Defect, verdict};

pub(super) const DEFECT: Defect = Defect {
    name: "silent-pending",
    summary: "reports the phase complete while the controller's pods are Pending, and gives no reason",
    hooks,
};

fn hooks() -> Hooks {
    Hooks { wrap: Box::new(|context| context), edit: Box::new(edit) }
}

fn edit(outcome: Outcome) -> Outcome {
    let phase = outcome.result.evidence.phase3.as_ref();
    let pods = phase.and_then(|phase| phase.karpenter.pending_pods.as_deref()).unwrap_or_default();
    if pods.iter().any(|pod| pod.phase == "Pending") && verdict::compute_failed(&outcome.result.blockers) {
        verdict::complete(outcome)
    } else {
        outcome
    }
}
