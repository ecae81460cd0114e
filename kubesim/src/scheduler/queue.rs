//! The scheduling loop: pods without a node get one, or are told why not.

use serde_json::{Value, json};

use super::occupancy::{Occupancy, priority};
use super::placement::{choose, refused_everywhere, with_preemption};
use super::preemption::{self, Plan};
use crate::admission;
use crate::controllers::{
    Context, Controller, Key, Note, Seen, claimed, claims, class_of, is_bound, key_of, set_condition,
};
use crate::store::{GroupResource, Meta, Object, Preconditions, Store};

const COMPONENT: &str = "default-scheduler";

/// One key stands for the whole queue: a pass looks at every pod that waits, most important first.
pub(crate) struct Scheduler {
    waiting: std::collections::BTreeSet<Key>,
    occupancy: Occupancy,
    minor: u8,
}

/// The minor versions whose scheduler tries to take back resource claims of every pod, also of one that has none,
/// and says that there are none (dynamicresources.go of 1.34 and 1.36; that of 1.37 does not).
const SPEAKING_OF_CLAIMS: std::ops::RangeInclusive<u8> = 34..=36;

impl Scheduler {
    /// The scheduler of a minor version.
    pub(crate) fn of(minor: u8) -> Self {
        Self { waiting: std::collections::BTreeSet::new(), occupancy: Occupancy::default(), minor }
    }

    fn take_note(&mut self, resource: &GroupResource, change: &Seen<'_>) {
        let object = change.object;
        match (resource.group.as_str(), resource.resource.as_str(), change.deleted) {
            ("", "pods", false) => self.occupancy.put_pod(object.clone()),
            ("", "pods", true) => self.occupancy.drop_pod(&key_of(object)),
            ("", "nodes", false) => self.occupancy.put_node(object.clone()),
            ("", "nodes", true) => self.occupancy.drop_node(object.name()),
            ("", "namespaces", false) => self.occupancy.put_namespace(object.clone()),
            ("", "namespaces", true) => self.occupancy.drop_namespace(object.name()),
            _ => {}
        }
    }
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
        self.take_note(resource, change);
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
            // A claim that a pod waits for.
            ("", "persistentvolumeclaims") => change
                .previous
                .is_none_or(|before| before["status"]["phase"] != change.object["status"]["phase"]),
            _ => false,
        };
        if now_or_never && !self.waiting.is_empty() { vec![Key::default()] } else { Vec::new() }
    }

    fn forget(&mut self) {
        self.waiting.clear();
        self.occupancy = Occupancy::default();
    }

    fn reconcile(&mut self, context: &mut Context<'_>, _: &Key) {
        let store = context.store;
        let mut queue: Vec<Object> =
            self.waiting.iter().filter_map(|key| store.get(&pods(), &key.0, &key.1)).collect();
        queue.sort_by_key(|pod| {
            (std::cmp::Reverse(priority(pod)), pod.resource_version().parse::<u64>().unwrap_or(0))
        });
        for pod in queue {
            if let Some(why) = claims_in_the_way(store, &pod) {
                self.refuse(context, &pod, &refused_everywhere(&pod, &self.occupancy, &why));
                continue;
            }
            match choose(&pod, &self.occupancy) {
                Ok(node) if ask_for_volumes(store, &pod, &node) => {}
                Ok(node) => {
                    if let Some(bound) = bind(context, &pod, &node, self.minor) {
                        self.occupancy.put_pod(bound);
                    }
                }
                Err(refused) => self.preempt(context, &pod, &refused.message),
            }
        }
    }
}

/// What is wrong with the claims that a pod mounts.
fn claims_in_the_way(store: &Store, pod: &Value) -> Option<String> {
    claimed(pod).find_map(|name| match store.get(&claims(), pod.namespace(), &name) {
        None => Some(format!("persistentvolumeclaim \"{name}\" not found")),
        Some(claim) if claim.is_terminating() => {
            Some(format!("persistentvolumeclaim \"{name}\" is being deleted"))
        }
        Some(claim) => {
            let waits = class_of(store, &claim).is_some_and(|(_, waits)| waits);
            (!is_bound(&claim) && !waits)
                .then(|| "pod has unbound immediate PersistentVolumeClaims".to_owned())
        }
    })
}

/// Says where the volumes of claims that have waited for their pod are wanted; whether there are any.
fn ask_for_volumes(store: &Store, pod: &Value, node: &str) -> bool {
    let mut asked = false;
    for name in claimed(pod) {
        let Some(claim) = store.get(&claims(), pod.namespace(), &name).filter(|claim| !is_bound(claim))
        else {
            continue;
        };
        asked = true;
        let _ = store.update(&claims(), claim.namespace(), claim.name(), |claim| {
            claim["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] = json!(node);
            Ok(())
        });
    }
    asked
}

fn bind(context: &mut Context<'_>, pod: &Value, node: &str, minor: u8) -> Option<Object> {
    let now = context.clock.rfc3339();
    let place = admission::place_of(context.store, minor, node);
    let bound = context.store.update(&pods(), pod.namespace(), pod.name(), |pod| {
        pod["spec"]["nodeName"] = json!(node);
        admission::label_with(pod, &place);
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

impl Scheduler {
    /// Makes room for a pod that fits nowhere, if that costs only less important ones; says what came of it.
    fn preempt(&mut self, context: &mut Context<'_>, pod: &Value, message: &str) {
        let store = context.store;
        let nominated = pod["status"]["nominatedNodeName"].as_str().unwrap_or_default();
        let still_going = self
            .occupancy
            .on(nominated)
            .any(|other| other.is_terminating() && priority(other) < priority(pod));
        if !nominated.is_empty() && still_going {
            let said = "not eligible due to a terminating pod on the nominated node.";
            self.refuse(context, pod, &with_preemption(message, said));
            return;
        }
        let (budgets, _) = store.list(&GroupResource::new("policy", "poddisruptionbudgets"), None);
        let Some(Plan { node, victims }) = preemption::plan(pod, &mut self.occupancy, &budgets) else {
            self.refuse(context, pod, message);
            return;
        };
        self.refuse(context, pod, &with_preemption(message, ""));
        let _ = store.update(&pods(), pod.namespace(), pod.name(), |pod| {
            pod["status"]["nominatedNodeName"] = json!(node);
            Ok(())
        });
        let now = context.clock.rfc3339();
        for victim in victims {
            let _ = store.update(&pods(), victim.namespace(), victim.name(), |victim| {
                let mut conditions = victim["status"]["conditions"].as_array().cloned().unwrap_or_default();
                let condition = json!({
                    "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
                    "message": format!("{COMPONENT}: preempting to accommodate a higher priority pod"),
                    "observedGeneration": victim["metadata"]["generation"],
                });
                set_condition(&mut conditions, condition, &now);
                victim["status"]["conditions"] = json!(conditions);
                Ok(())
            });
            let said = format!("Preempted by pod {} on node {node}", pod.uid());
            context.recorder.note_series(&victim, "Preempting", &Note::normal(COMPONENT, "Preempted", &said));
            let grace = victim["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
            let same = Preconditions { uid: Some(victim.uid().to_owned()), resource_version: None };
            let _ = store.delete(&pods(), victim.namespace(), victim.name(), &same, grace);
        }
    }

    fn refuse(&self, context: &mut Context<'_>, pod: &Value, message: &str) {
        let message = &match SPEAKING_OF_CLAIMS.contains(&self.minor) {
            true => message.replacen(" preemption: ", " no new claims to deallocate, preemption: ", 1),
            false => message.to_owned(),
        };
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
        context.recorder.note_series(
            pod,
            "Scheduling",
            &Note::warning(COMPONENT, "FailedScheduling", message),
        );
    }
}
