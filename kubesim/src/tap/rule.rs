//! Which requests are broken, and how.

use std::time::Duration;

use super::Recording;

/// Names a rule that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub(super) u64);

/// Whether the request has been carried out when it is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The cluster never sees it.
    Before,
    /// The cluster has done it, and the answer is what breaks: the ambiguous write.
    AfterCommit,
}

/// What is done to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answers with a `Status` of its own.
    Respond {
        /// HTTP status code.
        code: u16,
        /// `reason`, e.g. `TooManyRequests`.
        reason: String,
        /// `message`.
        message: String,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// Breaks the connection without an answer.
    Reset,
    /// Never answers, and keeps the connection open.
    Hang,
    /// Answers as usual, this much later in cluster time.
    Delay(Duration),
    /// Sends the head and the first half of the body, then breaks the connection. A stream breaks before
    /// its first byte.
    Truncate,
    /// Answers a list as the cluster was at this resource version, as an API server does whose cache has
    /// fallen behind. Other requests are left alone.
    StaleList {
        /// `metadata.resourceVersion` of a list made when the cluster was in that state.
        revision: String,
    },
    /// Passes on this many events of a watch, then breaks the connection. Other requests are left alone.
    DropWatch {
        /// How many events come through.
        events: u32,
    },
    /// Passes on every event of a watch this much later in cluster time. Other requests are left alone.
    LateWatch(Duration),
    /// Says that the resource version is too old: 410 to a list, and to a watch an `ERROR` event first.
    Expire,
}

impl Action {
    /// Whether it works on the answer, and so needs one.
    pub(super) fn is_of_the_answer(&self) -> bool {
        matches!(self, Self::Truncate | Self::StaleList { .. } | Self::DropWatch { .. } | Self::LateWatch(_))
    }
}

/// A rule of the tap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Shown in the recording of each request that it breaks.
    pub label: String,
    /// API verbs; empty means all.
    pub verbs: Vec<String>,
    /// Plural names, or `plural/subresource`; empty means all. Discovery, `/version` and health have the
    /// empty name.
    pub resources: Vec<String>,
    /// Object names; empty means all.
    pub names: Vec<String>,
    /// Names of users; empty means all.
    pub users: Vec<String>,
    /// Only requests that ask for a change, see [`Recording::mutating`].
    pub mutating: bool,
    /// How many matching requests pass before the first is broken.
    pub skip: u32,
    /// How many are broken; `None` means every one from there on.
    pub times: Option<u32>,
    /// Before or after the cluster has done it.
    pub when: When,
    /// What is done.
    pub action: Action,
}

impl Rule {
    /// A rule that breaks every request, before it is done; narrow it by setting fields.
    #[must_use]
    pub fn new(label: impl Into<String>, action: Action) -> Self {
        Self {
            label: label.into(),
            verbs: Vec::new(),
            resources: Vec::new(),
            names: Vec::new(),
            users: Vec::new(),
            mutating: false,
            skip: 0,
            times: None,
            when: When::Before,
            action,
        }
    }

    pub(super) fn matches(&self, recording: &Recording) -> bool {
        let any = |wanted: &[String], found: &str| wanted.is_empty() || wanted.iter().any(|w| w == found);
        any(&self.verbs, &recording.verb)
            && any(&self.names, &recording.name)
            && any(&self.users, &recording.user)
            && (!self.mutating || recording.mutating())
            && (self.resources.is_empty()
                || self.resources.iter().any(|wanted| match wanted.split_once('/') {
                    Some(_) => *wanted == recording.full_resource(),
                    None => *wanted == recording.resource && recording.subresource.is_empty(),
                }))
    }
}

#[derive(Default)]
pub(super) struct Count {
    seen: u32,
    pub(super) fired: u32,
}

impl Count {
    /// Counts a matching request; says whether the rule breaks it. `taken`: an earlier rule has.
    pub(super) fn admits(&mut self, rule: &Rule, taken: bool) -> bool {
        self.seen = self.seen.saturating_add(1);
        if taken || self.seen <= rule.skip || rule.times.is_some_and(|times| self.fired >= times) {
            return false;
        }
        self.fired += 1;
        true
    }
}
