//! What an EKS cluster holds before anybody installs anything.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::admission;
use crate::resources::builtins;
use crate::status::Status;
use crate::store::{GroupResource, Store};

/// Parsed once in a process; a start only stores it.
static CONTENT: LazyLock<Result<Vec<Value>, String>> = LazyLock::new(|| {
    let parsed: Result<Vec<Value>, _> = serde_saphyr::from_multiple(text());
    parsed.map_err(|error| error.to_string())
});

/// The content, as a YAML stream of manifests.
#[must_use]
pub fn text() -> &'static str {
    include_str!("eks.yaml")
}

/// The content, one manifest after the other.
///
/// # Errors
/// It cannot be read; that is a defect of it.
pub fn content() -> Result<Vec<Value>, String> {
    CONTENT.clone()
}

/// The namespaces that every cluster has.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Stores the namespaces and, with `content`, what EKS installs into them.
///
/// # Errors
/// What admission says to an object; that is a defect of the content.
pub(crate) fn apply(store: &Store, content: bool) -> Result<(), Status> {
    for name in NAMESPACES {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        });
        store.create(&GroupResource::new("", "namespaces"), namespace)?;
    }
    if !content {
        return Ok(());
    }
    let objects = CONTENT.as_ref().map_err(|error| Status::bad_request(error.clone()))?;
    for object in objects {
        let mut object = object.clone();
        let resource = resource_of(&object)?;
        admission::complete(store, &mut object)?;
        store.create(&resource, object)?;
    }
    Ok(())
}

fn resource_of(object: &Value) -> Result<GroupResource, Status> {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let kind = object["kind"].as_str().unwrap_or_default();
    let found = builtins().iter().find(|resource| resource.group == group && resource.kind == kind);
    found
        .map(|resource| GroupResource::new(resource.group.clone(), resource.plural.clone()))
        .ok_or_else(|| Status::bad_request(format!("no kind {kind} in {version}")))
}
