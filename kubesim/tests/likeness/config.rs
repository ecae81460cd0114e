//! What a pod is configured by: nothing starts before it is there.

use kubesim::Cluster;
use kubesim::store::Object;
use serde_json::{Value, json};

use super::stage::{bare, get, pod, post, said};

const PODS: &str = "/api/v1/namespaces/default/pods";

fn waiting(cluster: &Cluster, name: &str) -> (Object, Value) {
    let pod = get(cluster, "", "pods", name).unwrap();
    let waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"].clone();
    (pod, waiting)
}

#[tokio::test(start_paused = true)]
async fn a_container_without_its_config_map_is_not_created() {
    let cluster = bare(1).await;
    let container = json!({"name": "main", "image": "main:1", "env": [
        {"name": "REGION", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "region"}}},
    ]});
    post(&cluster, PODS, pod("web", json!({"containers": [container]}))).await;
    cluster.settled().await;
    let (web, why) = waiting(&cluster, "web");
    assert_eq!(
        why,
        json!({"reason": "CreateContainerConfigError", "message": "configmap \"settings\" not found"})
    );
    assert_eq!(web["status"]["phase"], "Pending");
    assert_eq!(said(&cluster, "Failed"), ["Error: configmap \"settings\" not found"]);
    let maps = "/api/v1/namespaces/default/configmaps";
    post(&cluster, maps, json!({"metadata": {"name": "settings"}, "data": {"zone": "a"}})).await;
    cluster.settled().await;
    post(&cluster, maps, json!({"metadata": {"name": "other"}})).await;
    let settings = kubesim::store::GroupResource::new("", "configmaps");
    cluster
        .store()
        .update(&settings, "default", "settings", |map| {
            map["data"]["region"] = json!("us-west-2");
            Ok(())
        })
        .unwrap();
    cluster.settled().await;
    assert_eq!(get(&cluster, "", "pods", "web").unwrap()["status"]["phase"], "Running");
}

#[tokio::test(start_paused = true)]
async fn a_volume_whose_secret_is_missing_is_not_mounted() {
    let cluster = bare(1).await;
    let volumes = json!([{"name": "certs", "secret": {"secretName": "tls"}}]);
    post(&cluster, PODS, pod("web", json!({"volumes": volumes}))).await;
    cluster.settled().await;
    let (web, why) = waiting(&cluster, "web");
    assert_eq!(why["reason"], "ContainerCreating");
    assert!(web["status"]["podIP"].is_null());
    assert_eq!(
        said(&cluster, "FailedMount"),
        ["MountVolume.SetUp failed for volume \"certs\" : secret \"tls\" not found"]
    );
    post(&cluster, "/api/v1/namespaces/default/secrets", json!({"metadata": {"name": "tls"}})).await;
    cluster.settled().await;
    assert_eq!(get(&cluster, "", "pods", "web").unwrap()["status"]["phase"], "Running");
}

#[tokio::test(start_paused = true)]
async fn what_is_optional_may_be_missing() {
    let cluster = bare(1).await;
    let container = json!({"name": "main", "image": "main:1", "envFrom": [
        {"secretRef": {"name": "nowhere", "optional": true}},
    ]});
    post(&cluster, PODS, pod("web", json!({"containers": [container]}))).await;
    cluster.settled().await;
    assert_eq!(get(&cluster, "", "pods", "web").unwrap()["status"]["phase"], "Running");
}
