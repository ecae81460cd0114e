//! `Table`: what `kubectl get` prints.

use serde_json::{Value, json};

use crate::resources::Resource;
use crate::store::{Meta, Object};

/// A table of objects. `include` is `Metadata`, `Object` or `None`: what each row carries besides its cells.
pub(crate) fn of(
    resource: &Resource,
    version: &str,
    include: &str,
    objects: &[Object],
    metadata: Option<Value>,
) -> Value {
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut row = json!({"cells": [object.name(), object["metadata"]["creationTimestamp"]]});
            match include {
                "None" => {}
                "Object" => row["object"] = crate::handlers::present(resource, object),
                _ => {
                    row["object"] = json!({
                        "kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"),
                        "metadata": object["metadata"],
                    })
                }
            }
            row
        })
        .collect();
    let metadata = metadata.unwrap_or_else(|| {
        json!({"resourceVersion": objects.first().map(|object| object.resource_version()).unwrap_or_default()})
    });
    json!({
        "kind": "Table", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": metadata,
        "columnDefinitions": [
            {"name": "Name", "type": "string", "format": "name", "description": "name", "priority": 0},
            {"name": "Created At", "type": "date", "format": "", "description": "creation", "priority": 0},
        ],
        "rows": rows,
    })
}
