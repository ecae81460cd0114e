//! When to try again, and how long to wait first.
//!
//! One policy for every call that leaves the process: capped exponential backoff with jitter from a
//! seed, `Retry-After` honoured, within a budget of time; what is permanent is never repeated.

use std::time::Duration;

/// The shape of the backoff.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Delay before the first retry, before jitter.
    pub base: Duration,
    /// No delay is longer, unless the server asked for one with `Retry-After`.
    pub cap: Duration,
    /// How long after the first failure a retry may still start.
    pub budget: Duration,
}

impl RetryPolicy {
    /// The installer's policy with a given budget.
    #[must_use]
    pub fn with_budget(budget: Duration) -> Self {
        Self { base: Duration::from_millis(200), cap: Duration::from_secs(10), budget }
    }
}

/// Whether an error may go away by itself.
pub trait Retryable {
    /// `None`: permanent, never repeat. `Some(wait)`: transient; `wait` is what the server asked for.
    fn transient(&self) -> Option<Option<Duration>>;
}

/// The attempts at one operation.
#[derive(Clone, Debug)]
pub struct Attempts {
    policy: RetryPolicy,
    made: u32,
    failing_since: Option<Duration>,
}

impl Attempts {
    /// No attempt made yet.
    #[must_use]
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, made: 0, failing_since: None }
    }

    /// How many retries have been granted.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.made
    }

    /// An attempt has failed at `now` (time since any fixed point): the delay before the next one, or
    /// `None` when the next one would start after the budget.
    pub fn after_failure(
        &mut self,
        now: Duration,
        asked: Option<Duration>,
        rng: &mut fastrand::Rng,
    ) -> Option<Duration> {
        let since = *self.failing_since.get_or_insert(now);
        let exponential =
            self.policy.base.saturating_mul(2_u32.saturating_pow(self.made.min(16))).min(self.policy.cap);
        // Half fixed, half random: never at once, never all clients together.
        let jittered = exponential.mul_f64(0.5 + 0.5 * rng.f64());
        let delay = asked.map_or(jittered, |asked| asked.max(jittered));
        if now + delay > since + self.policy.budget {
            return None;
        }
        self.made += 1;
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(asked: Option<Duration>) -> Vec<Duration> {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut attempts = Attempts::new(RetryPolicy::with_budget(Duration::from_secs(60)));
        let mut now = Duration::from_secs(100);
        let mut delays = Vec::new();
        while let Some(delay) = attempts.after_failure(now, asked, &mut rng) {
            now += delay;
            delays.push(delay);
        }
        delays
    }

    #[test]
    fn delays_grow_up_to_the_cap_and_end_within_the_budget() {
        let delays = delays(None);
        assert!(delays.len() > 5, "{delays:?}");
        assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(10)));
        assert!(delays.iter().sum::<Duration>() <= Duration::from_secs(60));
        assert!(delays[0] >= Duration::from_millis(100) && delays[0] <= Duration::from_millis(200));
        assert!(delays[4] > delays[0]);
    }

    #[test]
    fn retry_after_is_a_lower_bound_even_beyond_the_cap() {
        let delays = delays(Some(Duration::from_secs(20)));
        assert_eq!(delays, vec![Duration::from_secs(20); 3]);
    }

    #[test]
    fn a_wait_longer_than_the_budget_is_not_begun() {
        assert!(delays(Some(Duration::from_secs(61))).is_empty());
    }

    #[test]
    fn the_same_seed_gives_the_same_delays() {
        assert_eq!(delays(None), delays(None));
    }
}
