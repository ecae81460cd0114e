//! `--wait`, with Helm 3's idea of what is ready.
//!
//! Facts: helm pkg/kube (ready.go, wait.go). A Deployment counts as ready with `replicas −
//! maxUnavailable` ready pods, which is 0 of 1: the false green of many an installation. Helm looks
//! every two seconds; the stand-in also looks whenever something changes of the kinds that are waited
//! for, so that nobody waits for the sake of waiting.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::Failure;
use super::objects::Item;
use crate::cluster::{Api, ApiError, Changes};

/// Helm's interval.
const INTERVAL: Duration = Duration::from_secs(2);

/// Failed looks in a row at one object that Helm puts up with.
const PATIENCE: u32 = 30;

/// What Helm says when the time is over.
const OVER: &str = "context deadline exceeded";

/// Waits until all objects are ready.
pub(super) async fn ready(
    api: &Api,
    items: &[Item],
    namespace: &str,
    timeout: Duration,
) -> Result<(), Failure> {
    let look = async {
        let mut bell = bell(api, items, namespace).await;
        let mut failures = vec![0_u32; items.len()];
        'looks: loop {
            for (item, failed) in items.iter().zip(&mut failures) {
                match is_ready(api, item).await {
                    Ok(true) => *failed = 0,
                    Ok(false) => {
                        *failed = 0;
                        bell.next(INTERVAL).await;
                        continue 'looks;
                    }
                    Err(error) if error.passing() && *failed < PATIENCE => {
                        *failed += 1;
                        tokio::time::sleep(INTERVAL).await;
                        continue 'looks;
                    }
                    Err(error) => return Err(Failure::api(error)),
                }
            }
            return Ok(());
        }
    };
    within(timeout, look).await
}

/// Waits until all objects are gone.
pub(super) async fn gone(
    api: &Api,
    items: &[Item],
    namespace: &str,
    timeout: Duration,
) -> Result<(), Failure> {
    let look = async {
        let mut bell = bell(api, items, namespace).await;
        'looks: loop {
            for item in items {
                match item.live(api).await {
                    Err(error) if error.code() == Some(404) => {}
                    Ok(_) => {
                        bell.next(INTERVAL).await;
                        continue 'looks;
                    }
                    Err(error) => return Err(Failure::api(error)),
                }
            }
            return Ok(());
        }
    };
    within(timeout, look).await
}

async fn within(timeout: Duration, work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let deadline = Instant::now() + timeout;
    tokio::select! {
        biased;
        done = work => done,
        () = tokio::time::sleep_until(deadline) => Err(Failure::said(OVER)),
    }
}

/// Rings when something changes of the kinds that are waited for.
async fn bell(api: &Api, items: &[Item], namespace: &str) -> Changes {
    let resource = |item: &Item| match item.place.kind.as_str() {
        "DaemonSet" => Some(("apps/v1", "daemonsets")),
        "StatefulSet" => Some(("apps/v1", "statefulsets")),
        "PersistentVolumeClaim" => Some(("v1", "persistentvolumeclaims")),
        "Pod" => Some(("v1", "pods")),
        "Service" => Some(("v1", "services")),
        _ => None,
    };
    // Whatever a release has, a Deployment and what it makes are nearly always of it.
    let always = [("apps/v1", "replicasets"), ("apps/v1", "deployments")];
    let kinds: BTreeSet<_> = items.iter().filter_map(resource).collect();
    let watched = always.into_iter().chain(kinds).map(|(version, name)| (version, name, Some(namespace)));
    Changes::of(api, &watched.collect::<Vec<_>>()).await
}

async fn is_ready(api: &Api, item: &Item) -> Result<bool, ApiError> {
    match (item.place.kind.as_str(), item.place.api_version.as_str()) {
        ("Deployment", "apps/v1") => {
            let live = item.live(api).await?;
            if live["spec"]["paused"] == true {
                return Ok(false);
            }
            let namespace = item.place.namespace.as_deref();
            let sets = api.list("apps/v1", "replicasets", namespace, None).await?;
            Ok(newest(&live, &sets).is_some_and(|set| deployment_ready(&live, set)))
        }
        ("Pod", "v1") => Ok(condition(&item.live(api).await?, "Ready") == Some("True")),
        ("Service", "v1") => Ok(service_ready(&item.live(api).await?)),
        ("PersistentVolumeClaim", "v1") => Ok(item.live(api).await?["status"]["phase"] == "Bound"),
        ("DaemonSet", "apps/v1") => Ok(daemon_set_ready(&item.live(api).await?)),
        ("StatefulSet", "apps/v1") => Ok(stateful_set_ready(&item.live(api).await?)),
        ("CustomResourceDefinition", _) => {
            let live = item.live(api).await?;
            Ok(condition(&live, "Established") == Some("True")
                || condition(&live, "NamesAccepted") == Some("False"))
        }
        _ => Ok(true),
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    object["status"]["conditions"].as_array()?.iter().find(|it| it["type"] == kind)?["status"].as_str()
}

fn current(object: &Value) -> bool {
    object["status"]["observedGeneration"].as_i64().unwrap_or(0)
        == object["metadata"]["generation"].as_i64().unwrap_or(0)
}

/// The ReplicaSet of a Deployment's present template.
fn newest<'a>(deployment: &Value, sets: &'a [Value]) -> Option<&'a Value> {
    sets.iter().find(|set| {
        let owners = set["metadata"]["ownerReferences"].as_array();
        let owned = owners.is_some_and(|it| it.iter().any(|it| it["uid"] == deployment["metadata"]["uid"]));
        let mut template = set["spec"]["template"].clone();
        if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
            labels.remove("pod-template-hash");
        }
        let mut wanted = deployment["spec"]["template"].clone();
        for it in [&mut template, &mut wanted] {
            if let Some(metadata) = it["metadata"].as_object_mut() {
                metadata.retain(|_, value| !value.is_null());
            }
        }
        owned && template == wanted
    })
}

fn deployment_ready(deployment: &Value, set: &Value) -> bool {
    if !current(set) || !current(deployment) {
        return false;
    }
    let replicas = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    set["status"]["readyReplicas"].as_i64().unwrap_or(0) >= replicas - max_unavailable(deployment, replicas)
}

/// How many pods a rolling update may take away; rounded as the deployment controller rounds.
fn max_unavailable(deployment: &Value, replicas: i64) -> i64 {
    let strategy = &deployment["spec"]["strategy"];
    if strategy["type"].as_str().unwrap_or("RollingUpdate") != "RollingUpdate" || replicas == 0 {
        return 0;
    }
    let rolling = &strategy["rollingUpdate"];
    let unavailable = share(&rolling["maxUnavailable"], replicas, false);
    let surge = share(&rolling["maxSurge"], replicas, true);
    let unavailable = if unavailable == 0 && surge == 0 { 1 } else { unavailable };
    unavailable.min(replicas)
}

/// A number, or a percentage of the replicas; 25% when absent.
fn share(value: &Value, of: i64, up: bool) -> i64 {
    if let Some(number) = value.as_i64() {
        return number;
    }
    let percent = value.as_str().and_then(|it| it.strip_suffix('%')?.parse::<i64>().ok()).unwrap_or(25);
    if up { (percent * of + 99) / 100 } else { percent * of / 100 }
}

fn service_ready(service: &Value) -> bool {
    let spec = &service["spec"];
    if spec["type"] == "ExternalName" {
        return true;
    }
    if spec["clusterIP"].as_str().unwrap_or("").is_empty() {
        return false;
    }
    spec["type"] != "LoadBalancer"
        || spec["externalIPs"].as_array().is_some_and(|it| !it.is_empty())
        || service["status"]["loadBalancer"]["ingress"].is_array()
}

fn daemon_set_ready(set: &Value) -> bool {
    let status = |name: &str| set["status"][name].as_i64().unwrap_or(0);
    if !current(set) {
        return false;
    }
    if set["spec"]["updateStrategy"]["type"].as_str().unwrap_or("RollingUpdate") != "RollingUpdate" {
        return true;
    }
    let desired = status("desiredNumberScheduled");
    let allowed = &set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"];
    let allowed = if allowed.is_null() { 1 } else { share(allowed, desired, true) };
    status("updatedNumberScheduled") == desired && status("numberReady") >= desired - allowed
}

fn stateful_set_ready(set: &Value) -> bool {
    if !current(set) {
        return false;
    }
    let update = &set["spec"]["updateStrategy"];
    if update["type"].as_str().unwrap_or("RollingUpdate") != "RollingUpdate" {
        return true;
    }
    let replicas = set["spec"]["replicas"].as_i64().unwrap_or(1);
    let partition = update["rollingUpdate"]["partition"].as_i64().unwrap_or(0);
    let status = |name: &str| set["status"][name].as_i64().unwrap_or(0);
    status("updatedReplicas") >= replicas - partition
        && status("readyReplicas") == replicas
        && (partition != 0 || set["status"]["currentRevision"] == set["status"]["updateRevision"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pair(replicas: i64, max_unavailable: &Value, ready: i64) -> bool {
        let deployment = json!({
            "metadata": {"generation": 1, "uid": "d"}, "status": {"observedGeneration": 1},
            "spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": max_unavailable, "maxSurge": "25%"}}},
        });
        let set = json!({"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "readyReplicas": ready}});
        deployment_ready(&deployment, &set)
    }

    #[test]
    fn helm_3_is_content_with_one_of_two_and_with_none_of_one() {
        assert!(pair(2, &json!(1), 1) && !pair(2, &json!(1), 0));
        assert!(pair(1, &json!(1), 0));
        assert!(!pair(2, &json!("25%"), 1) && pair(2, &json!("25%"), 2));
    }
}
