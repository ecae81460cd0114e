//! StatefulSets: pods with ordinals, one after the other.

use serde_json::{Value, json};

use super::owned::{
    adopt, create_pod, delete_pod, is_active, is_available, is_ready, owner_key, pod_from, pods_of,
};
use super::recorder::Note;
use super::rollout::template_hash;
use super::{Context, Controller, Key, Seen, key_of, revisions};
use crate::store::{GroupResource, Meta, Object, Store};

const COMPONENT: &str = "statefulset-controller";
const REVISION: &str = "controller-revision-hash";

pub(crate) struct StatefulSets;

fn stateful_sets() -> GroupResource {
    GroupResource::new("apps", "statefulsets")
}

impl Controller for StatefulSets {
    fn concerns(&mut self, _: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        match (resource.group.as_str(), resource.resource.as_str()) {
            ("apps", "statefulsets") if !change.deleted => vec![key_of(change.object)],
            ("", "pods") => owner_key(change.object, "StatefulSet").into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let store = context.store;
        let Some(set) = store.get(&stateful_sets(), &key.0, &key.1) else { return };
        let wanted = set["spec"]["replicas"].as_u64().unwrap_or(1);
        let start = set["spec"]["ordinals"]["start"].as_u64().unwrap_or(0);
        let parallel = set["spec"]["podManagementPolicy"] == "Parallel";
        let revision = format!("{}-{}", set.name(), template_hash(&set["spec"]["template"], 0));
        if !set.is_terminating() {
            adopt(store, &GroupResource::new("", "pods"), &set);
            revisions::keep(context, &set, &revision, &revision, &pods_of(store, &set));
            step(context, &set, &revision, start..start + wanted, parallel);
        }
        write_status(context, key, &set, &revision);
    }
}

fn ordinal(pod: &Value) -> u64 {
    pod.name().rsplit('-').next().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

/// One step: the next pod that is missing, else the last that is too many, else the last that is old.
fn step(
    context: &mut Context<'_>,
    set: &Value,
    revision: &str,
    ordinals: std::ops::Range<u64>,
    parallel: bool,
) {
    let mut pods = pods_of(context.store, set);
    pods.sort_by_key(|pod| ordinal(pod));
    for number in ordinals.clone() {
        match pods.iter().find(|pod| ordinal(pod) == number) {
            None => {
                create(context, set, revision, number);
                if !parallel {
                    return;
                }
            }
            Some(pod) if matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded")) => {
                delete_pod(context.store, pod);
                return;
            }
            Some(pod) if !parallel && (!is_ready(pod) || pod.is_terminating()) => return,
            Some(_) => {}
        }
    }
    let surplus = pods.iter().rev().filter(|pod| !ordinals.contains(&ordinal(pod)));
    for pod in surplus {
        if !pod.is_terminating() {
            delete_pod(context.store, pod);
            let message = format!("delete Pod {} in StatefulSet {} successful", pod.name(), set.name());
            context.recorder.note(set, &Note::normal(COMPONENT, "SuccessfulDelete", &message));
        }
        if !parallel {
            return;
        }
    }
    if set["spec"]["updateStrategy"]["type"] == "OnDelete" {
        return;
    }
    let partition = set["spec"]["updateStrategy"]["rollingUpdate"]["partition"].as_u64().unwrap_or(0);
    let old = pods.iter().rev().find(|pod| {
        ordinal(pod) >= partition && pod["metadata"]["labels"][REVISION] != revision && is_active(pod)
    });
    if let Some(old) = old
        .filter(|_| pods.iter().all(|pod| is_ready(pod) || pod["metadata"]["labels"][REVISION] != revision))
    {
        delete_pod(context.store, old);
    }
}

fn create(context: &mut Context<'_>, set: &Value, revision: &str, number: u64) {
    let mut pod = pod_from(set, &set["spec"]["template"]);
    let name = format!("{}-{number}", set.name());
    pod["metadata"]["name"] = json!(name);
    for (label, value) in [
        (REVISION, revision.to_owned()),
        ("statefulset.kubernetes.io/pod-name", name.clone()),
        ("apps.kubernetes.io/pod-index", number.to_string()),
    ] {
        pod["metadata"]["labels"][label] = json!(value);
    }
    pod["spec"]["hostname"] = json!(name);
    pod["spec"]["subdomain"] = set["spec"]["serviceName"].clone();
    for claim in set["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
        let claim_name = format!("{}-{name}", claim.name());
        let mut object = claim.clone();
        object["apiVersion"] = json!("v1");
        object["kind"] = json!("PersistentVolumeClaim");
        object["metadata"]["name"] = json!(claim_name);
        object["metadata"]["namespace"] = json!(set.namespace());
        object["metadata"]["labels"] = set["spec"]["selector"]["matchLabels"].clone();
        crate::admission::complete_claim(context.store, &mut object);
        // It outlives its pod, and so it may be there.
        let _ = context.store.create(&GroupResource::new("", "persistentvolumeclaims"), object);
        let volume = json!({"name": claim.name(), "persistentVolumeClaim": {"claimName": claim_name}});
        match pod["spec"]["volumes"].as_array_mut() {
            Some(volumes) => volumes.push(volume),
            None => pod["spec"]["volumes"] = json!([volume]),
        }
    }
    match create_pod(context.store, pod) {
        Ok(_) => {
            let message = format!("create Pod {name} in StatefulSet {} successful", set.name());
            context.recorder.note(set, &Note::normal(COMPONENT, "SuccessfulCreate", &message));
        }
        Err(status) => {
            let message =
                format!("create Pod {name} in StatefulSet {} failed error: {}", set.name(), status.message);
            context.recorder.note(set, &Note::warning(COMPONENT, "FailedCreate", &message));
            context.again_in(std::time::Duration::from_secs(5));
        }
    }
}

fn write_status(context: &mut Context<'_>, key: &Key, set: &Value, revision: &str) {
    let pods: Vec<Object> = pods_of(context.store, set).into_iter().filter(|pod| is_active(pod)).collect();
    let delay = set["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
    let now = context.now();
    let count = |keep: &dyn Fn(&Value) -> bool| pods.iter().filter(|pod| keep(pod)).count();
    let updated = count(&|pod| pod["metadata"]["labels"][REVISION] == revision);
    let current = set["status"]["currentRevision"].as_str().unwrap_or(revision).to_owned();
    let ready = count(&|pod| is_ready(pod));
    let done = updated == pods.len() && ready == pods.len();
    let current = if done { revision.to_owned() } else { current };
    let mut status = json!({
        "observedGeneration": set["metadata"]["generation"], "replicas": pods.len(),
        "availableReplicas": count(&|pod| is_available(pod, delay, now)),
        "currentRevision": current, "updateRevision": revision, "collisionCount": 0,
    });
    let at_current = count(&|pod| pod["metadata"]["labels"][REVISION] == current.as_str());
    for (field, count) in
        [("readyReplicas", ready), ("updatedReplicas", updated), ("currentReplicas", at_current)]
    {
        if count > 0 {
            status[field] = json!(count);
        }
    }
    context.set_status(&stateful_sets(), key, &status);
}
