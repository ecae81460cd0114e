//! Who is on which node: what placements are decided on, kept up to date one change at a time, so that a
//! placement never looks through every pod of the cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::resources::{Amounts, add, allocatable, pod_requests, subtract};
use super::{Snapshot, pod_affinity};
use crate::controllers::{Key, key_of};
use crate::store::{Meta, Object};

/// The nodes, and the pods on them that have not ended.
#[derive(Default)]
pub(super) struct Occupancy {
    /// By name, also those that are not there but that a pod is bound to.
    rooms: BTreeMap<String, Room>,
    /// How many nodes are there.
    nodes: usize,
    namespaces: BTreeMap<String, Object>,
    /// The node that each pod is on.
    places: BTreeMap<Key, String>,
    /// Pods that do not want to be near some others.
    repelling: BTreeSet<Key>,
    /// How many pods have each priority.
    priorities: BTreeMap<i64, usize>,
}

/// One node, and what is on it.
#[derive(Default)]
pub(super) struct Room {
    node: Option<Object>,
    /// What it has for pods.
    pub(super) has: Amounts,
    /// What its pods ask for.
    pub(super) used: Amounts,
    pods: BTreeMap<Key, Object>,
}

impl Room {
    /// Its pods, in order of namespace and name.
    pub(super) fn pods(&self) -> impl Iterator<Item = &Object> {
        self.pods.values()
    }

    /// How many pods it has.
    pub(super) fn len(&self) -> usize {
        self.pods.len()
    }
}

/// How important a pod is.
pub(super) fn priority(pod: &Value) -> i64 {
    pod["spec"]["priority"].as_i64().unwrap_or(0)
}

fn node_name(pod: &Value) -> &str {
    pod["spec"]["nodeName"].as_str().unwrap_or_default()
}

/// Whether a pod takes room: it has a node, and has not ended.
fn takes_room(pod: &Value) -> bool {
    !node_name(pod).is_empty() && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

impl Occupancy {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let mut occupancy = Self::default();
        for node in &snapshot.nodes {
            occupancy.put_node(node.clone());
        }
        for pod in &snapshot.pods {
            occupancy.put_pod(pod.clone());
        }
        for namespace in &snapshot.namespaces {
            occupancy.put_namespace(namespace.clone());
        }
        occupancy
    }

    pub(super) fn put_node(&mut self, node: Object) {
        let room = self.rooms.entry(node.name().to_owned()).or_default();
        room.has = allocatable(&node);
        self.nodes += usize::from(room.node.replace(node).is_none());
    }

    pub(super) fn drop_node(&mut self, name: &str) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        self.nodes -= usize::from(room.node.take().is_some());
        if room.pods.is_empty() {
            self.rooms.remove(name);
        }
    }

    pub(super) fn put_namespace(&mut self, namespace: Object) {
        self.namespaces.insert(namespace.name().to_owned(), namespace);
    }

    pub(super) fn drop_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
    }

    /// Takes note of a pod as it is now.
    pub(super) fn put_pod(&mut self, pod: Object) {
        let key = key_of(&pod);
        self.drop_pod(&key);
        if !takes_room(&pod) {
            return;
        }
        let room = self.rooms.entry(node_name(&pod).to_owned()).or_default();
        add(&mut room.used, &pod_requests(&pod));
        *self.priorities.entry(priority(&pod)).or_default() += 1;
        if pod_affinity::repels(&pod) {
            self.repelling.insert(key.clone());
        }
        self.places.insert(key.clone(), node_name(&pod).to_owned());
        room.pods.insert(key, pod);
    }

    pub(super) fn drop_pod(&mut self, key: &Key) {
        let Some(name) = self.places.remove(key) else { return };
        self.repelling.remove(key);
        let Some(room) = self.rooms.get_mut(&name) else { return };
        let Some(pod) = room.pods.remove(key) else { return };
        subtract(&mut room.used, &pod_requests(&pod));
        if room.node.is_none() && room.pods.is_empty() {
            self.rooms.remove(&name);
        }
        if let Some(count) = self.priorities.get_mut(&priority(&pod)) {
            *count -= 1;
            if *count == 0 {
                self.priorities.remove(&priority(&pod));
            }
        }
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes
    }

    /// Every node, in order of name.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (&Object, &Room)> {
        self.rooms.values().filter_map(|room| Some((room.node.as_ref()?, room)))
    }

    /// One node.
    pub(super) fn node(&self, name: &str) -> Option<(&Object, &Room)> {
        let room = self.rooms.get(name)?;
        Some((room.node.as_ref()?, room))
    }

    /// The pods on one node.
    pub(super) fn on(&self, node: &str) -> impl Iterator<Item = &Object> {
        self.rooms.get(node).into_iter().flat_map(Room::pods)
    }

    /// Every pod, with the node that it is on, if that is there.
    pub(super) fn pods(&self) -> impl Iterator<Item = (&Object, Option<&Object>)> {
        self.rooms.values().flat_map(|room| room.pods().map(|pod| (pod, room.node.as_ref())))
    }

    /// The pods that do not want to be near some others.
    pub(super) fn repelling(&self) -> impl Iterator<Item = (&Object, Option<&Object>)> {
        self.repelling.iter().filter_map(|key| {
            let room = self.rooms.get(self.places.get(key)?)?;
            Some((room.pods.get(key)?, room.node.as_ref()))
        })
    }

    /// Every namespace, for namespace selectors.
    pub(super) fn namespace(&self, name: &str) -> Option<&Object> {
        self.namespaces.get(name)
    }

    /// The lowest priority of a pod.
    pub(super) fn least_priority(&self) -> Option<i64> {
        self.priorities.keys().next().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn pod(node: &str, phase: &str, priority: i64) -> Object {
        Arc::new(json!({
            "metadata": {"name": "web", "namespace": "default"}, "status": {"phase": phase},
            "spec": {
                "nodeName": node, "priority": priority,
                "containers": [{"resources": {"requests": {"cpu": "500m"}}}],
            },
        }))
    }

    fn node(name: &str) -> Object {
        Arc::new(json!({"metadata": {"name": name}, "status": {"allocatable": {"cpu": "2", "pods": "10"}}}))
    }

    #[test]
    fn what_a_pod_asks_for_is_used_on_its_node_until_it_leaves_or_ends() {
        let mut occupancy = Occupancy::default();
        occupancy.put_node(node("a"));
        let used = |occupancy: &Occupancy| {
            occupancy.node("a").and_then(|(_, room)| room.used.get("cpu").copied()).unwrap_or(0)
        };
        occupancy.put_pod(pod("a", "Pending", 7));
        occupancy.put_pod(pod("a", "Running", 7));
        assert_eq!((used(&occupancy), occupancy.on("a").count()), (500, 1));
        assert_eq!(occupancy.least_priority(), Some(7));
        occupancy.put_pod(pod("a", "Succeeded", 7));
        assert_eq!((used(&occupancy), occupancy.on("a").count()), (0, 0));
        assert_eq!(occupancy.least_priority(), None);
    }

    #[test]
    fn a_node_that_has_gone_is_none_though_a_pod_is_still_bound_to_it() {
        let mut occupancy = Occupancy::default();
        occupancy.put_node(node("a"));
        occupancy.put_pod(pod("a", "Running", 0));
        occupancy.drop_node("a");
        assert_eq!((occupancy.len(), occupancy.nodes().count()), (0, 0));
        assert!(occupancy.pods().all(|(_, node)| node.is_none()));
        occupancy.drop_pod(&("default".to_owned(), "web".to_owned()));
        assert!(occupancy.rooms.is_empty());
    }
}
