//! Who controls what: owner references, the pods of a controller, and whether a pod is ready.

use serde_json::{Value, json};

use super::Key;
use crate::selector::LabelSelector;
use crate::store::{GroupResource, Meta, Object, Store};

/// The controlling owner: API version, kind, name and uid.
pub(crate) struct Owner<'a> {
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    pub(crate) uid: &'a str,
}

/// The owner reference with `controller: true`.
pub(crate) fn controller_of(object: &Value) -> Option<Owner<'_>> {
    let references = object["metadata"]["ownerReferences"].as_array()?;
    let reference = references.iter().find(|reference| reference["controller"] == true)?;
    Some(Owner {
        kind: reference["kind"].as_str()?,
        name: reference["name"].as_str()?,
        uid: reference["uid"].as_str()?,
    })
}

/// A reference to a controlling owner, as the workload controllers write it.
pub(crate) fn owner_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    })
}

/// The key of the owner of this kind, for a controller that looks after its children.
pub(crate) fn owner_key(object: &Value, kind: &str) -> Option<Key> {
    let owner = controller_of(object).filter(|owner| owner.kind == kind)?;
    Some((object.namespace().to_owned(), owner.name.to_owned()))
}

/// Objects of `resource` in the owner's namespace that it controls, in order of name.
pub(crate) fn children(store: &Store, resource: &GroupResource, owner: &Value) -> Vec<Object> {
    let mut objects = store.controlled_by(resource, owner.uid());
    objects.retain(|object| object.namespace() == owner.namespace());
    objects
}

/// Takes over what an owner selects and nobody controls, such as the orphans of one that went.
pub(crate) fn adopt(store: &Store, resource: &GroupResource, owner: &Value) {
    if owner.is_terminating() {
        return;
    }
    let Some(selector) = selector_of(owner) else { return };
    let (objects, _) = store.list(resource, Some(owner.namespace()));
    for orphan in objects.iter().filter(|object| is_loose(object) && selector.matches(object.labels())) {
        let _ = store.update(resource, orphan.namespace(), orphan.name(), |object| {
            let mut references =
                object["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
            references.push(owner_reference(owner));
            object["metadata"]["ownerReferences"] = json!(references);
            Ok(())
        });
    }
}

/// What an owner selects; `None` when that is nothing, or everything.
fn selector_of(owner: &Value) -> Option<LabelSelector> {
    LabelSelector::from_value(&owner["spec"]["selector"]).filter(|selector| !selector.is_empty())
}

/// Whether an object may be taken over.
fn is_loose(object: &Value) -> bool {
    controller_of(object).is_none() && !object.is_terminating()
}

/// The owners of a resource that would adopt an object which nobody controls.
pub(crate) fn adopters(store: &Store, owners: &GroupResource, object: &Value) -> Vec<Key> {
    if !is_loose(object) {
        return Vec::new();
    }
    let (owners, _) = store.list(owners, Some(object.namespace()));
    let selects = |owner: &&Object| selector_of(owner).is_some_and(|it| it.matches(object.labels()));
    owners.iter().filter(selects).map(|owner| super::key_of(owner)).collect()
}

/// The pods that an object controls.
pub(crate) fn pods_of(store: &Store, owner: &Value) -> Vec<Object> {
    children(store, &GroupResource::new("", "pods"), owner)
}

/// Whether a pod has neither ended nor been told to.
pub(crate) fn is_active(pod: &Value) -> bool {
    !pod.is_terminating() && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// A condition of an object's status.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// Whether a pod's `Ready` condition is true.
pub(crate) fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready["status"] == "True")
}

/// When a pod became ready, if it is and has been for `seconds` (`minReadySeconds`).
pub(crate) fn is_available(pod: &Value, seconds: i64, now: jiff::Timestamp) -> bool {
    match condition(pod, "Ready").filter(|ready| ready["status"] == "True") {
        None => false,
        Some(_) if seconds <= 0 => true,
        Some(ready) => {
            let since = ready["lastTransitionTime"].as_str().and_then(|at| at.parse().ok());
            since.is_some_and(|since: jiff::Timestamp| now.duration_since(since).as_secs() >= seconds)
        }
    }
}

/// A pod from a template: labels, annotations, spec, owner and, with `generateName`, a name to be made.
pub(crate) fn pod_from(owner: &Value, template: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": owner.namespace(), "generateName": format!("{}-", owner.name()),
            "labels": template["metadata"]["labels"], "annotations": template["metadata"]["annotations"],
            "finalizers": template["metadata"]["finalizers"],
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": template["spec"],
    })
}

/// Creates a pod that a controller made, through admission.
///
/// # Errors
/// What admission or the store says.
pub(crate) fn create_pod(store: &Store, mut pod: Value) -> Result<Object, crate::status::Status> {
    crate::admission::complete(store, &mut pod)?;
    store.create(&GroupResource::new("", "pods"), pod)
}

/// Deletes a pod as its controller does: with the grace period of its spec if a kubelet has it.
pub(crate) fn delete_pod(store: &Store, pod: &Value) {
    let grace = match pod["spec"]["nodeName"].as_str() {
        Some(node) if !node.is_empty() && is_active(pod) => {
            pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30)
        }
        _ => 0,
    };
    let same = crate::store::Preconditions { uid: Some(pod.uid().to_owned()), resource_version: None };
    let pods = GroupResource::new("", "pods");
    // Gone already, or replaced by another of the same name: either way there is nothing to delete.
    let _ = store.delete(&pods, pod.namespace(), pod.name(), &same, grace);
}

/// Sets a condition in a list, keeping `lastTransitionTime` while its status stays the same.
pub(crate) fn set_condition(conditions: &mut Vec<Value>, mut next: Value, now: &str) {
    let found = conditions.iter_mut().find(|condition| condition["type"] == next["type"]);
    match found {
        Some(current) => {
            let since = if current["status"] == next["status"] {
                current["lastTransitionTime"].clone()
            } else {
                json!(now)
            };
            next["lastTransitionTime"] = since;
            *current = next;
        }
        None => {
            next["lastTransitionTime"] = json!(now);
            conditions.push(next);
        }
    }
}
