//! Where a pod can go, and in whose words it is said that it can go nowhere.
//!
//! Filters run in the order of the real scheduler's default plugins, and the first that refuses a node
//! gives the reason: `NodeUnschedulable`, `NodeName`, `TaintToleration`, `NodeAffinity`, `NodePorts`,
//! `NodeResourcesFit`, `PodTopologySpread`, `InterPodAffinity`. Words and rules were compared with a
//! kube-scheduler 1.37.2.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::occupancy::{Occupancy, Room};
use super::pod_affinity::Neighbours;
use super::resources::{Amounts, pod_requests, shortfalls};
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
    choose(pod, &Occupancy::of(snapshot))
}

/// [`place`] on what is known already.
pub(super) fn choose(pod: &Value, occupancy: &Occupancy) -> Result<String, Unschedulable> {
    if occupancy.len() == 0 {
        return Err(Unschedulable { message: NO_NODES.to_owned() });
    }
    let wish = Wish::of(pod, occupancy);
    let mut refused = Refusals::default();
    let mut best: Option<(Score, &Object)> = None;
    let mut look = |node, room: &Room| match wish.refuse(node, room) {
        None => {
            let score = wish.score(node, room);
            if best.as_ref().is_none_or(|(known, _)| score.is_better(known)) {
                best = Some((score, node));
            }
        }
        Some(verdict) => refused.add(&verdict, 1),
    };
    match node_affinity::pinned_to(pod) {
        // A pod of a DaemonSet: no other node need be looked at.
        Some(names) => {
            let names: BTreeSet<&str> = names.into_iter().collect();
            let named: Vec<_> = names.into_iter().filter_map(|name| occupancy.node(name)).collect();
            for (node, room) in &named {
                look(node, room);
            }
            let elsewhere = Verdict::hopeless("node(s) didn't satisfy plugin(s) [NodeAffinity]");
            refused.add(&elsewhere, occupancy.len() - named.len());
        }
        None => {
            for (node, room) in occupancy.nodes() {
                look(node, room);
            }
        }
    }
    match best {
        Some((_, node)) => Ok(node.name().to_owned()),
        None => Err(Unschedulable { message: refused.message(pod) }),
    }
}

/// Whether one node takes a pod.
pub(super) fn fits(pod: &Value, node: &Object, occupancy: &Occupancy) -> bool {
    let pinned = node_affinity::pinned_to(pod);
    pinned.is_none_or(|names| names.contains(&node.name()))
        && occupancy
            .node(node.name())
            .is_some_and(|(node, room)| Wish::of(pod, occupancy).refuse(node, room).is_none())
}

/// The message without what it says of preemption, or with something else said of it.
pub(super) fn with_preemption(message: &str, said: &str) -> String {
    let filters = message.split(" preemption: ").next().unwrap_or(message);
    if said.is_empty() { filters.to_owned() } else { format!("{filters} preemption: {said}") }
}

/// What a pod asks of the node that it is to go to.
struct Wish<'a> {
    pod: &'a Value,
    wanted: Amounts,
    constraints: Constraints,
    neighbours: Neighbours<'a>,
}

impl<'a> Wish<'a> {
    fn of(pod: &'a Value, occupancy: &'a Occupancy) -> Self {
        Self {
            pod,
            wanted: pod_requests(pod),
            constraints: Constraints::of(pod, occupancy),
            neighbours: Neighbours::of(pod, occupancy),
        }
    }

    fn refuse(&self, node: &Object, room: &Room) -> Option<Verdict> {
        let (pod, spec) = (self.pod, &node["spec"]);
        if spec["unschedulable"] == true && !taints::tolerated(pod, &unschedulable_taint()) {
            return Some(Verdict::hopeless("node(s) were unschedulable"));
        }
        if taints::untolerated(pod, &spec["taints"], &["NoSchedule", "NoExecute"]) {
            return Some(Verdict::hopeless("node(s) had untolerated taint(s)"));
        }
        if !node_affinity::matches(pod, node) {
            return Some(Verdict::hopeless("node(s) didn't match Pod's node affinity/selector"));
        }
        if ports_taken(pod, room) {
            return Some(Verdict::contested("node(s) didn't have free ports for the requested pod ports"));
        }
        let (reasons, hopeless) = shortfalls(&self.wanted, room);
        if !reasons.is_empty() {
            return Some(Verdict { reasons, hopeless });
        }
        match self.constraints.refuse(node) {
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
        self.neighbours.refuse(node).map(|refusal| match refusal {
            pod_affinity::Refusal::Affinity => Verdict::hopeless("node(s) didn't match pod affinity rules"),
            pod_affinity::Refusal::AntiAffinity => {
                Verdict::contested("node(s) didn't match pod anti-affinity rules")
            }
            pod_affinity::Refusal::ExistingAntiAffinity => {
                Verdict::contested("node(s) didn't satisfy existing pods anti-affinity rules")
            }
        })
    }

    fn score(&self, node: &Object, room: &Room) -> Score {
        // Precision does not matter here: this only ranks nodes.
        #[expect(clippy::cast_precision_loss)]
        let share = |name: &str| {
            let of = |amounts: &Amounts| amounts.get(name).copied().unwrap_or_default();
            let total = of(&room.has);
            if total > 0 { (of(&room.used) + of(&self.wanted)) as f64 / total as f64 } else { 1.0 }
        };
        // The pod count breaks the tie between nodes whose pods request nothing, as the real scheduler's
        // spreading score does.
        #[expect(clippy::cast_precision_loss)]
        let count = room.len() as f64;
        let avoided = taints::untolerated(self.pod, &node["spec"]["taints"], &["PreferNoSchedule"]);
        Score {
            preferred: node_affinity::preference(self.pod, node) - i64::from(avoided),
            load: share("cpu") + share("memory") + count / 1000.0,
        }
    }
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

fn ports_taken(pod: &Value, room: &Room) -> bool {
    host_ports(pod).any(|(protocol, address, number)| {
        room.pods().flat_map(|other| host_ports(other)).any(
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

impl Score {
    fn is_better(&self, than: &Self) -> bool {
        self.preferred > than.preferred || self.preferred == than.preferred && self.load < than.load
    }
}

/// `<count> <reason>` for each reason, sorted as strings, so that "10 …" comes before "2 …".
fn histogram(counts: &BTreeMap<String, usize>) -> String {
    let mut parts: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort();
    parts.join(", ")
}

/// The message about a pod that no node can take for a reason that lies in the pod itself: such a reason is
/// said once and not counted.
pub(super) fn refused_everywhere(pod: &Value, occupancy: &Occupancy, reason: &str) -> String {
    let nodes = occupancy.len();
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

/// How many nodes gave which reasons.
#[derive(Default)]
struct Refusals {
    nodes: usize,
    hopeless: usize,
    reasons: BTreeMap<String, usize>,
}

impl Refusals {
    fn add(&mut self, verdict: &Verdict, nodes: usize) {
        if nodes == 0 {
            return;
        }
        self.nodes += nodes;
        self.hopeless += if verdict.hopeless { nodes } else { 0 };
        for reason in &verdict.reasons {
            *self.reasons.entry(reason.clone()).or_default() += nodes;
        }
    }

    fn message(&self, pod: &Value) -> String {
        let nodes = self.nodes;
        let filters = histogram(&self.reasons);
        let preemption = if pod["spec"]["preemptionPolicy"] == "Never" {
            "not eligible due to preemptionPolicy=Never.".to_owned()
        } else {
            let outcomes = [
                ("Preemption is not helpful for scheduling", self.hopeless),
                ("No preemption victims found for incoming pod", nodes - self.hopeless),
            ];
            let outcomes = outcomes.into_iter().filter(|(_, count)| *count > 0);
            let outcomes = outcomes.map(|(outcome, count)| (outcome.to_owned(), count)).collect();
            format!("0/{nodes} nodes are available: {}.", histogram(&outcomes))
        };
        format!("0/{nodes} nodes are available: {filters}. preemption: {preemption}")
    }
}
