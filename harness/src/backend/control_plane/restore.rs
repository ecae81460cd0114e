//! What must change in a store so that it is in its first state again.

use std::collections::{BTreeMap, BTreeSet};

use super::etcd::{Change, Encoded, Entry, Etcd};
use crate::backend::ClusterError;

/// etcd's folder of events.
const EVENTS: &str = "/registry/events/";

/// A store's content: every key of kube-apiserver that belongs to the first state, and its value.
pub(super) type Content = BTreeMap<String, Encoded>;

/// Whether a key is only a sign of life, written again and again by whoever is alive.
pub(super) fn is_heartbeat(key: &str) -> bool {
    key.starts_with("/registry/leases/kube-node-lease/") || is_own(key)
}

/// Whether a key may be the API server's own, by which it knows of itself.
pub(super) fn is_own(key: &str) -> bool {
    ["leases/kube-system/apiserver-", "masterleases/", "peerserverleases/"]
        .iter()
        .any(|folder| key.strip_prefix("/registry/").is_some_and(|key| key.starts_with(folder)))
}

/// What of a store that runs belongs to its first state: all but events, and what is alive.
pub(super) fn content(entries: BTreeMap<String, Entry>) -> Content {
    let stays = |key: &str| !is_heartbeat(key) && !key.starts_with(EVENTS);
    entries.into_iter().filter(|(key, _)| stays(key)).map(|(key, entry)| (key, entry.value)).collect()
}

/// Removes all events, as a cluster older than an hour has none of its beginning.
pub(super) async fn forget_events(etcd: &Etcd) -> Result<(), ClusterError> {
    let (_, keys) = etcd.all(false).await?;
    let events = keys.into_keys().filter(|key| key.starts_with(EVENTS)).map(Change::Delete);
    let events: Vec<Change> = events.collect();
    if !events.is_empty() {
        etcd.change(&events).await?;
    }
    Ok(())
}

/// The changes that lead from what is there back to the first state. `now` are all keys, without values;
/// `changed` those that were written since the state was last the first one, with their values; `own` are the
/// keys of the running API server itself.
pub(super) fn changes(
    first: &Content,
    now: &BTreeMap<String, Entry>,
    changed: &BTreeMap<String, Entry>,
    own: &BTreeSet<String>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for key in now.keys() {
        if !first.contains_key(key) && !own.contains(key) {
            changes.push(Change::Delete(key.clone()));
        }
    }
    for (key, value) in first {
        let is_there = now.contains_key(key);
        let differs = changed.get(key).is_some_and(|entry| entry.value != *value);
        if !is_there || differs {
            changes.push(Change::Put(key.clone(), value.clone()));
        }
    }
    changes
}

/// etcd's folder of definitions, each named by its plural and its group.
const DEFINITIONS: &str = "/registry/apiextensions.k8s.io/customresourcedefinitions/";
/// etcd's folder of the API's groups and versions, each named by its version and its group.
pub(super) const SERVICES: &str = "/registry/apiregistration.k8s.io/apiservices/";

/// The group in a name such as `widgets.example.com` or `v1.example.com`.
pub(super) fn group_of(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, group)| group)
}

/// The changes without those that the API server makes itself: when it has seen that a definition has gone, it takes
/// the group's registration back; one that went before it would make anew.
pub(super) fn without_consequences(changes: Vec<Change>) -> Vec<Change> {
    let deleted = |change: &Change, folder: &str| match change {
        Change::Delete(key) => key.strip_prefix(folder).and_then(group_of).map(str::to_owned),
        Change::Put(..) => None,
    };
    let groups: BTreeSet<String> = changes.iter().filter_map(|it| deleted(it, DEFINITIONS)).collect();
    let follows = |change: &Change| deleted(change, SERVICES).is_some_and(|group| groups.contains(&group));
    changes.into_iter().filter(|it| !follows(it)).collect()
}

/// Resources by etcd's folders that the API server itself acts on; a change of one of them holds only when it has
/// seen it. With the path of each in the API.
pub(super) const HELD_IN_MEMORY: [(&str, &str); 12] = [
    (
        "apiextensions.k8s.io/customresourcedefinitions",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    ),
    ("apiregistration.k8s.io/apiservices", "/apis/apiregistration.k8s.io/v1/apiservices"),
    (
        "validatingwebhookconfigurations",
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    ),
    ("mutatingwebhookconfigurations", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"),
    ("validatingadmissionpolicies", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"),
    (
        "validatingadmissionpolicybindings",
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
    ),
    ("roles", "/apis/rbac.authorization.k8s.io/v1/roles"),
    ("rolebindings", "/apis/rbac.authorization.k8s.io/v1/rolebindings"),
    ("clusterroles", "/apis/rbac.authorization.k8s.io/v1/clusterroles"),
    ("clusterrolebindings", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"),
    ("namespaces", "/api/v1/namespaces"),
    ("priorityclasses", "/apis/scheduling.k8s.io/v1/priorityclasses"),
];

/// Those of them that the changes touch.
pub(super) fn touched(changes: &[Change]) -> Vec<&'static str> {
    let is_in = |folder: &str| {
        let folder = format!("/registry/{folder}/");
        changes.iter().any(|it| it.key().starts_with(&folder))
    };
    HELD_IN_MEMORY.iter().filter(|(folder, _)| is_in(folder)).map(|(_, path)| *path).collect()
}

/// The resource of a key, such as `deployments`, without its group; `None` where no object stands behind it.
pub(super) fn resource(key: &str) -> Option<&str> {
    let mut parts = key.strip_prefix("/registry/")?.split('/');
    let first = parts.next()?;
    match first {
        "minions" => Some("nodes"),
        "controllers" => Some("replicationcontrollers"),
        "ingress" => Some("ingresses"),
        "services" => match parts.next()? {
            "specs" => Some("services"),
            other => Some(other),
        },
        "ranges" | "masterleases" | "peerserverleases" => None,
        group if group.contains('.') => parts.next(),
        plural => Some(plural),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(value: &str) -> Entry {
        serde_json::from_value(serde_json::json!({"key": "", "mod_revision": "1", "value": value})).unwrap()
    }

    fn keys<'k>(keys: impl IntoIterator<Item = (&'k str, &'k str)>) -> BTreeMap<String, Entry> {
        keys.into_iter().map(|(key, value)| (key.to_owned(), entry(value))).collect()
    }

    #[test]
    fn what_was_added_goes_what_was_removed_comes_back_and_what_differs_is_put_back() {
        let first: Content =
            [("/registry/a", "1"), ("/registry/b", "2"), ("/registry/c", "3"), ("/registry/d", "4")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into();
        let now = keys([
            ("/registry/a", ""),
            ("/registry/b", ""),
            ("/registry/d", ""),
            ("/registry/new", ""),
            ("/registry/leases/kube-system/apiserver-x", ""),
            ("/registry/leases/kube-system/apiserver-planted", ""),
        ]);
        let changed = keys([("/registry/b", "other"), ("/registry/d", "4"), ("/registry/new", "5")]);
        let own = BTreeSet::from(["/registry/leases/kube-system/apiserver-x".to_owned()]);
        let mut changes = changes(&first, &now, &changed, &own);
        changes.sort();
        let put = |key: &str, value: &str| Change::Put(key.into(), value.into());
        let delete = |key: &str| Change::Delete(key.into());
        let expected = [
            put("/registry/b", "2"),
            put("/registry/c", "3"),
            delete("/registry/leases/kube-system/apiserver-planted"),
            delete("/registry/new"),
        ];
        assert_eq!(changes, expected);
    }

    #[test]
    fn a_registration_goes_with_its_definition_and_not_before() {
        let definition = || Change::Delete(format!("{DEFINITIONS}plants.seatrial.dev"));
        let registration = |name: &str| Change::Delete(format!("{SERVICES}{name}"));
        let both = vec![definition(), registration("v1.seatrial.dev"), registration("v1.other.dev")];
        assert_eq!(without_consequences(both), [definition(), registration("v1.other.dev")]);
        // Left over when the definition has gone, it is nobody's.
        let alone = vec![registration("v1.seatrial.dev")];
        assert_eq!(without_consequences(alone.clone()), alone);
        let put = Change::Put(format!("{DEFINITIONS}plants.seatrial.dev"), String::new());
        let changed = vec![put, registration("v1.seatrial.dev")];
        assert_eq!(without_consequences(changed.clone()), changed);
    }

    #[test]
    fn events_and_signs_of_life_are_no_part_of_the_first_state() {
        let content = content(keys([
            ("/registry/events/default/x", "1"),
            ("/registry/leases/kube-node-lease/n", "1"),
            ("/registry/leases/kube-system/apiserver-x", "1"),
            ("/registry/leases/kube-system/somebody", "1"),
        ]));
        assert_eq!(content.into_keys().collect::<Vec<_>>(), ["/registry/leases/kube-system/somebody"]);
    }

    #[test]
    fn keys_tell_their_resources() {
        assert_eq!(resource("/registry/minions/n"), Some("nodes"));
        assert_eq!(resource("/registry/services/specs/default/kubernetes"), Some("services"));
        assert_eq!(resource("/registry/services/endpoints/default/kubernetes"), Some("endpoints"));
        assert_eq!(resource("/registry/deployments/kube-system/coredns"), Some("deployments"));
        assert_eq!(resource("/registry/karpenter.sh/nodepools/default"), Some("nodepools"));
        assert_eq!(resource("/registry/ranges/servicenodeports"), None);
    }

    #[test]
    fn only_what_the_api_server_holds_in_memory_is_waited_for() {
        let changes =
            [Change::Delete("/registry/clusterroles/x".into()), Change::Delete("/registry/pods/x".into())];
        assert_eq!(touched(&changes), ["/apis/rbac.authorization.k8s.io/v1/clusterroles"]);
    }
}
