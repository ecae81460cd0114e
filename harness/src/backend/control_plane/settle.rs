//! When a real control plane has nothing left to do.
//!
//! It never says so. But the store tells of every write, and controllers and scheduler publish the lengths of their
//! queues: nothing was written for a while, nothing is queued, and nothing was written while that was asked. The
//! kubelets are ours and say it themselves.

use std::time::Duration;

use kubesim::kubelet::remote::Remote;
use tokio::time::{Instant, sleep_until, timeout};

use super::plane::Plane;
use crate::backend::ClusterError;

/// How long nothing must have been written: longer than a change takes from the store to a controller's queue.
pub(super) const QUIET: Duration = Duration::from_millis(60);

/// How long to wait for that at most, and how much longer for each node. A pod that crashes again and again never
/// lets it be quiet.
const PATIENCE: Duration = Duration::from_secs(20);
const PATIENCE_FOR_A_NODE: Duration = Duration::from_millis(300);

/// How long a cluster that is whole may take to come to rest, as many times as that.
const BEGINNING: u32 = 6;

/// Waits until there is nothing left to do, or until patience ends.
pub(super) async fn settled(
    plane: &Plane,
    kubelets: Option<&Remote>,
    quiet: Duration,
) -> Result<(), ClusterError> {
    match timeout(patience(kubelets), all_settled(plane, kubelets, quiet)).await {
        Ok(done) => done,
        Err(_) => Ok(()),
    }
}

/// Waits until a new cluster, in which nothing is broken yet, has nothing left to do. What it did after that would
/// be taken for a part of what is judged.
pub(super) async fn rested(plane: &Plane, kubelets: &Remote, quiet: Duration) -> Result<(), ClusterError> {
    let patience = patience(Some(kubelets)) * BEGINNING;
    let settled = all_settled(plane, Some(kubelets), quiet);
    timeout(patience, settled).await.unwrap_or_else(|_| {
        let words = "come to rest with a new cluster: its controllers are still at work after";
        Err(ClusterError::new(format!("{words} {} s", patience.as_secs())))
    })
}

fn patience(kubelets: Option<&Remote>) -> Duration {
    let nodes = kubelets.map_or(0, |kubelets| kubelets.nodes().names().len());
    PATIENCE + PATIENCE_FOR_A_NODE.saturating_mul(u32::try_from(nodes).unwrap_or(u32::MAX))
}

async fn all_settled(plane: &Plane, kubelets: Option<&Remote>, quiet: Duration) -> Result<(), ClusterError> {
    let Some(kubelets) = kubelets else { return settle(plane, false, quiet).await };
    loop {
        kubelets.settled().await;
        let before = plane.pulse().borrow().revision;
        settle(plane, !kubelets.nodes().names().is_empty(), quiet).await?;
        // Whatever was written meanwhile may concern them.
        if plane.pulse().borrow().revision == before {
            return Ok(());
        }
    }
}

async fn settle(plane: &Plane, has_nodes: bool, quiet: Duration) -> Result<(), ClusterError> {
    let mut pulse = plane.pulse();
    let began = Instant::now();
    loop {
        let newest = *pulse.borrow_and_update();
        let until = newest.at.max(began) + quiet;
        tokio::select! {
            biased;
            changed = pulse.changed() => {
                if changed.is_err() {
                    // The store is gone; who waits for it learns that elsewhere.
                    return plane.alive();
                }
            }
            () = sleep_until(until) => {
                let [controllers, scheduler] = plane.figures().await?;
                let still = pulse.borrow().revision == newest.revision;
                if still && is_idle(&controllers, has_nodes) && is_idle(&scheduler, has_nodes) {
                    return Ok(());
                }
                // Asked again after a write, or after as long again.
                let again = Instant::now() + quiet;
                tokio::select! {
                    biased;
                    _ = pulse.changed() => {}
                    () = sleep_until(again) => {}
                }
            }
        }
    }
}

/// Figures of work that waits or is being done.
const WORK: [&str; 3] =
    ["workqueue_depth{", "workqueue_unfinished_work_seconds{", "scheduler_pending_pods{queue=\"active\"}"];

/// Pods that are tried again in a moment. Without any node they are so for ever.
const BACKOFF: &str = "scheduler_pending_pods{queue=\"backoff\"}";

/// Whether figures in Prometheus text show no work.
fn is_idle(figures: &str, has_nodes: bool) -> bool {
    let busy = |line: &str| {
        let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        let counts =
            WORK.iter().any(|prefix| line.starts_with(prefix)) || has_nodes && line.starts_with(BACKOFF);
        counts && value.is_some_and(|value| value > 0.0)
    };
    !figures.lines().any(busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_tell_whether_there_is_work() {
        let idle = "# HELP workqueue_depth Current depth\nworkqueue_depth{name=\"deployment\"} 0\n\
            workqueue_adds_total{name=\"deployment\"} 7\nscheduler_pending_pods{queue=\"unschedulable\"} 2\n";
        assert!(is_idle(idle, true));
        assert!(!is_idle("workqueue_depth{name=\"deployment\"} 1\n", true));
        assert!(!is_idle("workqueue_unfinished_work_seconds{name=\"x\"} 0.25\n", true));
        assert!(!is_idle("scheduler_pending_pods{queue=\"active\"} 1\n", true));
        let waiting = "scheduler_pending_pods{queue=\"backoff\"} 1\n";
        assert!(!is_idle(waiting, true));
        assert!(is_idle(waiting, false), "nothing will come of it");
    }
}
