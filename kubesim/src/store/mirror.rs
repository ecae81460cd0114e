//! A store that mirrors a part of another cluster.
//!
//! Those who work on it read and write as on any store. What they write is owed to the server and pushed
//! there by somebody else; what the server says is put in as it is, with what is still owed on top. So a
//! change made here is never lost to an older state that arrives late, and a change made there is never
//! undone by an older state held here: only differences travel.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::{EventType, GroupResource, Key, Meta, Object, State, Store, WatchEvent};
use crate::clock::Clock;

/// Something that the server is still to be told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Work {
    /// This object is new here, or is ours alone: it is to be there as it is. `known`: the server has had it.
    Write { object: Object, known: bool },
    /// This much of an object differs; `base` is what the server said last.
    Change { base: Object, patch: Value },
    /// The object with this uid (empty when the server never had it) is to go at once.
    Delete { uid: String },
    /// Whether the object is there is to be found out.
    Read,
}

/// What came of telling it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Done; the object as the server has it now, where it says so.
    Done(Option<Value>),
    /// There is no such object any more.
    Gone,
    /// The server will never accept it.
    Refused,
}

#[derive(Default)]
struct Debt {
    /// What the server said last.
    base: Option<Object>,
    owed: Option<Owed>,
    in_flight: Option<Owed>,
}

#[derive(Clone, Debug, PartialEq)]
enum Owed {
    Write,
    Change(Value),
    Delete(String),
    Read,
}

#[derive(Default)]
pub(super) struct Mirror {
    debts: BTreeMap<(GroupResource, Key), Debt>,
    /// Those with something to be told.
    ready: BTreeSet<(GroupResource, Key)>,
    /// How many are being told something.
    flying: usize,
    /// What was asked for, and whose answer is in: it is here, or it is nowhere.
    answered: Vec<(GroupResource, Key)>,
}

/// Whether objects of a resource have many writers, so that only differences may be written.
fn shared(resource: &GroupResource) -> bool {
    resource.group.is_empty() && matches!(resource.resource.as_str(), "pods" | "nodes")
}

impl Mirror {
    /// Notes a change that was made here.
    pub(super) fn note(
        &mut self,
        resource: &GroupResource,
        key: &Key,
        before: Option<&Object>,
        after: Option<&Object>,
    ) {
        let place = (resource.clone(), key.clone());
        let debt = self.debts.entry(place.clone()).or_default();
        let next = match (before, after) {
            (before, None) => {
                // What the server has never been told of needs no deleting there.
                if debt.base.is_none() && debt.in_flight.is_none() {
                    self.debts.remove(&place);
                    self.ready.remove(&place);
                    return;
                }
                Owed::Delete(before.map_or_else(String::new, |object| object.uid().to_owned()))
            }
            (Some(before), Some(after))
                if shared(resource) && (debt.base.is_some() || debt.in_flight.is_some()) =>
            {
                let Some(patch) = difference(before, after) else { return };
                match debt.owed.take() {
                    Some(Owed::Change(earlier)) => Owed::Change(compose(earlier, &patch)),
                    Some(Owed::Delete(uid)) => Owed::Delete(uid),
                    _ => Owed::Change(patch),
                }
            }
            _ => Owed::Write,
        };
        debt.owed = Some(next);
        self.ready.insert(place);
    }
}

impl Store {
    /// An empty mirror: what is written to it is owed to a server. It makes no uids, resource versions or
    /// creation times; those are the server's.
    pub(crate) fn mirror(clock: Clock) -> Self {
        let store = Self::new(clock, 0);
        let mut state = store.lock();
        state.mirror = Some(Mirror::default());
        // Nothing has happened in it yet: whoever has read up to 0 has read everything.
        state.revision = 0;
        drop(state);
        store
    }

    /// Whether anything has not been told the server, or is being told.
    pub(crate) fn owes(&self) -> bool {
        self.lock().mirror.as_ref().is_some_and(|mirror| mirror.flying > 0 || !mirror.ready.is_empty())
    }

    /// Up to `most` things to tell the server now, one for each object; each is to be followed by
    /// [`Store::told`].
    pub(crate) fn take_work(&self, most: usize) -> Vec<(GroupResource, Key, Work)> {
        let mut state = self.lock();
        let State { mirror: Some(mirror), collections, .. } = &mut *state else { return Vec::new() };
        let Mirror { debts, ready, flying, .. } = mirror;
        let mut work = Vec::new();
        let mut seen = Vec::new();
        for place in &*ready {
            // Thousands may be owed, and no more of them are looked at than are taken or on their way.
            if work.len() >= most {
                break;
            }
            let debt = debts.get_mut(place);
            if debt.as_ref().is_some_and(|debt| debt.in_flight.is_some()) {
                continue;
            }
            seen.push(place.clone());
            let Some(debt) = debt else { continue };
            let (resource, key) = place;
            let here = collections.get(resource).and_then(|collection| collection.objects().get(key));
            let Some(owed) = debt.owed.take() else { continue };
            let next = match (&owed, here, &debt.base) {
                (Owed::Read, ..) => Work::Read,
                (Owed::Delete(uid), ..) => Work::Delete { uid: uid.clone() },
                (Owed::Write, Some(object), base) => {
                    Work::Write { object: object.clone(), known: base.is_some() }
                }
                (Owed::Change(patch), _, Some(base)) => {
                    Work::Change { base: base.clone(), patch: patch.clone() }
                }
                // It went meanwhile.
                _ => continue,
            };
            debt.in_flight = Some(owed);
            *flying += 1;
            work.push((resource.clone(), key.clone(), next));
        }
        for place in &seen {
            ready.remove(place);
        }
        work
    }

    /// Asks the server for an object that is not here: it may be there, and only be late. See [`Store::take_answered`].
    pub(crate) fn ask(&self, resource: &GroupResource, key: &Key) {
        let mut state = self.lock();
        let Some(debt) = state.debt(resource, key) else { return };
        if debt.owed.is_none() && debt.in_flight.is_none() {
            debt.owed = Some(Owed::Read);
            if let Some(mirror) = &mut state.mirror {
                mirror.ready.insert((resource.clone(), key.clone()));
            }
            state.newest.send_modify(|_| {});
        }
    }

    /// Notes that what was asked for has been answered.
    pub(crate) fn answered(&self, resource: &GroupResource, key: &Key) {
        if let Some(mirror) = &mut self.lock().mirror {
            mirror.answered.push((resource.clone(), key.clone()));
        }
    }

    /// What has been answered since the last call.
    pub(crate) fn take_answered(&self) -> Vec<(GroupResource, Key)> {
        self.lock().mirror.as_mut().map(|mirror| std::mem::take(&mut mirror.answered)).unwrap_or_default()
    }

    /// Takes in what came of telling the server something.
    pub(crate) fn told(&self, resource: &GroupResource, key: &Key, outcome: Outcome) {
        let mut state = self.lock();
        if let Some(mirror) = &mut state.mirror {
            mirror.flying = mirror.flying.saturating_sub(1);
        }
        // Whoever waits for the last of it is woken in any case.
        state.newest.send_modify(|_| {});
        let Some(debt) = state.debt(resource, key) else { return };
        // It was said to an object that another has taken the place of since.
        let Some(sent) = debt.in_flight.take() else { return };
        match outcome {
            Outcome::Done(_) if matches!(sent, Owed::Delete(_)) => {
                debt.base = None;
                if debt.owed.is_none() {
                    state.forget(resource, key);
                }
            }
            Outcome::Done(object) => {
                if let Some(object) = object.filter(|object| newer(object, debt.base.as_ref())) {
                    debt.base = Some(Arc::new(object));
                }
                state.rebase(resource, key);
            }
            Outcome::Gone => {
                debt.base = None;
                match &debt.owed {
                    // A new one was made here meanwhile.
                    Some(Owed::Write) => {}
                    // Ours alone, and away there: it is written anew.
                    None if sent == Owed::Write && !shared(resource) => {
                        debt.owed = Some(Owed::Write);
                        if let Some(mirror) = &mut state.mirror {
                            mirror.ready.insert((resource.clone(), key.clone()));
                        }
                    }
                    _ => {
                        state.forget(resource, key);
                        state.drop_here(resource, key);
                    }
                }
            }
            Outcome::Refused => state.rebase(resource, key),
        }
    }

    /// Takes in an object as the server has it.
    pub(crate) fn seen(&self, resource: &GroupResource, object: Value) {
        let mut state = self.lock();
        let key = (object.namespace().to_owned(), object.name().to_owned());
        let Some(debt) = state.debt(resource, &key) else { return };
        if !newer(&object, debt.base.as_ref()) {
            return;
        }
        // Another of the same name: what was owed to the one before is owed to nobody.
        if debt.base.as_ref().is_some_and(|base| base.uid() != object.uid()) {
            state.forget(resource, &key);
        }
        let Some(debt) = state.debt(resource, &key) else { return };
        debt.base = Some(Arc::new(object));
        state.rebase(resource, &key);
    }

    /// Takes in that the server no longer has an object.
    pub(crate) fn gone(&self, resource: &GroupResource, key: &Key) {
        let mut state = self.lock();
        let Some(debt) = state.debt(resource, key) else { return };
        debt.base = None;
        // One that was just made here is yet to be there.
        if debt.owed != Some(Owed::Write) && debt.in_flight != Some(Owed::Write) {
            state.forget(resource, key);
            state.drop_here(resource, key);
        }
    }

    /// Takes in everything that the server has of a resource.
    pub(crate) fn listed(&self, resource: &GroupResource, objects: Vec<Value>) {
        let keys: BTreeSet<Key> =
            objects.iter().map(|object| (object.namespace().to_owned(), object.name().to_owned())).collect();
        for object in objects {
            self.seen(resource, object);
        }
        for object in self.list(resource, None).0 {
            let key = (object.namespace().to_owned(), object.name().to_owned());
            if !keys.contains(&key) {
                self.gone(resource, &key);
            }
        }
    }
}

impl State {
    fn debt(&mut self, resource: &GroupResource, key: &Key) -> Option<&mut Debt> {
        Some(self.mirror.as_mut()?.debts.entry((resource.clone(), key.clone())).or_default())
    }

    fn forget(&mut self, resource: &GroupResource, key: &Key) {
        if let Some(mirror) = &mut self.mirror {
            let place = (resource.clone(), key.clone());
            mirror.debts.remove(&place);
            mirror.ready.remove(&place);
        }
    }

    /// Makes the object here what the server said last, with what it is still to be told on top.
    fn rebase(&mut self, resource: &GroupResource, key: &Key) {
        let Some(debt) = self.debt(resource, key) else { return };
        let Some(base) = debt.base.clone() else { return };
        let mut next = base.clone();
        for owed in [&debt.in_flight, &debt.owed].into_iter().flatten() {
            match owed {
                Owed::Change(patch) => overlay(Arc::make_mut(&mut next), patch),
                // What is to go is gone here already.
                Owed::Delete(_) => return,
                Owed::Read => {}
                Owed::Write if shared(resource) => {}
                // Ours alone: what is here is right.
                Owed::Write => return,
            }
        }
        let previous = self.collection(resource).objects().get(key).cloned();
        if previous.as_ref() == Some(&next) {
            return;
        }
        let event = if previous.is_some() { EventType::Modified } else { EventType::Added };
        let object = next;
        self.revision += 1;
        let revision = self.revision;
        let collection = self.collection(resource);
        collection.put(key.clone(), object.clone());
        collection.history.push(WatchEvent::new(event, object, previous, revision));
        self.newest.send_replace(revision);
    }

    /// Takes an object away here.
    fn drop_here(&mut self, resource: &GroupResource, key: &Key) {
        let Some(collection) = self.collections.get_mut(resource) else { return };
        let Some(object) = collection.take(key) else { return };
        self.revision += 1;
        let revision = self.revision;
        let previous = Some(object.clone());
        collection.history.push(WatchEvent::new(EventType::Deleted, object, previous, revision));
        self.newest.send_replace(revision);
    }
}

/// Whether an object is not older than the one that is known.
fn newer(object: &Value, known: Option<&Object>) -> bool {
    let version = |object: &Value| object.resource_version().parse::<u64>().ok();
    match (version(object), known.and_then(|known| version(known))) {
        (Some(object), Some(known)) => object >= known,
        _ => true,
    }
}

/// What turns `before` into `after`, as a strategic merge patch of a pod or a node: conditions by type, and
/// of a node's taints those that do not follow from its conditions.
fn difference(before: &Value, after: &Value) -> Option<Value> {
    let mut patch = changed("", before, after)?;
    if let Some(metadata) = patch.as_object_mut() {
        metadata.remove("metadata");
    }
    if patch["spec"]["taints"].is_array() || patch["spec"]["taints"].is_null() && patch["spec"].is_object() {
        patch["spec"]["taints"] = json!(own_taints(&after["spec"]["taints"]));
    }
    patch.as_object().is_some_and(|fields| !fields.is_empty()).then_some(patch)
}

fn own_taints(taints: &Value) -> Vec<Value> {
    taints.as_array().into_iter().flatten().filter(|taint| !follows(taint)).cloned().collect()
}

/// Whether a taint is the node lifecycle controller's.
fn follows(taint: &Value) -> bool {
    taint["key"].as_str().is_some_and(|key| key.starts_with("node.kubernetes.io/"))
}

/// A node's taints: those that follow from its conditions, and after them its own.
pub(crate) fn taints(current: &Value, own: &Value) -> Vec<Value> {
    let follow = current.as_array().into_iter().flatten().filter(|taint| follows(taint));
    follow.chain(own.as_array().into_iter().flatten()).cloned().collect()
}

fn changed(field: &str, before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let mut patch = serde_json::Map::new();
            for (name, value) in new {
                let value = match old.get(name) {
                    Some(old) => changed(name, old, value),
                    None => Some(value.clone()),
                };
                patch.extend(value.map(|value| (name.clone(), value)));
            }
            let removed = old.keys().filter(|name| !new.contains_key(*name));
            patch.extend(removed.map(|name| (name.clone(), Value::Null)));
            Some(Value::Object(patch))
        }
        (Value::Array(old), Value::Array(new)) if field == "conditions" => {
            let conditions = new.iter().filter_map(|condition| {
                let known = old.iter().find(|known| known["type"] == condition["type"]);
                let Some(known) = known else { return Some(condition.clone()) };
                if known == condition {
                    return None;
                }
                // Whole, so that an old field of it never stays behind.
                let mut whole = condition.clone();
                for name in known.as_object().into_iter().flat_map(|known| known.keys()) {
                    if whole.get(name).is_none() {
                        whole[name] = Value::Null;
                    }
                }
                Some(whole)
            });
            Some(Value::Array(conditions.collect()))
        }
        (_, after) => Some(after.clone()),
    }
}

/// Two patches as one.
fn compose(mut first: Value, second: &Value) -> Value {
    merge("", &mut first, second, true);
    first
}

/// Applies a patch to an object.
fn overlay(object: &mut Value, patch: &Value) {
    let taints = patch["spec"].get("taints").map(|own| taints(&object["spec"]["taints"], own));
    merge("", object, patch, false);
    match (taints, object["spec"].as_object_mut()) {
        (Some(taints), Some(spec)) if taints.is_empty() => {
            spec.remove("taints");
        }
        (Some(taints), Some(spec)) => {
            spec.insert("taints".to_owned(), json!(taints));
        }
        _ => {}
    }
}

fn merge(field: &str, target: &mut Value, patch: &Value, keep_nulls: bool) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (name, value) in patch {
                if value.is_null() && !keep_nulls {
                    target.remove(name);
                } else {
                    merge(name, target.entry(name.clone()).or_insert(Value::Null), value, keep_nulls);
                }
            }
        }
        (Value::Array(target), Value::Array(patch)) if field == "conditions" => {
            for condition in patch {
                match target.iter_mut().find(|known| known["type"] == condition["type"]) {
                    Some(known) => merge("", known, condition, keep_nulls),
                    None => {
                        let mut new = json!({});
                        merge("", &mut new, condition, keep_nulls);
                        target.push(new);
                    }
                }
            }
        }
        (target @ (Value::Null | Value::String(_) | Value::Bool(_) | Value::Number(_)), Value::Object(_))
            if !keep_nulls =>
        {
            *target = json!({});
            merge(field, target, patch, keep_nulls);
        }
        (target, patch) => *target = patch.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn pods() -> GroupResource {
        GroupResource::new("", "pods")
    }

    fn key() -> Key {
        ("default".to_owned(), "web".to_owned())
    }

    fn pod(version: u64, uid: &str, conditions: &Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "web", "namespace": "default", "uid": uid, "resourceVersion": version.to_string()},
            "spec": {"nodeName": "a"}, "status": {"phase": "Pending", "conditions": conditions},
        })
    }

    fn mirror() -> Store {
        Store::mirror(Clock::new("2026-01-02T03:04:05Z".parse().unwrap(), 1.0))
    }

    fn run(store: &Store) {
        let change = |pod: &mut Value| {
            pod["status"]["phase"] = json!("Running");
            let conditions = pod["status"]["conditions"].as_array_mut().unwrap();
            conditions.push(json!({"type": "Ready", "status": "True"}));
            Ok(())
        };
        store.update(&pods(), "default", "web", change).unwrap();
    }

    fn only_work(store: &Store) -> Work {
        let mut work = store.take_work(10);
        assert_eq!(work.len(), 1, "{work:?}");
        work.remove(0).2
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_says_is_owed_to_nobody() {
        let store = mirror();
        store.seen(&pods(), pod(5, "one", &json!([])));
        assert!(!store.owes() && store.take_work(10).is_empty());
        assert_eq!(store.get(&pods(), "default", "web").unwrap().resource_version(), "5");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_made_here_outlives_an_older_state_and_carries_only_its_own_fields() {
        let store = mirror();
        store.seen(&pods(), pod(5, "one", &json!([])));
        run(&store);
        let scheduled = json!([{"type": "PodScheduled", "status": "True"}]);
        store.seen(&pods(), pod(6, "one", &scheduled));
        let here = store.get(&pods(), "default", "web").unwrap();
        assert_eq!(here["status"]["phase"], "Running");
        assert_eq!(here["status"]["conditions"].as_array().unwrap().len(), 2);
        let Work::Change { base, patch } = only_work(&store) else { panic!() };
        assert_eq!(base.resource_version(), "6");
        let ready =
            json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        assert_eq!(patch, ready);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_older_than_what_was_seen_since_undoes_nothing() {
        let store = mirror();
        store.seen(&pods(), pod(5, "one", &json!([])));
        run(&store);
        only_work(&store);
        let unready = json!([{"type": "Ready", "status": "False"}]);
        let mut answer = pod(6, "one", &json!([{"type": "Ready", "status": "True"}]));
        answer["status"]["phase"] = json!("Running");
        let mut later = pod(7, "one", &unready);
        later["status"]["phase"] = json!("Running");
        store.seen(&pods(), later);
        store.told(&pods(), &key(), Outcome::Done(Some(answer)));
        let here = store.get(&pods(), "default", "web").unwrap();
        assert_eq!(here["status"]["conditions"], unready);
        assert!(!store.owes());
    }

    #[tokio::test(start_paused = true)]
    async fn a_namesake_inherits_nothing() {
        let store = mirror();
        store.seen(&pods(), pod(5, "one", &json!([])));
        run(&store);
        store.seen(&pods(), pod(8, "two", &json!([])));
        assert_eq!(store.get(&pods(), "default", "web").unwrap()["status"]["phase"], "Pending");
        assert!(!store.owes());
    }

    #[tokio::test(start_paused = true)]
    async fn what_went_there_goes_here_and_what_is_new_here_stays() {
        let store = mirror();
        let nodes = GroupResource::new("", "nodes");
        store.create(&nodes, json!({"kind": "Node", "metadata": {"name": "new"}})).unwrap();
        store.seen(&pods(), pod(5, "one", &json!([])));
        store.listed(&pods(), Vec::new());
        store.listed(&nodes, Vec::new());
        assert!(store.get(&pods(), "default", "web").is_none());
        assert!(matches!(only_work(&store), Work::Write { object, known: false } if object.uid().is_empty()));
    }

    #[tokio::test(start_paused = true)]
    async fn own_taints_are_set_beside_those_that_follow_from_conditions() {
        let store = mirror();
        let nodes = GroupResource::new("", "nodes");
        let node = |version: &str, taints: Value| json!({"kind": "Node", "metadata": {"name": "a", "uid": "n", "resourceVersion": version}, "spec": {"taints": taints}});
        let not_ready = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
        let own = json!({"key": "team", "effect": "NoSchedule"});
        store.seen(&nodes, node("1", json!([])));
        let set = |node: &mut Value| {
            node["spec"]["taints"] = json!([own]);
            Ok(())
        };
        store.update(&nodes, "", "a", set).unwrap();
        store.seen(&nodes, node("2", json!([not_ready])));
        assert_eq!(store.get(&nodes, "", "a").unwrap()["spec"]["taints"], json!([not_ready, own]));
        let Work::Change { patch, .. } = only_work(&store) else { panic!() };
        assert_eq!(patch, json!({"spec": {"taints": [own]}}));
    }
}
