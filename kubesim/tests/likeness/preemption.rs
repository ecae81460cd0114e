//! Preemption: the more important pod gets the room of the less important one.

use kubesim::Cluster;
use serde_json::{Value, json};

use super::stage::{bare, get, pod, post, said};

async fn classes(cluster: &Cluster) {
    for (name, value) in [("low", 10), ("high", 1000)] {
        let class = json!({"metadata": {"name": name}, "value": value});
        post(cluster, "/apis/scheduling.k8s.io/v1/priorityclasses", class).await;
    }
}

fn asking(name: &str, class: &str, cpu: &str) -> Value {
    pod(
        name,
        json!({"priorityClassName": class, "containers": [
            {"name": "main", "image": "main:1", "resources": {"requests": {"cpu": cpu}}},
        ]}),
    )
}

#[tokio::test(start_paused = true)]
async fn a_more_important_pod_takes_the_place_of_a_less_important_one() {
    let cluster = bare(1).await;
    classes(&cluster).await;
    let pods = "/api/v1/namespaces/default/pods";
    post(&cluster, pods, asking("small", "low", "200m")).await;
    post(&cluster, pods, asking("big", "low", "1500m")).await;
    cluster.settled().await;
    post(&cluster, pods, asking("vip", "high", "1")).await;
    cluster.settled().await;
    let vip = get(&cluster, "", "pods", "vip").unwrap();
    assert_eq!(vip["status"]["phase"], "Running");
    assert!(get(&cluster, "", "pods", "big").is_none(), "it had to go");
    assert!(get(&cluster, "", "pods", "small").is_some(), "it could stay");
    let node = vip["spec"]["nodeName"].as_str().unwrap();
    let uid = vip["metadata"]["uid"].as_str().unwrap();
    assert_eq!(said(&cluster, "Preempted"), [format!("Preempted by pod {uid} on node {node}")]);
    assert!(
        said(&cluster, "FailedScheduling")
            .contains(&"0/1 nodes are available: 1 Insufficient cpu.".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn equals_do_not_preempt_each_other() {
    let cluster = bare(1).await;
    classes(&cluster).await;
    let pods = "/api/v1/namespaces/default/pods";
    post(&cluster, pods, asking("first", "high", "1500m")).await;
    post(&cluster, pods, asking("second", "high", "1500m")).await;
    cluster.settled().await;
    assert_eq!(get(&cluster, "", "pods", "second").unwrap()["status"]["phase"], "Pending");
    assert_eq!(
        said(&cluster, "FailedScheduling"),
        [
            "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims \
          found for incoming pod."
        ]
    );
}
