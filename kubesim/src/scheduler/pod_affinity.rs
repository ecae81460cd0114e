//! Inter-pod affinity and anti-affinity.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::occupancy::Occupancy;
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

/// Whether a pod does not want to be near some others.
pub(super) fn repels(pod: &Value) -> bool {
    terms(pod, "podAntiAffinity").next().is_some()
}

/// Whether a term of `owner` speaks of `other`.
fn speaks_of(term: &Value, owner: &Value, other: &Value, occupancy: &Occupancy) -> bool {
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
                    || occupancy.namespace(namespace).is_some_and(|n| selector.matches(n.labels()))
            })
    };
    in_namespace
        && LabelSelector::from_value(&term["labelSelector"])
            .is_some_and(|selector| selector.matches(other.labels()))
}

fn topology<'a>(labels: Option<&'a Map<String, Value>>, term: &Value) -> Option<&'a str> {
    labels?.get(term["topologyKey"].as_str()?)?.as_str()
}

/// A topology key, and the values of it that something is true of.
type Domains<'a> = (&'a Value, BTreeSet<String>);

/// What the pods that are placed already mean for a pod, made once for all nodes.
pub(super) struct Neighbours<'a> {
    pod: &'a Value,
    /// For each term of its affinity, where the pods are that it wants to be near.
    wanted: Vec<Domains<'a>>,
    /// It is the first of a group that wants to be together, and may go anywhere that has the topology.
    first: bool,
    /// For each term of its anti-affinity, where the pods are that it must not be near.
    shunned: Vec<Domains<'a>>,
    /// Where pods are that do not want to be near it.
    unwelcome: Vec<Domains<'a>>,
}

impl<'a> Neighbours<'a> {
    pub(super) fn of(pod: &'a Value, occupancy: &'a Occupancy) -> Self {
        let value = |node: Option<&Object>, term: &Value| {
            topology(node.and_then(|node| node.labels()), term).map(str::to_owned)
        };
        let affine: Vec<&Value> = terms(pod, "podAffinity").collect();
        let mut wanted: Vec<Domains<'_>> = affine.iter().map(|term| (*term, BTreeSet::new())).collect();
        let speaks_of_all = |other: &Value| affine.iter().all(|term| speaks_of(term, pod, other, occupancy));
        let mut first = !affine.is_empty() && speaks_of_all(pod);
        if !affine.is_empty() {
            for (_, node) in occupancy.pods().filter(|(other, _)| speaks_of_all(other)) {
                first = false;
                for (term, values) in &mut wanted {
                    values.extend(value(node, term));
                }
            }
        }
        let shunned = terms(pod, "podAntiAffinity").map(|term| {
            let others = occupancy.pods().filter(|(other, _)| speaks_of(term, pod, other, occupancy));
            (term, others.filter_map(|(_, node)| value(node, term)).collect())
        });
        let unwelcome = occupancy.repelling().flat_map(|(other, node)| {
            let against = terms(other, "podAntiAffinity");
            let against = against.filter(move |term| speaks_of(term, other, pod, occupancy));
            against.map(move |term| (term, value(node, term).into_iter().collect()))
        });
        Self { pod, wanted, first, shunned: shunned.collect(), unwelcome: unwelcome.collect() }
    }

    /// Whether they leave this node open, and if not, why.
    pub(super) fn refuse(&self, node: &Object) -> Option<Refusal> {
        let among = |(term, values): &Domains<'_>| {
            topology(node.labels(), term).is_some_and(|value| values.contains(value))
        };
        let near = if self.first {
            terms(self.pod, "podAffinity").all(|term| topology(node.labels(), term).is_some())
        } else {
            self.wanted.iter().all(among)
        };
        if !near {
            Some(Refusal::Affinity)
        } else if self.shunned.iter().any(among) {
            Some(Refusal::AntiAffinity)
        } else if self.unwelcome.iter().any(among) {
            Some(Refusal::ExistingAntiAffinity)
        } else {
            None
        }
    }
}
