//! LimitRanges: defaults that a namespace gives to containers without requests or limits, and the least and
//! most that it allows. Order, annotation and messages are those of the LimitRanger plugin of 1.37.

use serde_json::{Value, json};

use super::quantity;
use crate::status::Status;
use crate::store::{GroupResource, Meta, Store};

const LISTS: [&str; 2] = ["initContainers", "containers"];

/// Applies the namespace's LimitRanges to a new pod.
///
/// # Errors
/// `Forbidden` when a container is outside the bounds.
pub(super) fn admit(store: &Store, pod: &mut Value) -> Result<(), Status> {
    let namespace = pod.namespace().to_owned();
    let (ranges, _) = store.list(&GroupResource::new("", "limitranges"), Some(&namespace));
    let limits: Vec<Value> = ranges
        .iter()
        .flat_map(|range| range["spec"]["limits"].as_array().cloned().unwrap_or_default())
        .filter(|limit| limit["type"] == "Container")
        .collect();
    for limit in &limits {
        fill(pod, limit);
    }
    let wrong: Vec<String> = limits.iter().flat_map(|limit| outside(pod, limit)).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let why = if wrong.len() == 1 { wrong.concat() } else { format!("[{}]", wrong.join(", ")) };
    Err(Status::forbidden("", "pods", super::pods::shown_name(pod), &why))
}

/// Gives containers what they lack.
fn fill(pod: &mut Value, limit: &Value) {
    let mut set = Vec::new();
    for list in LISTS {
        for container in pod["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let mut given = Vec::new();
            // What is not said of requests follows from the limits that are given by default.
            for (part, word, amounts) in
                [("limits", "limit", &limit["default"]), ("requests", "request", &limit["defaultRequest"])]
            {
                for (resource, amount) in amounts.as_object().into_iter().flatten() {
                    let place = &mut container["resources"][part];
                    if place[resource].is_null() {
                        place[resource] = amount.clone();
                        given.push((word, format!("{resource} {word}")));
                    }
                }
            }
            // The plugin names requests before limits.
            given.sort_by_key(|(word, _)| *word == "limit");
            if !given.is_empty() {
                let words: Vec<String> = given.into_iter().map(|(_, words)| words).collect();
                let kind = if list == "containers" { "container" } else { "init container" };
                let name = container["name"].as_str().unwrap_or_default();
                set.push(format!("{} for {kind} {name}", words.join(", ")));
            }
        }
    }
    if !set.is_empty() {
        pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"] =
            json!(format!("LimitRanger plugin set: {}", set.join("; ")));
    }
}

/// What is wrong with a pod's containers, in the plugin's words.
fn outside(pod: &Value, limit: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for container in LISTS.iter().flat_map(|list| pod["spec"][list].as_array().into_iter().flatten()) {
        let resources = &container["resources"];
        let bound = |field: &str| limit[field].as_object().into_iter().flatten();
        for (resource, least) in bound("min") {
            let shown = text(least);
            if let Some(words) = below(&resources["requests"][resource], least, "request").or_else(|| {
                below(&resources["limits"][resource], least, "limit").filter(|it| it.starts_with(", but"))
            }) {
                wrong.push(format!("minimum {resource} usage per Container is {shown}{words}"));
            }
        }
        for (resource, most) in bound("max") {
            let shown = text(most);
            let (request, limit) = (&resources["requests"][resource], &resources["limits"][resource]);
            let words = if limit.is_null() {
                Some(".  No limit is specified".to_owned())
            } else if amount(limit) > amount(most) {
                Some(format!(", but limit is {}", text(limit)))
            } else if amount(request) > amount(most) {
                Some(format!(", but request is {}", text(request)))
            } else {
                None
            };
            wrong.extend(
                words.map(|words| format!("maximum {resource} usage per Container is {shown}{words}")),
            );
        }
    }
    wrong
}

fn below(found: &Value, least: &Value, word: &str) -> Option<String> {
    if found.is_null() {
        return Some(format!(".  No {word} is specified"));
    }
    (amount(found) < amount(least)).then(|| format!(", but {word} is {}", text(found)))
}

/// A quantity; one that is absent or none counts as nothing.
fn amount(value: &Value) -> i128 {
    quantity::parse(&text(value)).unwrap_or(0)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::clock::Clock;

    fn store(limit: Value) -> Store {
        let store = Store::new(Clock::new(jiff::Timestamp::UNIX_EPOCH, 1.0), 1);
        let range = json!({
            "metadata": {"name": "range", "namespace": "default"}, "spec": {"limits": [limit]},
        });
        store.create(&GroupResource::new("", "limitranges"), range).unwrap();
        store
    }

    fn pod(resources: Value) -> Value {
        json!({
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"containers": [{"name": "main", "resources": resources}]},
        })
    }

    #[tokio::test]
    async fn a_container_without_requests_gets_the_namespaces_defaults() {
        let store =
            store(json!({"type": "Container", "defaultRequest": {"cpu": "64"}, "default": {"cpu": "64"}}));
        let mut bare = pod(json!({}));
        admit(&store, &mut bare).unwrap();
        assert_eq!(bare["spec"]["containers"][0]["resources"]["requests"]["cpu"], "64");
        assert_eq!(
            bare["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
            "LimitRanger plugin set: cpu request, cpu limit for container main"
        );
        let mut own = pod(json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}));
        let before = own.clone();
        admit(&store, &mut own).unwrap();
        assert_eq!(own, before);
    }

    #[tokio::test]
    async fn a_container_outside_the_bounds_is_forbidden() {
        let store = store(json!({"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "100m"}}));
        let refused = |resources| admit(&store, &mut pod(resources)).unwrap_err().message;
        assert_eq!(
            refused(json!({"requests": {"cpu": "500m"}, "limits": {"cpu": "2"}})),
            "pods \"web\" is forbidden: maximum cpu usage per Container is 1, but limit is 2"
        );
        assert!(
            refused(json!({})).contains("minimum cpu usage per Container is 100m.  No request is specified")
        );
    }
}
