//! Reading and keeping `metadata` of an untyped object.

use serde_json::{Map, Value};

use super::{GroupResource, Preconditions};
use crate::status::Status;

/// The parts of `metadata` that everything here reads. Absent strings read as empty.
pub trait Meta {
    /// `metadata.name`.
    fn name(&self) -> &str;
    /// `metadata.namespace`; empty for cluster-scoped objects.
    fn namespace(&self) -> &str;
    /// `metadata.uid`.
    fn uid(&self) -> &str;
    /// `metadata.resourceVersion`.
    fn resource_version(&self) -> &str;
    /// `metadata.labels`.
    fn labels(&self) -> Option<&Map<String, Value>>;
    /// `metadata.finalizers`.
    fn finalizers(&self) -> &[Value];
    /// Whether `metadata.deletionTimestamp` is set.
    fn is_terminating(&self) -> bool;
    /// Whether a delete only marks it: by `metadata.finalizers`, or a namespace's own `spec.finalizers`.
    fn is_held(&self) -> bool;
}

impl Meta for Value {
    fn name(&self) -> &str {
        self["metadata"]["name"].as_str().unwrap_or_default()
    }
    fn namespace(&self) -> &str {
        self["metadata"]["namespace"].as_str().unwrap_or_default()
    }
    fn uid(&self) -> &str {
        self["metadata"]["uid"].as_str().unwrap_or_default()
    }
    fn resource_version(&self) -> &str {
        self["metadata"]["resourceVersion"].as_str().unwrap_or_default()
    }
    fn labels(&self) -> Option<&Map<String, Value>> {
        self["metadata"]["labels"].as_object()
    }
    fn finalizers(&self) -> &[Value] {
        self["metadata"]["finalizers"].as_array().map_or(&[], Vec::as_slice)
    }
    fn is_terminating(&self) -> bool {
        self["metadata"]["deletionTimestamp"].is_string()
    }
    fn is_held(&self) -> bool {
        let namespace = || {
            self["kind"] == "Namespace"
                && self["spec"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
        };
        !self.finalizers().is_empty() || namespace()
    }
}

/// Takes fields out of an object; of what is none, nothing.
pub(crate) fn drop_fields(object: &mut Value, names: &[&str]) {
    if let Some(fields) = object.as_object_mut() {
        names.iter().for_each(|name| drop(fields.remove(*name)));
    }
}

/// What of `metadata` no update changes.
const FIXED: [&str; 6] =
    ["uid", "creationTimestamp", "name", "namespace", "resourceVersion", "deletionTimestamp"];

/// Puts what no update changes of `next` back to what it is in `current`.
pub(super) fn keep_metadata(current: &Value, next: &mut Value) {
    for field in FIXED {
        let kept = current["metadata"].get(field);
        if next["metadata"].get(field) == kept {
            continue;
        }
        match kept {
            Some(value) => next["metadata"][field] = value.clone(),
            None => {
                if let Some(metadata) = next["metadata"].as_object_mut() {
                    metadata.remove(field);
                }
            }
        }
    }
}

pub(crate) fn check_preconditions(
    resource: &GroupResource,
    current: &Value,
    preconditions: &Preconditions,
) -> Result<(), Status> {
    let checks = [
        ("UID", preconditions.uid.as_deref(), current.uid()),
        ("ResourceVersion", preconditions.resource_version.as_deref(), current.resource_version()),
    ];
    for (what, wanted, found) in checks {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
            let why = format!(
                "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
            );
            return Err(Status::conflict(&resource.group, &resource.resource, current.name(), &why));
        }
    }
    Ok(())
}
