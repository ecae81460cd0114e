//! The scheduler: which node a pod goes to.
//!
//! Placement is a pure function of a pod and a snapshot of the cluster; the queue applies it to the pods
//! that wait.

mod node_affinity;
mod occupancy;
mod placement;
mod pod_affinity;
mod preemption;
pub mod quantity;
mod queue;
mod resources;
mod spread;
pub(crate) mod taints;
#[cfg(test)]
mod tests;

pub use placement::{Snapshot, Unschedulable, place};
pub(crate) use queue::Scheduler;

/// Whether a DaemonSet's pod belongs on a node: it is selected, and no taint keeps the pod away.
pub(crate) fn fits_daemon(pod: &serde_json::Value, node: &serde_json::Value) -> bool {
    node_affinity::matches(pod, node)
        && !taints::untolerated(pod, &node["spec"]["taints"], &["NoSchedule", "NoExecute"])
}
