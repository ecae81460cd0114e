//! The layer that every request passes: it records what was asked and answered, and breaks requests
//! by rule.
//!
//! A rule is keyed by verb, resource and how many requests like it came before, never by the order of
//! random draws, so the same requests meet the same faults whatever else happens beside them.

mod layer;
mod recording;
mod rule;
mod stream;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use layer::{Asked, pass};
pub use recording::Recording;
pub use rule::{Action, Rule, RuleId, When};

/// A fault that a rule has in store for one request.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) rule: RuleId,
    pub(crate) label: String,
    pub(crate) when: When,
    pub(crate) action: Action,
}

#[derive(Default)]
struct State {
    recordings: Vec<Recording>,
    rules: Vec<(RuleId, Rule, rule::Count)>,
    next_rule: u64,
    /// Rules that hold a request whose work is done.
    held: std::collections::BTreeSet<RuleId>,
}

/// The recordings and rules of one API. Cloning shares them.
#[derive(Clone, Default)]
pub struct Tap {
    state: Arc<Mutex<State>>,
    arrivals: Arc<tokio::sync::watch::Sender<u64>>,
}

impl Tap {
    /// A tap without rules.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    // Every change under the lock is a push or a field write, so a poisoned lock still guards good data.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every request so far, in order of arrival. One that has no answer yet has status 0.
    #[must_use]
    pub fn recordings(&self) -> Vec<Recording> {
        self.lock().recordings.clone()
    }

    /// Changes whenever a request arrives or is answered, for those who wait for one.
    #[must_use]
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.arrivals.subscribe()
    }

    /// Adds a rule. Rules are asked in the order in which they were added; the first that applies breaks
    /// the request, and only that one counts it as one of its `times`.
    pub fn add(&self, rule: Rule) -> RuleId {
        let mut state = self.lock();
        state.next_rule += 1;
        let id = RuleId(state.next_rule);
        state.rules.push((id, rule, rule::Count::default()));
        id
    }

    /// Removes a rule; nothing happens when it is gone already.
    pub fn remove(&self, id: RuleId) {
        self.lock().rules.retain(|(other, ..)| *other != id);
    }

    /// How many requests a rule has broken; `None` when there is no such rule.
    #[must_use]
    pub fn fired(&self, id: RuleId) -> Option<u32> {
        self.lock().rules.iter().find(|(other, ..)| *other == id).map(|(_, _, count)| count.fired)
    }

    /// Whether a rule holds a request that the cluster has carried out and that is never answered.
    #[must_use]
    pub fn held(&self, id: RuleId) -> bool {
        self.lock().held.contains(&id)
    }

    pub(crate) fn hold(&self, id: RuleId) {
        self.lock().held.insert(id);
        self.arrivals.send_modify(|n| *n += 1);
    }

    pub(crate) fn arrive(&self, mut recording: Recording) -> (u64, Option<Fault>) {
        let mut state = self.lock();
        let seq = state.recordings.len() as u64 + 1;
        recording.seq = seq;
        let mut fault = None;
        for (id, rule, count) in &mut state.rules {
            if rule.matches(&recording) && count.admits(rule, fault.is_some()) && fault.is_none() {
                fault = Some(Fault {
                    rule: *id,
                    label: rule.label.clone(),
                    when: rule.when,
                    action: rule.action.clone(),
                });
            }
        }
        recording.fault = fault.as_ref().map(|fault| fault.label.clone());
        recording.retry_after = fault.as_ref().and_then(|fault| match &fault.action {
            Action::Respond { retry_after, .. } => *retry_after,
            _ => None,
        });
        state.recordings.push(recording);
        drop(state);
        self.arrivals.send_modify(|n| *n += 1);
        (seq, fault)
    }

    pub(crate) fn answered(&self, seq: u64, status: u16, latency: std::time::Duration) {
        let mut state = self.lock();
        let index = usize::try_from(seq).unwrap_or(usize::MAX).saturating_sub(1);
        if let Some(recording) = state.recordings.get_mut(index) {
            recording.status = status;
            recording.latency = latency;
        }
        drop(state);
        self.arrivals.send_modify(|n| *n += 1);
    }
}
