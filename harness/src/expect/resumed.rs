//! Invariant 6: killed anywhere and run again, an installer reaches the state of a run that was never
//! killed.
//!
//! What the cluster itself makes of it (pods, ReplicaSets, endpoints, events, leases) and what tells one
//! object from its double (uid, times, versions) is not compared, and neither is a release's history: an
//! interrupted one is longer.

use interpose::cloud::Account;
use serde_json::Value;

use super::Judged;
use crate::event::Mismatch;
use crate::observe::Snapshot;

/// What controllers, kubelets and leaders write; they write it again in another way.
const CONSEQUENCES: &[&str] = &[
    "pods",
    "replicasets.apps",
    "controllerrevisions.apps",
    "events",
    "events.events.k8s.io",
    "endpoints",
    "endpointslices.discovery.k8s.io",
    "leases.coordination.k8s.io",
    "nodes",
    "csinodes.storage.k8s.io",
    // A Service's address, drawn by the API server, under its own name.
    "ipaddresses.networking.k8s.io",
];

/// How many differences are told one by one.
const TOLD: usize = 5;

/// Where a run ended: in the cluster, and in the cloud account.
#[derive(Clone, Copy)]
pub struct End<'e> {
    /// Every object of the cluster.
    pub cluster: &'e Snapshot,
    /// What the tools have made.
    pub account: &'e Account,
}

/// Compares the end of an interrupted run with the end of one that was left alone.
#[must_use]
pub fn resumed(whole: End<'_>, now: End<'_>) -> Judged {
    let there = difference(&holdings(whole.account), &holdings(now.account), "");
    let mut differences: Vec<String> = there.map(|how| format!("the account: {how}")).into_iter().collect();
    let (whole, now) = (whole.cluster, now.cluster);
    let resources = whole.resources().chain(now.resources().filter(|it| !whole.knows(it)));
    for resource in resources.filter(|it| !CONSEQUENCES.contains(it)) {
        for object in whole.of(resource).filter(|it| !apart(it)) {
            let (namespace, name) = place(object);
            match now.get(resource, namespace, name) {
                None => differences.push(format!("{resource} {namespace}/{name} is missing")),
                Some(other) => differences.extend(
                    difference(&essence(object), &essence(other), "")
                        .map(|how| format!("{resource} {namespace}/{name}: {how}")),
                ),
            }
        }
        for object in now.of(resource).filter(|it| !apart(it)) {
            let (namespace, name) = place(object);
            if whole.get(resource, namespace, name).is_none() {
                differences.push(format!("{resource} {namespace}/{name} is there only after the kill"));
            }
        }
    }
    for (namespace, name) in releases(whole) {
        let newest = |snapshot: &Snapshot| {
            let release = snapshot.release(&namespace, &name)?;
            let deployed = release.revisions.iter().filter(|it| it.info.status.word() == "deployed").count();
            let newest = release.revisions.last()?;
            Some((newest.info.status.word().to_owned(), deployed, newest.config.clone()))
        };
        let (before, after) = (newest(whole), newest(now));
        if before != after {
            differences.push(format!("release {namespace}/{name}: {after:?}, without the kill {before:?}"));
        }
    }
    let mut judged = Judged { checked: 1, mismatches: Vec::new() };
    if !differences.is_empty() {
        let more = differences.len().saturating_sub(TOLD);
        let mut observed = differences.into_iter().take(TOLD).collect::<Vec<_>>().join("; ");
        if more > 0 {
            observed.push_str(&format!("; and {more} more"));
        }
        judged.mismatches.push(Mismatch {
            expectation: "invariant 6".into(),
            expected: "killed and run again it reaches the state of a run that was never killed".into(),
            observed,
            place: None,
        });
    }
    judged
}

/// What an account holds, without what is never the same twice: times, ids, and how many things were made on
/// the way.
fn holdings(account: &Account) -> Value {
    let mut all = serde_json::to_value(account).unwrap_or_default();
    all["changes"]["associations"] = all["changes"]["associations"]
        .as_object()
        .map(|by_id| {
            let mut all: Vec<&Value> = by_id.values().collect();
            all.sort_by_key(|it| it.to_string());
            all.into_iter().cloned().collect()
        })
        .unwrap_or_default();
    for counter in ["made", "nodesMade"] {
        if let Some(fields) = all.as_object_mut() {
            fields.remove(counter);
        }
    }
    timeless(&mut all);
    all
}

fn timeless(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("createdAt");
            fields.values_mut().for_each(timeless);
        }
        Value::Array(all) => all.iter_mut().for_each(timeless),
        _ => {}
    }
}

fn place(object: &Value) -> (&str, &str) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    (text("namespace"), text("name"))
}

/// What is compared in another way, or is each cluster's own: releases, and the copies of its CA.
fn apart(object: &Value) -> bool {
    is_release(object) || object["metadata"]["name"] == "kube-root-ca.crt"
}

fn is_release(object: &Value) -> bool {
    object["type"] == "helm.sh/release.v1"
}

fn releases(snapshot: &Snapshot) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = snapshot
        .of("secrets")
        .filter(|secret| is_release(secret))
        .filter_map(|secret| {
            let name = secret["metadata"]["labels"]["name"].as_str()?;
            Some((place(secret).0.to_owned(), name.to_owned()))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// An object without what is never the same twice.
fn essence(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(meta) = object["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
            meta.remove(field);
        }
        if let Some(notes) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
            notes.remove("deployment.kubernetes.io/revision");
        }
    }
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    object
}

/// Where two values differ first.
fn difference(one: &Value, other: &Value, path: &str) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys = one.keys().chain(other.keys().filter(|key| !one.contains_key(*key)));
            let mut keys = keys.map(|key| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                difference(
                    one.get(key).unwrap_or(&Value::Null),
                    other.get(key).unwrap_or(&Value::Null),
                    &path,
                )
            });
            keys.find_map(|found| found)
        }
        (one, other) if one == other => None,
        (one, other) => {
            let short = |value: &Value| value.to_string().chars().take(80).collect::<String>();
            Some(format!("{path} is {}, without the kill {}", short(other), short(one)))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn snapshot(objects: &[(&str, Value)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (resource, object) in objects {
            snapshot.insert(resource, Arc::new(object.clone()));
        }
        snapshot
    }

    fn account(uid: &str, labels: &Value) -> Value {
        json!({ "metadata": { "namespace": "a", "name": "b", "uid": uid, "labels": labels } })
    }

    fn ended(whole: &Snapshot, now: &Snapshot) -> Judged {
        let account = Account::default();
        resumed(End { cluster: whole, account: &account }, End { cluster: now, account: &account })
    }

    fn in_account(change: Value) -> Account {
        serde_json::from_value(json!({ "changes": change })).unwrap()
    }

    #[test]
    fn the_account_is_compared_too_without_ids_and_times() {
        let cluster = Snapshot::default();
        let given = |id: &str, role: &str| {
            let association = json!({ "namespace": "a", "serviceAccount": "b", "roleArn": role });
            in_account(json!({ "associations": { id: association } }))
        };
        let resumed = |whole: &Account, now: &Account| {
            let end = |account| End { cluster: &cluster, account };
            resumed(end(whole), end(now))
        };
        let (whole, same, other) = (given("a-1", "one"), given("a-2", "one"), given("a-1", "two"));
        assert!(resumed(&whole, &same).mismatches.is_empty());
        for now in [other, Account::default()] {
            let judged = resumed(&whole, &now);
            assert!(judged.mismatches[0].observed.starts_with("the account: changes.associations"));
        }
    }

    #[test]
    fn what_is_never_the_same_twice_is_no_difference() {
        let whole = snapshot(&[("serviceaccounts", account("1", &json!({ "x": "y" })))]);
        let pods = json!({ "metadata": { "namespace": "a", "name": "b-12345" } });
        let now = snapshot(&[("serviceaccounts", account("2", &json!({ "x": "y" }))), ("pods", pods)]);
        assert!(ended(&whole, &now).mismatches.is_empty());
    }

    #[test]
    fn what_is_missing_left_over_or_different_is_named() {
        let whole = snapshot(&[("serviceaccounts", account("1", &json!({ "x": "y" })))]);
        for (now, words) in [
            (snapshot(&[]), "serviceaccounts a/b is missing"),
            (
                snapshot(&[("serviceaccounts", account("1", &json!({ "x": "z" })))]),
                "serviceaccounts a/b: metadata.labels.x is \"z\", without the kill \"y\"",
            ),
            (
                snapshot(&[
                    ("serviceaccounts", account("1", &json!({ "x": "y" }))),
                    ("configmaps", account("1", &json!({}))),
                ]),
                "configmaps a/b is there only after the kill",
            ),
        ] {
            let judged = ended(&whole, &now);
            assert_eq!(judged.mismatches.len(), 1, "{words}");
            assert!(judged.mismatches[0].observed.contains(words), "{:?}", judged.mismatches);
        }
    }
}
