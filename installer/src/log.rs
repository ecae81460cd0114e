//! Progress, one event a step. Where it goes is the edge's affair.

use std::time::Duration;

use serde::Serialize;

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A step that went as it should.
    Info,
    /// Something to know about that does not stop the run.
    Warn,
    /// What stops the run.
    Error,
}

/// One step of a run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Milliseconds since the run began.
    pub elapsed_ms: u64,
    /// How much it matters.
    pub level: Level,
    /// A stable name of the step, such as `platform-gate`.
    pub step: &'static str,
    /// For a person.
    pub message: String,
}

impl Event {
    /// An event at a time since the run began.
    #[must_use]
    pub fn new(elapsed: Duration, level: Level, step: &'static str, message: String) -> Self {
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        Self { elapsed_ms, level, step, message }
    }
}

/// Takes events.
pub trait Log: Send + Sync {
    /// Writes one event. Failures to write are not the run's concern.
    fn event(&self, event: &Event);

    /// Whether anybody sees what is waited for.
    fn shows_waits(&self) -> bool {
        false
    }

    /// What is waited for at the moment, if anything is: for whoever shows that a run is alive.
    fn waiting(&self, _what: Option<&str>) {}
}

/// Takes events and forgets them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Log for Silent {
    fn event(&self, _: &Event) {}
}
