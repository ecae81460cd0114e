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

/// How long to wait for that at most. A pod that crashes again and again never lets it be quiet.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until there is nothing left to do, or until patience ends.
pub(super) async fn settled(
    plane: &Plane,
    kubelets: Option<&Remote>,
    quiet: Duration,
) -> Result<(), ClusterError> {
    let all = async {
        let Some(kubelets) = kubelets else { return settle(plane, quiet).await };
        loop {
            kubelets.settled().await;
            let before = plane.pulse().borrow().revision;
            settle(plane, quiet).await?;
            // Whatever was written meanwhile may concern them.
            if plane.pulse().borrow().revision == before {
                return Ok(());
            }
        }
    };
    match timeout(PATIENCE, all).await {
        Ok(done) => done,
        Err(_) => Ok(()),
    }
}

async fn settle(plane: &Plane, quiet: Duration) -> Result<(), ClusterError> {
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
                if still && is_idle(&controllers) && is_idle(&scheduler) {
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

/// Whether figures in Prometheus text show no work that waits or is being done.
fn is_idle(figures: &str) -> bool {
    const WORK: [&str; 4] = [
        "workqueue_depth{",
        "workqueue_unfinished_work_seconds{",
        "scheduler_pending_pods{queue=\"active\"}",
        "scheduler_pending_pods{queue=\"backoff\"}",
    ];
    let busy = |line: &str| {
        let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        WORK.iter().any(|prefix| line.starts_with(prefix)) && value.is_some_and(|value| value > 0.0)
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
        assert!(is_idle(idle));
        assert!(!is_idle("workqueue_depth{name=\"deployment\"} 1\n"));
        assert!(!is_idle("workqueue_unfinished_work_seconds{name=\"x\"} 0.25\n"));
        assert!(!is_idle("scheduler_pending_pods{queue=\"active\"} 1\n"));
    }
}
