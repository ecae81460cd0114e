//! Volume claims on a whole cluster: who waits for whom, and in whose words.

#![allow(clippy::unwrap_used)]

use kubesim::store::{GroupResource, Meta, Object};
use kubesim::{Cluster, Config};
use serde_json::{Value, json};

async fn start() -> Cluster {
    let origin = Some("2026-01-02T03:04:05Z".parse().unwrap());
    Cluster::start(Config { seed: 7, origin, ..Config::default() }).await.unwrap()
}

fn create(cluster: &Cluster, group: &str, resource: &str, object: Value) -> Object {
    cluster.store().create(&GroupResource::new(group, resource), object).unwrap()
}

fn get(cluster: &Cluster, resource: &str, name: &str) -> Object {
    cluster.store().get(&GroupResource::new("", resource), "default", name).unwrap()
}

fn claim(class: Option<&str>) -> Value {
    let mut claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        "status": {"phase": "Pending"},
    });
    if let Some(class) = class {
        claim["spec"]["storageClassName"] = class.into();
    }
    claim
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user", "namespace": "default"},
        "spec": {
            "containers": [{"name": "main", "image": "user"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        },
        "status": {"phase": "Pending"},
    })
}

fn driver() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": "ebs.csi.aws.com"},
        "spec": {"attachRequired": true},
    })
}

fn said(cluster: &Cluster, reason: &str) -> Vec<String> {
    let (events, _) = cluster.store().list(&GroupResource::new("", "events"), Some("default"));
    let wanted = events.iter().filter(|event| event["reason"] == reason);
    wanted.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

fn unscheduled(cluster: &Cluster) -> String {
    let pod = get(cluster, "pods", "user");
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    conditions.iter().find(|it| it["type"] == "PodScheduled").unwrap()["message"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_a_late_binding_class_waits_for_its_pod_and_the_pod_for_its_volume() {
    let cluster = start().await;
    create(&cluster, "storage.k8s.io", "csidrivers", driver());
    create(&cluster, "", "persistentvolumeclaims", claim(Some("gp2")));
    cluster.settled().await;
    assert_eq!(get(&cluster, "persistentvolumeclaims", "data")["status"]["phase"], "Pending");
    assert_eq!(
        said(&cluster, "WaitForFirstConsumer"),
        ["waiting for first consumer to be created before binding"]
    );
    create(&cluster, "", "pods", pod());
    cluster.settled().await;
    let bound = get(&cluster, "persistentvolumeclaims", "data");
    assert_eq!(bound["status"]["phase"], "Bound");
    let volume = bound["spec"]["volumeName"].as_str().unwrap();
    let volume = cluster.store().get(&GroupResource::new("", "persistentvolumes"), "", volume).unwrap();
    assert_eq!(volume["spec"]["claimRef"]["uid"], bound.uid());
    assert_eq!(get(&cluster, "pods", "user")["status"]["phase"], "Running");
    assert!(said(&cluster, "FailedScheduling").is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_its_driver_a_volume_is_waited_for_and_the_pod_has_no_node() {
    let cluster = start().await;
    create(&cluster, "", "persistentvolumeclaims", claim(Some("gp2")));
    create(&cluster, "", "pods", pod());
    cluster.settled().await;
    let words = said(&cluster, "ExternalProvisioning");
    assert!(words.len() == 1 && words[0].contains("external provisioner 'ebs.csi.aws.com'"), "{words:?}");
    assert!(get(&cluster, "pods", "user")["spec"]["nodeName"].is_null());
    create(&cluster, "storage.k8s.io", "csidrivers", driver());
    cluster.settled().await;
    assert_eq!(get(&cluster, "pods", "user")["status"]["phase"], "Running");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_nobody_provides_for_says_so_and_so_does_its_pod() {
    let cluster = start().await;
    create(&cluster, "", "pods", pod());
    cluster.settled().await;
    assert!(unscheduled(&cluster).starts_with(
        "0/2 nodes are available: persistentvolumeclaim \"data\" not found. preemption: 0/2 nodes are available"
    ));
    create(&cluster, "", "persistentvolumeclaims", claim(None));
    cluster.settled().await;
    assert!(unscheduled(&cluster).contains("pod has unbound immediate PersistentVolumeClaims"));
    assert_eq!(
        said(&cluster, "FailedBinding"),
        ["no persistent volumes available for this claim and no storage class is set"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_class_that_is_not_there_is_named() {
    let cluster = start().await;
    create(&cluster, "", "persistentvolumeclaims", claim(Some("fast")));
    cluster.settled().await;
    assert_eq!(said(&cluster, "ProvisioningFailed"), ["storageclass.storage.k8s.io \"fast\" not found"]);
}
