//! What is applied must be typed before it is merged: what is not is refused in the words of
//! `sigs.k8s.io/structured-merge-diff`.

use serde_json::Value;

use crate::resources::Resource;
use crate::schema::{ListType, Node};
use crate::status::Status;
use crate::store::Meta;

/// Refuses a configuration with fields that a built-in kind does not have, or of other types.
pub(crate) fn check(resource: &Resource, config: &Value) -> Result<(), Status> {
    if resource.custom.is_some() {
        return Ok(());
    }
    let mut errors = Vec::new();
    walk(config, Node::of(resource), "", &mut errors);
    let why = match errors.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        all => format!("errors:\n  {}", all.join("\n  ")),
    };
    let slash = if resource.group.is_empty() { "/" } else { "" };
    let (namespace, name) = (config.namespace(), config.name());
    Err(Status::new(
        500,
        "",
        format!(
            "failed to create typed patch object ({namespace}/{name}; {slash}{}, Kind={}): {why}",
            resource.api_version(),
            resource.kind
        ),
    ))
}

fn walk(value: &Value, node: Node<'_>, path: &str, errors: &mut Vec<String>) {
    match (value, node.expects()) {
        (Value::Object(fields), "struct") => {
            for (key, child) in fields {
                let at = format!("{path}.{key}");
                if node.has_field(key) {
                    walk(child, node.field(key), &at, errors);
                } else {
                    errors.push(format!("{at}: field not declared in schema"));
                }
            }
        }
        (Value::Object(fields), "map") => {
            for (key, child) in fields {
                walk(child, node.field(key), &format!("{path}.{key}"), errors);
            }
        }
        (Value::Array(items), "list") => {
            for (index, item) in items.iter().enumerate() {
                walk(item, node.item(), &format!("{path}{}", step(item, index, node)), errors);
            }
        }
        (Value::Null, _)
        | (Value::Object(_) | Value::Array(_), "anything")
        | (Value::String(_), "string" | "anything")
        | (Value::Bool(_), "boolean" | "anything")
        | (Value::Number(_), "number" | "anything") => {}
        (found, "struct" | "map") => errors.push(format!("{path}: expected map, got {}", shown(found))),
        (found, "list") => errors.push(format!("{path}: expected list, got {}", shown(found))),
        (found, "string") => {
            errors.push(format!(
                "{path}: expected string, got &value.valueUnstructured{{Value:{}}}",
                plain(found)
            ));
        }
        (found, "boolean") => errors.push(format!("{path}: expected boolean, got {}", shown(found))),
        (_, _) => {
            errors.push(format!("{path}: expected numeric (int or float), got *value.valueUnstructured"))
        }
    }
}

/// An item as a path names it.
fn step(item: &Value, index: usize, node: Node<'_>) -> String {
    match node.list_type() {
        ListType::Map(keys) => {
            let keys = keys.iter().filter_map(|key| {
                let found = item.get(key).cloned().or_else(|| node.item().default_of(key))?;
                Some(format!("{key}={found}"))
            });
            format!("[{}]", keys.collect::<Vec<_>>().join(","))
        }
        ListType::Set => format!("[={item}]"),
        ListType::Atomic => format!("[{index}]"),
    }
}

fn shown(value: &Value) -> String {
    format!("&{{{}}}", plain(value))
}

/// A value as Go prints it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, child)| format!("{key}:{}", plain(child))).collect();
            format!("map[{}]", fields.join(" "))
        }
        value => value.to_string(),
    }
}
