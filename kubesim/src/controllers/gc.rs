//! Garbage collection by owner references: dependents go when their last owner has gone, and owners that
//! are deleted in the foreground wait for those that block them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::owned::delete_pod;
use super::{Context, Controller, Key, Seen};
use crate::store::{GroupResource, Meta, Object, Preconditions, Store};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// An object: its resource, namespace and name.
type Place = (GroupResource, String, String);

/// Keys are uids: of an owner that has gone or is going, or of a new dependent.
#[derive(Default)]
pub(crate) struct GarbageCollector {
    places: BTreeMap<String, Place>,
    dependents: BTreeMap<String, BTreeSet<String>>,
}

fn owner_uids(object: &Value) -> impl Iterator<Item = &str> {
    let references = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    references.filter_map(|reference| reference["uid"].as_str())
}

fn uid_key(uid: &str) -> Key {
    (String::new(), uid.to_owned())
}

impl Controller for GarbageCollector {
    fn concerns(&mut self, _: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        if resource.resource == "events" {
            return Vec::new();
        }
        let object = change.object;
        let uid = object.uid();
        // Nearly every change is of something else.
        if let Some(previous) = change.previous.filter(|_| !change.deleted)
            && !object.is_terminating()
            && previous.uid() == uid
            && previous["metadata"]["ownerReferences"] == object["metadata"]["ownerReferences"]
        {
            return Vec::new();
        }
        let before: BTreeSet<&str> =
            change.previous.into_iter().flat_map(|object| owner_uids(object)).collect();
        let after: BTreeSet<&str> =
            if change.deleted { BTreeSet::new() } else { owner_uids(object).collect() };
        for gone in before.difference(&after) {
            if let Some(set) = self.dependents.get_mut(*gone) {
                set.remove(uid);
                if set.is_empty() {
                    self.dependents.remove(*gone);
                }
            }
        }
        for new in after.difference(&before) {
            self.dependents.entry((*new).to_owned()).or_default().insert(uid.to_owned());
        }
        let mut keys = Vec::new();
        if change.deleted {
            self.places.remove(uid);
            keys.push(uid_key(uid));
            // An owner that waits for this one in the foreground.
            keys.extend(before.iter().map(|owner| uid_key(owner)));
        } else {
            let place = (resource.clone(), object.namespace().to_owned(), object.name().to_owned());
            self.places.insert(uid.to_owned(), place);
            if object.is_terminating() || before != after {
                keys.push(uid_key(uid));
            }
        }
        keys
    }

    fn forget(&mut self) {
        *self = Self::default();
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let uid = key.1.as_str();
        match self.find(context.store, uid) {
            None => {
                // The owner has gone: each dependent that has no other goes too.
                for dependent in self.dependents_of(uid) {
                    self.collect(context.store, &dependent);
                }
            }
            Some((place, object)) if object.is_terminating() => {
                let has = |name: &str| object.finalizers().iter().any(|finalizer| finalizer == name);
                if has(ORPHAN) {
                    for dependent in self.dependents_of(uid) {
                        self.disown(context.store, &dependent, uid);
                    }
                    release(context.store, &place, ORPHAN);
                } else if has(FOREGROUND) {
                    let mut waiting = false;
                    for dependent in self.dependents_of(uid) {
                        let Some((place, object)) = self.find(context.store, &dependent) else { continue };
                        let blocks = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
                        waiting |= blocks
                            .filter(|reference| reference["uid"] == uid)
                            .any(|reference| reference["blockOwnerDeletion"] == true);
                        if !object.is_terminating() {
                            foreground(context.store, &place, &object);
                        }
                    }
                    if !waiting {
                        release(context.store, &place, FOREGROUND);
                    }
                }
            }
            Some(_) => self.collect(context.store, uid),
        }
    }
}

impl GarbageCollector {
    fn find(&self, store: &Store, uid: &str) -> Option<(Place, Object)> {
        let place = self.places.get(uid)?;
        let object = store.get(&place.0, &place.1, &place.2).filter(|object| object.uid() == uid)?;
        Some((place.clone(), object))
    }

    fn dependents_of(&self, uid: &str) -> Vec<String> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// Deletes an object whose owners have all gone.
    fn collect(&self, store: &Store, uid: &str) {
        let Some((place, object)) = self.find(store, uid) else { return };
        let mut owners = owner_uids(&object).peekable();
        if object.is_terminating() || owners.peek().is_none() {
            return;
        }
        if owners.any(|owner| self.find(store, owner).is_some()) {
            return;
        }
        if place.0 == GroupResource::new("", "pods") {
            delete_pod(store, &object);
        } else {
            let _ = store.delete(&place.0, &place.1, &place.2, &same(&object), 0);
        }
    }

    fn disown(&self, store: &Store, dependent: &str, owner: &str) {
        let Some((place, _)) = self.find(store, dependent) else { return };
        let _ = store.update(&place.0, &place.1, &place.2, |object| {
            if let Some(references) = object["metadata"]["ownerReferences"].as_array_mut() {
                references.retain(|reference| reference["uid"] != owner);
                if references.is_empty()
                    && let Some(metadata) = object["metadata"].as_object_mut()
                {
                    metadata.remove("ownerReferences");
                }
            }
            Ok(())
        });
    }
}

fn same(object: &Value) -> Preconditions {
    Preconditions { uid: Some(object.uid().to_owned()), resource_version: None }
}

/// Deletes a dependent of an owner that is deleted in the foreground, which is itself done so.
fn foreground(store: &Store, place: &Place, object: &Value) {
    if place.0 == GroupResource::new("", "pods") {
        delete_pod(store, object);
        return;
    }
    let _ = store.update(&place.0, &place.1, &place.2, |object| {
        match object["metadata"]["finalizers"].as_array_mut() {
            Some(finalizers) if finalizers.iter().any(|finalizer| finalizer == FOREGROUND) => {}
            Some(finalizers) => finalizers.push(FOREGROUND.into()),
            None => object["metadata"]["finalizers"] = serde_json::json!([FOREGROUND]),
        }
        Ok(())
    });
    let _ = store.delete(&place.0, &place.1, &place.2, &same(object), 0);
}

/// Takes away one finalizer.
fn release(store: &Store, place: &Place, finalizer: &str) {
    let _ = store.update(&place.0, &place.1, &place.2, |object| {
        if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|held| held != finalizer);
        }
        Ok(())
    });
}
