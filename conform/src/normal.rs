//! Takes out of an answer what differs by nature: what a server makes up itself, and what controllers do to
//! an object in their own time.

use std::sync::LazyLock;

use regex_lite::Regex;
use serde_json::{Value, json};

/// Kinds whose status is the work of controllers.
const WORKLOADS: [&str; 9] = [
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "Pod",
    "PodDisruptionBudget",
    "CustomResourceDefinition",
];

static TIME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").ok());
static UID: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").ok());

/// Names that a server ends itself: of our own objects, and of the volume that holds a pod's token.
static GENERATED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b(made-|kube-api-access-)[bcdfghjklmnpqrstvwxz2456789]{5}\b").ok());

/// A text without uids, times and generated names.
#[must_use]
pub fn text(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, stands) in [(&TIME, "<time>"), (&UID, "<uid>"), (&GENERATED, "${1}<generated>")] {
        if let Some(pattern) = pattern.as_ref() {
            text = pattern.replace_all(&text, stands).into_owned();
        }
    }
    text
}

/// An answer's document without them.
#[must_use]
pub fn document(mut document: Value) -> Value {
    walk(&mut document);
    document
}

fn walk(value: &mut Value) {
    match value {
        Value::String(string) => *string = text(string),
        Value::Array(items) => items.iter_mut().for_each(walk),
        Value::Object(_) => object(value),
        _ => {}
    }
}

fn object(value: &mut Value) {
    if let Some(items) = value.get_mut("items").and_then(Value::as_array_mut) {
        // They come when a controller gets to it.
        items.retain(|item| item["metadata"]["name"] != "kube-root-ca.crt" && item["kind"] != "Event");
    }
    let kind = value["kind"].as_str().unwrap_or_default();
    let workload = WORKLOADS.contains(&kind);
    // Items of a list do not say what they are.
    if kind.strip_suffix("List").is_some_and(|kind| WORKLOADS.contains(&kind)) {
        for item in value["items"].as_array_mut().into_iter().flatten() {
            if let Some(item) = item.as_object_mut() {
                item.remove("status");
            }
        }
    }
    let generated = value["metadata"]["generateName"].is_string();
    let Some(fields) = value.as_object_mut() else { return };
    if workload {
        fields.remove("status");
    }
    for (name, field) in fields.iter_mut() {
        match (name.as_str(), &*field) {
            ("uid", Value::String(_)) => *field = json!("<uid>"),
            ("resourceVersion", Value::String(text)) if !text.is_empty() => *field = json!("<version>"),
            ("continue", Value::String(text)) if !text.is_empty() => *field = json!("<continue>"),
            ("clusterIP", Value::String(ip)) if ip != "None" && !ip.is_empty() => *field = json!("<ip>"),
            ("clusterIPs", Value::Array(ips)) if ips.iter().all(|ip| ip != "None") => {
                *field = json!(["<ip>"]);
            }
            ("nodePort" | "healthCheckNodePort", Value::Number(_)) => *field = json!("<port>"),
            ("metadata", Value::Object(_)) => metadata(field, generated),
            _ => {}
        }
        walk(field);
    }
}

fn metadata(metadata: &mut Value, generated: bool) {
    if generated {
        metadata["name"] = json!("<generated>");
    }
    if let Some(entries) = metadata.get_mut("managedFields").and_then(Value::as_array_mut) {
        entries.retain(|entry| {
            entry["subresource"] != "status"
                && !entry["manager"].as_str().unwrap_or_default().starts_with("kube-")
        });
        for entry in entries.iter_mut() {
            if let Some(entry) = entry.as_object_mut() {
                entry.remove("time");
            }
        }
        // They are sorted by time first, and of what was within one second that is chance.
        entries.sort_by_key(|entry| {
            ["operation", "manager", "subresource"].map(|field| entry[field].as_str().map(str::to_owned))
        });
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove("deployment.kubernetes.io/revision");
        let empty = annotations.is_empty();
        if let (true, Some(fields)) = (empty, metadata.as_object_mut()) {
            fields.remove("annotations");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_makes_up_is_taken_out_and_what_it_decides_stays() {
        let answer = json!({"kind": "ConfigMap", "metadata": {
            "name": "a", "uid": "0b8d1f2c-0000-4000-8000-000000000001", "resourceVersion": "17",
            "creationTimestamp": "2026-01-02T03:04:05Z", "generation": 2,
        }, "data": {"a": "b"}});
        let normal = document(answer);
        let wanted = json!({"kind": "ConfigMap", "metadata": {
            "name": "a", "uid": "<uid>", "resourceVersion": "<version>", "creationTimestamp": "<time>",
            "generation": 2,
        }, "data": {"a": "b"}});
        assert_eq!(normal, wanted);
    }
}
