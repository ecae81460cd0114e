//! watch: newline-delimited JSON of what changes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Reply, partial, to_bytes, write_json};
use super::negotiate::Format;
use super::read::{Selection, namespace_filter, revision_of};
use super::{Call, Core, options, present, presentable};
use crate::clock::Clock;
use crate::resources::Resource;
use crate::status::Status;
use crate::store::{EventType, Object, Watch, WatchEvent};
use crate::transport::Body;

/// How long a watch lasts when the client does not say. The real server draws from 30 to 60 minutes.
const LASTS: Duration = Duration::from_secs(45 * 60);

/// How many bytes of events are sent at once.
const PIECE: usize = 16 * 1024;

/// How often a bookmark is sent, as the real watch cache does.
const BOOKMARK: Duration = Duration::from_secs(60);

impl Core {
    pub(super) fn watch(&self, call: &Call, resource: &Arc<Resource>) -> Result<Reply, Status> {
        options::listing(call)?;
        let selection = Selection::of(call, resource)?;
        let namespace = namespace_filter(call, resource).map(str::to_owned);
        // `get` with watch=true is a watch of one name.
        let name = Some(call.info.name.clone()).filter(|name| !name.is_empty());
        let asked = revision_of(call).map_err(|status| Status::new(500, "", status.message))?;
        let bookmarks = call.info.query.is_true("allowWatchBookmarks");
        let initial = call.info.query.get("sendInitialEvents").map(|value| value == "true");
        let forbidden = |why: &str| Err(Status::invalid("meta.k8s.io", "ListOptions", "", why));
        if initial == Some(true) && !bookmarks {
            return forbidden(
                "sendInitialEvents: Forbidden: sendInitialEvents requires setting allowWatchBookmarks to true",
            );
        }
        let mut ready = VecDeque::new();
        let table = match call.format {
            Format::Table(version) => Some(call.table(version)),
            _ => None,
        };
        let mut form =
            Form { resource: resource.clone(), format: call.format, table, clock: self.store.clock() };
        let selected = {
            let (selection, name) = (selection.clone(), name.clone());
            move |object: &Value| {
                selection.matches(object) && name.as_deref().is_none_or(|n| object["metadata"]["name"] == n)
            }
        };
        // From a version: what came after it. Without one, or from 0: what is there now, and then what comes.
        let start = match asked {
            Some(revision) if revision > 0 && initial != Some(true) => revision,
            _ => {
                let (objects, revision) = self.store.list(&resource.storage(), namespace.as_deref());
                if initial != Some(false) {
                    for object in objects.iter().filter(|object| selected(object)) {
                        ready.push_back(form.event("ADDED", object));
                    }
                }
                if initial == Some(true) {
                    ready.push_back(form.bookmark(revision, true));
                }
                revision
            }
        };
        let watch = match self.store.watch(&resource.storage(), namespace.as_deref(), start) {
            Ok(watch) => watch,
            // The head of the answer is 200 and the refusal its first event, as client-go expects it.
            Err(expired) => {
                let event = json!({"type": "ERROR", "object": expired.to_json()});
                return Ok(Reply::Stream(
                    "application/json",
                    Body::stream(futures::stream::iter([line(&event)])),
                ));
            }
        };
        let clock = self.store.clock();
        let lasts =
            call.info.query.number("timeoutSeconds").filter(|s| *s > 0).map_or(LASTS, Duration::from_secs);
        let watcher = Watcher {
            watch,
            form,
            selected: Box::new(selected),
            ready,
            deadline: after(&clock, lasts),
            bookmark: bookmarks.then(|| after(&clock, BOOKMARK)),
            clock,
            ended: false,
        };
        Ok(Reply::Stream(
            "application/json",
            Body::stream(futures::stream::unfold(watcher, |mut watcher| async move {
                watcher.next().await.map(|bytes| (bytes, watcher))
            })),
        ))
    }
}

type Timer = Pin<Box<dyn Future<Output = ()> + Send>>;

fn after(clock: &Clock, duration: Duration) -> Timer {
    let clock = clock.clone();
    Box::pin(async move { clock.sleep(duration).await })
}

struct Watcher {
    watch: Watch,
    form: Form,
    selected: Box<dyn Fn(&Value) -> bool + Send>,
    ready: VecDeque<Bytes>,
    clock: Clock,
    deadline: Timer,
    bookmark: Option<Timer>,
    ended: bool,
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.some_ready() {
                return Some(bytes);
            }
            if self.ended {
                return None;
            }
            let bookmark = async {
                match &mut self.bookmark {
                    Some(timer) => timer.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                event = self.watch.next() => match event {
                    None => return None,
                    Some(Ok(event)) => {
                        self.push(&event);
                        let rest: Vec<WatchEvent> = self.watch.rest().collect();
                        rest.iter().for_each(|event| self.push(event));
                    }
                    Some(Err(expired)) => {
                        self.ended = true;
                        return Some(line(&json!({"type": "ERROR", "object": expired.to_json()})));
                    }
                },
                () = &mut self.deadline => return None,
                () = bookmark => {
                    self.bookmark = Some(after(&self.clock, BOOKMARK));
                    return Some(self.form.bookmark(self.watch.position(), false));
                }
            }
        }
    }

    /// What is ready to be sent, as much at once as is worth it: each piece costs a frame, a record and a wake-up of
    /// the client.
    fn some_ready(&mut self) -> Option<Bytes> {
        let first = self.ready.pop_front()?;
        if self.ready.is_empty() {
            return Some(first);
        }
        let mut together = first.to_vec();
        while together.len() < PIECE
            && let Some(next) = self.ready.pop_front()
        {
            together.extend_from_slice(&next);
        }
        Some(together.into())
    }

    /// A change seen through the selectors: one that leaves the selection is a deletion, one that enters
    /// it an addition.
    fn push(&mut self, event: &WatchEvent) {
        let now = event.event != EventType::Deleted && (self.selected)(&event.object);
        let before = event.previous.as_ref().is_some_and(|previous| (self.selected)(previous));
        let bytes = match (before, now) {
            (false, false) => return,
            (false, true) => self.form.change("ADDED", event),
            (true, true) => self.form.change("MODIFIED", event),
            (true, false) if event.event == EventType::Deleted => self.form.change("DELETED", event),
            (true, false) => {
                // The last state that was selected, at the revision of the change.
                let mut last = event.previous.as_deref().cloned().unwrap_or_default();
                last["metadata"]["resourceVersion"] = json!(event.revision.to_string());
                self.form.event("DELETED", &Arc::new(last))
            }
        };
        self.ready.push_back(bytes);
    }
}

/// How a watch's objects are written.
struct Form {
    resource: Arc<Resource>,
    format: Format,
    table: Option<crate::table::Form>,
    clock: Clock,
}

impl Form {
    /// A change with the object after it. What every watch is sent alike is written once for all.
    fn change(&mut self, kind: &str, event: &WatchEvent) -> Bytes {
        if self.is_plain() && presentable(&self.resource, &event.object) {
            return framed(kind, |out| out.extend_from_slice(event.json()));
        }
        self.event(kind, &event.object)
    }

    /// Whether objects are sent as they are.
    fn is_plain(&self) -> bool {
        self.table.is_none() && !matches!(self.format, Format::Metadata(_))
    }

    fn event(&mut self, kind: &str, object: &Object) -> Bytes {
        if self.is_plain() {
            return framed(kind, |out| write_json(out, &self.resource, object));
        }
        let object = match (self.format, &mut self.table) {
            (Format::Metadata(version), _) => partial(&self.resource, object, version),
            (_, Some(table)) => {
                table.now = self.clock.now();
                let answer = crate::table::of(&self.resource, table, std::slice::from_ref(object), None);
                table.headings = false;
                answer
            }
            _ => present(&self.resource, object),
        };
        line(&json!({"type": kind, "object": object}))
    }

    fn bookmark(&self, revision: u64, initial_end: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.format {
            Format::Table(version) => json!({
                "kind": "Table", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": metadata,
                "columnDefinitions": [], "rows": [],
            }),
            Format::Metadata(version) => json!({
                "kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": metadata,
            }),
            _ => json!({
                "kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": metadata,
            }),
        };
        line(&json!({"type": "BOOKMARK", "object": object}))
    }
}

/// An event whose object `write` writes.
fn framed(kind: &str, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut bytes = Vec::with_capacity(2048);
    bytes.extend_from_slice(b"{\"type\":\"");
    bytes.extend_from_slice(kind.as_bytes());
    bytes.extend_from_slice(b"\",\"object\":");
    write(&mut bytes);
    bytes.extend_from_slice(b"}\n");
    Bytes::from(bytes)
}

fn line(event: &Value) -> Bytes {
    let mut bytes = to_bytes(event);
    bytes.push(b'\n');
    Bytes::from(bytes)
}
