//! What a pod asks of a node, and what a node has left.

use std::collections::BTreeMap;

use serde_json::Value;

use super::occupancy::Room;
use super::quantity::Quantity;

/// Amounts by resource name, in thousandths.
pub(super) type Amounts = BTreeMap<String, i128>;

fn amounts(list: &Value) -> Amounts {
    let entries = list.as_object().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), Quantity::from_value(value)?.milli()))).collect()
}

pub(super) fn add(total: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *total.entry(name.clone()).or_default() += amount;
    }
}

pub(super) fn subtract(total: &mut Amounts, less: &Amounts) {
    for (name, amount) in less {
        *total.entry(name.clone()).or_default() -= amount;
    }
}

fn at_least(total: &mut Amounts, floor: &Amounts) {
    for (name, amount) in floor {
        let held = total.entry(name.clone()).or_default();
        *held = (*held).max(*amount);
    }
}

/// Requests of one container; a limit without a request counts as the request.
fn requests(container: &Value) -> Amounts {
    let mut wanted = amounts(&container["resources"]["limits"]);
    wanted.extend(amounts(&container["resources"]["requests"]));
    wanted
}

/// What a pod asks for: the sum over its containers and its sidecars, or its largest init container if
/// that is more, plus the overhead of its runtime class.
/// Source: `k8s.io/component-helpers/resource.PodRequests`.
pub(super) fn pod_requests(pod: &Value) -> Amounts {
    let spec = &pod["spec"];
    let mut running = Amounts::new();
    for container in spec["containers"].as_array().into_iter().flatten() {
        add(&mut running, &requests(container));
    }
    let mut sidecars = Amounts::new();
    let mut starting = Amounts::new();
    for container in spec["initContainers"].as_array().into_iter().flatten() {
        let wanted = requests(container);
        if container["restartPolicy"] == "Always" {
            add(&mut sidecars, &wanted);
            at_least(&mut starting, &sidecars);
        } else {
            let mut step = sidecars.clone();
            add(&mut step, &wanted);
            at_least(&mut starting, &step);
        }
    }
    add(&mut running, &sidecars);
    at_least(&mut running, &starting);
    add(&mut running, &amounts(&spec["overhead"]));
    running
}

/// `status.allocatable`, or `status.capacity` where a node does not say.
pub(super) fn allocatable(node: &Value) -> Amounts {
    let allocatable = &node["status"]["allocatable"];
    amounts(if allocatable.is_object() { allocatable } else { &node["status"]["capacity"] })
}

/// Why a pod does not fit, in the scheduler's words, and whether it could never fit.
pub(super) fn shortfalls(wanted: &Amounts, room: &Room) -> (Vec<String>, bool) {
    let (has, used) = (&room.has, &room.used);
    let mut reasons = Vec::new();
    let mut hopeless = false;
    let capacity = has.get("pods").copied().unwrap_or_default() / 1000;
    if i128::try_from(room.len()).unwrap_or(i128::MAX) + 1 > capacity {
        reasons.push("Too many pods".to_owned());
    }
    if wanted.values().all(|amount| *amount == 0) {
        return (reasons, hopeless);
    }
    let order = ["cpu", "memory", "ephemeral-storage"];
    let others = wanted.keys().map(String::as_str).filter(|name| !order.contains(name));
    for name in order.into_iter().chain(others) {
        let amount = wanted.get(name).copied().unwrap_or_default();
        let total = has.get(name).copied().unwrap_or_default();
        if amount > 0 && amount > total - used.get(name).copied().unwrap_or_default() {
            reasons.push(format!("Insufficient {name}"));
            hopeless |= amount > total;
        }
    }
    (reasons, hopeless)
}
