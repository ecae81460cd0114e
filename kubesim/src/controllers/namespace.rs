//! Namespaces that are going: their content is deleted, what holds it is said, and then they go.

use serde_json::json;

use super::owned::{delete_pod, set_condition};
use super::{Context, Controller, Key, Seen};
use crate::store::{GroupResource, Meta, Preconditions, Store};

pub(crate) struct Namespaces;

fn namespaces() -> GroupResource {
    GroupResource::new("", "namespaces")
}

impl Controller for Namespaces {
    fn concerns(&mut self, store: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        if *resource == namespaces() {
            let going = !change.deleted && change.object.is_terminating();
            return going.then(|| (String::new(), change.object.name().to_owned())).into_iter().collect();
        }
        let namespace = change.object.namespace();
        let inside_one_that_goes = !namespace.is_empty()
            && store.get(&namespaces(), "", namespace).is_some_and(|namespace| namespace.is_terminating());
        inside_one_that_goes.then(|| (String::new(), namespace.to_owned())).into_iter().collect()
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let store = context.store;
        let Some(namespace) = store.get(&namespaces(), "", &key.1).filter(|ns| ns.is_terminating()) else {
            return;
        };
        for resource in store.resources() {
            for object in store.list(&resource, Some(namespace.name())).0 {
                if resource == GroupResource::new("", "pods") {
                    delete_pod(store, &object);
                } else if !object.is_terminating() {
                    let _ = store.delete(
                        &resource,
                        object.namespace(),
                        object.name(),
                        &Preconditions::default(),
                        0,
                    );
                }
            }
        }
        let left: Vec<(GroupResource, usize, Vec<String>)> = store
            .resources()
            .into_iter()
            .filter_map(|resource| {
                let (objects, _) = store.list(&resource, Some(namespace.name()));
                let finalizers: Vec<String> = objects
                    .iter()
                    .flat_map(|object| object.finalizers())
                    .filter_map(|finalizer| finalizer.as_str().map(str::to_owned))
                    .collect();
                (!objects.is_empty()).then_some((resource, objects.len(), finalizers))
            })
            .collect();
        let now = context.clock.rfc3339();
        let _ = store.update(&namespaces(), "", &key.1, |namespace| {
            if left.is_empty() {
                if let Some(finalizers) = namespace["spec"]["finalizers"].as_array_mut() {
                    finalizers.retain(|finalizer| finalizer != "kubernetes");
                }
                return Ok(());
            }
            let mut conditions = namespace["status"]["conditions"].as_array().cloned().unwrap_or_default();
            for (kind, reason, message) in said(&left) {
                let (status, reason) = match reason {
                    Some(reason) => ("True", reason),
                    None => ("False", reason_when_done(kind)),
                };
                set_condition(
                    &mut conditions,
                    json!({"type": kind, "status": status, "reason": reason, "message": message}),
                    &now,
                );
            }
            namespace["status"]["conditions"] = json!(conditions);
            Ok(())
        });
    }
}

/// Type, reason when true, and message of each condition, in the real controller's words.
fn said(left: &[(GroupResource, usize, Vec<String>)]) -> Vec<(&'static str, Option<&'static str>, String)> {
    let resources: Vec<String> = left
        .iter()
        .map(|(resource, count, _)| format!("{resource}. has {count} resource instances"))
        .collect();
    let mut by_finalizer = std::collections::BTreeMap::<&str, usize>::new();
    for finalizer in left.iter().flat_map(|(_, _, finalizers)| finalizers) {
        *by_finalizer.entry(finalizer).or_default() += 1;
    }
    let finalizers: Vec<String> =
        by_finalizer.iter().map(|(name, count)| format!("{name} in {count} resource instances")).collect();
    vec![
        ("NamespaceDeletionDiscoveryFailure", None, "All resources successfully discovered".to_owned()),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            None,
            "All legacy kube types successfully parsed".to_owned(),
        ),
        (
            "NamespaceDeletionContentFailure",
            None,
            "All content successfully deleted, may be waiting on finalization".to_owned(),
        ),
        (
            "NamespaceContentRemaining",
            Some("SomeResourcesRemain"),
            format!("Some resources are remaining: {}", resources.join(", ")),
        ),
        (
            "NamespaceFinalizersRemaining",
            (!finalizers.is_empty()).then_some("SomeFinalizersRemain"),
            if finalizers.is_empty() {
                "All content-preserving finalizers finished".to_owned()
            } else {
                format!("Some content in the namespace has finalizers remaining: {}", finalizers.join(", "))
            },
        ),
    ]
}

/// The reason of a condition that is false.
fn reason_when_done(kind: &str) -> &'static str {
    match kind {
        "NamespaceDeletionDiscoveryFailure" => "ResourcesDiscovered",
        "NamespaceDeletionGroupVersionParsingFailure" => "ParsedGroupVersions",
        "NamespaceFinalizersRemaining" => "ContentHasNoFinalizers",
        _ => "ContentDeleted",
    }
}
