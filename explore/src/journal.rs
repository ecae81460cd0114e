//! What happens, in the order in which it happens.
//!
//! Progress and tool calls are written down as they come. The tap keeps requests by itself; whenever
//! something else is written, the requests that arrived since are put in before it. All of it happens on
//! one thread, so the order is the true one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eks_installer::log::{Event, Log};
use eks_installer::phases::Phase;
use interpose::record;
use jiff::Timestamp;
use kubesim::clock::Clock;
use kubesim::tap::{Recording, Tap};
use serde::Serialize;
use serde_json::Value;

use crate::case::{Ending, Interruption};
use crate::fault::{Fault, Scheduled};
use crate::report::RunEnd;
use crate::state::ClusterState;

/// One line of the stream.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Number of the line, from 1.
    pub seq: u64,
    /// Milliseconds of virtual time since the cluster was started.
    pub at_ms: u64,
    /// What happened.
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happening {
    /// The case begins.
    Case(CaseHeader),
    /// A run of the installer begins.
    RunBegan(RunHeader),
    /// A fault is there from now on.
    Injected(Fault),
    /// A fault is gone from now on.
    Healed(Fault),
    /// The installer says how far it is.
    Progress(Event),
    /// A request reached the API; with what became of it.
    Request(Recording),
    /// A tool was started.
    ToolStarted(record::Start),
    /// A tool ended.
    ToolEnded(record::End),
    /// The run is ended from outside.
    Interrupted(Ending),
    /// The run has ended.
    RunEnded(Box<RunEnd>),
    /// The cluster as it is at the end of a run.
    Cluster(ClusterState),
    /// A Kubernetes event that the cluster holds at the end of the case.
    Event(Value),
}

/// Which case, how seeded.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseHeader {
    /// Name of the case.
    pub name: String,
    /// The seed, which decides uids, generated names and the jitter of retries.
    pub seed: u64,
    /// What the cluster's clock read at the start.
    pub origin: Timestamp,
}

/// Which run, under which faults.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunHeader {
    /// Number of the run, from 1.
    pub number: usize,
    /// The phase asked for; every phase when `null`.
    pub phase: Option<Phase>,
    /// The schedule of faults.
    pub faults: Vec<Scheduled>,
    /// Whether it is ended from outside.
    pub interruption: Option<Interruption>,
    /// The cluster as it is before the run's own faults.
    pub found: ClusterState,
}

/// A line before requests are filled in.
enum Entry {
    Said(Duration, Box<Happening>),
    /// Index of the tap's recording.
    Request(usize),
}

/// The book of one case. Clones share it.
#[derive(Clone)]
pub struct Journal {
    tap: Tap,
    clock: Clock,
    origin: Timestamp,
    book: Arc<Mutex<Book>>,
}

struct Book {
    entries: Vec<Entry>,
    requests: usize,
    changes: tokio::sync::watch::Receiver<u64>,
}

impl Journal {
    /// A book that begins now: earlier requests are not in it.
    #[must_use]
    pub fn new(tap: &Tap, clock: Clock, origin: Timestamp) -> Self {
        let mut changes = tap.changes();
        changes.mark_unchanged();
        let book = Book { entries: Vec::new(), requests: tap.recordings().len(), changes };
        Self { tap: tap.clone(), clock, origin, book: Arc::new(Mutex::new(book)) }
    }

    // Every change under the lock is a push, so a poisoned lock still guards good data.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Virtual time since the cluster was started.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        since(self.origin, self.clock.now())
    }

    /// Writes down what happens now.
    pub fn note(&self, what: Happening) {
        let now = self.elapsed();
        let mut book = self.book();
        book.catch_up(&self.tap);
        book.entries.push(Entry::Said(now, Box::new(what)));
    }

    /// All lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let mut book = self.book();
        book.catch_up(&self.tap);
        let recordings = self.tap.recordings();
        let lines = book.entries.iter().filter_map(|entry| match entry {
            Entry::Said(at, what) => Some((*at, (**what).clone())),
            Entry::Request(index) => {
                let recording = recordings.get(*index)?;
                Some((since(self.origin, recording.at), Happening::Request(recording.clone())))
            }
        });
        let numbered = (1..).zip(lines);
        numbered.map(|(seq, (at, what))| Line { seq, at_ms: millis(at), what }).collect()
    }
}

impl Book {
    fn catch_up(&mut self, tap: &Tap) {
        // Recordings are copied when they are asked for; most notes have none before them.
        if !self.changes.has_changed().unwrap_or(true) {
            return;
        }
        self.changes.mark_unchanged();
        let known = tap.recordings().len();
        self.entries.extend((self.requests..known).map(Entry::Request));
        self.requests = known;
    }
}

impl Log for Journal {
    fn event(&self, event: &Event) {
        self.note(Happening::Progress(event.clone()));
    }
}

fn since(origin: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(origin)).unwrap_or(Duration::ZERO)
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
