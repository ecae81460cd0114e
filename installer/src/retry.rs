//! When to try again, how long to wait first, and when to stop asking.
//!
//! One policy for every call that leaves the process, whoever it goes to: capped exponential backoff with
//! jitter from a seed, `Retry-After` honoured, within a budget of time; what is permanent is never
//! repeated. A target that an operation has given up on is asked once by each operation that follows, and
//! no more, until it answers: its circuit is open. Otherwise the reads that explain a failure would each
//! spend the whole budget again.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

/// Whom a call goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The Kubernetes API server.
    Api,
    /// `helm`, and through it the API server and the chart's registry.
    Helm,
    /// `eksctl`, and through it AWS.
    Eksctl,
    /// `aws`, and through it AWS.
    Aws,
}

impl Target {
    /// The name in results and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Helm => "helm",
            Self::Eksctl => "eksctl",
            Self::Aws => "aws",
        }
    }
}

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

/// An error of a call that leaves the process: whom it went to, and whether it may go away by itself.
pub trait Retryable: Sized {
    /// Whom the call went to.
    const TARGET: Target;

    /// `None`: permanent, never repeat. `Some(wait)`: transient; `wait` is what the server asked for.
    fn transient(&self) -> Option<Option<Duration>>;

    /// The error of a call that is not made, because the target has asked not to be called for so long.
    fn withheld(operation: &str, wait: Duration) -> Self;
}

/// The attempts at one operation.
#[derive(Clone, Debug)]
pub struct Attempts {
    target: Target,
    policy: RetryPolicy,
    made: u32,
    failing_since: Option<Duration>,
}

impl Attempts {
    /// No attempt made yet.
    #[must_use]
    pub fn new(target: Target, policy: RetryPolicy) -> Self {
        Self { target, policy, made: 0, failing_since: None }
    }

    /// Whom they go to.
    #[must_use]
    pub fn target(&self) -> Target {
        self.target
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
        if now.saturating_add(delay) > since.saturating_add(self.policy.budget) {
            return None;
        }
        self.made += 1;
        Some(delay)
    }
}

/// What is known of the targets: which of them were given up on, and which asked not to be called yet.
#[derive(Clone, Debug, Default)]
pub struct Circuits(BTreeMap<Target, Circuit>);

#[derive(Clone, Copy, Debug, Default)]
struct Circuit {
    open: bool,
    not_before: Duration,
    opened: u32,
}

impl Circuits {
    /// Whether the target was given up on and has not answered since: then a failure is not retried.
    #[must_use]
    pub fn open(&self, target: Target) -> bool {
        self.0.get(&target).is_some_and(|circuit| circuit.open)
    }

    /// How long a call to the target has to wait, because the target asked for patience.
    #[must_use]
    pub fn wait(&self, target: Target, now: Duration) -> Duration {
        self.0.get(&target).map_or(Duration::ZERO, |circuit| circuit.not_before.saturating_sub(now))
    }

    /// The target asked at `now` not to be called for so long.
    pub fn asked(&mut self, target: Target, now: Duration, wait: Duration) {
        let circuit = self.0.entry(target).or_default();
        circuit.not_before = circuit.not_before.max(now.saturating_add(wait));
    }

    /// The target answered, be it with a refusal.
    pub fn answered(&mut self, target: Target) {
        if let Some(circuit) = self.0.get_mut(&target) {
            circuit.open = false;
        }
    }

    /// An operation has given the target up; whether its circuit was closed until now.
    pub fn gave_up(&mut self, target: Target) -> bool {
        let circuit = self.0.entry(target).or_default();
        let closed = !circuit.open;
        circuit.open = true;
        circuit.opened += u32::from(closed);
        closed
    }

    /// How often each target's circuit was opened; those that never were are absent.
    #[must_use]
    pub fn opened(&self) -> BTreeMap<String, u32> {
        let opened = self.0.iter().filter(|(_, circuit)| circuit.opened > 0);
        opened.map(|(target, circuit)| (target.name().to_owned(), circuit.opened)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn delays(asked: Option<Duration>) -> Vec<Duration> {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut attempts = Attempts::new(Target::Api, RetryPolicy::with_budget(secs(60)));
        let mut now = secs(100);
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
        assert!(delays.iter().all(|delay| *delay <= secs(10)));
        assert!(delays.iter().sum::<Duration>() <= secs(60));
        assert!(delays[0] >= Duration::from_millis(100) && delays[0] <= Duration::from_millis(200));
        assert!(delays[4] > delays[0]);
    }

    #[test]
    fn retry_after_is_a_lower_bound_even_beyond_the_cap() {
        let delays = delays(Some(secs(20)));
        assert_eq!(delays, vec![secs(20); 3]);
    }

    #[test]
    fn a_wait_longer_than_the_budget_is_not_begun() {
        assert!(delays(Some(secs(61))).is_empty());
        assert!(delays(Some(Duration::MAX)).is_empty());
    }

    #[test]
    fn the_same_seed_gives_the_same_delays() {
        assert_eq!(delays(None), delays(None));
    }

    #[test]
    fn a_circuit_opens_when_a_target_is_given_up_on_and_closes_when_it_answers() {
        let mut circuits = Circuits::default();
        assert!(!circuits.open(Target::Api));
        assert!(circuits.gave_up(Target::Api));
        assert!(!circuits.gave_up(Target::Api), "it is open already");
        assert!(circuits.open(Target::Api) && !circuits.open(Target::Helm));
        circuits.answered(Target::Api);
        assert!(!circuits.open(Target::Api));
        assert!(circuits.gave_up(Target::Api));
        assert_eq!(circuits.opened().into_iter().collect::<Vec<_>>(), [("api".to_owned(), 2)]);
    }

    #[test]
    fn patience_that_a_target_asked_for_holds_for_every_call_to_it() {
        let mut circuits = Circuits::default();
        circuits.asked(Target::Api, secs(10), secs(30));
        circuits.asked(Target::Api, secs(11), secs(1));
        assert_eq!(circuits.wait(Target::Api, secs(15)), secs(25));
        assert_eq!(circuits.wait(Target::Api, secs(40)), Duration::ZERO);
        assert_eq!(circuits.wait(Target::Helm, secs(15)), Duration::ZERO);
        circuits.answered(Target::Api);
        assert_eq!(circuits.wait(Target::Api, secs(15)), secs(25), "an answer does not take it back");
    }
}
