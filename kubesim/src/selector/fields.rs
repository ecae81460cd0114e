//! Field selectors: equality on the few fields that each kind offers.

use serde_json::Value;

use crate::resources::Resource;
use crate::status::Status;

/// A conjunction of equalities and inequalities on fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<(String, String, bool)>);

impl FieldSelector {
    /// Reads `a=b,c!=d` for objects of `resource`.
    ///
    /// # Errors
    /// `BadRequest` (400) when it does not parse, or names a field that this kind does not offer.
    pub fn parse(text: &str, resource: &Resource) -> Result<Self, Status> {
        let mut terms = Vec::new();
        for term in split_unescaped(text) {
            if term.is_empty() {
                continue;
            }
            let (key, value, equal) = if let Some((key, value)) = term.split_once("!=") {
                (key, value, false)
            } else if let Some((key, value)) = term.split_once("==") {
                (key, value, true)
            } else if let Some((key, value)) = term.split_once('=') {
                (key, value, true)
            } else {
                return Err(Status::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{term}'"
                )));
            };
            if !offered(resource).any(|field| field == key) {
                return Err(Status::bad_request(unknown(resource, key)));
            }
            terms.push((key.to_owned(), unescape(value), equal));
        }
        Ok(Self(terms))
    }

    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name that it asks for, when it asks for one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _, equal)| *equal && key == "metadata.name")
            .map(|(_, value, _)| value.as_str())
    }

    /// The node that it asks for, when it asks for the pods of one.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        let node =
            self.0.iter().find(|(key, node, equal)| *equal && key == "spec.nodeName" && !node.is_empty());
        node.map(|(_, node, _)| node.as_str())
    }

    /// Whether it selects this object. An absent field reads as the empty string.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(key, wanted, equal)| (read(object, key) == *wanted) == *equal)
    }
}

/// What is said of a field that a kind does not offer; it hangs on whether the kind offers any of its own.
fn unknown(resource: &Resource, key: &str) -> String {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("batch", "jobs") => format!("field label \"{key}\" not supported for Job"),
        _ if offered(resource).count() > 2 => format!("field label not supported: {key}"),
        _ => {
            format!("\"{key}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        }
    }
}

fn offered(resource: &Resource) -> impl Iterator<Item = &str> {
    let own: &[&str] = match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        ("" | "events.k8s.io", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "reportingController",
        ],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "namespaces") => &["status.phase"],
        ("", "secrets") => &["type"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("", "replicationcontrollers") | ("apps", "replicasets") => &["status.replicas"],
        ("batch", "jobs") => &["status.successful"],
        ("certificates.k8s.io", _) => &["spec.signerName"],
        _ => &[],
    };
    let selectable = resource.custom.as_deref().and_then(|version| version["selectableFields"].as_array());
    let selectable = selectable.into_iter().flatten();
    ["metadata.name", "metadata.namespace"].into_iter().chain(own.iter().copied()).chain(
        selectable.filter_map(|field| field["jsonPath"].as_str()).map(|path| path.trim_start_matches('.')),
    )
}

fn read(object: &Value, key: &str) -> String {
    // Core events are also read as events.k8s.io, whose names differ.
    let key = match key {
        "source" => return text(&object["source"]["component"]),
        "reportingController" => "reportingComponent",
        "status.successful" => "status.succeeded",
        key => key,
    };
    let aliased;
    let key = match key.strip_prefix("regarding.") {
        Some(rest) => {
            aliased = format!("involvedObject.{rest}");
            &aliased
        }
        None => key,
    };
    let mut value = object;
    for part in key.split('.') {
        value = &value[part];
    }
    match (key, value) {
        ("spec.unschedulable" | "spec.hostNetwork", Value::Null) => "false".to_owned(),
        ("status.replicas" | "status.succeeded", Value::Null) => "0".to_owned(),
        _ => text(value),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn split_unescaped(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (index, c) in text.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            ',' if !escaped => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => escaped = false,
        }
    }
    parts.push(&text[start..]);
    parts
}

fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut escaped = false;
    for c in value.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            out.push(c);
        }
    }
    out
}
