//! PodDisruptionBudgets: how many pods may be evicted now.

use serde_json::{Value, json};

use super::owned::{is_active, is_ready, set_condition};
use super::{Context, Controller, Key, Note, Seen, key_of};
use crate::selector::LabelSelector;
use crate::store::{GroupResource, Meta, Object, Store};

pub(crate) struct DisruptionBudgets;

fn budgets() -> GroupResource {
    GroupResource::new("policy", "poddisruptionbudgets")
}

fn selector(budget: &Value) -> Option<LabelSelector> {
    LabelSelector::from_value(&budget["spec"]["selector"])
}

impl Controller for DisruptionBudgets {
    fn concerns(&mut self, store: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        if *resource == budgets() && !change.deleted {
            return vec![key_of(change.object)];
        }
        if *resource != GroupResource::new("", "pods") {
            return Vec::new();
        }
        let (budgets, _) = store.list(&budgets(), Some(change.object.namespace()));
        let selects =
            |budget: &&Object| selector(budget).is_some_and(|it| it.matches(change.object.labels()));
        budgets.iter().filter(selects).map(|budget| key_of(budget)).collect()
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let store = context.store;
        let Some(budget) = store.get(&budgets(), &key.0, &key.1) else { return };
        let (pods, _) = store.list(&GroupResource::new("", "pods"), Some(&key.0));
        let selector = selector(&budget);
        let selects = |pod: &Object| selector.as_ref().is_some_and(|it| it.matches(pod.labels()));
        // Those that are being deleted count among the expected ones, and as healthy no more.
        let pods: Vec<&Object> = pods.iter().filter(|pod| selects(pod)).collect();
        if pods.is_empty() {
            let nobody = Note::normal("controllermanager", "NoPods", "No matching pods found");
            context.recorder.note(&budget, &nobody);
        }
        let spec = &budget["spec"];
        // A number that must be left does not hang on how many there should be.
        let expected = if spec["minAvailable"].is_number() { Ok(pods.len()) } else { expected(store, &pods) };
        let expected = match expected {
            Ok(expected) => i64::try_from(expected).unwrap_or(i64::MAX),
            Err(why) => return fail(context, &budget, key, &why),
        };
        let is_healthy = |pod: &&&Object| is_active(pod) && is_ready(pod);
        let healthy = i64::try_from(pods.iter().filter(is_healthy).count()).unwrap_or(i64::MAX);
        let desired = match (&spec["minAvailable"], &spec["maxUnavailable"]) {
            (Value::Null, most) => (expected - amount(most, expected)).max(0),
            (least, _) => amount(least, expected),
        };
        let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
        let mut conditions = budget["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let (status, reason) =
            if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
        let condition = json!({
            "type": "DisruptionAllowed", "status": status, "reason": reason, "message": "",
            "observedGeneration": budget["metadata"]["generation"],
        });
        set_condition(&mut conditions, condition, &context.clock.rfc3339());
        let status = json!({
            "conditions": conditions, "currentHealthy": healthy, "desiredHealthy": desired,
            "disruptionsAllowed": allowed, "expectedPods": expected,
            "observedGeneration": budget["metadata"]["generation"],
        });
        context.set_status(&budgets(), key, &status);
    }
}

/// Lets no pod be evicted, for it is not known how many there should be.
fn fail(context: &mut Context<'_>, budget: &Object, key: &Key, why: &str) {
    let message = format!("Failed to calculate the number of expected pods: {why}");
    let note = Note::warning("controllermanager", "CalculateExpectedPodCountFailed", &message);
    context.recorder.note(budget, &note);
    let mut status = budget["status"].clone();
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let condition = json!({
        "type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": why,
        "observedGeneration": status["observedGeneration"],
    });
    set_condition(&mut conditions, condition, &context.clock.rfc3339());
    status["conditions"] = json!(conditions);
    status["disruptionsAllowed"] = json!(0);
    context.set_status(&budgets(), key, &status);
}

/// How many pods there should be: the sum of their controllers' scales, and each pod without one. A pod whose
/// controller has gone, which follows it a moment later, makes the sum unknown.
fn expected(store: &Store, pods: &[&Object]) -> Result<usize, String> {
    let mut owners = std::collections::BTreeSet::new();
    let mut total = 0;
    for pod in pods {
        let Some(owner) = super::controller_of(pod) else {
            total += 1;
            continue;
        };
        if !owners.insert(owner.uid.to_owned()) {
            continue;
        }
        let resource = match owner.kind {
            "ReplicaSet" => "replicasets",
            "StatefulSet" => "statefulsets",
            _ => continue,
        };
        let object = store.get(&GroupResource::new("apps", resource), pod.namespace(), owner.name);
        // A rollout has more than one set; the deployment's own scale is what counts.
        let scaled = object.as_ref().and_then(|object| {
            let above = super::controller_of(object).filter(|above| above.kind == "Deployment")?;
            if !owners.insert(above.uid.to_owned()) {
                return Some(0);
            }
            let deployment =
                store.get(&GroupResource::new("apps", "deployments"), pod.namespace(), above.name)?;
            deployment["spec"]["replicas"].as_u64()
        });
        let Some(object) = object else {
            return Err(format!("found no controllers for pod \"{}\"", pod.name()));
        };
        let own = object["spec"]["replicas"].as_u64();
        total += usize::try_from(scaled.or(own).unwrap_or(1)).unwrap_or(1);
    }
    Ok(total)
}

fn amount(value: &Value, of: i64) -> i64 {
    match value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|text| text.parse::<i64>().ok()) {
        // Both bounds round up.
        Some(percent) => (of * percent + 99) / 100,
        None => value.as_i64().unwrap_or(0),
    }
}
