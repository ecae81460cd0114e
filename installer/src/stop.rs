//! The one switch that ends a run early: a signal, or a deadline, the run's or the phase's.
//!
//! Whoever waits for something outside waits for this too, so that a run unwinds with what it has
//! found so far and still writes its result.

use std::sync::Arc;

use tokio::sync::watch;

use crate::phases::Phase;

/// Why a run ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// SIGINT: a person pressed Ctrl-C.
    Interrupted,
    /// SIGTERM: somebody asked the process to end.
    Terminated,
    /// `EKS_INSTALLER_DEADLINE` has passed.
    Deadline,
    /// `EKS_INSTALLER_PHASE_DEADLINE` has passed since this phase began.
    PhaseDeadline(Phase),
}

/// A switch that is thrown at most once; clones share it.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<Option<StopReason>>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Stop {
    /// Throws the switch. The first reason stands.
    pub fn trigger(&self, reason: StopReason) {
        self.0.send_if_modified(|now| {
            let first = now.is_none();
            now.get_or_insert(reason);
            first
        });
    }

    /// The reason, once thrown.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        *self.0.borrow()
    }

    /// Waits until the switch is thrown; for ever if it never is.
    pub async fn wait(&self) -> StopReason {
        let mut watcher = self.0.subscribe();
        loop {
            if let Some(reason) = *watcher.borrow_and_update() {
                return reason;
            }
            // The sender lives in `self`, so the channel cannot close while we wait.
            if watcher.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}
