//! The defects, a file each.

mod always_blocks;
mod failed_release_is_complete;
mod first_two_pending_only;
mod forces_silently;
mod garbage_is_healthy;
mod ignores_no_nodes;
mod list_failure_is_absent;
mod missing_coredns_passes;
mod scorched_repair;
mod silent_pending;
mod stale_revision;
mod unready_controller_is_complete;

use crate::Defect;

/// Every defect, in the order in which they are listed.
pub const ALL: &[Defect] = &[
    ignores_no_nodes::DEFECT,
    failed_release_is_complete::DEFECT,
    silent_pending::DEFECT,
    unready_controller_is_complete::DEFECT,
    garbage_is_healthy::DEFECT,
    missing_coredns_passes::DEFECT,
    list_failure_is_absent::DEFECT,
    scorched_repair::DEFECT,
    forces_silently::DEFECT,
    first_two_pending_only::DEFECT,
    stale_revision::DEFECT,
    always_blocks::DEFECT,
];

/// The defect of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Defect> {
    ALL.iter().find(|defect| defect.name == name)
}
