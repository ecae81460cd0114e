//! The one clock of a cluster.
//!
//! Everything that waits, waits on tokio time through this type, so that a cluster on a paused tokio
//! clock lives through ten minutes in microseconds, and one behind a socket can run at a stated factor.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Where cluster time comes from: an origin, and tokio time since then multiplied by a factor.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Timestamp,
    started: Instant,
    factor: f64,
}

impl Clock {
    /// A clock that reads `origin` now and runs `factor` times as fast as tokio time.
    ///
    /// # Panics
    /// Outside a tokio runtime with time enabled, as every tokio timer does.
    #[must_use]
    pub fn new(origin: Timestamp, factor: f64) -> Self {
        let factor = if factor.is_finite() && factor > 0.0 { factor } else { 1.0 };
        Self { origin, started: Instant::now(), factor }
    }

    /// Cluster time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let elapsed = self.started.elapsed().mul_f64(self.factor);
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
        self.origin.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// Cluster time now as the API writes it in `metav1.Time`: RFC 3339, whole seconds, `Z`.
    #[must_use]
    pub fn rfc3339(&self) -> String {
        self.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Cluster time now as the API writes it in `metav1.MicroTime`: RFC 3339 with six decimals.
    #[must_use]
    pub fn rfc3339_micro(&self) -> String {
        self.now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
    }

    /// Waits for `duration` of cluster time.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration.div_f64(self.factor)).await;
    }
}
