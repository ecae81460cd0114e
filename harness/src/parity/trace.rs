//! What is kept of a course for the comparison.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::words::comparable;
use crate::observe::{Observation, Snapshot};

/// What happened in one attempt at a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// The runs of the installer, in order.
    pub runs: Vec<Trace>,
    /// What the cluster said when nothing was left to do: `Pod Scheduled`, and of how many objects. How often it
    /// was said of one is a matter of time.
    pub events: BTreeMap<String, usize>,
}

/// What happened in one run of the installer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Which run; empty for those that the scenario's steps name in order.
    pub run: String,
    /// How it ended, its status, its blockers, and every leaf of the evidence.
    pub said: BTreeMap<String, String>,
    /// The requests for a change, its own and those of its tools, in order.
    pub requests: Vec<String>,
}

impl Trace {
    /// What is kept of a run.
    #[must_use]
    pub fn of(run: &Observation) -> Self {
        let mut said = BTreeMap::from([("ending".to_owned(), run.ending.words())]);
        if let Some(result) = run.result.value() {
            for field in ["ok", "status", "phase", "next", "evidence"] {
                leaves(field, &result[field], &mut said);
            }
            let blockers = result["blockers"].as_array().into_iter().flatten();
            for (index, blocker) in blockers.enumerate() {
                let text = |field: &str| blocker[field].as_str().unwrap_or("none").to_owned();
                let words = format!("{}, cause {}", text("code"), text("cause"));
                said.insert(format!("blocker {}", index + 1), words);
            }
        }
        let changes = run.requests.iter().filter(|it| it.mutating());
        let request = |it: &kubesim::tap::Recording| {
            let place = [it.namespace.as_str(), it.name.as_str()].join("/");
            comparable(&format!("{} {} {place} ({})", it.verb, it.full_resource(), it.status))
        };
        Self { run: String::new(), said, requests: changes.map(request).collect() }
    }
}

/// Fields whose values hang on how fast things went.
const TIMED: [&str; 6] = ["count", "elapsedMs", "delayMs", "durationMs", "seconds", "resourceVersion"];

fn leaves(path: &str, value: &Value, said: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields.iter().filter(|(name, _)| !TIMED.contains(&name.as_str())) {
                leaves(&format!("{path}.{name}"), value, said);
            }
        }
        // Whether a container was started again at all is no matter of time; how often by now is.
        Value::Number(times)
            if path.ends_with(".restarts") && times.as_u64().is_some_and(|times| times > 0) =>
        {
            said.insert(path.to_owned(), "some".to_owned());
        }
        // Which of two events of the same second comes first is nobody's decision, and how many times it was said
        // one of time.
        Value::Array(items) if path.ends_with(".events") && items.iter().all(Value::is_string) => {
            let events: BTreeSet<String> = items.iter().filter_map(Value::as_str).map(comparable).collect();
            for (index, event) in events.into_iter().enumerate() {
                said.insert(format!("{path}[{index}]"), event);
            }
        }
        // In the order of names, and those are drawn.
        Value::Array(items) if path.ends_with(".pendingPods") && !items.is_empty() => {
            let mut pods: Vec<BTreeMap<String, String>> = Vec::new();
            for item in items {
                let mut pod = BTreeMap::new();
                leaves("", item, &mut pod);
                pods.push(pod);
            }
            pods.sort();
            for (index, pod) in pods.into_iter().enumerate() {
                said.extend(pod.into_iter().map(|(field, value)| (format!("{path}[{index}]{field}"), value)));
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                leaves(&format!("{path}[{index}]"), value, said);
            }
        }
        Value::String(text) => _ = said.insert(path.to_owned(), comparable(text)),
        other => _ = said.insert(path.to_owned(), other.to_string()),
    }
}

/// Events of loops that look again after seconds, so that they come or do not while a scenario lasts: the API server's
/// own, which now and then sees a new Service before it sees that its address is taken, and that of the nodes. And that
/// an image is pulled, which a node does not say that has it already, and which of two nodes is taken is chance. And that a
/// disruption budget has no pods, which is said of one that is looked at before its pods are there.
const CHANCE: [&str; 4] = ["ClusterIPNotAllocated", "RegisteredNode", "Pulling", "NoPods"];

/// What events say: `Pod Scheduled`, and of which objects.
pub type Told = BTreeMap<String, BTreeSet<String>>;

/// What the events of a cluster say that fit.
fn told(cluster: &Snapshot, fits: impl Fn(&Value) -> bool) -> Told {
    let mut told = Told::new();
    for event in cluster.of("events").filter(|event| fits(event)) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let object = &event["involvedObject"];
        let name = format!("{}/{}", text(&object["namespace"]), text(&object["name"]));
        let words = format!("{} {}", text(&object["kind"]), text(&event["reason"]));
        told.entry(words).or_default().insert(name);
    }
    told
}

/// What a cluster warns of, which it may say again at any time for as long as it holds. That a pod fits nowhere is said
/// at every try, also when the events of the first have been forgotten.
#[must_use]
pub fn warnings(cluster: &Snapshot) -> Told {
    let mut told = told(cluster, |event| event["type"] == "Warning");
    let waits = |pod: &&Value| {
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        conditions.clone().any(|it| it["type"] == "PodScheduled" && it["status"] == "False")
    };
    for pod in cluster.of("pods").filter(waits) {
        let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
        let name = format!("{}/{}", text("namespace"), text("name"));
        told.entry("Pod FailedScheduling".to_owned()).or_default().insert(name);
    }
    told
}

/// The events of a cluster, as [`Course::events`] has them. What it warned of `before` the scenario began is no news
/// of it when it is said again.
#[must_use]
pub fn events(cluster: &Snapshot, before: &Told) -> BTreeMap<String, usize> {
    let news = told(cluster, |event| CHANCE.iter().all(|chance| event["reason"] != *chance))
        .into_iter()
        .filter_map(|(words, mut objects)| {
            if let Some(old) = before.get(&words) {
                objects.retain(|object| !old.contains(object));
            }
            (!objects.is_empty()).then_some((words, objects.len()))
        });
    news.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cluster(events: &[(&str, &str, &str)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (kind, reason, pod) in events {
            let event = json!({
                "metadata": {"namespace": "n", "name": format!("{pod}.{reason}")}, "type": kind, "reason": reason,
                "involvedObject": {"kind": "Pod", "namespace": "n", "name": pod},
            });
            snapshot.insert("events", event.into());
        }
        snapshot
    }

    #[test]
    fn a_warning_said_again_is_no_news_and_everything_else_is() {
        let mut before = cluster(&[("Warning", "FailedScheduling", "a"), ("Normal", "Started", "b")]);
        let waiting = json!({
            "metadata": {"namespace": "n", "name": "w"},
            "status": {"conditions": [{"type": "PodScheduled", "status": "False"}]},
        });
        before.insert("pods", waiting.into());
        let before = warnings(&before);
        let now = cluster(&[
            ("Warning", "FailedScheduling", "a"),
            ("Warning", "FailedScheduling", "w"),
            ("Warning", "FailedScheduling", "c"),
            ("Warning", "BackOff", "a"),
            ("Normal", "Started", "b"),
        ]);
        let news = ["BackOff", "FailedScheduling", "Started"].map(|reason| (format!("Pod {reason}"), 1));
        assert_eq!(events(&now, &before), BTreeMap::from(news));
    }
}
