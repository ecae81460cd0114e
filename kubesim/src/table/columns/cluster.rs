//! The API server's own kinds, runtimes, fairness, and dynamic resource allocation.

use serde_json::{Value, json};

use super::super::words::View;
use super::{Columns, age, boolean, column, name, text};

pub(super) fn of(group: &str, plural: &str) -> Option<Columns> {
    Some(match (group, plural) {
        ("apiextensions.k8s.io", "customresourcedefinitions") => vec![
            name(),
            text("Scope", |view| json!(view.text(&["spec", "scope"]))),
            text("Versions", |view| json!(versions(view))),
            column("Created At", "date", |view| view.at(&["metadata", "creationTimestamp"]).clone()),
            super::wide("Group", |view| json!(view.text(&["spec", "group"]))),
            super::wide("Kind", |view| json!(view.text(&["spec", "names", "kind"]))),
            super::wide("ShortNames", |view| {
                let names = view.items(&["spec", "names", "shortNames"]).iter().filter_map(Value::as_str);
                json!(names.collect::<Vec<_>>().join(","))
            }),
            super::Column {
                wide: true,
                ..boolean("Established", |view| json!(view.condition("Established") == "True"))
            },
        ],
        ("apiregistration.k8s.io", "apiservices") => vec![
            name(),
            text("Service", |view| match view.at(&["spec", "service"]) {
                Value::Object(_) => json!(format!(
                    "{}/{}",
                    view.text(&["spec", "service", "namespace"]),
                    view.text(&["spec", "service", "name"])
                )),
                _ => json!("Local"),
            }),
            text("Available", |view| json!(available(view))),
            age(),
        ],
        ("node.k8s.io", "runtimeclasses") => {
            vec![name(), text("Handler", |view| json!(view.text(&["handler"]))), age()]
        }
        ("flowcontrol.apiserver.k8s.io", "flowschemas") => vec![
            name(),
            text("PriorityLevel", |view| json!(view.text(&["spec", "priorityLevelConfiguration", "name"]))),
            text("MatchingPrecedence", |view| json!(view.number(&["spec", "matchingPrecedence"]))),
            text("DistinguisherMethod", |view| {
                json!(view.text_or(&["spec", "distinguisherMethod", "type"], "<none>"))
            }),
            age(),
            text("MissingPL", |view| match view.condition("Dangling") {
                "" => json!("?"),
                status => json!(status),
            }),
        ],
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations") => vec![
            name(),
            text("Type", |view| json!(view.text(&["spec", "type"]))),
            text("NominalConcurrencyShares", |view| limited(view, &["nominalConcurrencyShares"])),
            text("Queues", |view| limited(view, &["limitResponse", "queuing", "queues"])),
            text("HandSize", |view| limited(view, &["limitResponse", "queuing", "handSize"])),
            text("QueueLengthLimit", |view| limited(view, &["limitResponse", "queuing", "queueLengthLimit"])),
            age(),
        ],
        ("resource.k8s.io", "deviceclasses" | "resourceclaimtemplates") => vec![name(), age()],
        ("resource.k8s.io", "resourceclaims") => {
            vec![name(), text("State", |view| json!(claim_state(view))), age()]
        }
        ("resource.k8s.io", "resourceslices") => vec![
            name(),
            text("Node", |view| json!(view.text(&["spec", "nodeName"]))),
            text("Driver", |view| json!(view.text(&["spec", "driver"]))),
            text("Pool", |view| json!(view.text(&["spec", "pool", "name"]))),
            age(),
        ],
        ("resource.k8s.io", "devicetaintrules") => vec![
            name(),
            text("Key", |view| json!(view.text(&["spec", "taint", "key"]))),
            text("Value", |view| json!(view.text(&["spec", "taint", "value"]))),
            text("Effect", |view| json!(view.text(&["spec", "taint", "effect"]))),
            text("TimeAdded", |view| match view.at(&["spec", "taint", "timeAdded"]) {
                Value::Null => json!(""),
                time => json!(view.since(time)),
            }),
            age(),
        ],
        _ => return None,
    })
}

fn versions(view: &View<'_>) -> String {
    let served = view.items(&["spec", "versions"]).iter().filter(|version| version["served"] == true);
    let mut names: Vec<String> = served
        .map(|version| {
            let mark = if version["storage"] == true { "(storage)" } else { "" };
            format!("{}{mark}", version["name"].as_str().unwrap_or_default())
        })
        .collect();
    names.sort_unstable();
    names.join(",")
}

/// `True`, or `False (why)`.
fn available(view: &View<'_>) -> String {
    let mut conditions = view.items(&["status", "conditions"]).iter();
    let Some(found) = conditions.find(|condition| condition["type"] == "Available") else {
        return "Unknown".to_owned();
    };
    let status = found["status"].as_str().unwrap_or_default();
    match found["reason"].as_str() {
        Some(reason) if status != "True" => format!("{status} ({reason})"),
        _ => status.to_owned(),
    }
}

fn limited(view: &View<'_>, path: &[&str]) -> Value {
    let limited = view.at(&["spec", "limited"]);
    match path.iter().fold(limited, |value, part| &value[*part]) {
        Value::Null => json!("<none>"),
        found => found.clone(),
    }
}

fn claim_state(view: &View<'_>) -> String {
    let allocated = view.at(&["status", "allocation"]).is_object();
    let mut states = Vec::new();
    if view.is_terminating() {
        states.push("deleted");
    }
    if allocated {
        states.push("allocated");
        if view.count(&["status", "reservedFor"]) > 0 {
            states.push("reserved");
        }
    } else if !view.is_terminating() {
        states.push("pending");
    }
    states.join(",")
}
