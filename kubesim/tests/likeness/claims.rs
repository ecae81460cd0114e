//! Claims: the default class, provisioning by a driver, waiting for a pod, protection, reclaiming.

use http::Method;
use kubesim::Cluster;
use kubesim::transport::User;
use serde_json::{Value, json};

use super::stage::{all, ask, bare, get, pod, post, said};

const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";

async fn class(cluster: &Cluster, name: &str, mode: &str, default: bool) {
    let class = json!({
        "metadata": {"name": name, "annotations": {"storageclass.kubernetes.io/is-default-class": default.to_string()}},
        "provisioner": "ebs.csi.aws.com", "volumeBindingMode": mode,
    });
    post(cluster, "/apis/storage.k8s.io/v1/storageclasses", class).await;
}

async fn driver(cluster: &Cluster) {
    let driver = json!({"metadata": {"name": "ebs.csi.aws.com"}, "spec": {"attachRequired": true}});
    post(cluster, "/apis/storage.k8s.io/v1/csidrivers", driver).await;
}

fn claim(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "4Gi"}},
    }})
}

fn mounting(name: &str, claim: &str) -> Value {
    pod(name, json!({"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]}))
}

#[tokio::test(start_paused = true)]
async fn a_claim_without_a_class_gets_the_default_one_and_a_volume_of_it() {
    let cluster = bare(1).await;
    class(&cluster, "fast", "Immediate", true).await;
    class(&cluster, "slow", "Immediate", false).await;
    driver(&cluster).await;
    let created = post(&cluster, CLAIMS, claim("data")).await;
    assert_eq!(created["spec"]["storageClassName"], "fast");
    assert_eq!(created["status"]["phase"], "Pending");
    cluster.settled().await;
    let bound = get(&cluster, "", "persistentvolumeclaims", "data").unwrap();
    assert_eq!(
        bound["status"],
        json!({"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "4Gi"}})
    );
    let volume =
        get(&cluster, "", "persistentvolumes", bound["spec"]["volumeName"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&volume["status"]["phase"], &volume["spec"]["claimRef"]["name"]),
        (&json!("Bound"), &json!("data"))
    );
}

#[tokio::test(start_paused = true)]
async fn without_its_driver_a_claim_stays_pending_and_so_does_its_pod() {
    let cluster = bare(2).await;
    class(&cluster, "fast", "Immediate", true).await;
    post(&cluster, CLAIMS, claim("data")).await;
    post(&cluster, "/api/v1/namespaces/default/pods", mounting("web", "data")).await;
    post(&cluster, "/api/v1/namespaces/default/pods", mounting("lost", "nowhere")).await;
    cluster.settled().await;
    assert!(said(&cluster, "ExternalProvisioning")[0].contains("external provisioner 'ebs.csi.aws.com'"));
    let failed = said(&cluster, "FailedScheduling");
    let help = "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";
    for wanted in [
        format!("0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. {help}"),
        format!("0/2 nodes are available: persistentvolumeclaim \"nowhere\" not found. {help}"),
    ] {
        assert!(failed.contains(&wanted), "{failed:?}");
    }
    driver(&cluster).await;
    cluster.settled().await;
    assert_eq!(get(&cluster, "", "pods", "web").unwrap()["status"]["phase"], "Running");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_waits_for_its_pod_is_bound_when_the_pod_has_a_node() {
    let cluster = bare(1).await;
    class(&cluster, "late", "WaitForFirstConsumer", true).await;
    driver(&cluster).await;
    post(&cluster, CLAIMS, claim("data")).await;
    cluster.settled().await;
    assert_eq!(
        said(&cluster, "WaitForFirstConsumer"),
        ["waiting for first consumer to be created before binding"]
    );
    assert!(all(&cluster, "", "persistentvolumes").is_empty());
    post(&cluster, "/api/v1/namespaces/default/pods", mounting("web", "data")).await;
    cluster.settled().await;
    assert_eq!(get(&cluster, "", "persistentvolumeclaims", "data").unwrap()["status"]["phase"], "Bound");
    assert_eq!(get(&cluster, "", "pods", "web").unwrap()["status"]["phase"], "Running");
}

#[tokio::test(start_paused = true)]
async fn a_claim_in_use_is_protected_and_its_volume_goes_with_it() {
    let cluster = bare(1).await;
    class(&cluster, "fast", "Immediate", true).await;
    driver(&cluster).await;
    post(&cluster, CLAIMS, claim("data")).await;
    post(&cluster, "/api/v1/namespaces/default/pods", mounting("web", "data")).await;
    cluster.settled().await;
    let admin = User::admin();
    ask(&cluster, &admin, Method::DELETE, &format!("{CLAIMS}/data"), Value::Null).await;
    cluster.settled().await;
    let held = get(&cluster, "", "persistentvolumeclaims", "data").unwrap();
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    ask(&cluster, &admin, Method::DELETE, "/api/v1/namespaces/default/pods/web", Value::Null).await;
    cluster.settled().await;
    assert!(get(&cluster, "", "persistentvolumeclaims", "data").is_none());
    assert!(all(&cluster, "", "persistentvolumes").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_claim_takes_the_smallest_volume_that_fits_it() {
    let cluster = bare(0).await;
    for (name, size) in [("small", "1Gi"), ("large", "20Gi"), ("right", "5Gi")] {
        let volume = json!({"metadata": {"name": name}, "spec": {
            "capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"},
        }});
        post(&cluster, "/api/v1/persistentvolumes", volume).await;
    }
    post(&cluster, CLAIMS, claim("data")).await;
    cluster.settled().await;
    assert_eq!(get(&cluster, "", "persistentvolumeclaims", "data").unwrap()["spec"]["volumeName"], "right");
    assert_eq!(get(&cluster, "", "persistentvolumes", "small").unwrap()["status"]["phase"], "Available");
}
