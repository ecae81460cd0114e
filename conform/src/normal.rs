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

/// What changed, as a unified difference of the real server's own types.
static CHANGES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\n@@[^\n]*\n(?:[ +@-][^\n]*\n)*").ok());

/// The age of an object in a table.
static AGE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^(?:\d+[smhdy])+$").ok());

/// Where the next fault of a list begins, in a message, with the field that it is of.
static FAULT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:^|, )([A-Za-z][^ ,:]*): (?:Invalid value|Required value|Unsupported value|Forbidden|Too long|Too many)").ok()
});

/// What an object in a message is shown after.
const SHOWN: &str = "value: {";

/// A message whose objects have their fields in order: the real server shows them in that of its own types, and those
/// of a pod by their inner names.
fn in_order(text: &str) -> String {
    let mut ordered = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(SHOWN) {
        let (before, object) = rest.split_at(at + SHOWN.len() - 1);
        ordered.push_str(before);
        let mut values = serde_json::Deserializer::from_str(object).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                let is_pod = value.get("Containers").or(value.get("containers")).is_some();
                ordered.push_str(&if is_pod { "<pod spec>".to_owned() } else { value.to_string() });
                rest = &object[values.byte_offset()..];
            }
            _ => {
                ordered.push('{');
                rest = &object[1..];
            }
        }
    }
    ordered + rest
}

/// A message whose faults of one field are in order: those of labels are found in that of a map of Go's, by chance.
fn faults_in_order(text: &str) -> String {
    let (Some(open), Some(pattern)) = (text.find(": ["), FAULT.as_ref()) else { return text.to_owned() };
    let (before, list) = text.split_at(open + 3);
    let Some((list, after)) = list.rsplit_once(']') else { return text.to_owned() };
    let starts: Vec<(usize, &str)> = pattern
        .captures_iter(list)
        .filter_map(|found| Some((found.get(1)?.start(), found.get(1)?.as_str())))
        .collect();
    if starts.first().is_none_or(|(at, _)| *at > 0) {
        return text.to_owned();
    }
    let ends = starts.iter().skip(1).map(|(at, _)| at - 2).chain([list.len()]);
    let mut faults: Vec<(&str, &str)> =
        starts.iter().zip(ends).map(|((at, field), end)| (*field, &list[*at..end])).collect();
    faults.chunk_by_mut(|a, b| a.0 == b.0).for_each(<[_]>::sort_unstable);
    let faults: Vec<&str> = faults.into_iter().map(|(_, fault)| fault).collect();
    format!("{before}{}]{after}", faults.join(", "))
}

/// A text without uids, times and generated names.
#[must_use]
pub fn text(text: &str) -> String {
    let mut text = faults_in_order(&in_order(text));
    if let Some(pattern) = CHANGES.as_ref() {
        text = pattern.replace_all(&text, "").into_owned();
    }
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
        match (name.as_str(), &mut *field) {
            ("uid", Value::String(_)) => *field = json!("<uid>"),
            ("resourceVersion", Value::String(text)) if !text.is_empty() => *field = json!("<version>"),
            ("continue", Value::String(text)) if !text.is_empty() => *field = json!("<continue>"),
            ("clusterIP", Value::String(ip)) if ip != "None" && !ip.is_empty() => *field = json!("<ip>"),
            ("clusterIPs", Value::Array(ips)) if ips.iter().all(|ip| ip != "None") => {
                *field = json!(["<ip>"]);
            }
            ("nodePort" | "healthCheckNodePort", Value::Number(_)) => *field = json!("<port>"),
            ("metadata", Value::Object(_)) => metadata(field, generated),
            ("cells", Value::Array(cells)) => {
                for cell in cells {
                    if cell.as_str().is_some_and(|cell| AGE.as_ref().is_some_and(|age| age.is_match(cell))) {
                        *cell = json!("<age>");
                    }
                }
            }
            // As in the message.
            ("causes", Value::Array(causes)) => {
                let of = |cause: &Value, name: &str| cause[name].as_str().map(str::to_owned);
                causes
                    .chunk_by_mut(|a, b| a["field"] == b["field"])
                    .for_each(|same| same.sort_by_key(|cause| of(cause, "message")));
            }
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
    fn what_a_message_shows_of_inner_types_is_brought_in_order_and_all_else_of_it_stays() {
        let theirs = "[a: Unsupported value: {\"Type\":\"x\",\"Roll\":null}: use y, b: Forbidden: no\n@@ -1 +1 @@\n- q\n+ r\n]";
        let ours = "[a: Unsupported value: {\"Roll\":null,\"Type\":\"x\"}: use y, b: Forbidden: no]";
        assert_eq!(text(theirs), text(ours));
        assert_ne!(text(theirs), text(&ours.replace("\"x\"", "\"z\"")));
        assert_eq!(text("Invalid value: {broken"), "Invalid value: {broken");
    }

    #[test]
    fn faults_of_one_field_are_brought_in_order_and_fields_are_not() {
        let theirs = "Pod \"a\" is invalid: [metadata.labels: Invalid value: \"z\": a, b, metadata.labels: Invalid value: \"c\": x, spec: Required value]";
        let ours = "Pod \"a\" is invalid: [metadata.labels: Invalid value: \"c\": x, metadata.labels: Invalid value: \"z\": a, b, spec: Required value]";
        assert_eq!(text(theirs), text(ours));
        let moved = "Pod \"a\" is invalid: [spec: Required value, metadata.labels: Invalid value: \"c\": x, metadata.labels: Invalid value: \"z\": a, b]";
        assert_ne!(text(moved), text(ours));
        let causes = |order: [&str; 2]| {
            document(
                json!({"causes": order.map(|message| json!({"field": "metadata.labels", "message": message}))}),
            )
        };
        assert_eq!(causes(["a", "b"]), causes(["b", "a"]));
    }

    #[test]
    fn an_age_in_a_table_is_taken_out_and_a_count_stays() {
        let row = |age: &str| document(json!({"kind": "Table", "rows": [{"cells": ["a", 2, age]}]}));
        assert_eq!(row("3s"), row("2m10s"));
        assert_ne!(row("3s"), row("3"));
    }

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
