//! The scheduler: which node a pod goes to.
//!
//! Placement is a pure function of a pod and a snapshot of the cluster.

mod node_affinity;
mod placement;
mod pod_affinity;
pub mod quantity;
mod resources;
mod spread;
pub(crate) mod taints;
#[cfg(test)]
mod tests;

pub use placement::{Snapshot, Unschedulable, place};
