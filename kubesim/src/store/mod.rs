//! The versioned store: objects of any kind, one revision counter, and a history that watches read.
//!
//! It knows nothing of HTTP, defaulting or validation; it keeps what etcd and the registry keep:
//! resource versions, uids, creation times, preconditions, finalizers, and the order of events.

mod collection;
mod history;
mod mirror;
mod object;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

pub use history::{EventType, Watch, WatchEvent};
pub(crate) use mirror::{Outcome, Work, taints};
pub use object::Meta;
pub(crate) use object::{check_preconditions, drop_fields};

use crate::clock::Clock;
use crate::status::Status;
use collection::Collection;

/// A stored object, shared between the store, lists and watches.
pub type Object = Arc<Value>;

/// Group and plural name of a resource, e.g. (`apps`, `deployments`). Objects are stored once per
/// group-resource, whatever version they are read in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupResource {
    /// API group; empty for the core group.
    pub group: String,
    /// Plural resource name.
    pub resource: String,
}

impl GroupResource {
    /// `GroupResource::new("apps", "deployments")`.
    pub fn new(group: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { group: group.into(), resource: resource.into() }
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.resource)
        } else {
            write!(f, "{}.{}", self.resource, self.group)
        }
    }
}

/// Namespace (empty for cluster-scoped objects) and name.
type Key = (String, String);

struct State {
    revision: u64,
    rng: fastrand::Rng,
    collections: BTreeMap<GroupResource, Collection>,
    newest: watch::Sender<u64>,
    /// What a mirror owes its server; `None` for a cluster of our own.
    mirror: Option<mirror::Mirror>,
}

/// One change, and what it changed.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) resource: GroupResource,
    pub(crate) event: WatchEvent,
}

/// The store. Cloning shares it.
#[derive(Clone)]
pub struct Store {
    state: Arc<Mutex<State>>,
    clock: Clock,
}

/// What a delete did.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Object),
    /// Finalizers or a grace period hold it; `deletionTimestamp` is set.
    Pending(Object),
}

/// What must hold for a delete to be carried out.
#[derive(Clone, Debug, Default)]
pub struct Preconditions {
    /// The uid that the object must have.
    pub uid: Option<String>,
    /// The resource version that the object must have.
    pub resource_version: Option<String>,
}

impl Store {
    /// An empty store. `seed` decides every uid and generated name.
    #[must_use]
    pub fn new(clock: Clock, seed: u64) -> Self {
        let state = State {
            revision: 1,
            rng: fastrand::Rng::with_seed(seed),
            collections: BTreeMap::new(),
            newest: watch::Sender::new(1),
            mirror: None,
        };
        Self { state: Arc::new(Mutex::new(state)), clock }
    }

    /// The cluster's clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    // A poisoned lock means that a writer panicked between two consistent states of a map that is
    // only ever changed by whole replacement, so the data behind it is still good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest revision.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Five characters as the API server appends to a `generateName`, from the seeded generator.
    #[must_use]
    pub fn name_suffix(&self) -> String {
        self.lock().name_suffix()
    }

    /// One object. `namespace` is empty for cluster-scoped resources.
    #[must_use]
    pub fn get(&self, resource: &GroupResource, namespace: &str, name: &str) -> Option<Object> {
        let state = self.lock();
        state.collections.get(resource)?.objects().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Every object in one namespace, or in all with `None`, ordered by namespace and name, and the
    /// revision at which this was the state.
    #[must_use]
    pub fn list(&self, resource: &GroupResource, namespace: Option<&str>) -> (Vec<Object>, u64) {
        let state = self.lock();
        let objects = state.collections.get(resource).map_or_else(Vec::new, |collection| match namespace {
            None => collection.objects().values().cloned().collect(),
            Some(namespace) => collection.inside(namespace).cloned().collect(),
        });
        (objects, state.revision)
    }

    /// What the owner with this uid controls, in order of namespace and name.
    pub(crate) fn controlled_by(&self, resource: &GroupResource, uid: &str) -> Vec<Object> {
        self.lock().collections.get(resource).map_or_else(Vec::new, |found| found.controlled_by(uid))
    }

    /// The pods that are bound to a node, in order of namespace and name.
    pub(crate) fn pods_on(&self, node: &str) -> Vec<Object> {
        self.pods_on_at(node).0
    }

    /// [`Store::pods_on`], and the revision at which this was the state.
    pub(crate) fn pods_on_at(&self, node: &str) -> (Vec<Object>, u64) {
        let pods = GroupResource::new("", "pods");
        let state = self.lock();
        (state.collections.get(&pods).map_or_else(Vec::new, |found| found.bound_to(node)), state.revision)
    }

    /// [`Store::list`] from a namespace and name on.
    pub(crate) fn list_from(
        &self,
        resource: &GroupResource,
        namespace: Option<&str>,
        from: (&str, &str),
    ) -> (Vec<Object>, u64) {
        let state = self.lock();
        let from: Key = (from.0.to_owned(), from.1.to_owned());
        let objects = state.collections.get(resource).map_or_else(Vec::new, |collection| {
            let rest = collection.objects().range(from..);
            let inside = rest.take_while(|((found, _), _)| namespace.is_none_or(|wanted| found == wanted));
            inside.map(|(_, object)| object.clone()).collect()
        });
        (objects, state.revision)
    }

    /// Whether anything has happened to an object of a resource after a revision.
    pub(crate) fn has_changed(&self, resource: &GroupResource, after: u64) -> bool {
        self.lock().collections.get(resource).is_some_and(|collection| collection.history.newest() > after)
    }

    /// [`Store::list`] as it was at an earlier revision.
    ///
    /// # Errors
    /// `Expired` (410) when history no longer reaches back to `revision`.
    pub fn list_at(
        &self,
        resource: &GroupResource,
        namespace: Option<&str>,
        revision: u64,
    ) -> Result<Vec<Object>, Status> {
        let state = self.lock();
        let Some(collection) = state.collections.get(resource) else { return Ok(Vec::new()) };
        let mut was: BTreeMap<Key, Option<Object>> = BTreeMap::new();
        for WatchEvent { object, previous, .. } in collection.history.after(revision)?.into_iter().rev() {
            was.insert((object.namespace().to_owned(), object.name().to_owned()), previous);
        }
        let inside = |key: &Key| namespace.is_none_or(|namespace| key.0 == namespace);
        let same = collection.objects().iter().filter(|(key, _)| !was.contains_key(*key) && inside(key));
        let mut objects: Vec<Object> = same.map(|(_, object)| object.clone()).collect();
        if !was.is_empty() {
            let others = was.into_iter().filter(|(key, _)| inside(key));
            objects.extend(others.filter_map(|(_, object)| object));
            objects.sort_by(|a, b| (a.namespace(), a.name()).cmp(&(b.namespace(), b.name())));
        }
        Ok(objects)
    }

    /// Every resource that has held an object, in order.
    #[must_use]
    pub fn resources(&self) -> Vec<GroupResource> {
        self.lock().collections.keys().cloned().collect()
    }

    /// Stores a new object: name (from `generateName` if need be), uid, creation time, generation 1
    /// (for the kinds that have one) and resource version are set here.
    ///
    /// # Errors
    /// `AlreadyExists`; `Invalid` without a name.
    pub fn create(&self, resource: &GroupResource, object: Value) -> Result<Object, Status> {
        self.create_with(resource, object, |_| {})
    }

    /// [`Store::create`], where `finish` sees the object with its uid before anybody else does.
    pub(crate) fn create_with(
        &self,
        resource: &GroupResource,
        mut object: Value,
        finish: impl FnOnce(&mut Value),
    ) -> Result<Object, Status> {
        let mut state = self.lock();
        if object.name().is_empty() {
            let prefix = object["metadata"]["generateName"].as_str().unwrap_or_default().to_owned();
            if prefix.is_empty() {
                return Err(Status::invalid(
                    &resource.group,
                    object["kind"].as_str().unwrap_or(&resource.resource),
                    "",
                    "metadata.name: Required value: name or generateName is required",
                ));
            }
            let suffix = state.name_suffix();
            object["metadata"]["name"] = json!(format!("{prefix}{suffix}"));
        }
        let key = (object.namespace().to_owned(), object.name().to_owned());
        if state.collections.get(resource).is_some_and(|c| c.objects().contains_key(&key)) {
            return Err(Status::already_exists(&resource.group, &resource.resource, &key.1));
        }
        if state.mirror.is_none() {
            let uid = state.uid();
            let now = self.clock.rfc3339();
            let meta = &mut object["metadata"];
            meta["uid"] = json!(uid);
            meta["creationTimestamp"] = json!(now);
            if has_generation(resource) {
                meta["generation"] = json!(1);
            }
        }
        finish(&mut object);
        Ok(state.commit(resource, key, object, EventType::Added))
    }

    /// Reads, changes and writes one object in one step. A change that changes nothing writes nothing
    /// and keeps the resource version. Removing the last finalizer of an object that is being deleted
    /// deletes it.
    ///
    /// `change` gets the object with its current metadata; the caller decides about generation. uid,
    /// creation time, name, namespace and deletion time cannot be changed by it.
    ///
    /// # Errors
    /// `NotFound`, or what `change` returns.
    pub fn update(
        &self,
        resource: &GroupResource,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value) -> Result<(), Status>,
    ) -> Result<Object, Status> {
        let mut state = self.lock();
        let key = (namespace.to_owned(), name.to_owned());
        let Some(current) = state.collections.get(resource).and_then(|c| c.objects().get(&key)).cloned()
        else {
            return Err(Status::not_found(&resource.group, &resource.resource, name));
        };
        let mut next = (*current).clone();
        change(&mut next)?;
        object::keep_metadata(&current, &mut next);
        if next == *current {
            return Ok(current);
        }
        let graceful = next["metadata"]["deletionGracePeriodSeconds"].as_u64().is_some_and(|left| left > 0);
        if next.is_terminating() && !next.is_held() && current.is_held() && !graceful {
            return Ok(state.remove(resource, &key, next));
        }
        Ok(state.commit(resource, key, next, EventType::Modified))
    }

    /// Deletes one object, or marks it when finalizers hold it or `grace_seconds` is more than 0. A
    /// namespace is also held by its `spec.finalizers`; marking it sets its phase to `Terminating`, and
    /// the update that takes away what held it deletes it.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when a precondition does not hold.
    pub fn delete(
        &self,
        resource: &GroupResource,
        namespace: &str,
        name: &str,
        preconditions: &Preconditions,
        grace_seconds: u64,
    ) -> Result<Deleted, Status> {
        let mut state = self.lock();
        let key = (namespace.to_owned(), name.to_owned());
        let Some(current) = state.collections.get(resource).and_then(|c| c.objects().get(&key)).cloned()
        else {
            return Err(Status::not_found(&resource.group, &resource.resource, name));
        };
        check_preconditions(resource, &current, preconditions)?;
        // Who mirrors a cluster is done with what it deletes; whether something holds it is the server's to say.
        if state.mirror.is_some() || !current.is_held() && grace_seconds == 0 {
            return Ok(Deleted::Gone(state.remove(resource, &key, (*current).clone())));
        }
        let left = current["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or(0);
        // A later delete may only hurry it.
        if current.is_terminating() && grace_seconds >= left {
            return Ok(Deleted::Pending(current));
        }
        let mut next = (*current).clone();
        let due = self.clock.now().saturating_add(jiff::SignedDuration::from_secs(
            i64::try_from(grace_seconds).unwrap_or(i64::MAX),
        ));
        let due = crate::clock::rfc3339(due.unwrap_or(jiff::Timestamp::MAX));
        next["metadata"]["deletionTimestamp"] = json!(due);
        // Definitions are marked by a way of their own, which neither says a grace nor counts a generation.
        let is_definition = resource.resource == "customresourcedefinitions";
        if next["kind"] == "Namespace" {
            next["status"]["phase"] = json!("Terminating");
        } else if !is_definition {
            next["metadata"]["deletionGracePeriodSeconds"] = json!(grace_seconds);
        }
        let counts = !current.is_terminating() && !is_definition;
        let generation = next["metadata"]["generation"].as_i64().filter(|_| counts);
        if let Some(generation) = generation {
            next["metadata"]["generation"] = json!(generation + 1);
        }
        Ok(Deleted::Pending(state.commit(resource, key, next, EventType::Modified)))
    }

    /// Every event of one resource after revision `from`, in order, without a gap. `namespace` `None`
    /// watches all.
    ///
    /// # Errors
    /// `Expired` (410) when history no longer reaches back to `from`.
    pub fn watch(
        &self,
        resource: &GroupResource,
        namespace: Option<&str>,
        from: u64,
    ) -> Result<Watch, Status> {
        let mut state = self.lock();
        let collection = state.collection(resource);
        let oldest = collection.history.oldest();
        if from < oldest {
            return Err(Status::expired(from, oldest));
        }
        Ok(Watch::new(
            self.clone(),
            resource.clone(),
            namespace.map(str::to_owned),
            from,
            collection.history.subscribe(),
        ))
    }

    /// The newest revision, as something that can be waited on.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.lock().newest.subscribe()
    }

    /// Everything that happened to any object after revision `from`, in order.
    ///
    /// # Errors
    /// `Expired` (410) when the history of a resource no longer reaches back to `from`.
    pub(crate) fn changes_after(&self, from: u64) -> Result<Vec<Change>, Status> {
        let state = self.lock();
        let mut changes = Vec::new();
        for (resource, collection) in &state.collections {
            if collection.history.newest() > from {
                let events = collection.history.after(from)?;
                changes.extend(events.into_iter().map(|event| Change { resource: resource.clone(), event }));
            }
        }
        changes.sort_by_key(|change| change.event.revision);
        Ok(changes)
    }

    /// Forgets history up to the newest revision, so that an older watch gets 410, as after etcd compaction.
    pub fn compact(&self) {
        let mut state = self.lock();
        let revision = state.revision;
        for collection in state.collections.values_mut() {
            collection.history.compact(revision);
        }
    }

    fn events_after(&self, resource: &GroupResource, from: u64) -> Result<Vec<WatchEvent>, Status> {
        let state = self.lock();
        let Some(collection) = state.collections.get(resource) else { return Ok(Vec::new()) };
        collection.history.after(from)
    }
}

/// Whether the objects of a resource count their generations. The kinds without a desired state to
/// observe do not.
pub(crate) fn has_generation(resource: &GroupResource) -> bool {
    let plural = resource.resource.as_str();
    match resource.group.as_str() {
        "" => matches!(plural, "pods" | "replicationcontrollers" | "podtemplates"),
        "rbac.authorization.k8s.io" | "storage.k8s.io" | "coordination.k8s.io" | "events.k8s.io" => false,
        "apiregistration.k8s.io" | "certificates.k8s.io" => false,
        _ => plural != "controllerrevisions",
    }
}

impl State {
    fn collection(&mut self, resource: &GroupResource) -> &mut Collection {
        if !self.collections.contains_key(resource) {
            self.collections.insert(resource.clone(), Collection::of(resource));
        }
        self.collections.get_mut(resource).expect("it is there, or was put there just now")
    }

    fn name_suffix(&mut self) -> String {
        // The alphabet of k8s.io/apimachinery/pkg/util/rand: no vowels, no digits that look like them.
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..5).map(|_| char::from(ALPHABET[self.rng.usize(..ALPHABET.len())])).collect()
    }

    fn uid(&mut self) -> String {
        let bits = self.rng.u128(..);
        // Version 4, variant 1, as google/uuid writes them.
        let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            bits >> 96,
            (bits >> 80) & 0xffff,
            (bits >> 64) & 0xffff,
            (bits >> 48) & 0xffff,
            bits & 0xffff_ffff_ffff
        )
    }

    fn commit(&mut self, resource: &GroupResource, key: Key, mut object: Value, event: EventType) -> Object {
        self.revision += 1;
        if self.mirror.is_none() {
            object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        }
        let object = Arc::new(object);
        let previous = self.collection(resource).put(key.clone(), object.clone());
        if let Some(mirror) = &mut self.mirror {
            mirror.note(resource, &key, previous.as_ref(), Some(&object));
        }
        let change = WatchEvent::new(event, object.clone(), previous, self.revision);
        self.collection(resource).history.push(change);
        self.newest.send_replace(self.revision);
        object
    }

    fn remove(&mut self, resource: &GroupResource, key: &Key, mut last: Value) -> Object {
        self.revision += 1;
        if self.mirror.is_none() {
            last["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        }
        let last = Arc::new(last);
        let previous = self.collection(resource).take(key);
        if let Some(mirror) = &mut self.mirror {
            mirror.note(resource, key, Some(&last), None);
        }
        let change = WatchEvent::new(EventType::Deleted, last.clone(), previous, self.revision);
        self.collection(resource).history.push(change);
        self.newest.send_replace(self.revision);
        last
    }
}
