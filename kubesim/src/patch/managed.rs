//! Who manages which fields: `metadata.managedFields`, and server-side apply on top of it.

use serde_json::{Value, json};

use super::fields::{self, Set};
use crate::resources::Resource;
use crate::schema::Node;
use crate::status::Status;
use crate::store::Meta;

/// Who writes, how and when.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    manager: String,
    apply: bool,
    subresource: String,
    time: String,
}

impl Writer {
    pub(crate) fn update(manager: &str, subresource: &str, time: &str) -> Self {
        Self {
            manager: manager.to_owned(),
            apply: false,
            subresource: subresource.to_owned(),
            time: time.to_owned(),
        }
    }

    pub(crate) fn apply(manager: &str, subresource: &str, time: &str) -> Self {
        Self { apply: true, ..Self::update(manager, subresource, time) }
    }

    pub(crate) fn is_apply(&self) -> bool {
        self.apply
    }

    fn operation(&self) -> &'static str {
        if self.apply { "Apply" } else { "Update" }
    }

    fn owns(&self, entry: &Entry, api_version: &str) -> bool {
        entry.manager == self.manager
            && entry.operation == self.operation()
            && entry.subresource == self.subresource
            && (self.apply || entry.api_version == api_version)
    }

    fn entry(&self, api_version: &str, set: Set) -> Entry {
        Entry {
            manager: self.manager.clone(),
            operation: self.operation().to_owned(),
            subresource: self.subresource.clone(),
            api_version: api_version.to_owned(),
            time: self.time.clone(),
            set,
        }
    }
}

/// One entry of `managedFields`.
#[derive(Clone, Debug)]
struct Entry {
    manager: String,
    operation: String,
    subresource: String,
    api_version: String,
    time: String,
    set: Set,
}

fn read(object: &Value) -> Vec<Entry> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    entries
        .map(|entry| Entry {
            manager: text(&entry["manager"]),
            operation: text(&entry["operation"]),
            subresource: text(&entry["subresource"]),
            api_version: text(&entry["apiVersion"]),
            time: text(&entry["time"]),
            set: Set::from_json(&entry["fieldsV1"]),
        })
        .collect()
}

/// Puts `managedFields` into an object; an empty list is left out.
pub(crate) fn put(object: &mut Value, fields: Value) {
    if fields.as_array().is_some_and(|entries| !entries.is_empty()) {
        object["metadata"]["managedFields"] = fields;
    } else if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
}

fn write(object: &mut Value, entries: &[Entry]) {
    put(object, to_json(entries));
}

fn to_json(entries: &[Entry]) -> Value {
    let mut entries: Vec<&Entry> = entries.iter().filter(|entry| !entry.set.is_empty()).collect();
    entries.sort_by(|a, b| {
        let order = |entry: &Entry| {
            (entry.operation.clone(), entry.time.clone(), entry.manager.clone(), entry.api_version.clone())
        };
        order(a).cmp(&order(b))
    });
    entries
        .into_iter()
        .map(|entry| {
            let mut value = json!({
                "manager": entry.manager, "operation": entry.operation, "apiVersion": entry.api_version,
                "time": entry.time, "fieldsType": "FieldsV1", "fieldsV1": entry.set.to_json(),
            });
            if !entry.subresource.is_empty() {
                value["subresource"] = json!(entry.subresource);
            }
            value
        })
        .collect()
}

/// Records an update: what it changed is the writer's now, and nobody else's. Without a `before` it is a creation.
///
/// What it changed is told by what the client wants and the defaults, before anything else is filled in.
pub(crate) fn updated(object: &Value, before: Option<&Value>, resource: &Resource, writer: &Writer) -> Value {
    let node = Node::of(resource);
    let api_version = resource.api_version();
    let mut changed = Set::changed(before.unwrap_or(&json!({})), object, node);
    // A write to the object itself does not write its status.
    if writer.subresource.is_empty() && resource.has_status() {
        changed.take("f:status");
    }
    let mut entries = before.map(read).unwrap_or_default();
    for entry in &mut entries {
        if !writer.owns(entry, &api_version) {
            entry.set.subtract(&changed);
        }
        entry.set.retain(object, node);
    }
    if !changed.is_empty() {
        match entries.iter_mut().find(|entry| writer.owns(entry, &api_version)) {
            Some(entry) => {
                entry.set.add(&changed);
                entry.time.clone_from(&writer.time);
            }
            None => entries.push(writer.entry(&api_version, changed)),
        }
    }
    to_json(&entries)
}

/// Records an object that is created by apply: what was applied is the writer's.
pub(crate) fn set_applied(object: &mut Value, config: &Value, resource: &Resource, writer: &Writer) {
    let set = Set::of(&applied_part(config, resource, writer), Node::of(resource));
    write(object, &[writer.entry(&resource.api_version(), set)]);
}

/// The part of a configuration that this request may write.
fn applied_part(config: &Value, resource: &Resource, writer: &Writer) -> Value {
    let mut config = config.clone();
    if let Some(fields) = config.as_object_mut() {
        if writer.subresource == "status" {
            fields.retain(|key, _| matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
        } else if resource.has_status() {
            fields.remove("status");
        }
    }
    config
}

/// Merges an applied configuration into the current object.
///
/// # Errors
/// `Conflict` (409) naming every field that another manager holds with another value, unless `force`.
pub(crate) fn apply(
    current: &Value,
    config: &Value,
    resource: &Resource,
    writer: &Writer,
    force: bool,
) -> Result<Value, Status> {
    let node = Node::of(resource);
    let api_version = resource.api_version();
    let config = applied_part(config, resource, writer);
    let wanted = Set::of(&config, node);
    let mut entries = read(current);
    let mut next = current.clone();
    fields::merge(&mut next, &config, node);
    // What changes by this apply, and who else holds it.
    let changed = Set::changed(current, &next, node);
    let mut disputed = changed.clone();
    if let Some(own) = last_applied_by_kubectl(current, resource, writer) {
        disputed.subtract(&own);
    }
    let mut conflicts: Vec<(String, Vec<String>)> = Vec::new();
    for entry in entries.iter_mut().filter(|entry| !writer.owns(entry, &api_version)) {
        let mut paths = Vec::new();
        entry.set.common(&disputed, "", &mut paths);
        if force || paths.is_empty() {
            entry.set.subtract(&changed);
        } else {
            conflicts.push((describe(entry), paths));
        }
    }
    if !conflicts.is_empty() {
        // By the name of the manager, as the real server sorts them.
        conflicts.sort();
        return Err(conflict(&conflicts));
    }
    let before = entries.iter().position(|entry| writer.owns(entry, &api_version));
    if let Some(index) = before {
        let mut gone = entries[index].set.clone();
        gone.subtract(&wanted);
        let mut kept = wanted.clone();
        for (other, entry) in entries.iter().enumerate() {
            if other != index {
                kept.add(&entry.set);
            }
        }
        fields::remove(&mut next, &gone, &kept, node);
    }
    let entry = writer.entry(&api_version, wanted);
    match before {
        Some(index) => entries[index] = entry,
        None => entries.push(entry),
    }
    for entry in entries.iter_mut().filter(|entry| !writer.owns(entry, &api_version)) {
        entry.set.retain(&next, node);
    }
    write(&mut next, &entries);
    if writer.manager == KUBECTL && next["metadata"]["annotations"][LAST_APPLIED].is_string() {
        next["metadata"]["annotations"][LAST_APPLIED] = json!(format!("{}\n", last_applied(&config)));
    }
    Ok(next)
}

/// The manager as which kubectl applies on the server's side.
const KUBECTL: &str = "kubectl";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The fields that kubectl applied on the client's side and that still are as it left them: an apply by
/// kubectl on the server's side takes them over without a conflict.
fn last_applied_by_kubectl(current: &Value, resource: &Resource, writer: &Writer) -> Option<Set> {
    let text = current["metadata"]["annotations"][LAST_APPLIED].as_str()?;
    if writer.manager != KUBECTL {
        return None;
    }
    let last: Value = serde_json::from_str(text).ok()?;
    if last["apiVersion"] != resource.api_version() {
        return None;
    }
    let node = Node::of(resource);
    let mut own = Set::of(&last, node);
    own.subtract(&Set::changed(current, &last, node));
    Some(own)
}

/// A configuration as kubectl keeps it in its annotation.
fn last_applied(config: &Value) -> Value {
    let mut config = config.clone();
    if let Some(annotations) = config["metadata"]["annotations"].as_object_mut() {
        annotations.remove(LAST_APPLIED);
    } else {
        config["metadata"]["annotations"] = json!({});
    }
    config
}

fn describe(entry: &Entry) -> String {
    let mut text = format!("\"{}\"", entry.manager);
    if !entry.subresource.is_empty() {
        text.push_str(&format!(" with subresource \"{}\"", entry.subresource));
    }
    if entry.operation == "Update" {
        text.push_str(&format!(" using {}", entry.api_version));
    }
    text
}

fn conflict(conflicts: &[(String, Vec<String>)]) -> Status {
    let count: usize = conflicts.iter().map(|(_, paths)| paths.len()).sum();
    let plural = if count == 1 { "" } else { "s" };
    let mut message = format!("Apply failed with {count} conflict{plural}: ");
    if let [(manager, paths)] = conflicts {
        match paths.as_slice() {
            [path] => message.push_str(&format!("conflict with {manager}: {path}")),
            paths => message.push_str(&format!("conflicts with {manager}:\n- {}", paths.join("\n- "))),
        }
    } else {
        let parts: Vec<String> = conflicts
            .iter()
            .map(|(manager, paths)| format!("conflicts with {manager}:\n- {}", paths.join("\n- ")))
            .collect();
        message.push_str(&parts.join("\n"));
    }
    let mut status = Status::new(409, "Conflict", message);
    let causes: Vec<Value> = conflicts
        .iter()
        .flat_map(|(manager, paths)| {
            paths.iter().map(move |path| {
                json!({"reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": path})
            })
        })
        .collect();
    status.details = Some(json!({"causes": causes}));
    status
}

/// After admission: an apply that changed nothing but the time of its entry changed nothing.
pub(crate) fn touch(object: &mut Value, before: &Value, _writer: &Writer) {
    let timeless = |object: &Value| {
        let mut object = object.clone();
        if let Some(entries) = object["metadata"]["managedFields"].as_array_mut() {
            for entry in entries {
                entry["time"] = Value::Null;
            }
        }
        object
    };
    if before.resource_version() == object.resource_version() && timeless(before) == timeless(object) {
        object["metadata"]["managedFields"] = before["metadata"]["managedFields"].clone();
    }
}
