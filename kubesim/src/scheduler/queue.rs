//! The scheduling loop: pods without a node get one, or are told why not.

use serde_json::{Value, json};

use super::placement::{Snapshot, place, refused_everywhere};
use crate::controllers::volumes::{SELECTED_NODE, claims, is_bound, waits_for_consumer};
use crate::controllers::{Context, Controller, Key, Note, Seen, key_of, set_condition};
use crate::store::{GroupResource, Meta, Object, Store};

const COMPONENT: &str = "default-scheduler";

/// One key stands for the whole queue: a pass looks at every pod that waits, most important first.
#[derive(Default)]
pub(crate) struct Scheduler {
    waiting: std::collections::BTreeSet<Key>,
}

fn pods() -> GroupResource {
    GroupResource::new("", "pods")
}

fn waits(pod: &Value) -> bool {
    pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty)
        && pod["spec"]["schedulerName"].as_str().unwrap_or(COMPONENT) == COMPONENT
        && pod["spec"]["schedulingGates"].as_array().is_none_or(Vec::is_empty)
        && pod["status"]["phase"].as_str().unwrap_or("Pending") == "Pending"
        && !pod.is_terminating()
}

impl Controller for Scheduler {
    fn concerns(&mut self, _: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        let now_or_never = match (resource.group.as_str(), resource.resource.as_str()) {
            ("", "pods") => {
                let key = key_of(change.object);
                if !change.deleted && waits(change.object) {
                    // Its own condition and status are no news to it.
                    let news = change.previous.is_none_or(|before| {
                        before["spec"] != change.object["spec"]
                            || before["metadata"]["labels"] != change.object["metadata"]["labels"]
                    });
                    self.waiting.insert(key);
                    news
                } else {
                    self.waiting.remove(&key);
                    // What it held may be what another waits for.
                    let ended =
                        |pod: &Value| matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
                    let placed = change.previous.is_some_and(|before| waits(before));
                    change.deleted
                        || placed
                        || (ended(change.object) && !change.previous.is_some_and(|pod| ended(pod)))
                }
            }
            ("", "nodes") => {
                change.deleted
                    || change.previous.is_none_or(|before| {
                        before["spec"] != change.object["spec"]
                            || before["metadata"]["labels"] != change.object["metadata"]["labels"]
                            || before["status"]["allocatable"] != change.object["status"]["allocatable"]
                    })
            }
            ("", "persistentvolumeclaims") => true,
            _ => false,
        };
        if now_or_never && !self.waiting.is_empty() { vec![Key::default()] } else { Vec::new() }
    }

    fn reconcile(&mut self, context: &mut Context<'_>, _: &Key) {
        let store = context.store;
        let mut queue: Vec<Object> =
            self.waiting.iter().filter_map(|key| store.get(&pods(), &key.0, &key.1)).collect();
        queue.sort_by_key(|pod| {
            let priority = pod["spec"]["priority"].as_i64().unwrap_or(0);
            (std::cmp::Reverse(priority), pod.resource_version().parse::<u64>().unwrap_or(0))
        });
        let mut snapshot = Snapshot {
            nodes: store.list(&GroupResource::new("", "nodes"), None).0,
            pods: store
                .list(&pods(), None)
                .0
                .into_iter()
                .filter(|pod| {
                    pod["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty())
                        && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
                })
                .collect(),
            namespaces: store.list(&GroupResource::new("", "namespaces"), None).0,
        };
        for pod in queue {
            let unbound = match unbound_claims(store, &pod) {
                Ok(unbound) => unbound,
                Err(reason) => {
                    refuse(context, &pod, &refused_everywhere(&pod, &snapshot, &reason));
                    continue;
                }
            };
            match place(&pod, &snapshot) {
                // Bound when its volumes are: until then it waits, and nothing is said.
                Ok(node) if !unbound.is_empty() => select_node(context, &unbound, &node),
                Ok(node) => {
                    if let Some(bound) = bind(context, &pod, &node) {
                        snapshot.pods.push(bound);
                    }
                }
                Err(refused) => refuse(context, &pod, &refused.message),
            }
        }
    }
}

/// The pod's claims that wait for it to have a node; or why none will do.
fn unbound_claims(store: &Store, pod: &Value) -> Result<Vec<Object>, String> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let mut unbound = Vec::new();
    for name in volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str()) {
        let claim = store.get(&claims(), pod.namespace(), name);
        let claim = claim.ok_or_else(|| format!("persistentvolumeclaim \"{name}\" not found"))?;
        if is_bound(&claim) {
            continue;
        }
        if !waits_for_consumer(store, &claim) {
            return Err("pod has unbound immediate PersistentVolumeClaims".to_owned());
        }
        unbound.push(claim);
    }
    Ok(unbound)
}

/// Tells the provisioner where the volumes are wanted.
fn select_node(context: &mut Context<'_>, claims_of_pod: &[Object], node: &str) {
    for claim in claims_of_pod.iter().filter(|it| it["metadata"]["annotations"][SELECTED_NODE] != node) {
        let _ = context.store.update(&claims(), claim.namespace(), claim.name(), |claim| {
            let annotations = &mut claim["metadata"]["annotations"];
            if !annotations.is_object() {
                *annotations = json!({});
            }
            annotations[SELECTED_NODE] = json!(node);
            Ok(())
        });
    }
}

fn bind(context: &mut Context<'_>, pod: &Value, node: &str) -> Option<Object> {
    let now = context.clock.rfc3339();
    let bound = context.store.update(&pods(), pod.namespace(), pod.name(), |pod| {
        pod["spec"]["nodeName"] = json!(node);
        let mut conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let generation = pod["metadata"]["generation"].clone();
        let scheduled = json!({
            "type": "PodScheduled", "status": "True", "lastProbeTime": null, "observedGeneration": generation,
        });
        set_condition(&mut conditions, scheduled, &now);
        pod["status"]["conditions"] = json!(conditions);
        Ok(())
    });
    let bound = bound.ok()?;
    let message = format!("Successfully assigned {}/{} to {node}", pod.namespace(), pod.name());
    context.recorder.note_series(pod, "Binding", &Note::normal(COMPONENT, "Scheduled", &message));
    Some(bound)
}

fn refuse(context: &mut Context<'_>, pod: &Value, message: &str) {
    let now = context.clock.rfc3339();
    let _ = context.store.update(&pods(), pod.namespace(), pod.name(), |pod| {
        let mut conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let generation = pod["metadata"]["generation"].clone();
        let refused = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastProbeTime": null, "observedGeneration": generation,
        });
        set_condition(&mut conditions, refused, &now);
        pod["status"]["conditions"] = json!(conditions);
        Ok(())
    });
    context.recorder.note_series(pod, "Scheduling", &Note::warning(COMPONENT, "FailedScheduling", message));
}
