//! The switch that ends a run early.

use tokio::sync::watch;

/// The switch. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Stop {
    sender: watch::Sender<bool>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { sender: watch::Sender::new(false) }
    }
}

impl Stop {
    /// Throws the switch.
    pub fn trigger(&self) {
        self.sender.send_replace(true);
    }

    /// Whether it was thrown.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        *self.sender.borrow()
    }

    /// Waits until it is thrown.
    pub async fn wait(&self) {
        // The sender lives as long as this, so waiting cannot fail.
        let _ = self.sender.subscribe().wait_for(|thrown| *thrown).await;
    }
}
