//! The objects of one resource, and whom they belong to: the controller that owns each, and the node that
//! a pod is bound to. Controllers and kubelets ask for their own objects all the time, and must not look
//! through those of everybody else to find them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::history::History;
use super::{GroupResource, Key, Object};

#[derive(Default)]
pub(super) struct Collection {
    objects: BTreeMap<Key, Object>,
    /// By the controller's uid; what nobody controls is not in here.
    controlled: BTreeMap<String, BTreeSet<Key>>,
    /// Pods by the name of their node.
    bound: BTreeMap<String, BTreeSet<Key>>,
    /// Whether these are pods.
    pods: bool,
    pub(super) history: History,
}

/// The uid of the owner that controls an object.
fn controller(object: &Value) -> Option<&str> {
    let references = object.get("metadata")?.get("ownerReferences")?.as_array()?;
    references.iter().find(|reference| reference["controller"] == true)?["uid"].as_str()
}

fn node(pod: &Value) -> Option<&str> {
    pod.get("spec")?.get("nodeName")?.as_str().filter(|name| !name.is_empty())
}

impl Collection {
    pub(super) fn of(resource: &GroupResource) -> Self {
        let pods = resource.group.is_empty() && resource.resource == "pods";
        Self { pods, ..Self::default() }
    }

    pub(super) fn objects(&self) -> &BTreeMap<Key, Object> {
        &self.objects
    }

    /// Puts an object in; answers with the one that was there.
    pub(super) fn put(&mut self, key: Key, object: Object) -> Option<Object> {
        let before = self.objects.get(&key);
        let was = before.and_then(|object| controller(object));
        let is = controller(&object);
        if was != is {
            leave(&mut self.controlled, was, &key);
            enter(&mut self.controlled, is, &key);
        }
        if self.pods {
            let (was, is) = (before.and_then(|object| node(object)), node(&object));
            if was != is {
                leave(&mut self.bound, was, &key);
                enter(&mut self.bound, is, &key);
            }
        }
        self.objects.insert(key, object)
    }

    pub(super) fn take(&mut self, key: &Key) -> Option<Object> {
        let object = self.objects.remove(key)?;
        leave(&mut self.controlled, controller(&object), key);
        if self.pods {
            leave(&mut self.bound, node(&object), key);
        }
        Some(object)
    }

    /// The objects in one namespace, in order of name.
    pub(super) fn inside<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Object> {
        self.objects
            .range((namespace.to_owned(), String::new())..)
            .take_while(move |((found, _), _)| found == namespace)
            .map(|(_, object)| object)
    }

    /// What the controller with this uid controls, in order of namespace and name.
    pub(super) fn controlled_by(&self, uid: &str) -> Vec<Object> {
        self.those(self.controlled.get(uid))
    }

    /// The pods that are bound to a node, in order of namespace and name.
    pub(super) fn bound_to(&self, node: &str) -> Vec<Object> {
        self.those(self.bound.get(node))
    }

    fn those(&self, keys: Option<&BTreeSet<Key>>) -> Vec<Object> {
        keys.into_iter().flatten().filter_map(|key| self.objects.get(key).cloned()).collect()
    }
}

fn enter(index: &mut BTreeMap<String, BTreeSet<Key>>, place: Option<&str>, key: &Key) {
    if let Some(place) = place {
        match index.get_mut(place) {
            Some(keys) => {
                keys.insert(key.clone());
            }
            None => {
                index.insert(place.to_owned(), BTreeSet::from([key.clone()]));
            }
        }
    }
}

fn leave(index: &mut BTreeMap<String, BTreeSet<Key>>, place: Option<&str>, key: &Key) {
    let Some(place) = place else { return };
    let Some(keys) = index.get_mut(place) else { return };
    keys.remove(key);
    if keys.is_empty() {
        index.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn pod(owner: Option<&str>, node: &str) -> Object {
        let references = owner.map(|uid| json!([{"uid": uid, "controller": true}]));
        Arc::new(json!({
            "metadata": {"name": "web", "ownerReferences": references}, "spec": {"nodeName": node},
        }))
    }

    fn key() -> Key {
        ("default".to_owned(), "web".to_owned())
    }

    #[test]
    fn a_pod_is_found_by_its_controller_and_its_node_for_as_long_as_it_has_them() {
        let mut pods = Collection::of(&GroupResource::new("", "pods"));
        pods.put(key(), pod(Some("set"), ""));
        assert_eq!((pods.controlled_by("set").len(), pods.bound_to("a").len()), (1, 0));
        pods.put(key(), pod(Some("set"), "a"));
        assert_eq!((pods.controlled_by("set").len(), pods.bound_to("a").len()), (1, 1));
        pods.put(key(), pod(None, "b"));
        assert_eq!((pods.controlled_by("set").len(), pods.bound_to("a").len()), (0, 0));
        assert_eq!(pods.bound_to("b").len(), 1);
        pods.take(&key());
        assert!(pods.bound_to("b").is_empty() && pods.controlled.is_empty() && pods.bound.is_empty());
    }

    #[test]
    fn only_pods_are_bound_to_nodes() {
        let mut others = Collection::of(&GroupResource::new("apps", "pods"));
        others.put(key(), pod(None, "a"));
        assert!(others.bound_to("a").is_empty());
    }
}
