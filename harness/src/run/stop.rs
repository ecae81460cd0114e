//! The switch that ends a run early.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::verdict::ExitCode;

/// The switch. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Stop {
    sender: watch::Sender<bool>,
    /// The one that throws this one too.
    parent: Option<Box<Stop>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { sender: watch::Sender::new(false), parent: None }
    }
}

impl Stop {
    /// A switch of its own, which this one throws too.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { parent: Some(Box::new(self.clone())), ..Self::default() }
    }

    /// Throws the switch.
    pub fn trigger(&self) {
        self.sender.send_replace(true);
    }

    /// Whether it was thrown.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        *self.sender.borrow() || self.parent.as_ref().is_some_and(|parent| parent.is_triggered())
    }

    /// Throws the switch at SIGINT, at SIGTERM, and at SIGHUP, which comes when the terminal is closed, so that the
    /// run ends in order; a second signal ends the process at once. Either is told to `say`, for a person. Must be
    /// called within a runtime.
    ///
    /// # Errors
    ///
    /// When the system takes no listener.
    pub fn at_signals(&self, say: fn(&str)) -> std::io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let stop = self.clone();
        tokio::spawn(async move {
            for times in 0.. {
                tokio::select! {
                    biased;
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hang_up.recv() => {}
                }
                if times == 0 {
                    stop.trigger();
                    say("\ninterrupted: clearing up; once more to leave at once");
                } else {
                    say("left at once\n\nhint: cargo xtask cluster prune");
                    std::process::exit(i32::from(ExitCode::Interrupted.code()));
                }
            }
        });
        Ok(())
    }

    /// Waits until it is thrown.
    pub async fn wait(&self) {
        match &self.parent {
            None => self.thrown().await,
            Some(parent) => tokio::select! {
                () = self.thrown() => {}
                () = Box::pin(parent.wait()) => {}
            },
        }
    }

    async fn thrown(&self) {
        // The sender lives as long as this, so waiting cannot fail.
        let _ = self.sender.subscribe().wait_for(|thrown| *thrown).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_is_thrown_by_its_parent_and_does_not_throw_it() {
        let parent = Stop::default();
        let (first, second) = (parent.child(), parent.child().child());
        first.trigger();
        first.wait().await;
        assert!(!parent.is_triggered() && !second.is_triggered());
        parent.trigger();
        second.wait().await;
        assert!(second.is_triggered());
    }
}
