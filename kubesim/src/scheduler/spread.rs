//! Topology spread constraints with `whenUnsatisfiable: DoNotSchedule`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::occupancy::Occupancy;
use super::{node_affinity, taints};
use crate::selector::LabelSelector;
use crate::store::{Meta, Object};

/// How a node falls short of a spread constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It lacks the topology label.
    MissingLabel,
    /// The skew would become too large.
    Skew,
}

struct Constraint {
    key: String,
    max_skew: i64,
    min_domains: i64,
    self_match: i64,
    /// Matching pods by value of the topology label, over the nodes that count.
    matching: BTreeMap<String, i64>,
}

/// The pod's constraints with the pods counted, made once for all nodes.
pub(super) struct Constraints(Vec<Constraint>);

impl Constraints {
    pub(super) fn of(pod: &Value, occupancy: &Occupancy) -> Self {
        let hard: Vec<&Value> = pod["spec"]["topologySpreadConstraints"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|c| c["whenUnsatisfiable"] == "DoNotSchedule")
            .collect();
        if hard.is_empty() {
            return Self(Vec::new());
        }
        let keys: Vec<&str> = hard.iter().filter_map(|c| c["topologyKey"].as_str()).collect();
        let labelled = |node: &&Object| {
            keys.iter().all(|key| node.labels().is_some_and(|labels| labels.contains_key(*key)))
        };
        let eligible: Vec<&Object> = occupancy.nodes().map(|(node, _)| node).filter(labelled).collect();
        Self(hard.into_iter().map(|c| constraint(c, pod, &eligible, occupancy)).collect())
    }

    pub(super) fn refuse(&self, node: &Object) -> Option<Refusal> {
        for constraint in &self.0 {
            let Some(value) =
                node.labels().and_then(|labels| labels.get(&constraint.key)).and_then(Value::as_str)
            else {
                return Some(Refusal::MissingLabel);
            };
            let domains = i64::try_from(constraint.matching.len()).unwrap_or(i64::MAX);
            let fewest = if domains < constraint.min_domains {
                0
            } else {
                constraint.matching.values().copied().min().unwrap_or(0)
            };
            let here = constraint.matching.get(value).copied().unwrap_or(0);
            if here + constraint.self_match - fewest > constraint.max_skew {
                return Some(Refusal::Skew);
            }
        }
        None
    }
}

fn constraint(spec: &Value, pod: &Value, eligible: &[&Object], occupancy: &Occupancy) -> Constraint {
    let key = spec["topologyKey"].as_str().unwrap_or_default().to_owned();
    let selector = LabelSelector::from_value(&spec["labelSelector"]);
    let selects = |other: &Value| {
        selector.as_ref().is_some_and(|selector| selector.matches(other.labels()))
            && matches_label_keys(spec, pod, other)
    };
    let honour_affinity = spec["nodeAffinityPolicy"] != "Ignore";
    let honour_taints = spec["nodeTaintsPolicy"] == "Honor";
    let mut matching = BTreeMap::new();
    for node in eligible {
        if honour_affinity && !node_affinity::matches(pod, node)
            || honour_taints
                && taints::untolerated(pod, &node["spec"]["taints"], &["NoSchedule", "NoExecute"])
        {
            continue;
        }
        let Some(value) = node.labels().and_then(|labels| labels.get(&key)).and_then(Value::as_str) else {
            continue;
        };
        let there = occupancy
            .on(node.name())
            .filter(|other| other.namespace() == pod.namespace() && !other.is_terminating() && selects(other))
            .count();
        *matching.entry(value.to_owned()).or_default() += i64::try_from(there).unwrap_or(i64::MAX);
    }
    Constraint {
        key,
        max_skew: spec["maxSkew"].as_i64().unwrap_or(1),
        min_domains: spec["minDomains"].as_i64().unwrap_or(1),
        self_match: i64::from(selects(pod)),
        matching,
    }
}

fn matches_label_keys(spec: &Value, pod: &Value, other: &Value) -> bool {
    let label = |of: &Value, key: &str| of.labels().and_then(|labels| labels.get(key)).cloned();
    spec["matchLabelKeys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .all(|key| label(pod, key).is_none() || label(pod, key) == label(other, key))
}
