//! Where a pod can go, and in whose words it is said that it can go nowhere.
//!
//! Filters run in the order of the real scheduler's default plugins, and the first that refuses a node
//! gives the reason: `NodeUnschedulable`, `NodeName`, `TaintToleration`, `NodeAffinity`, `NodePorts`,
//! `NodeResourcesFit`, `PodTopologySpread`, `InterPodAffinity`. Words and rules were compared with a
//! kube-scheduler 1.37.2.

use std::collections::BTreeMap;

use serde_json::Value;

use super::resources::{Amounts, allocatable, pod_requests, shortfalls};
use super::spread::Constraints;
use super::{node_affinity, pod_affinity, spread, taints};
use crate::store::{Meta, Object};

/// The state of the cluster that a placement is decided on.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Every node, in order of name.
    pub nodes: Vec<Object>,
    /// Every pod that has a node and has not ended (`Succeeded`, `Failed`).
    pub pods: Vec<Object>,
    /// Every namespace, for namespace selectors.
    pub namespaces: Vec<Object>,
}

impl Snapshot {
    /// The pods on one node.
    pub(super) fn on<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a Object> {
        self.pods.iter().filter(move |pod| pod["spec"]["nodeName"] == node)
    }

    /// The node that a pod is on.
    pub(super) fn node_of(&self, pod: &Value) -> Option<&Object> {
        let name = pod["spec"]["nodeName"].as_str()?;
        let index = self.nodes.binary_search_by(|node| node.name().cmp(name)).ok()?;
        self.nodes.get(index)
    }
}

/// What is said where there is no Node at all.
const NO_NODES: &str = "no nodes available to schedule pods";

/// Why no node takes a pod: the message of the event and of the `PodScheduled` condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unschedulable {
    /// For example `0/2 nodes are available: 2 Insufficient cpu. preemption: …`.
    pub message: String,
}

struct Verdict {
    reasons: Vec<String>,
    /// Evicting other pods could not help (`UnschedulableAndUnresolvable`).
    hopeless: bool,
}

impl Verdict {
    fn hopeless(reason: &str) -> Self {
        Self { reasons: vec![reason.to_owned()], hopeless: true }
    }

    fn contested(reason: &str) -> Self {
        Self { reasons: vec![reason.to_owned()], hopeless: false }
    }
}

/// The node to bind a pod to: of those that are feasible the one that is preferred most, then the least
/// requested, then the first by name.
///
/// # Errors
/// [`Unschedulable`] with the scheduler's message.
pub fn place(pod: &Value, snapshot: &Snapshot) -> Result<String, Unschedulable> {
    if snapshot.nodes.is_empty() {
        return Err(Unschedulable { message: NO_NODES.to_owned() });
    }
    let wanted = pod_requests(pod);
    let constraints = Constraints::of(pod, snapshot);
    let pinned = node_affinity::pinned_to(pod);
    let mut feasible = Vec::new();
    let mut refused = Vec::new();
    for node in &snapshot.nodes {
        let verdict = if pinned.as_ref().is_some_and(|names| !names.contains(&node.name())) {
            Some(Verdict::hopeless("node(s) didn't satisfy plugin(s) [NodeAffinity]"))
        } else {
            refuse(pod, node, snapshot, &wanted, &constraints)
        };
        match verdict {
            None => feasible.push(node),
            Some(verdict) => refused.push(verdict),
        }
    }
    let best = feasible.into_iter().map(|node| (score(pod, node, snapshot, &wanted), node)).min_by(|a, b| {
        b.0.preferred
            .cmp(&a.0.preferred)
            .then(a.0.load.total_cmp(&b.0.load))
            .then_with(|| a.1.name().cmp(b.1.name()))
    });
    match best {
        Some((_, node)) => Ok(node.name().to_owned()),
        None => Err(Unschedulable { message: message(pod, &refused) }),
    }
}

/// Whether one node takes a pod.
pub(super) fn fits(pod: &Value, node: &Object, snapshot: &Snapshot) -> bool {
    let pinned = node_affinity::pinned_to(pod);
    pinned.is_none_or(|names| names.contains(&node.name()))
        && refuse(pod, node, snapshot, &pod_requests(pod), &Constraints::of(pod, snapshot)).is_none()
}

/// The message without what it says of preemption, or with something else said of it.
pub(super) fn with_preemption(message: &str, said: &str) -> String {
    let filters = message.split(" preemption: ").next().unwrap_or(message);
    if said.is_empty() { filters.to_owned() } else { format!("{filters} preemption: {said}") }
}

fn refuse(
    pod: &Value,
    node: &Object,
    snapshot: &Snapshot,
    wanted: &Amounts,
    constraints: &Constraints,
) -> Option<Verdict> {
    let spec = &node["spec"];
    if spec["unschedulable"] == true && !taints::tolerated(pod, &unschedulable_taint()) {
        return Some(Verdict::hopeless("node(s) were unschedulable"));
    }
    if taints::untolerated(pod, &spec["taints"], &["NoSchedule", "NoExecute"]) {
        return Some(Verdict::hopeless("node(s) had untolerated taint(s)"));
    }
    if !node_affinity::matches(pod, node) {
        return Some(Verdict::hopeless("node(s) didn't match Pod's node affinity/selector"));
    }
    let there: Vec<&Value> = snapshot.on(node.name()).map(AsRef::as_ref).collect();
    if ports_taken(pod, &there) {
        return Some(Verdict::contested("node(s) didn't have free ports for the requested pod ports"));
    }
    let (reasons, hopeless) = shortfalls(wanted, node, &there);
    if !reasons.is_empty() {
        return Some(Verdict { reasons, hopeless });
    }
    match constraints.refuse(node) {
        Some(spread::Refusal::MissingLabel) => {
            return Some(Verdict::hopeless(
                "node(s) didn't match pod topology spread constraints (missing required label)",
            ));
        }
        Some(spread::Refusal::Skew) => {
            return Some(Verdict::contested("node(s) didn't match pod topology spread constraints"));
        }
        None => {}
    }
    pod_affinity::refuses(pod, node, snapshot).map(|refusal| match refusal {
        pod_affinity::Refusal::Affinity => Verdict::hopeless("node(s) didn't match pod affinity rules"),
        pod_affinity::Refusal::AntiAffinity => {
            Verdict::contested("node(s) didn't match pod anti-affinity rules")
        }
        pod_affinity::Refusal::ExistingAntiAffinity => {
            Verdict::contested("node(s) didn't satisfy existing pods anti-affinity rules")
        }
    })
}

fn unschedulable_taint() -> Value {
    serde_json::json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})
}

fn host_ports(pod: &Value) -> impl Iterator<Item = (&str, &str, i64)> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    containers.flat_map(|container| container["ports"].as_array().into_iter().flatten()).filter_map(|port| {
        let number = port["hostPort"].as_i64().filter(|number| *number > 0)?;
        let address = port["hostIP"].as_str().filter(|ip| !ip.is_empty()).unwrap_or("0.0.0.0");
        Some((port["protocol"].as_str().unwrap_or("TCP"), address, number))
    })
}

fn ports_taken(pod: &Value, there: &[&Value]) -> bool {
    host_ports(pod).any(|(protocol, address, number)| {
        there.iter().flat_map(|other| host_ports(other)).any(
            |(other_protocol, other_address, other_number)| {
                protocol == other_protocol
                    && number == other_number
                    && (address == other_address || address == "0.0.0.0" || other_address == "0.0.0.0")
            },
        )
    })
}

struct Score {
    preferred: i64,
    load: f64,
}

fn score(pod: &Value, node: &Object, snapshot: &Snapshot, wanted: &Amounts) -> Score {
    let has = allocatable(node);
    let mut used = wanted.clone();
    let mut count = 0.0;
    for other in snapshot.on(node.name()) {
        count += 1.0;
        for (name, amount) in pod_requests(other) {
            *used.entry(name).or_default() += amount;
        }
    }
    // Precision does not matter here: this only ranks nodes.
    #[expect(clippy::cast_precision_loss)]
    let share = |name: &str| {
        let total = has.get(name).copied().unwrap_or_default();
        if total > 0 { used.get(name).copied().unwrap_or_default() as f64 / total as f64 } else { 1.0 }
    };
    // The pod count breaks the tie between nodes whose pods request nothing, as the real scheduler's
    // spreading score does.
    let untaken =
        if taints::untolerated(pod, &node["spec"]["taints"], &["PreferNoSchedule"]) { -1 } else { 0 };
    Score {
        preferred: node_affinity::preference(pod, node) + untaken,
        load: share("cpu") + share("memory") + count / 1000.0,
    }
}

/// `<count> <reason>` for each reason, sorted as strings, so that "10 …" comes before "2 …".
fn histogram<'a>(reasons: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    let mut parts: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort();
    parts.join(", ")
}

/// The message about a pod that no node can take for a reason that lies in the pod itself: such a reason is
/// said once and not counted.
pub(super) fn refused_everywhere(pod: &Value, snapshot: &Snapshot, reason: &str) -> String {
    let nodes = snapshot.nodes.len();
    if nodes == 0 {
        return NO_NODES.to_owned();
    }
    let preemption = if pod["spec"]["preemptionPolicy"] == "Never" {
        "not eligible due to preemptionPolicy=Never.".to_owned()
    } else {
        format!("0/{nodes} nodes are available: {nodes} Preemption is not helpful for scheduling.")
    };
    format!("0/{nodes} nodes are available: {reason}. preemption: {preemption}")
}

fn message(pod: &Value, refused: &[Verdict]) -> String {
    let nodes = refused.len();
    let filters = histogram(refused.iter().flat_map(|verdict| verdict.reasons.iter().map(String::as_str)));
    let preemption = if pod["spec"]["preemptionPolicy"] == "Never" {
        "not eligible due to preemptionPolicy=Never.".to_owned()
    } else {
        let outcome = |verdict: &Verdict| {
            if verdict.hopeless {
                "Preemption is not helpful for scheduling"
            } else {
                "No preemption victims found for incoming pod"
            }
        };
        format!("0/{nodes} nodes are available: {}.", histogram(refused.iter().map(outcome)))
    };
    format!("0/{nodes} nodes are available: {filters}. preemption: {preemption}")
}
