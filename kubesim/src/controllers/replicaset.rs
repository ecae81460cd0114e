//! ReplicaSets: as many pods as asked for, and a status that says how many are there.

use std::time::Duration;

use serde_json::{Value, json};

use super::owned::{
    adopt, adopters, create_pod, delete_pod, is_active, is_available, is_ready, owner_key, pod_from, pods_of,
    set_condition,
};
use super::recorder::Note;
use super::{Context, Controller, Key, Seen, key_of};
use crate::store::{GroupResource, Meta, Object, Store};

const COMPONENT: &str = "replicaset-controller";
/// How long a refused creation waits before the next try.
const RETRY: Duration = Duration::from_secs(5);

pub(crate) struct ReplicaSets;

fn replica_sets() -> GroupResource {
    GroupResource::new("apps", "replicasets")
}

impl Controller for ReplicaSets {
    fn concerns(&mut self, store: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        match (resource.group.as_str(), resource.resource.as_str()) {
            ("apps", "replicasets") if !change.deleted => vec![key_of(change.object)],
            ("", "pods") => {
                let mut keys = adopters(store, &replica_sets(), change.object);
                keys.extend(owner_key(change.object, "ReplicaSet"));
                keys
            }
            // A service account that was waited for.
            ("", "serviceaccounts") if change.previous.is_none() => {
                let (sets, _) = store.list(&replica_sets(), Some(change.object.namespace()));
                sets.iter().map(|set| key_of(set)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let Some(set) = context.store.get(&replica_sets(), &key.0, &key.1) else { return };
        adopt(context.store, &GroupResource::new("", "pods"), &set);
        let wanted = usize::try_from(set["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap_or(0);
        let active: Vec<Object> =
            pods_of(context.store, &set).into_iter().filter(|pod| is_active(pod)).collect();
        let mut refused = None;
        if !set.is_terminating() {
            if active.len() < wanted {
                for _ in active.len()..wanted {
                    match create_pod(context.store, pod_from(&set, &set["spec"]["template"])) {
                        Ok(pod) => {
                            let message = format!("Created pod: {}", pod.name());
                            context
                                .recorder
                                .note(&set, &Note::normal(COMPONENT, "SuccessfulCreate", &message));
                        }
                        Err(status) => {
                            let message = format!("Error creating: {}", status.message);
                            context.recorder.note(&set, &Note::warning(COMPONENT, "FailedCreate", &message));
                            refused = Some(status.message);
                            context.again_in(RETRY);
                            break;
                        }
                    }
                }
            } else if active.len() > wanted {
                let mut surplus = active;
                surplus.sort_by_key(doomed_first);
                let surplus_count = surplus.len() - wanted;
                for pod in surplus.into_iter().take(surplus_count) {
                    delete_pod(context.store, &pod);
                    let message = format!("Deleted pod: {}", pod.name());
                    context.recorder.note(&set, &Note::normal(COMPONENT, "SuccessfulDelete", &message));
                }
            }
        }
        self.write_status(context, key, &set, refused.as_deref());
    }
}

/// Which pod goes first: without a node, then not running, then not ready, then the youngest.
fn doomed_first(pod: &Object) -> (bool, bool, bool, std::cmp::Reverse<u64>) {
    let placed = pod["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let revision = pod.resource_version().parse().unwrap_or(0);
    (placed, pod["status"]["phase"] == "Running", is_ready(pod), std::cmp::Reverse(revision))
}

impl ReplicaSets {
    fn write_status(&self, context: &mut Context<'_>, key: &Key, set: &Value, refused: Option<&str>) {
        let now = context.now();
        let delay = set["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
        let all = pods_of(context.store, set);
        let pods: Vec<&Object> = all.iter().filter(|pod| is_active(pod)).collect();
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        let available = pods.iter().filter(|pod| is_available(pod, delay, now)).count();
        if available < ready {
            context.again_in(Duration::from_secs(1));
        }
        let labels = set["spec"]["template"]["metadata"]["labels"].as_object();
        let fully = pods.iter().filter(|pod| {
            labels.is_none_or(|labels| {
                labels.iter().all(|(k, v)| pod.labels().and_then(|l| l.get(k)) == Some(v))
            })
        });
        let mut status = json!({"replicas": pods.len(), "observedGeneration": set["metadata"]["generation"]});
        for (field, count) in [
            ("fullyLabeledReplicas", fully.count()),
            ("readyReplicas", ready),
            ("availableReplicas", available),
        ] {
            if count > 0 {
                status[field] = json!(count);
            }
        }
        let terminating = all.iter().filter(|pod| pod.is_terminating()).count();
        status["terminatingReplicas"] = json!(terminating);
        if let Some(message) = refused {
            let mut conditions = set["status"]["conditions"].as_array().cloned().unwrap_or_default();
            // Each try names another pod that was not made; the first one stands for all.
            if !conditions.iter().any(|condition| condition["type"] == "ReplicaFailure") {
                let failure = json!({
                    "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message,
                });
                set_condition(&mut conditions, failure, &context.clock.rfc3339());
            }
            status["conditions"] = json!(conditions);
        }
        context.set_status(&replica_sets(), key, &status);
    }
}
