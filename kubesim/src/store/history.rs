//! What happened to the objects of one resource, kept for the watches that read it.
//!
//! A watch holds a revision, not a queue: it reads history from where it stands, so a slow reader costs
//! nothing and loses nothing until its place has been compacted away, and then it is told so with 410.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::watch;

use super::{GroupResource, Meta, Object, Store};
use crate::status::Status;

/// How many events of one resource are kept. The real server keeps five minutes of etcd history.
const KEPT: usize = 16_384;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// It was created.
    Added,
    /// It was changed.
    Modified,
    /// It is gone; the event carries its last state.
    Deleted,
}

/// One change of one object.
#[derive(Clone, Debug)]
pub struct WatchEvent {
    /// What happened.
    pub event: EventType,
    /// The object after the change; for `Deleted` its last state, at the revision of the delete.
    pub object: Object,
    /// The object before the change: a watch with a selector turns a change that leaves the selection
    /// into `DELETED` and one that enters it into `ADDED`.
    pub previous: Option<Object>,
    /// The store's revision after the change.
    pub revision: u64,
    /// The object as JSON, once somebody has asked for it.
    json: Arc<OnceLock<Bytes>>,
}

impl WatchEvent {
    pub(super) fn new(event: EventType, object: Object, previous: Option<Object>, revision: u64) -> Self {
        Self { event, object, previous, revision, json: Arc::default() }
    }

    /// The object after the change as JSON: written once, however many watch.
    pub(crate) fn json(&self) -> &Bytes {
        self.json.get_or_init(|| crate::codec::json::to_vec(&self.object).into())
    }
}

pub(super) struct History {
    events: VecDeque<WatchEvent>,
    /// A watch from this revision or a later one misses nothing.
    oldest: u64,
    newest: watch::Sender<u64>,
}

impl Default for History {
    fn default() -> Self {
        Self { events: VecDeque::new(), oldest: 0, newest: watch::Sender::new(0) }
    }
}

impl History {
    pub(super) fn push(&mut self, event: WatchEvent) {
        let revision = event.revision;
        self.events.push_back(event);
        if self.events.len() > KEPT
            && let Some(dropped) = self.events.pop_front()
        {
            self.oldest = dropped.revision;
        }
        self.newest.send_replace(revision);
    }

    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    pub(super) fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    pub(super) fn compact(&mut self, revision: u64) {
        self.events.clear();
        self.oldest = revision;
        self.newest.send_replace(revision);
    }

    pub(super) fn after(&self, from: u64) -> Result<Vec<WatchEvent>, Status> {
        if from < self.oldest {
            return Err(Status::expired(from, self.oldest));
        }
        let start = self.events.partition_point(|event| event.revision <= from);
        Ok(self.events.range(start..).cloned().collect())
    }
}

/// A reader of one resource's history.
pub struct Watch {
    store: Store,
    resource: GroupResource,
    namespace: Option<String>,
    position: u64,
    newest: watch::Receiver<u64>,
    ready: VecDeque<WatchEvent>,
}

impl Watch {
    pub(super) fn new(
        store: Store,
        resource: GroupResource,
        namespace: Option<String>,
        position: u64,
        newest: watch::Receiver<u64>,
    ) -> Self {
        Self { store, resource, namespace, position, newest, ready: VecDeque::new() }
    }

    /// The next event, waiting for it. `None` once the store is gone.
    ///
    /// Cancel-safe: an event is either returned or still there for the next call.
    ///
    /// # Errors
    /// `Expired` (410) when this reader fell behind the history that is kept.
    pub async fn next(&mut self) -> Option<Result<WatchEvent, Status>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            self.newest.borrow_and_update();
            match self.store.events_after(&self.resource, self.position) {
                Err(expired) => return Some(Err(expired)),
                Ok(events) => {
                    if let Some(last) = events.last() {
                        self.position = last.revision;
                    }
                    let namespace = self.namespace.as_deref();
                    self.ready.extend(
                        events
                            .into_iter()
                            .filter(|event| namespace.is_none_or(|ns| event.object.namespace() == ns)),
                    );
                }
            }
            if self.ready.is_empty() && self.newest.changed().await.is_err() {
                return None;
            }
        }
    }

    /// The events that have been read and not yet been returned.
    pub(crate) fn rest(&mut self) -> impl Iterator<Item = WatchEvent> {
        self.ready.drain(..)
    }

    /// The revision up to which everything has been read (for bookmarks).
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }
}
