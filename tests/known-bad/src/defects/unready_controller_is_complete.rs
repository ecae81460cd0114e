//! What Helm calls deployed counts as installed, whether or not the controller is Ready.

use eks_installer::Outcome;
use eks_installer::cli::Hooks;
use eks_installer::result::Code;

use crate::{Defect, verdict};

pub(super) const DEFECT: Defect = Defect {
    name: "unready-controller-is-complete",
    summary: "trusts helm --wait and reports the phase complete while the controller is not Ready",
    hooks,
};

fn hooks() -> Hooks {
    Hooks { wrap: Box::new(|context| context), edit: Box::new(edit) }
}

fn edit(outcome: Outcome) -> Outcome {
    let blockers = &outcome.result.blockers;
    let not_ready = blockers.first().is_some_and(|first| first.code == Code::KarpenterControllerNotReady);
    if not_ready && verdict::compute_failed(blockers) { verdict::complete(outcome) } else { outcome }
}
