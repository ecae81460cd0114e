//! Inter-pod affinity and anti-affinity.

use serde_json::{Map, Value};

use super::Snapshot;
use crate::selector::LabelSelector;
use crate::store::{Meta, Object};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// The three ways in which other pods keep a pod off a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No pod that it wants to be near is in this topology.
    Affinity,
    /// A pod that it must not be near is in this topology.
    AntiAffinity,
    /// A pod there does not want to be near it.
    ExistingAntiAffinity,
}

fn terms<'a>(pod: &'a Value, kind: &str) -> impl Iterator<Item = &'a Value> {
    pod["spec"]["affinity"][kind][REQUIRED].as_array().into_iter().flatten()
}

/// Whether a term of `owner` speaks of `other`.
fn speaks_of(term: &Value, owner: &Value, other: &Value, snapshot: &Snapshot) -> bool {
    let named: Vec<&str> =
        term["namespaces"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let by_label = LabelSelector::from_value(&term["namespaceSelector"]);
    let namespace = other.namespace();
    let in_namespace = if named.is_empty() && by_label.is_none() {
        namespace == owner.namespace()
    } else {
        named.contains(&namespace)
            || by_label.is_some_and(|selector| {
                selector.is_empty()
                    || snapshot
                        .namespaces
                        .iter()
                        .any(|n| n.name() == namespace && selector.matches(n.labels()))
            })
    };
    in_namespace
        && LabelSelector::from_value(&term["labelSelector"])
            .is_some_and(|selector| selector.matches(other.labels()))
}

fn topology<'a>(labels: Option<&'a Map<String, Value>>, term: &Value) -> Option<&'a str> {
    labels?.get(term["topologyKey"].as_str()?)?.as_str()
}

/// Whether the pods that are placed already leave this node open, and if not, why.
pub(super) fn refuses(pod: &Value, node: &Object, snapshot: &Snapshot) -> Option<Refusal> {
    if !affinity_holds(pod, node, snapshot) {
        return Some(Refusal::Affinity);
    }
    let shares = |term: &Value, other: &Value| {
        let here = topology(node.labels(), term);
        here.is_some() && snapshot.node_of(other).is_some_and(|there| topology(there.labels(), term) == here)
    };
    let kept_away = terms(pod, "podAntiAffinity").any(|term| {
        snapshot.pods.iter().any(|other| speaks_of(term, pod, other, snapshot) && shares(term, other))
    });
    if kept_away {
        return Some(Refusal::AntiAffinity);
    }
    let unwelcome = snapshot.pods.iter().any(|other| {
        terms(other, "podAntiAffinity")
            .any(|term| speaks_of(term, other, pod, snapshot) && shares(term, other))
    });
    unwelcome.then_some(Refusal::ExistingAntiAffinity)
}

fn affinity_holds(pod: &Value, node: &Object, snapshot: &Snapshot) -> bool {
    let wanted: Vec<&Value> = terms(pod, "podAffinity").collect();
    if wanted.is_empty() {
        return true;
    }
    let speaks_of_all = |other: &Value| wanted.iter().all(|term| speaks_of(term, pod, other, snapshot));
    // The first of a group that wants to be together may go anywhere that has the topology.
    if !snapshot.pods.iter().any(|other| speaks_of_all(other)) && speaks_of_all(pod) {
        return wanted.iter().all(|term| topology(node.labels(), term).is_some());
    }
    wanted.iter().all(|term| {
        let here = topology(node.labels(), term);
        here.is_some()
            && snapshot.pods.iter().any(|other| {
                speaks_of_all(other)
                    && snapshot.node_of(other).is_some_and(|there| topology(there.labels(), term) == here)
            })
    })
}
