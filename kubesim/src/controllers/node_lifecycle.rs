//! What follows from a node's condition: taints, pods that are no longer ready, eviction, and pods of
//! nodes that have gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::owned::{condition, delete_pod, is_active, set_condition};
use super::recorder::Note;
use super::{Context, Controller, Key, Seen};
use crate::scheduler::taints::tolerated;
use crate::store::{GroupResource, Meta, Object, Preconditions, Store};

const COMPONENT: &str = "taint-eviction-controller";
const NODE_CONTROLLER: &str = "node-controller";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Conditions other than `Ready`, and the taint that each sets while it is true.
const PRESSURES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
];

/// Keys are nodes.
#[derive(Default)]
pub(crate) struct NodeLifecycle {
    /// Every node, and whether it is ready.
    nodes: BTreeMap<String, bool>,
    ready: usize,
    /// Those that have been greeted.
    registered: BTreeSet<String>,
}

impl NodeLifecycle {
    /// Whether no node is ready. The real controller then takes itself to be the one in trouble, and drives
    /// no pod away.
    fn all_lost(&self) -> bool {
        self.ready == 0
    }

    /// Takes note of a node; says whether that made all of them lost, or no longer.
    fn note(&mut self, name: &str, ready: Option<bool>) -> bool {
        let before = self.all_lost();
        let known = match ready {
            Some(ready) => self.nodes.insert(name.to_owned(), ready),
            None => self.nodes.remove(name),
        };
        self.ready += usize::from(ready == Some(true));
        self.ready -= usize::from(known == Some(true));
        before != self.all_lost()
    }
}

fn nodes() -> GroupResource {
    GroupResource::new("", "nodes")
}

fn pods() -> GroupResource {
    GroupResource::new("", "pods")
}

impl Controller for NodeLifecycle {
    fn concerns(&mut self, _: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        let node = match (resource.group.as_str(), resource.resource.as_str()) {
            ("", "nodes") => {
                let ready = condition(change.object, "Ready").is_some_and(|ready| ready["status"] == "True");
                let turned = self.note(change.object.name(), (!change.deleted).then_some(ready));
                if turned && self.nodes.len() > 1 {
                    let mut keys: Vec<Key> =
                        self.nodes.keys().map(|name| (String::new(), name.clone())).collect();
                    keys.push((String::new(), change.object.name().to_owned()));
                    return keys;
                }
                change.object.name()
            }
            ("", "pods") => change.object["spec"]["nodeName"].as_str().unwrap_or_default(),
            _ => return Vec::new(),
        };
        if node.is_empty() { Vec::new() } else { vec![(String::new(), node.to_owned())] }
    }

    fn forget(&mut self) {
        self.nodes.clear();
        self.ready = 0;
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let store = context.store;
        let on_node: Vec<Object> = store.pods_on(&key.1);
        let Some(node) = store.get(&nodes(), "", &key.1) else {
            self.registered.remove(&key.1);
            // Nobody is left to stop them: the pod garbage collector removes them outright.
            for pod in on_node {
                let same = Preconditions { uid: Some(pod.uid().to_owned()), resource_version: None };
                let _ = store.delete(&pods(), pod.namespace(), pod.name(), &same, 0);
            }
            return;
        };
        let now = context.clock.rfc3339();
        if self.registered.insert(key.1.clone()) {
            let message = format!("Node {0} event: Registered Node {0} in Controller", key.1);
            context.recorder.note(&node, &Note::normal(NODE_CONTROLLER, "RegisteredNode", &message));
        }
        taint(store, &node, &now, self.all_lost());
        // A kubelet that says itself that its node is not ready still speaks for its pods; one that has
        // fallen silent does not.
        if condition(&node, "Ready").is_some_and(|ready| ready["status"] == "Unknown") {
            for pod in &on_node {
                unready(store, pod, &now);
            }
        }
        let Some(node) = store.get(&nodes(), "", &key.1) else { return };
        let taints: Vec<&Value> = node["spec"]["taints"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|taint| taint["effect"] == "NoExecute")
            .collect();
        for pod in on_node.iter().filter(|pod| is_active(pod) && !taints.is_empty()) {
            match eviction_due(pod, &taints) {
                Some(due) if due <= context.now() => {
                    let message = format!("Marking for deletion Pod {}/{}", pod.namespace(), pod.name());
                    context.recorder.note(pod, &Note::normal(COMPONENT, "TaintManagerEviction", &message));
                    delete_pod(store, pod);
                }
                Some(due) if due < Timestamp::MAX => context.again_at(due),
                _ => {}
            }
        }
    }
}

/// Brings the taints that conditions make to what the conditions say.
fn taint(store: &Store, node: &Value, now: &str, all_lost: bool) {
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    match condition(node, "Ready").map(|ready| ready["status"].as_str().unwrap_or_default()) {
        Some("False") => wanted.extend([(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")]),
        Some("Unknown") => wanted.extend([(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]),
        _ => {}
    }
    if all_lost {
        wanted.retain(|(_, effect)| *effect != "NoExecute");
    }
    for (kind, key) in PRESSURES {
        if condition(node, kind).is_some_and(|condition| condition["status"] == "True") {
            wanted.push((key, "NoSchedule"));
        }
    }
    if node["spec"]["unschedulable"] == true {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    // A node that has not said anything yet keeps the taint that it registered with.
    let silent = condition(node, "Ready").is_none();
    let ours = |key: &str| {
        matches!(key, NOT_READY | UNREACHABLE) && !silent
            || key == UNSCHEDULABLE
            || PRESSURES.iter().any(|(_, pressure)| key == *pressure)
    };
    let found = || node["spec"]["taints"].as_array().into_iter().flatten();
    let has = |(key, effect): &(&str, &str)| found().any(|it| it["key"] == *key && it["effect"] == *effect);
    let ours_found = found().filter(|taint| ours(taint["key"].as_str().unwrap_or_default())).count();
    let left_empty = node["spec"]["taints"].as_array().is_some_and(Vec::is_empty);
    if ours_found == wanted.len() && wanted.iter().all(has) && !left_empty {
        return;
    }
    let _ = store.update(&nodes(), "", node.name(), |node| {
        let before = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
        let stays = |taint: &Value| {
            let key = taint["key"].as_str().unwrap_or_default();
            !ours(key) || wanted.iter().any(|(k, effect)| key == *k && taint["effect"] == *effect)
        };
        let mut taints: Vec<Value> = before.iter().filter(|taint| stays(taint)).cloned().collect();
        for (key, effect) in wanted {
            if !taints.iter().any(|taint| taint["key"] == key && taint["effect"] == effect) {
                let mut taint = json!({"key": key, "effect": effect});
                if effect == "NoExecute" || key == UNSCHEDULABLE || key == NOT_READY {
                    taint["timeAdded"] = json!(now);
                }
                taints.push(taint);
            }
        }
        if taints.is_empty() {
            if let Some(spec) = node["spec"].as_object_mut() {
                spec.remove("taints");
            }
        } else {
            node["spec"]["taints"] = json!(taints);
        }
        Ok(())
    });
}

/// A pod of which nothing has been heard is not ready.
fn unready(store: &Store, pod: &Value, now: &str) {
    let _ = store.update(&pods(), pod.namespace(), pod.name(), |pod| {
        let ready = condition(pod, "Ready").filter(|ready| ready["status"] == "True").cloned();
        if let (Some(mut ready), Some(conditions)) = (ready, pod["status"]["conditions"].as_array_mut()) {
            ready["status"] = json!("False");
            ready["reason"] = json!("NodeNotReady");
            ready["message"] = json!("Node is not ready");
            set_condition(conditions, ready, now);
        }
        Ok(())
    });
}

/// When a pod must leave because of these taints: now, later, or (`None`, or the end of time) never.
fn eviction_due(pod: &Value, taints: &[&Value]) -> Option<Timestamp> {
    let mut due = None;
    for taint in taints {
        let added = taint["timeAdded"].as_str().and_then(|at| at.parse().ok()).unwrap_or(Timestamp::MIN);
        let mut tolerations = pod["spec"]["tolerations"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|toleration| tolerated(&json!({"spec": {"tolerations": [toleration]}}), taint));
        let leaves = match tolerations.next() {
            None => added,
            Some(first) => {
                let seconds =
                    std::iter::once(first).chain(tolerations).map(|t| t["tolerationSeconds"].as_i64());
                match seconds.flatten().min() {
                    None => continue,
                    Some(seconds) => {
                        let wait = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
                        added.checked_add(wait).unwrap_or(Timestamp::MAX)
                    }
                }
            }
        };
        due = Some(due.map_or(leaves, |due: Timestamp| due.min(leaves)));
    }
    due
}
