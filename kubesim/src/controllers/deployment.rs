//! Deployments: one ReplicaSet a template, and the way from the old ones to the new one.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::owned::{adopt, adopters, children, condition, is_active, owner_key, owner_reference, pods_of};
use super::recorder::Note;
use super::rollout::{Budget, Sets, template_hash};
use super::{Context, Controller, Key, Seen, key_of};
use crate::store::{GroupResource, Meta, Object, Preconditions, Store};

const COMPONENT: &str = "deployment-controller";
const REVISION: &str = "deployment.kubernetes.io/revision";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
pub(super) const HASH: &str = "pod-template-hash";

pub(crate) struct Deployments;

fn deployments() -> GroupResource {
    GroupResource::new("apps", "deployments")
}

fn replica_sets() -> GroupResource {
    GroupResource::new("apps", "replicasets")
}

impl Controller for Deployments {
    fn concerns(&mut self, store: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        match (resource.group.as_str(), resource.resource.as_str()) {
            ("apps", "deployments") if !change.deleted => vec![key_of(change.object)],
            ("apps", "replicasets") => {
                let mut keys = adopters(store, &deployments(), change.object);
                keys.extend(owner_key(change.object, "Deployment"));
                keys
            }
            // A recreating rollout waits for the last old pod.
            ("", "pods") if change.deleted => owner_key(change.object, "ReplicaSet")
                .and_then(|key| store.get(&replica_sets(), &key.0, &key.1))
                .and_then(|set| owner_key(&set, "Deployment"))
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let Some(deployment) = context.store.get(&deployments(), &key.0, &key.1) else { return };
        adopt(context.store, &replica_sets(), &deployment);
        let mut sets = Sets::of(&deployment, children(context.store, &replica_sets(), &deployment));
        if !deployment.is_terminating() {
            let paused = deployment["spec"]["paused"] == true;
            if !paused {
                roll(context, &deployment, &mut sets);
                forget_old(context, &deployment, &sets);
            } else if let Some(new) = sets.new.clone() {
                scale(context, &deployment, &new, replicas(&deployment));
            }
            sets = Sets::of(&deployment, children(context.store, &replica_sets(), &deployment));
        }
        write_status(context, key, &deployment, &sets);
    }
}

fn replicas(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

fn status(object: &Value, field: &str) -> i64 {
    object["status"][field].as_i64().unwrap_or(0)
}

fn roll(context: &mut Context<'_>, deployment: &Value, sets: &mut Sets) {
    let recreate = deployment["spec"]["strategy"]["type"] == "Recreate";
    if recreate {
        let mut waiting = false;
        for old in &sets.old {
            waiting |= pods_of(context.store, old).iter().any(|pod| is_active(pod) || pod.is_terminating());
            scale(context, deployment, old, 0);
        }
        if waiting {
            return;
        }
    }
    let budget = Budget::of(deployment);
    let others: i64 = sets.old.iter().map(|set| replicas(set)).sum();
    let new = match &sets.new {
        Some(new) => {
            let wanted = if recreate { budget.replicas } else { budget.new_replicas(replicas(new), others) };
            scale(context, deployment, new, wanted);
            renew(context, deployment, new, sets);
            new.clone()
        }
        None => {
            let wanted = if recreate { budget.replicas } else { budget.new_replicas(0, others) };
            match create(context, deployment, sets, wanted) {
                Some(new) => new,
                None => return,
            }
        }
    };
    sets.new = Some(new.clone());
    if recreate {
        return;
    }
    for (old, wanted) in budget.old_replicas(&new, &sets.old) {
        scale(context, deployment, &old, wanted);
    }
}

fn revision(object: &Value) -> i64 {
    object["metadata"]["annotations"][REVISION].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn create(context: &mut Context<'_>, deployment: &Value, sets: &Sets, wanted: i64) -> Option<Object> {
    let template = &deployment["spec"]["template"];
    let hash = template_hash(template, deployment["status"]["collisionCount"].as_i64().unwrap_or(0));
    let next = sets.old.iter().map(|set| revision(set)).max().unwrap_or(0) + 1;
    let mut annotations = deployment["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.remove(LAST_APPLIED);
    annotations.insert(REVISION.into(), json!(next.to_string()));
    let budget = Budget::of(deployment);
    annotations.insert(DESIRED.into(), json!(budget.replicas.to_string()));
    annotations.insert(MAXIMUM.into(), json!((budget.replicas + budget.surge).to_string()));
    let mut template = template.clone();
    template["metadata"]["labels"][HASH] = json!(hash);
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = json!(hash);
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{hash}", deployment.name()), "namespace": deployment.namespace(),
            "labels": template["metadata"]["labels"], "annotations": annotations,
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {"replicas": wanted, "selector": selector, "template": template},
        "status": {"replicas": 0},
    });
    if let Some(seconds) = deployment["spec"]["minReadySeconds"].as_i64().filter(|seconds| *seconds > 0) {
        set["spec"]["minReadySeconds"] = json!(seconds);
    }
    // A set of that name that is not ours: the real controller counts a collision and hashes again.
    let created = match context.store.create(&replica_sets(), set) {
        Ok(created) => created,
        Err(_) => {
            let key = key_of(deployment);
            let _ = context.store.update(&deployments(), &key.0, &key.1, |object| {
                let count = object["status"]["collisionCount"].as_i64().unwrap_or(0) + 1;
                object["status"]["collisionCount"] = json!(count);
                Ok(())
            });
            return None;
        }
    };
    annotate(context, deployment, next);
    if wanted > 0 {
        let message = format!("Scaled up replica set {} from 0 to {wanted}", created.name());
        context.recorder.note(deployment, &Note::normal(COMPONENT, "ScalingReplicaSet", &message));
    }
    Some(created)
}

/// A set that is new again, after a rollback, gets the newest revision number; and the deployment's
/// annotations, such as the cause of the change, are the new set's too.
fn renew(context: &mut Context<'_>, deployment: &Value, new: &Object, sets: &Sets) {
    let newest_old = sets.old.iter().map(|set| revision(set)).max().unwrap_or(0);
    let next = if revision(new) > newest_old { revision(new) } else { newest_old + 1 };
    let key = key_of(new);
    let own = [LAST_APPLIED, REVISION, DESIRED, MAXIMUM];
    let given = deployment["metadata"]["annotations"].as_object().into_iter().flatten();
    let given: Vec<(&String, &Value)> = given.filter(|(name, _)| !own.contains(&name.as_str())).collect();
    let has = |(name, value): &(&String, &Value)| new["metadata"]["annotations"].get(*name) == Some(*value);
    if next == revision(new) && given.iter().all(has) {
        annotate(context, deployment, next);
        return;
    }
    let _ = context.store.update(&replica_sets(), &key.0, &key.1, |set| {
        for (name, value) in &given {
            set["metadata"]["annotations"][*name] = (*value).clone();
        }
        if next != revision(set) {
            let history = "deployment.kubernetes.io/revision-history";
            let past = &set["metadata"]["annotations"][history];
            let mut numbers: Vec<String> =
                past.as_str().into_iter().flat_map(|text| text.split(',')).map(str::to_owned).collect();
            numbers.push(revision(set).to_string());
            set["metadata"]["annotations"][history] = json!(numbers.join(","));
            set["metadata"]["annotations"][REVISION] = json!(next.to_string());
        }
        Ok(())
    });
    annotate(context, deployment, next);
}

fn annotate(context: &Context<'_>, deployment: &Value, revision: i64) {
    if deployment["metadata"]["annotations"][REVISION] == revision.to_string().as_str() {
        return;
    }
    let key = key_of(deployment);
    let _ = context.store.update(&deployments(), &key.0, &key.1, |object| {
        object["metadata"]["annotations"][REVISION] = json!(revision.to_string());
        Ok(())
    });
}

fn scale(context: &mut Context<'_>, deployment: &Value, set: &Object, wanted: i64) {
    let current = replicas(set);
    let budget = Budget::of(deployment);
    let (desired, maximum) = (budget.replicas.to_string(), (budget.replicas + budget.surge).to_string());
    let annotations = &set["metadata"]["annotations"];
    if set["spec"]["replicas"] == wanted
        && annotations[DESIRED] == desired.as_str()
        && annotations[MAXIMUM] == maximum.as_str()
    {
        return;
    }
    let key = key_of(set);
    let _ = context.store.update(&replica_sets(), &key.0, &key.1, |object| {
        if object["spec"]["replicas"] != json!(wanted) {
            object["spec"]["replicas"] = json!(wanted);
            let generation = object["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            object["metadata"]["generation"] = json!(generation);
        }
        let annotations = &mut object["metadata"]["annotations"];
        annotations[DESIRED] = json!(desired);
        annotations[MAXIMUM] = json!(maximum);
        Ok(())
    });
    if wanted != current {
        let way = if wanted > current { "up" } else { "down" };
        let message = format!("Scaled {way} replica set {} from {current} to {wanted}", set.name());
        context.recorder.note(deployment, &Note::normal(COMPONENT, "ScalingReplicaSet", &message));
    }
}

/// Deletes the oldest empty sets beyond `revisionHistoryLimit`, once the rollout is over.
fn forget_old(context: &Context<'_>, deployment: &Value, sets: &Sets) {
    let limit = usize::try_from(deployment["spec"]["revisionHistoryLimit"].as_i64().unwrap_or(10));
    let mut empty: Vec<&Object> =
        sets.old.iter().filter(|set| replicas(set) == 0 && status(set, "replicas") == 0).collect();
    let surplus = empty.len().saturating_sub(limit.unwrap_or(10));
    if surplus == 0 || !is_complete(deployment) {
        return;
    }
    empty.sort_by_key(|set| revision(set));
    for set in empty.into_iter().take(surplus) {
        let _ =
            context.store.delete(&replica_sets(), set.namespace(), set.name(), &Preconditions::default(), 0);
    }
}

/// Whether a deployment's status says that its rollout is over.
fn is_complete(deployment: &Value) -> bool {
    let wanted = replicas(deployment);
    ["updatedReplicas", "replicas", "availableReplicas"]
        .iter()
        .all(|field| status(deployment, field) == wanted)
        && deployment["status"]["observedGeneration"].as_i64()
            >= deployment["metadata"]["generation"].as_i64()
}

fn write_status(context: &mut Context<'_>, key: &Key, deployment: &Value, sets: &Sets) {
    let all: Vec<&Object> = sets.old.iter().chain(&sets.new).collect();
    let sum = |field: &str| all.iter().map(|set| status(set, field)).sum::<i64>();
    let (total, available) = (sum("replicas"), sum("availableReplicas"));
    let wanted = replicas(deployment);
    let mut next = json!({"observedGeneration": deployment["metadata"]["generation"]});
    let counts = [
        ("replicas", total),
        ("updatedReplicas", sets.new.as_ref().map_or(0, |new| status(new, "replicas"))),
        ("readyReplicas", sum("readyReplicas")),
        ("availableReplicas", available),
        // Measured against what the sets are asked for, as the real controller does.
        ("unavailableReplicas", (all.iter().map(|set| replicas(set)).sum::<i64>() - available).max(0)),
    ];
    for (field, count) in counts {
        if count > 0 {
            next[field] = json!(count);
        }
    }
    next["terminatingReplicas"] = json!(sum("terminatingReplicas"));
    if !deployment["status"]["collisionCount"].is_null() {
        next["collisionCount"] = deployment["status"]["collisionCount"].clone();
    }
    let mut conditions = Conditions {
        list: deployment["status"]["conditions"].as_array().cloned().unwrap_or_default(),
        now: context.clock.rfc3339(),
    };
    if available >= wanted - Budget::of(deployment).unavailable {
        conditions.set(
            "Available",
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        );
    } else {
        let message = "Deployment does not have minimum availability.";
        conditions.set("Available", "False", "MinimumReplicasUnavailable", message);
    }
    progressing(context, deployment, sets, &next, &mut conditions);
    let failure = all.iter().find_map(|set| condition(set, "ReplicaFailure"));
    match failure {
        Some(failure) => conditions.set(
            "ReplicaFailure",
            "True",
            failure["reason"].as_str().unwrap_or_default(),
            failure["message"].as_str().unwrap_or_default(),
        ),
        None => conditions.list.retain(|condition| condition["type"] != "ReplicaFailure"),
    }
    next["conditions"] = json!(conditions.list);
    context.set_status(&deployments(), key, &next);
}

/// The `Progressing` condition, and the timer for its deadline.
fn progressing(
    context: &mut Context<'_>,
    deployment: &Value,
    sets: &Sets,
    next: &Value,
    conditions: &mut Conditions,
) {
    let Some(new) = &sets.new else { return };
    let name = new.name();
    let deadline = deployment["spec"]["progressDeadlineSeconds"].as_i64().unwrap_or(600);
    if deployment["spec"]["paused"] == true {
        conditions.set("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused");
        return;
    }
    let count = |field: &str| next[field].as_i64().unwrap_or(0);
    let wanted = replicas(deployment);
    let current = conditions.get("Progressing").cloned();
    let reason = current.as_ref().and_then(|condition| condition["reason"].as_str()).unwrap_or_default();
    if ["updatedReplicas", "replicas", "availableReplicas"].iter().all(|field| count(field) == wanted) {
        let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
        conditions.set("Progressing", "True", "NewReplicaSetAvailable", &message);
        return;
    }
    let was_done = reason == "NewReplicaSetAvailable";
    let progressed = count("updatedReplicas") > status(deployment, "updatedReplicas")
        || count("readyReplicas") > status(deployment, "readyReplicas")
        || count("availableReplicas") > status(deployment, "availableReplicas")
        || count("replicas") - count("updatedReplicas")
            < status(deployment, "replicas") - status(deployment, "updatedReplicas");
    let started_over = deployment["status"]["observedGeneration"] != deployment["metadata"]["generation"]
        && current.as_ref().is_some_and(|c| !c["message"].as_str().unwrap_or_default().contains(name));
    if current.is_none() || started_over {
        let message = format!("Created new replica set \"{name}\"");
        conditions.touch("Progressing", "True", "NewReplicaSetCreated", &message);
    } else if progressed {
        let message = format!("ReplicaSet \"{name}\" is progressing.");
        conditions.touch("Progressing", "True", "ReplicaSetUpdated", &message);
    } else if was_done || reason == "ProgressDeadlineExceeded" {
        // A finished rollout whose pods fail later has no deadline, and a missed one stays missed.
        return;
    }
    let since = conditions.get("Progressing").and_then(|condition| condition["lastUpdateTime"].as_str());
    let Some(since) = since.and_then(|at| at.parse::<Timestamp>().ok()) else { return };
    let due = since.saturating_add(Duration::from_secs(deadline.unsigned_abs())).unwrap_or(Timestamp::MAX);
    if context.now() >= due {
        let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
        conditions.set("Progressing", "False", "ProgressDeadlineExceeded", &message);
    } else {
        context.again_at(due);
    }
}

/// Conditions with the deployment controller's two times.
struct Conditions {
    list: Vec<Value>,
    now: String,
}

impl Conditions {
    fn get(&self, kind: &str) -> Option<&Value> {
        self.list.iter().find(|condition| condition["type"] == kind)
    }

    /// Sets a condition unless it already has this status and reason.
    fn set(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let same = |condition: &&Value| condition["status"] == status && condition["reason"] == reason;
        if self.get(kind).filter(same).is_none() {
            self.touch(kind, status, reason, message);
        }
    }

    /// Sets a condition, with now as its `lastUpdateTime`.
    fn touch(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let current = self.get(kind).filter(|condition| condition["status"] == status);
        let since =
            current.map_or_else(|| json!(self.now), |condition| condition["lastTransitionTime"].clone());
        self.list.retain(|condition| condition["type"] != kind);
        self.list.push(json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastUpdateTime": self.now, "lastTransitionTime": since,
        }));
    }
}
