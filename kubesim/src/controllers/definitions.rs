//! Definitions that are going: their custom resources go first, and what holds one of them holds the definition.

use serde_json::{Value, json};

use super::owned::set_condition;
use super::{Context, Controller, Key, Seen};
use crate::store::{GroupResource, Meta, Preconditions, Store};

/// What holds a definition until its custom resources are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Keys are names of definitions.
pub(crate) struct Definitions;

fn definitions() -> GroupResource {
    GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

fn is_held(definition: &Value) -> bool {
    definition.is_terminating() && definition.finalizers().iter().any(|finalizer| finalizer == CLEANUP)
}

/// Says of a definition that it is going, and why it is not gone.
pub(crate) fn say_terminating(definition: &mut Value, status: &str, reason: &str, message: &str, now: &str) {
    let mut conditions = definition["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let condition = json!({"type": "Terminating", "status": status, "reason": reason, "message": message});
    set_condition(&mut conditions, condition, now);
    definition["status"]["conditions"] = json!(conditions);
}

impl Controller for Definitions {
    fn concerns(&mut self, store: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        let key = |name: String| vec![(String::new(), name)];
        if *resource == definitions() {
            return if !change.deleted && is_held(change.object) {
                key(change.object.name().to_owned())
            } else {
                Vec::new()
            };
        }
        // The last custom resource may have gone.
        let name = resource.to_string();
        let going = change.deleted
            && !resource.group.is_empty()
            && store.get(&definitions(), "", &name).is_some_and(|found| is_held(&found));
        if going { key(name) } else { Vec::new() }
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let store = context.store;
        let Some(definition) = store.get(&definitions(), "", &key.1).filter(|found| is_held(found)) else {
            return;
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let spec = &definition["spec"];
        let resource = GroupResource::new(text(&spec["group"]), text(&spec["names"]["plural"]));
        for object in store.list(&resource, None).0.iter().filter(|object| !object.is_terminating()) {
            let same = Preconditions { uid: Some(object.uid().to_owned()), resource_version: None };
            let _ = store.delete(&resource, object.namespace(), object.name(), &same, 0);
        }
        let left = !store.list(&resource, None).0.is_empty();
        let now = context.clock.rfc3339();
        let _ = store.update(&definitions(), "", &key.1, |definition| {
            if left {
                let message = "CustomResource deletion is in progress";
                say_terminating(definition, "True", "InstanceDeletionInProgress", message, &now);
            } else if let Some(finalizers) = definition["metadata"]["finalizers"].as_array_mut() {
                finalizers.retain(|finalizer| finalizer != CLEANUP);
            }
            Ok(())
        });
    }
}
