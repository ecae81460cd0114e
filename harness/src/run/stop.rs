//! The switch that ends a run early.

use tokio::sync::watch;

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
