//! The words were taken from a kube-scheduler 1.37.2 in front of the same nodes and pods.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Snapshot, place};

fn node(name: &str, change: impl FnOnce(&mut Value)) -> Arc<Value> {
    let mut node = json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "spec": {},
        "status": {"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "10"}},
    });
    change(&mut node);
    Arc::new(node)
}

fn pod(name: &str, spec: Value) -> Value {
    let mut pod = json!({
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "a"}},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        pod["spec"][key] = value.clone();
    }
    pod
}

fn on(node: &str, mut pod: Value) -> Arc<Value> {
    pod["spec"]["nodeName"] = json!(node);
    Arc::new(pod)
}

fn requesting(requests: Value) -> Value {
    json!({"containers": [{"name": "c", "image": "x", "resources": {"requests": requests}}]})
}

/// Three nodes as the real scheduler had them: one open, one tainted, one with a single pod slot taken.
fn three() -> Snapshot {
    Snapshot {
        nodes: vec![
            node("n1", |_| {}),
            node("n2", |n| {
                n["spec"]["taints"] = json!([{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]);
            }),
            node("n3", |n| n["status"]["allocatable"]["pods"] = json!("1")),
        ],
        pods: vec![on("n3", pod("fill", json!({})))],
        namespaces: Vec::new(),
    }
}

fn refusal(pod: &Value, snapshot: &Snapshot) -> String {
    place(pod, snapshot).expect_err("no node should take this pod").message
}

#[test]
fn without_a_node_the_message_is_its_own() {
    assert_eq!(refusal(&pod("p", json!({})), &Snapshot::default()), "no nodes available to schedule pods");
}

#[test]
fn a_request_larger_than_any_node_cannot_be_helped_by_preemption() {
    assert_eq!(
        refusal(&pod("big", requesting(json!({"cpu": "64"}))), &three()),
        "0/3 nodes are available: 1 Too many pods, 1 node(s) had untolerated taint(s), 2 Insufficient cpu. \
         preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
}

#[test]
fn what_is_taken_by_others_might_be_freed() {
    let mut snapshot = three();
    snapshot.pods.push(on("n1", pod("mid", requesting(json!({"cpu": "1900m"})))));
    assert_eq!(
        refusal(&pod("mid3", requesting(json!({"cpu": "1900m"}))), &snapshot),
        "0/3 nodes are available: 1 Insufficient cpu, 1 Too many pods, 1 node(s) had untolerated taint(s). \
         preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption \
         victims found for incoming pod."
    );
}

#[test]
fn each_shortfall_of_a_node_is_counted() {
    let mut snapshot = three();
    snapshot.pods.push(on("n1", pod("mid", requesting(json!({"cpu": "1900m"})))));
    assert_eq!(
        refusal(&pod("mid2", requesting(json!({"cpu": "1900m", "memory": "8Gi"}))), &snapshot),
        "0/3 nodes are available: 1 Insufficient cpu, 1 Too many pods, 1 node(s) had untolerated taint(s), \
         2 Insufficient memory. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
}

#[test]
fn a_selector_that_no_node_matches_is_named() {
    assert_eq!(
        refusal(&pod("sel", json!({"nodeSelector": {"a": "b"}})), &three()),
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 node(s) didn't match Pod's node \
         affinity/selector. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
}

#[test]
fn a_pod_pinned_by_name_skips_the_other_nodes() {
    let affinity = json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}],
    }}}});
    assert_eq!(
        refusal(&pod("byname", affinity), &three()),
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 node(s) didn't satisfy plugin(s) \
         [NodeAffinity]. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
}

fn apart() -> Value {
    json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
    }]}}})
}

#[test]
fn a_second_replica_that_must_be_apart_stays_pending() {
    let mut snapshot = three();
    snapshot.pods.push(on("n1", pod("anti", apart())));
    assert_eq!(
        refusal(&pod("anti2", apart()), &snapshot),
        "0/3 nodes are available: 1 Too many pods, 1 node(s) didn't match pod anti-affinity rules, 1 node(s) \
         had untolerated taint(s). preemption: 0/3 nodes are available: 1 Preemption is not helpful for \
         scheduling, 2 No preemption victims found for incoming pod."
    );
}

#[test]
fn a_pod_that_wants_to_be_alone_keeps_others_off() {
    let snapshot =
        Snapshot { nodes: vec![node("n1", |_| {})], pods: vec![on("n1", pod("a", apart()))], ..three() };
    assert!(
        refusal(&pod("other", json!({})), &snapshot)
            .contains("1 node(s) didn't satisfy existing pods anti-affinity rules")
    );
}

#[test]
fn a_node_without_the_topology_label_cannot_take_a_spread_pod() {
    let spread = json!({"topologySpreadConstraints": [{
        "maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "a"}},
    }]});
    assert_eq!(
        refusal(&pod("spread", spread), &three()),
        "0/3 nodes are available: 1 Too many pods, 1 node(s) didn't match pod topology spread constraints \
         (missing required label), 1 node(s) had untolerated taint(s). preemption: 0/3 nodes are available: \
         1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling."
    );
}

#[test]
fn pods_that_request_nothing_spread_over_the_nodes() {
    let mut snapshot =
        Snapshot { nodes: vec![node("n1", |_| {}), node("n2", |_| {})], ..Snapshot::default() };
    let first = place(&pod("a", json!({})), &snapshot).expect("it fits");
    snapshot.pods.push(on(&first, pod("a", json!({}))));
    let second = place(&pod("b", json!({})), &snapshot).expect("it fits");
    assert_eq!((first.as_str(), second.as_str()), ("n1", "n2"));
}

#[test]
fn a_toleration_opens_a_tainted_node() {
    let tolerant = pod(
        "p",
        json!({"tolerations": [{"key": "dedicated", "operator": "Exists"}], "nodeSelector": {
            "kubernetes.io/hostname": "n2",
        }}),
    );
    assert_eq!(place(&tolerant, &three()), Ok("n2".to_owned()));
}
