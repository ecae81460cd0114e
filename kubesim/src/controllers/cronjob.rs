//! CronJobs: a Job whenever the schedule says so; and finished Jobs that are to be forgotten.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::owned::{children, condition, owner_reference};
use super::recorder::Note;
use super::{Context, Controller, Key, Seen, key_of, schedule};
use crate::store::{GroupResource, Meta, Object, Preconditions, Store};

const COMPONENT: &str = "cronjob-controller";

pub(crate) struct CronJobs;

fn cron_jobs() -> GroupResource {
    GroupResource::new("batch", "cronjobs")
}

fn jobs() -> GroupResource {
    GroupResource::new("batch", "jobs")
}

impl Controller for CronJobs {
    fn concerns(&mut self, _: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        match (resource.group.as_str(), resource.resource.as_str()) {
            ("batch", "cronjobs") if !change.deleted => vec![key_of(change.object)],
            ("batch", "jobs") => super::owned::owner_key(change.object, "CronJob").into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let Some(cron) = context.store.get(&cron_jobs(), &key.0, &key.1) else { return };
        if cron.is_terminating() {
            return;
        }
        let mut status = cron["status"].clone();
        if !status.is_object() {
            status = json!({});
        }
        let all = children(context.store, &jobs(), &cron);
        notice_ends(context, &cron, &mut status, &all);
        forget_old(context, &cron, &all);
        if cron["spec"]["suspend"] != true {
            run_due(context, &cron, &mut status, &all);
        }
        let references: Vec<Value> = children(context.store, &jobs(), &cron)
            .iter()
            .filter(|job| ended(job).is_none())
            .map(|job| {
                json!({
                    "apiVersion": "batch/v1", "kind": "Job", "name": job.name(), "namespace": job.namespace(),
                    "uid": job.uid(), "resourceVersion": job.resource_version(),
                })
            })
            .collect();
        match status.as_object_mut() {
            Some(fields) if references.is_empty() => drop(fields.remove("active")),
            _ => status["active"] = json!(references),
        }
        context.set_status(&cron_jobs(), key, &status);
    }
}

/// `Complete` or `Failed`, once a job has ended.
fn ended(job: &Value) -> Option<&'static str> {
    ["Complete", "Failed"]
        .into_iter()
        .find(|kind| condition(job, kind).is_some_and(|condition| condition["status"] == "True"))
}

fn notice_ends(context: &mut Context<'_>, cron: &Value, status: &mut Value, all: &[Object]) {
    for job in all {
        let active = cron["status"]["active"].as_array().into_iter().flatten();
        let Some(end) = ended(job).filter(|_| active.into_iter().any(|active| active["uid"] == job.uid()))
        else {
            continue;
        };
        let message = format!("Saw completed job: {}, condition: {end}", job.name());
        context.recorder.note(cron, &Note::normal(COMPONENT, "SawCompletedJob", &message));
        if end == "Complete" {
            status["lastSuccessfulTime"] = job["status"]["completionTime"].clone();
        }
    }
}

/// Deletes the oldest ended jobs beyond the two limits.
fn forget_old(context: &mut Context<'_>, cron: &Value, all: &[Object]) {
    for (kind, field, usual) in
        [("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)]
    {
        let mut old: Vec<&Object> =
            all.iter().filter(|job| ended(job) == Some(kind) && !job.is_terminating()).collect();
        old.sort_by(|a, b| a["status"]["startTime"].as_str().cmp(&b["status"]["startTime"].as_str()));
        let limit = usize::try_from(cron["spec"][field].as_u64().unwrap_or(usual)).unwrap_or(usize::MAX);
        for job in old.iter().take(old.len().saturating_sub(limit)) {
            remove(context, cron, job);
        }
    }
}

fn remove(context: &mut Context<'_>, cron: &Value, job: &Object) {
    let same = Preconditions { uid: Some(job.uid().to_owned()), resource_version: None };
    if context.store.delete(&jobs(), job.namespace(), job.name(), &same, 0).is_ok() {
        let message = format!("Deleted job {}", job.name());
        context.recorder.note(cron, &Note::normal(COMPONENT, "SuccessfulDelete", &message));
    }
}

/// Starts the newest run that is due, and asks to be called for the next.
fn run_due(context: &mut Context<'_>, cron: &Value, status: &mut Value, all: &[Object]) {
    let text = cron["spec"]["schedule"].as_str().unwrap_or_default();
    let Some(schedule) = schedule::Schedule::parse(text) else {
        let message = format!("unparseable schedule: {text}");
        context.recorder.note(cron, &Note::warning(COMPONENT, "UnparseableSchedule", &message));
        return;
    };
    let zone =
        cron["spec"]["timeZone"].as_str().and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
    let time = |value: &Value| value.as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let now = context.now();
    let Some(since) =
        time(&status["lastScheduleTime"]).or_else(|| time(&cron["metadata"]["creationTimestamp"]))
    else {
        return;
    };
    let mut due = None;
    let mut next = schedule.after(since, &zone);
    while let Some(at) = next.filter(|at| *at <= now) {
        due = Some(at);
        next = schedule.after(at, &zone);
    }
    if let Some(at) = next {
        context.again_at(at);
    }
    let Some(at) = due else { return };
    if let Some(deadline) = cron["spec"]["startingDeadlineSeconds"].as_u64()
        && now.duration_since(at).as_secs().unsigned_abs() > deadline
    {
        let message =
            format!("Missed scheduled time to start a job: {}", at.strftime("%a, %d %b %Y %H:%M:%S +0000"));
        context.recorder.note(cron, &Note::warning(COMPONENT, "MissSchedule", &message));
        return;
    }
    let active: Vec<&Object> = all.iter().filter(|job| ended(job).is_none()).collect();
    match cron["spec"]["concurrencyPolicy"].as_str() {
        Some("Forbid") if !active.is_empty() => {
            let message =
                "Not starting job because prior execution is running and concurrency policy is Forbid";
            context.recorder.note(cron, &Note::normal(COMPONENT, "JobAlreadyActive", message));
            return;
        }
        Some("Replace") => active.iter().for_each(|job| remove(context, cron, job)),
        _ => {}
    }
    match context.store.create_with(&jobs(), job(cron, at), crate::admission::with_uid) {
        Ok(job) => {
            let message = format!("Created job {}", job.name());
            context.recorder.note(cron, &Note::normal(COMPONENT, "SuccessfulCreate", &message));
            status["lastScheduleTime"] = json!(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        }
        // It was made before its time was noted.
        Err(refused) if refused.reason == "AlreadyExists" => {
            status["lastScheduleTime"] = json!(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        }
        Err(refused) => {
            let message = format!("Error creating job: {}", refused.message);
            context.recorder.note(cron, &Note::warning(COMPONENT, "FailedCreate", &message));
            context.again_in(Duration::from_secs(10));
        }
    }
}

/// The job of one run, named after its minute so that no run is started twice.
fn job(cron: &Value, at: Timestamp) -> Value {
    let template = &cron["spec"]["jobTemplate"];
    let mut annotations = template["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.insert(
        "batch.kubernetes.io/cronjob-scheduled-timestamp".into(),
        json!(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
    );
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": format!("{}-{}", cron.name(), at.as_second() / 60), "namespace": cron.namespace(),
            "annotations": annotations, "ownerReferences": [owner_reference(cron)],
        },
        "spec": template["spec"],
    });
    if template["metadata"]["labels"].is_object() {
        job["metadata"]["labels"] = template["metadata"]["labels"].clone();
    }
    crate::admission::fill(&mut job);
    job
}

/// Jobs that say how long they stay once they have ended.
pub(crate) struct FinishedJobs;

impl Controller for FinishedJobs {
    fn concerns(&mut self, _: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        let asks = !change.object["spec"]["ttlSecondsAfterFinished"].is_null();
        if *resource == jobs() && !change.deleted && asks { vec![key_of(change.object)] } else { Vec::new() }
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let Some(job) = context.store.get(&jobs(), &key.0, &key.1) else { return };
        let Some(stays) = job["spec"]["ttlSecondsAfterFinished"].as_u64() else { return };
        let end = ended(&job).and_then(|kind| condition(&job, kind));
        let Some(since) = end
            .and_then(|condition| condition["lastTransitionTime"].as_str())
            .and_then(|at| at.parse::<Timestamp>().ok())
        else {
            return;
        };
        let due = since.saturating_add(Duration::from_secs(stays)).unwrap_or(Timestamp::MAX);
        if context.now() < due {
            context.again_at(due);
            return;
        }
        // In the foreground, as the real controller has it: the pods go first.
        let _ = context.store.update(&jobs(), &key.0, &key.1, |job| {
            let mut finalizers = job.finalizers().to_vec();
            if !finalizers.iter().any(|finalizer| finalizer == "foregroundDeletion") {
                finalizers.push(json!("foregroundDeletion"));
            }
            job["metadata"]["finalizers"] = json!(finalizers);
            Ok(())
        });
        let same = Preconditions { uid: Some(job.uid().to_owned()), resource_version: None };
        let _ = context.store.delete(&jobs(), &key.0, &key.1, &same, 0);
    }
}

/// The first day that the search for a next run does not look at.
pub(super) fn horizon(day: Date) -> Date {
    day.saturating_add(jiff::Span::new().years(5))
}
