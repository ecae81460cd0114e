//! `Table`: what `kubectl get` prints.

mod columns;
mod custom;
mod jsonpath;
mod pod;
mod words;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::resources::Resource;
use crate::store::{Meta, Object};
use words::View;

/// How a table is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    /// `v1` or `v1beta1`.
    pub(crate) version: &'static str,
    /// What each row carries besides its cells: `Metadata`, `Object` or `None`.
    pub(crate) include: String,
    /// Whether the columns are described. A watch does so in its first event only.
    pub(crate) headings: bool,
    /// The time at which ages are told.
    pub(crate) now: Timestamp,
}

/// A table of objects. `metadata` is that of the list; without it, it is the object's own.
pub(crate) fn of(resource: &Resource, form: &Form, objects: &[Object], metadata: Option<Value>) -> Value {
    let (headings, cells) = match &resource.custom {
        Some(version) => custom_cells(version, objects, form.now),
        None => builtin_cells(resource, objects, form.now, metadata.is_some()),
    };
    let rows = objects.iter().zip(cells).map(|(object, cells)| {
        let mut row = json!({"cells": cells});
        match form.include.as_str() {
            "None" => {}
            "Object" => row["object"] = crate::handlers::present(resource, object),
            _ => {
                row["object"] = json!({
                    "kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{}", form.version),
                    "metadata": object["metadata"],
                });
            }
        }
        if let Some(condition) = completed(resource, object) {
            row["conditions"] = json!([condition]);
        }
        row
    });
    let rows: Vec<Value> = rows.collect();
    let metadata = metadata.unwrap_or_else(|| {
        json!({"resourceVersion": objects.first().map(|object| object.resource_version()).unwrap_or_default()})
    });
    json!({
        "kind": "Table", "apiVersion": format!("meta.k8s.io/{}", form.version), "metadata": metadata,
        "columnDefinitions": if form.headings { Value::Array(headings) } else { Value::Null },
        "rows": rows,
    })
}

type Cells = Vec<Vec<Value>>;

fn builtin_cells(
    resource: &Resource,
    objects: &[Object],
    now: Timestamp,
    is_list: bool,
) -> (Vec<Value>, Cells) {
    let columns = columns::of(&resource.group, &resource.plural);
    let headings = columns.iter().map(|column| {
        json!({
            "name": column.name, "type": column.kind, "format": column.format, "description": "",
            "priority": i32::from(column.wide),
        })
    });
    // Which one it is shows only beside the others.
    let default = if resource.plural == "storageclasses" && is_list {
        columns::default_class(objects.iter().map(|object| &**object))
    } else {
        None
    };
    let rows = objects.iter().map(|object| {
        let view = View { object, now };
        let mut cells: Vec<Value> = columns.iter().map(|column| (column.cell)(&view)).collect();
        if default == Some(object.name()) {
            cells[0] = json!(format!("{} (default)", object.name()));
        }
        cells
    });
    (headings.collect(), rows.collect())
}

fn custom_cells(version: &Value, objects: &[Object], now: Timestamp) -> (Vec<Value>, Cells) {
    let columns = custom::Columns::of(version);
    let name = json!({"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0});
    let headings = std::iter::once(name).chain(columns.headings()).collect();
    let rows = objects
        .iter()
        .map(|object| std::iter::once(json!(object.name())).chain(columns.cells(object, now)).collect());
    (headings, rows.collect())
}

/// Pods that have ended are marked, so that clients may leave them out.
fn completed(resource: &Resource, object: &Value) -> Option<Value> {
    if resource.plural != "pods" || !resource.group.is_empty() {
        return None;
    }
    let (reason, message) = match object["status"]["phase"].as_str()? {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!({"type": "Completed", "status": "True", "reason": reason, "message": message}))
}
