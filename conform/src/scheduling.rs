//! Scheduler cases: random nodes, random pods on them, and one more pod. Which nodes could take it, and what is said
//! when none can, must be the same on both sides.
//!
//! Nodes are objects without kubelets, so that a pod which is placed stays where it is. Which nodes could take the
//! pod is found by asking for each of them: a copy of the pod that wants this node alone is placed or is not.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::compare::Difference;
use crate::known::List;
use crate::operation::Operation;
use crate::report::Report;
use crate::side::Side;
use crate::{Error, replay};

/// The area that cases are counted in.
pub const AREA: &str = "scheduler";

/// How often a scheduler that says something else is asked again: it may not have seen yet what it was given.
const TRIES: u32 = 6;

/// How many steps of shrinking a case is worth, of seconds each.
const SHRINKING: u32 = 12;

/// Nodes, pods on them, and a pod that wants a place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Nodes: labels, taints, allocatable; named by their place in the list.
    pub nodes: Vec<Value>,
    /// Pods that are on a node, by its place in the list.
    pub placed: Vec<(usize, Value)>,
    /// The spec of the pod.
    pub pod: Value,
}

/// What a scheduler makes of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    /// Nodes that could take the pod.
    feasible: BTreeSet<String>,
    /// What is said of the pod when none can.
    message: String,
}

fn case() -> impl Strategy<Value = Case> {
    let nodes = prop::collection::vec(node(), 1..5);
    let placed = prop::collection::vec((0..4_usize, placed()), 0..4);
    (nodes, placed, pod()).prop_map(|(nodes, placed, pod)| {
        let count = nodes.len();
        let placed = placed.into_iter().map(|(at, pod)| (at % count, pod)).collect();
        Case { nodes, placed, pod }
    })
}

fn node() -> BoxedStrategy<Value> {
    let zone = select(&[None, Some("a"), Some("b")][..]);
    let taint = prop_oneof![
        5 => Just(json!([])),
        2 => Just(json!([{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}])),
        1 => Just(json!([{"key": "evil", "effect": "NoExecute"}])),
        1 => Just(json!([{"key": "soft", "value": "x", "effect": "PreferNoSchedule"}])),
    ];
    let cpu = select(&["1", "2", "4"][..]);
    let memory = select(&["1Gi", "4Gi"][..]);
    let pods = select(&["1", "2", "110"][..]);
    let disk = select(&["ssd", "hdd"][..]);
    (zone, taint, cpu, memory, pods, disk, prop::bool::weighted(0.1))
        .prop_map(|(zone, taints, cpu, memory, pods, disk, unschedulable)| {
            let mut labels = json!({"disk": disk, "size": cpu});
            if let Some(zone) = zone {
                labels["topology.kubernetes.io/zone"] = json!(zone);
            }
            json!({
                "labels": labels, "taints": taints, "unschedulable": unschedulable,
                "allocatable": {"cpu": cpu, "memory": memory, "pods": pods},
            })
        })
        .boxed()
}

fn container(cpu: &str, memory: &str, port: u16) -> Value {
    let mut container = json!({"name": "main", "image": "web:1"});
    for (name, amount) in [("cpu", cpu), ("memory", memory)].iter().filter(|(_, amount)| !amount.is_empty()) {
        container["resources"]["requests"][*name] = json!(amount);
    }
    if port > 0 {
        container["ports"] = json!([{"containerPort": port, "hostPort": port}]);
    }
    container
}

fn anti_affinity(app: &str, topology: &str) -> Value {
    json!({"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": topology},
    ]})
}

fn placed() -> BoxedStrategy<Value> {
    let cpu = select(&["", "500m", "1"][..]);
    let app = select(&["x", "y"][..]);
    let port = select(&[0, 0, 8080][..]);
    let refuses = prop_oneof![
        4 => Just(Value::Null),
        1 => Just(anti_affinity("new", "kubernetes.io/hostname")),
        1 => Just(anti_affinity("new", "topology.kubernetes.io/zone")),
    ];
    (cpu, app, port, refuses)
        .prop_map(|(cpu, app, port, refuses)| {
            let mut spec = json!({"containers": [container(cpu, "", port)]});
            if !refuses.is_null() {
                spec["affinity"] = json!({"podAntiAffinity": refuses});
            }
            json!({"labels": {"app": app}, "spec": spec})
        })
        .boxed()
}

fn pod() -> BoxedStrategy<Value> {
    let size = (select(&["", "500m", "1500m", "3"][..]), select(&["", "512Mi", "2Gi"][..]));
    let port = select(&[0, 0, 0, 8080][..]);
    let selector = prop_oneof![
        4 => Just(Value::Null),
        1 => Just(json!({"disk": "ssd"})),
        1 => Just(json!({"nothing": "has-this"})),
    ];
    let required = |expressions: Value| {
        json!({"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": expressions}],
        }})
    };
    let node_affinity = prop_oneof![
        5 => Just(Value::Null),
        1 => Just(required(json!([{"key": "disk", "operator": "In", "values": ["hdd"]}]))),
        1 => Just(required(json!([{"key": "topology.kubernetes.io/zone", "operator": "NotIn", "values": ["a"]}]))),
        1 => Just(required(json!([{"key": "topology.kubernetes.io/zone", "operator": "Exists"}]))),
        1 => Just(required(json!([{"key": "size", "operator": "Gt", "values": ["1"]}]))),
    ];
    let host = "kubernetes.io/hostname";
    let zone = "topology.kubernetes.io/zone";
    let pod_affinity = prop_oneof![
        5 => Just(Value::Null),
        1 => Just(json!({"podAntiAffinity": anti_affinity("x", host)})),
        1 => Just(json!({"podAntiAffinity": anti_affinity("y", zone)})),
        1 => Just(json!({"podAffinity": anti_affinity("x", zone)})),
        1 => Just(json!({"podAffinity": anti_affinity("nobody", host)})),
    ];
    let tolerations = prop_oneof![
        4 => Just(json!([])),
        1 => Just(json!([{"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}])),
        1 => Just(json!([{"operator": "Exists"}])),
        1 => Just(json!([{"key": "evil", "operator": "Exists"}])),
    ];
    let spread = |topology: &str, skew: u32| {
        json!([{"maxSkew": skew, "topologyKey": topology, "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "x"}}}])
    };
    let spread = prop_oneof![
        5 => Just(Value::Null),
        1 => Just(spread(zone, 1)),
        1 => Just(spread(host, 1)),
    ];
    (size, port, selector, node_affinity, pod_affinity, tolerations, spread)
        .prop_map(|((cpu, memory), port, selector, on, with, tolerations, spread)| {
            let mut spec = json!({
                "containers": [container(cpu, memory, port)], "tolerations": tolerations,
            });
            if !selector.is_null() {
                spec["nodeSelector"] = selector;
            }
            if !with.is_null() {
                spec["affinity"] = with;
            }
            if !on.is_null() {
                spec["affinity"]["nodeAffinity"] = on;
            }
            if !spread.is_null() {
                spec["topologySpreadConstraints"] = spread;
            }
            spec
        })
        .boxed()
}

/// Compares generated cases, which a seed decides; adds them to a report.
///
/// # Errors
/// When one of the sides does not answer, or a case cannot be kept.
pub async fn run(
    seed: u64,
    cases: u32,
    keep: Option<&std::path::Path>,
    sides: [&Side; 2],
    known: &List,
    report: &mut Report,
) -> Result<(), Error> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
    let strategy = case();
    for side in sides {
        side.make_namespace(NAMESPACE).await?;
        set_aside(side).await?;
    }
    for number in 1..=cases {
        let Ok(mut tree) = strategy.new_tree(&mut runner) else { continue };
        let found = compare(&tree.current(), sides).await?;
        let new = count(&found, known, report);
        if !new {
            continue;
        }
        if let Some(folder) = keep {
            let shortest = shrink(&mut tree, sides, known).await?;
            let path = replay::keep_case(folder, &format!("scheduler-{seed}-{number}"), &shortest)?;
            report.kept.push(path);
        }
    }
    Ok(())
}

/// Plays one case.
///
/// # Errors
/// When one of the sides does not answer.
pub async fn play(case: &Case, sides: [&Side; 2], known: &List) -> Result<Report, Error> {
    let mut report = Report::against(known);
    for side in sides {
        side.make_namespace(NAMESPACE).await?;
        set_aside(side).await?;
    }
    let found = compare(case, sides).await?;
    count(&found, known, &mut report);
    Ok(report)
}

/// Sees to it that a cluster has no pods of its own, which would go to the nodes of a case and take room there: what
/// it runs on every node is sent to none, and of what waits for a node there is to be nothing.
async fn set_aside(side: &Side) -> Result<(), Error> {
    const SYSTEM: &str = "/namespaces/kube-system";
    let nowhere = json!({"spec": {"template": {"spec": {"nodeSelector": {"conform/nowhere": "true"}}}}});
    for (kind, patch) in [("daemonsets", nowhere), ("deployments", json!({"spec": {"replicas": 0}}))] {
        let path = format!("/apis/apps/v1{SYSTEM}/{kind}");
        let found = side.get(&path).await?;
        for object in found["items"].as_array().into_iter().flatten() {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let aside = Operation::new(AREA, "PATCH", format!("{path}/{name}"));
            side.ask(&aside.with("application/merge-patch+json", patch.clone()), NAMESPACE).await?;
        }
    }
    let empty = |found: &Value| found["items"].as_array().is_none_or(Vec::is_empty);
    side.until(&format!("/api/v1{SYSTEM}/pods"), empty).await.map(drop)
}

/// The namespace of all cases.
const NAMESPACE: &str = "conform-scheduler";

fn request() -> Operation {
    Operation::new(AREA, "POST", pods_path())
}

fn pods_path() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/pods")
}

fn count(found: &[Difference], known: &List, report: &mut Report) -> bool {
    let mut new = false;
    for difference in found {
        match known.find(AREA, &pods_path(), difference) {
            Some(entry) => report.met[entry] += 1,
            None => {
                new = true;
                report.note(&request(), difference);
            }
        }
    }
    report.count(AREA, !found.is_empty(), new);
    new
}

/// The smallest case found that still differs.
async fn shrink(
    tree: &mut impl ValueTree<Value = Case>,
    sides: [&Side; 2],
    known: &List,
) -> Result<Case, Error> {
    let mut best = tree.current();
    let mut more = tree.simplify();
    for _ in 0..SHRINKING {
        if !more {
            break;
        }
        let found = compare(&tree.current(), sides).await?;
        let differs = found.iter().any(|it| known.find(AREA, &pods_path(), it).is_none());
        if differs {
            best = tree.current();
            more = tree.simplify();
        } else {
            more = tree.complicate();
        }
    }
    Ok(best)
}

async fn compare(case: &Case, [embedded, reference]: [&Side; 2]) -> Result<Vec<Difference>, Error> {
    let ours = verdict(case, embedded, None).await?;
    // A scheduler may see nodes and pods a moment late, and then tries again.
    let theirs = verdict(case, reference, Some(&ours)).await?;
    let mut found = Vec::new();
    if ours.feasible != theirs.feasible {
        let (embedded, reference) = (json!(ours.feasible), json!(theirs.feasible));
        found.push(Difference { pointer: "/feasible".into(), embedded, reference });
    }
    if ours.message != theirs.message {
        let (embedded, reference) = (json!(ours.message), json!(theirs.message));
        found.push(Difference { pointer: "/message".into(), embedded, reference });
    }
    Ok(found)
}

/// Sets a case up on a side, and takes it down again.
async fn verdict(case: &Case, side: &Side, expected: Option<&Verdict>) -> Result<Verdict, Error> {
    for (index, node) in case.nodes.iter().enumerate() {
        create(side, "/api/v1/nodes", &node_object(index, node)).await?;
    }
    // A new node is kept free until the controllers get to it; they find nothing to do.
    for (index, node) in case.nodes.iter().enumerate() {
        let path = format!("/api/v1/nodes/{}", name(index));
        let patch = json!({"spec": {"taints": wanted_taints(node)}});
        let patch = Operation::new(AREA, "PATCH", path).with("application/merge-patch+json", patch);
        side.ask(&patch, NAMESPACE).await?;
    }
    for (number, (at, pod)) in case.placed.iter().enumerate() {
        let mut spec = pod["spec"].clone();
        spec["nodeName"] = json!(name(*at));
        create(side, &pods_path(), &pod_object(&format!("placed-{number}"), pod["labels"].clone(), spec))
            .await?;
    }
    let count = case.nodes.len();
    let whole = decided(side, "new", case.pod.clone(), count, expected.map(|it| it.message.as_str())).await?;
    let mut feasible = BTreeSet::new();
    for index in 0..count {
        let placed = expected.map(|it| if it.feasible.contains(&name(index)) { "" } else { "0/" });
        if decided(side, &format!("new-{index}"), only_on(&case.pod, index), count, placed).await?.is_empty()
        {
            feasible.insert(name(index));
        }
    }
    for number in 0..case.placed.len() {
        remove(side, &format!("{}/placed-{number}", pods_path())).await?;
    }
    for index in 0..count {
        remove(side, &format!("/api/v1/nodes/{}", name(index))).await?;
    }
    Ok(Verdict { feasible, message: whole })
}

fn name(index: usize) -> String {
    format!("conform-{index}")
}

/// What is said of a pod that has no place; nothing when it has one. `expected` is what is waited for a while.
async fn decided(
    side: &Side,
    pod: &str,
    spec: Value,
    nodes: usize,
    expected: Option<&str>,
) -> Result<String, Error> {
    let path = format!("{}/{pod}", pods_path());
    let said = |found: &Value| -> Option<String> {
        if found["spec"]["nodeName"].is_string() {
            return Some(String::new());
        }
        let conditions = found["status"]["conditions"].as_array()?;
        Some(conditions.iter().find(|it| it["type"] == "PodScheduled")?["message"].as_str()?.to_owned())
    };
    let as_expected = |message: &str| match expected {
        None => message.is_empty() || message.starts_with(&format!("0/{nodes} ")),
        Some("0/") => !message.is_empty(),
        Some(expected) => message == expected,
    };
    let object = pod_object(pod, json!({"app": "new"}), spec);
    let mut tries = 0;
    loop {
        create(side, &pods_path(), &object).await?;
        let found = side.until(&path, |found| said(found).is_some()).await?;
        remove(side, &path).await?;
        let message = said(&found).unwrap_or_default();
        tries += 1;
        // Whoever was asked before it had seen everything is asked again.
        if as_expected(&message) || tries == TRIES {
            return Ok(message);
        }
        tokio::time::sleep(Duration::from_millis(100) * tries).await;
    }
}

/// A pod that wants one node alone, and whatever else it wanted.
fn only_on(pod: &Value, index: usize) -> Value {
    let mut pod = pod.clone();
    let field = json!({"key": "metadata.name", "operator": "In", "values": [name(index)]});
    let required = &mut pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    match required["nodeSelectorTerms"].as_array_mut() {
        Some(terms) => terms.iter_mut().for_each(|term| term["matchFields"] = json!([field])),
        None => *required = json!({"nodeSelectorTerms": [{"matchFields": [field]}]}),
    }
    pod
}

fn node_object(index: usize, node: &Value) -> Value {
    let mut labels = node["labels"].clone();
    labels["kubernetes.io/hostname"] = json!(name(index));
    let now = kubesim_now();
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name(index), "labels": labels},
        "spec": {"taints": node["taints"], "unschedulable": node["unschedulable"]},
        "status": {
            "allocatable": node["allocatable"], "capacity": node["allocatable"],
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
                "lastHeartbeatTime": now, "lastTransitionTime": now,
            }],
        },
    })
}

fn kubesim_now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What a node is tainted with when the controllers are done with it.
fn wanted_taints(node: &Value) -> Value {
    let mut taints = node["taints"].as_array().cloned().unwrap_or_default();
    if node["unschedulable"] == true {
        taints.push(json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}));
    }
    json!(taints)
}

fn pod_object(name: &str, labels: Value, spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec})
}

async fn create(side: &Side, path: &str, object: &Value) -> Result<(), Error> {
    let create = Operation::new(AREA, "POST", path).with("application/json", object.clone());
    let answer = side.ask(&create, NAMESPACE).await?;
    if answer.is_success() { Ok(()) } else { Err(side.broken(&format!("POST {path}: {}", answer.body))) }
}

/// Deletes at once, and waits until it is gone.
async fn remove(side: &Side, path: &str) -> Result<(), Error> {
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0});
    side.ask(&Operation::new(AREA, "DELETE", path).with("application/json", options), NAMESPACE).await?;
    side.until(path, |found| found["kind"] == "Status").await.map(drop)
}
