//! Jobs: pods until enough of them have succeeded.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::owned::{create_pod, delete_pod, is_active, is_ready, owner_key, pod_from, pods_of};
use super::recorder::Note;
use super::{Context, Controller, Key, Seen, key_of};
use crate::store::{GroupResource, Meta, Object, Store};

const COMPONENT: &str = "job-controller";

pub(crate) struct Jobs;

fn jobs() -> GroupResource {
    GroupResource::new("batch", "jobs")
}

impl Controller for Jobs {
    fn concerns(&mut self, _: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        match (resource.group.as_str(), resource.resource.as_str()) {
            ("batch", "jobs") if !change.deleted => vec![key_of(change.object)],
            ("", "pods") => owner_key(change.object, "Job").into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let Some(job) = context.store.get(&jobs(), &key.0, &key.1) else { return };
        let finished = has(&job, "Complete") || has(&job, "Failed");
        if finished || job.is_terminating() {
            return;
        }
        let pods = pods_of(context.store, &job);
        let phase = |name: &str| pods.iter().filter(|pod| pod["status"]["phase"] == name).count();
        let (succeeded, failed) = (phase("Succeeded"), phase("Failed"));
        let active: Vec<&Object> = pods.iter().filter(|pod| is_active(pod)).collect();
        let completions = job["spec"]["completions"].as_u64().unwrap_or(1) as usize;
        let limit = job["spec"]["backoffLimit"].as_u64().unwrap_or(6) as usize;
        let restarts: u64 = pods
            .iter()
            .flat_map(|pod| pod["status"]["containerStatuses"].as_array().into_iter().flatten())
            .filter_map(|container| container["restartCount"].as_u64())
            .sum();
        let mut end = None;
        if succeeded >= completions {
            end = Some((
                "Complete",
                "CompletionsReached",
                "Reached expected number of succeeded pods".to_owned(),
            ));
        } else if failed > limit || restarts as usize > limit {
            let message = "Job has reached the specified backoff limit".to_owned();
            end = Some(("Failed", "BackoffLimitExceeded", message));
        } else if let Some(due) = deadline(&job) {
            if context.now() >= due {
                let message = "Job was active longer than specified deadline".to_owned();
                end = Some(("Failed", "DeadlineExceeded", message));
            } else {
                context.again_at(due);
            }
        }
        if let Some(("Failed", ..)) = end {
            for pod in &active {
                delete_pod(context.store, pod);
            }
        } else if end.is_none() && job["spec"]["suspend"] != true {
            let parallelism = job["spec"]["parallelism"].as_u64().unwrap_or(1) as usize;
            let wanted = parallelism.min(completions - succeeded);
            for _ in active.len()..wanted {
                match create_pod(context.store, pod_from(&job, &job["spec"]["template"])) {
                    Ok(pod) => {
                        let message = format!("Created pod: {}", pod.name());
                        context.recorder.note(&job, &Note::normal(COMPONENT, "SuccessfulCreate", &message));
                    }
                    Err(status) => {
                        let message = format!("Error creating: {}", status.message);
                        context.recorder.note(&job, &Note::warning(COMPONENT, "FailedCreate", &message));
                        context.again_in(Duration::from_secs(5));
                        break;
                    }
                }
            }
        }
        write_status(context, key, &job, (succeeded, failed), end);
    }
}

fn has(job: &Value, kind: &str) -> bool {
    super::owned::condition(job, kind).is_some_and(|condition| condition["status"] == "True")
}

fn deadline(job: &Value) -> Option<Timestamp> {
    let seconds = job["spec"]["activeDeadlineSeconds"].as_u64()?;
    let started: Timestamp = job["status"]["startTime"].as_str()?.parse().ok()?;
    started.checked_add(Duration::from_secs(seconds)).ok()
}

fn write_status(
    context: &mut Context<'_>,
    key: &Key,
    job: &Value,
    (succeeded, failed): (usize, usize),
    end: Option<(&str, &str, String)>,
) {
    let now = context.clock.rfc3339();
    let pods = pods_of(context.store, job);
    let active: Vec<&Object> = pods.iter().filter(|pod| is_active(pod)).collect();
    let start = match &job["status"]["startTime"] {
        Value::Null => json!(now),
        start => start.clone(),
    };
    let mut status = json!({"startTime": start, "uncountedTerminatedPods": {}});
    status["ready"] = json!(active.iter().filter(|pod| is_ready(pod)).count());
    status["terminating"] = json!(pods.iter().filter(|pod| pod.is_terminating()).count());
    for (field, count) in [("active", active.len()), ("succeeded", succeeded), ("failed", failed)] {
        if count > 0 {
            status[field] = json!(count);
        }
    }
    if let Some((kind, reason, message)) = end {
        let condition = |kind: &str| {
            json!({
                "type": kind, "status": "True", "reason": reason, "message": message,
                "lastProbeTime": now, "lastTransitionTime": now,
            })
        };
        let before = if kind == "Complete" { "SuccessCriteriaMet" } else { "FailureTarget" };
        status["conditions"] = json!([condition(before), condition(kind)]);
        if kind == "Complete" {
            status["completionTime"] = json!(now);
            context.recorder.note(job, &Note::normal(COMPONENT, "Completed", "Job completed"));
        } else {
            context.recorder.note(job, &Note::warning(COMPONENT, reason, &message));
        }
    }
    context.set_status(&jobs(), key, &status);
}
