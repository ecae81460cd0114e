//! A force: somebody's stated permission to go on past one gate that does not hold.

use crate::context::Run;
use crate::phases::Phase;
use crate::result::{Blocker, Forced};

/// Passes a gate of this phase, if somebody has said that it may be passed; gives the blockers back
/// otherwise. The permission is for one gate and is used up by it: the next one holds, whosever it is.
pub(super) fn pass(
    run: &Run<'_>,
    phase: Phase,
    gate: &str,
    blockers: Vec<Blocker>,
) -> Result<Forced, Vec<Blocker>> {
    match &run.settings.force {
        Some(force) if force.phase == phase && run.take_force() => {
            run.warn("forced", format!("the {} phase is forced: {}", phase.name(), force.reason));
            run.gate(gate, "forced");
            Ok(Forced { phase, reason: force.reason.clone(), blockers })
        }
        _ => Err(blockers),
    }
}
