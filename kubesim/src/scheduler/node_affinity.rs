//! `nodeSelector` and required node affinity.

use serde_json::{Map, Value};

use crate::store::Meta;

/// Whether a node is one that the pod selects.
pub(super) fn matches(pod: &Value, node: &Value) -> bool {
    let labels = node.labels();
    let selected = pod["spec"]["nodeSelector"]
        .as_object()
        .into_iter()
        .flatten()
        .all(|(key, value)| label(labels, key).is_some_and(|found| Some(found) == value.as_str()));
    selected && required_terms(pod).is_none_or(|terms| terms.iter().any(|term| term_matches(term, node)))
}

/// The nodes that the pod names by `metadata.name` in every term, as a DaemonSet's pods do. `None` when
/// some term leaves the name open.
pub(super) fn pinned_to(pod: &Value) -> Option<Vec<&str>> {
    let terms = required_terms(pod).filter(|terms| !terms.is_empty())?;
    let mut names = Vec::new();
    for term in terms {
        let mut pinned: Option<Vec<&str>> = None;
        for field in term["matchFields"].as_array().into_iter().flatten() {
            if field["key"] == "metadata.name" && field["operator"] == "In" {
                let values: Vec<&str> =
                    field["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                pinned = Some(match pinned {
                    None => values,
                    Some(before) => before.into_iter().filter(|name| values.contains(name)).collect(),
                });
            }
        }
        names.extend(pinned?);
    }
    Some(names)
}

/// How strongly the pod prefers a node: the sum of the weights of the terms that match.
pub(super) fn preference(pod: &Value, node: &Value) -> i64 {
    let terms = &pod["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
    terms
        .as_array()
        .into_iter()
        .flatten()
        .filter(|term| term_matches(&term["preference"], node))
        .filter_map(|term| term["weight"].as_i64())
        .sum()
}

fn required_terms(pod: &Value) -> Option<&Vec<Value>> {
    pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        .as_array()
}

fn label<'a>(labels: Option<&'a Map<String, Value>>, key: &str) -> Option<&'a str> {
    labels?.get(key)?.as_str()
}

fn term_matches(term: &Value, node: &Value) -> bool {
    let expressions = term["matchExpressions"].as_array().map_or(&[][..], Vec::as_slice);
    let fields = term["matchFields"].as_array().map_or(&[][..], Vec::as_slice);
    // A term without requirements selects nothing.
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    let labels = node.labels();
    expressions.iter().all(|r| requirement_holds(r, r["key"].as_str().and_then(|key| label(labels, key))))
        && fields.iter().all(|r| requirement_holds(r, (r["key"] == "metadata.name").then(|| node.name())))
}

fn requirement_holds(requirement: &Value, found: Option<&str>) -> bool {
    let values = || requirement["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let number = |text: &str| text.parse::<i64>().ok();
    let compared = |holds: fn(i64, i64) -> bool| {
        found
            .and_then(number)
            .zip(values().next().and_then(number))
            .is_some_and(|(found, bound)| holds(found, bound))
    };
    match requirement["operator"].as_str().unwrap_or_default() {
        "In" => found.is_some_and(|found| values().any(|value| value == found)),
        "NotIn" => found.is_none_or(|found| values().all(|value| value != found)),
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        "Gt" => compared(|found, bound| found > bound),
        "Lt" => compared(|found, bound| found < bound),
        _ => false,
    }
}
