//! CronJobs, and Jobs that do not stay.

use std::time::Duration;

use serde_json::{Value, json};

use super::stage::{all, bare, get, post, said};

fn template() -> Value {
    json!({"spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "main", "image": "main:1"}],
    }}}})
}

#[tokio::test(start_paused = true)]
async fn a_cron_job_runs_each_time_and_keeps_the_last_three() {
    let cluster = bare(1).await;
    let cron = json!({"metadata": {"name": "tick"}, "spec": {"schedule": "*/10 * * * *", "jobTemplate": template()}});
    post(&cluster, "/apis/batch/v1/namespaces/default/cronjobs", cron).await;
    cluster.settled().await;
    assert!(all(&cluster, "batch", "jobs").is_empty());
    // It is 03:04:05; the first run is at 03:10.
    tokio::time::sleep(Duration::from_secs(6 * 60)).await;
    cluster.settled().await;
    let jobs = all(&cluster, "batch", "jobs");
    assert_eq!(jobs.len(), 1);
    assert_eq!(
        jobs[0]["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"],
        "2026-01-02T03:10:00Z"
    );
    assert_eq!(jobs[0]["status"]["succeeded"], 1);
    let cron = get(&cluster, "batch", "cronjobs", "tick").unwrap();
    assert_eq!(cron["status"]["lastScheduleTime"], "2026-01-02T03:10:00Z");
    assert!(cron["status"]["lastSuccessfulTime"].is_string());
    assert!(said(&cluster, "SawCompletedJob")[0].ends_with(", condition: Complete"));
    tokio::time::sleep(Duration::from_secs(60 * 60)).await;
    cluster.settled().await;
    assert_eq!(all(&cluster, "batch", "jobs").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_cron_job_does_not_run() {
    let cluster = bare(1).await;
    let cron = json!({"metadata": {"name": "tick"}, "spec": {
        "schedule": "* * * * *", "suspend": true, "jobTemplate": template(),
    }});
    post(&cluster, "/apis/batch/v1/namespaces/default/cronjobs", cron).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    cluster.settled().await;
    assert!(all(&cluster, "batch", "jobs").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_job_with_a_time_to_live_goes_with_its_pods() {
    let cluster = bare(1).await;
    let mut job = template();
    job["metadata"] = json!({"name": "once"});
    job["spec"]["ttlSecondsAfterFinished"] = json!(60);
    post(&cluster, "/apis/batch/v1/namespaces/default/jobs", job).await;
    cluster.settled().await;
    assert_eq!(all(&cluster, "batch", "jobs").len(), 1);
    tokio::time::sleep(Duration::from_secs(90)).await;
    cluster.settled().await;
    assert!(all(&cluster, "batch", "jobs").is_empty());
    assert!(all(&cluster, "", "pods").is_empty());
}
