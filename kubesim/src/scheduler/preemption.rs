//! Preemption: which less important pods would have to go for a pod to fit, and from which node.
//!
//! As the real scheduler decides: per node every less important pod is taken away; if the pod then fits,
//! as many as possible are given back, those first whose disruption budget forbids their eviction, then
//! the most important. The node that costs least wins.

use serde_json::Value;

use super::occupancy::{Occupancy, priority};
use super::placement::fits;
use crate::controllers::key_of;
use crate::selector::LabelSelector;
use crate::store::{Meta, Object};

/// How many nodes are looked at. The real scheduler looks at a tenth of the nodes, at least a hundred.
const CANDIDATES: usize = 100;

/// The node to make room on, and the pods that have to go.
pub(super) struct Plan {
    pub(super) node: String,
    pub(super) victims: Vec<Object>,
}

/// What costs least for `pod` to fit; `None` when nothing helps. The occupancy is the same afterwards.
pub(super) fn plan(pod: &Value, occupancy: &mut Occupancy, budgets: &[Object]) -> Option<Plan> {
    if pod["spec"]["preemptionPolicy"] == "Never" || occupancy.least_priority()? >= priority(pod) {
        return None;
    }
    let mut best: Option<(Cost, Plan)> = None;
    let mut looked_at = 0;
    let nodes: Vec<Object> = occupancy.nodes().map(|(node, _)| node.clone()).collect();
    for node in nodes {
        let Some((cost, victims)) = victims_on(pod, &node, occupancy, budgets) else { continue };
        if best.as_ref().is_none_or(|(known, _)| cost < *known) {
            best = Some((cost, Plan { node: node.name().to_owned(), victims }));
        }
        looked_at += 1;
        if looked_at == CANDIDATES {
            break;
        }
    }
    best.map(|(_, plan)| plan)
}

/// Broken budgets, the most important victim, the sum of priorities, how many.
type Cost = (usize, i64, i64, usize);

fn victims_on(
    pod: &Value,
    node: &Object,
    occupancy: &mut Occupancy,
    budgets: &[Object],
) -> Option<(Cost, Vec<Object>)> {
    let lesser = |other: &&Object| priority(other) < priority(pod);
    let mut removed: Vec<Object> = occupancy.on(node.name()).filter(lesser).cloned().collect();
    if removed.is_empty() {
        return None;
    }
    for other in &removed {
        occupancy.drop_pod(&key_of(other));
    }
    if !fits(pod, node, occupancy) {
        give_back(occupancy, removed);
        return None;
    }
    removed.sort_by_key(|victim| {
        let started = victim["status"]["startTime"].as_str().unwrap_or_default().to_owned();
        (!is_guarded(victim, budgets), std::cmp::Reverse(priority(victim)), started)
    });
    let mut victims = Vec::new();
    for candidate in removed {
        occupancy.put_pod(candidate.clone());
        if !fits(pod, node, occupancy) {
            occupancy.drop_pod(&key_of(&candidate));
            victims.push(candidate);
        }
    }
    give_back(occupancy, victims.clone());
    if victims.is_empty() {
        return None;
    }
    let broken = victims.iter().filter(|victim| is_guarded(victim, budgets)).count();
    let highest = victims.iter().map(|victim| priority(victim)).max().unwrap_or_default();
    // Counted from the lowest priority there is, so that more victims cost more.
    let sum = victims.iter().map(|victim| priority(victim) + i64::from(i32::MAX) + 1).sum();
    Some(((broken, highest, sum, victims.len()), victims))
}

fn give_back(occupancy: &mut Occupancy, pods: Vec<Object>) {
    for pod in pods {
        occupancy.put_pod(pod);
    }
}

/// Whether a budget forbids to evict a pod now.
fn is_guarded(pod: &Value, budgets: &[Object]) -> bool {
    budgets.iter().any(|budget| {
        budget.namespace() == pod.namespace()
            && budget["status"]["disruptionsAllowed"].as_i64().unwrap_or(0) <= 0
            && LabelSelector::from_value(&budget["spec"]["selector"])
                .is_some_and(|selector| selector.matches(pod.labels()))
    })
}
