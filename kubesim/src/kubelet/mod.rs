//! The kubelets: nodes that register and renew their leases, and pods that go through their lives as
//! their images say.
//!
//! A container's life is a small state machine ([`container`]) moved by time alone; a pod's status is
//! rendered from its containers ([`pod`]); only this file writes to the store: that of the embedded
//! cluster, or the mirror of another one ([`remote`]). Events and states are those
//! of kubelet 1.37.

mod config;
mod container;
mod images;
mod logs;
mod node;
mod pod;
pub mod remote;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::Value;

use crate::controllers::{Context, Controller, Key, Note, Seen, key_of};
use crate::store::{GroupResource, Meta, Object, Preconditions, Store};
use container::Said;
use pod::Run;

pub use images::{Behaviour, Images};
pub use logs::ContainerLogs;
pub use node::{NodeShape, Nodes};

const COMPONENT: &str = "kubelet";

/// What CoreDNS writes when it starts.
pub(crate) const COREDNS_LOG: &str = ".:53\nCoreDNS-1.12.4\nlinux/amd64, go1.24.6\n";

/// Every kubelet of the cluster. Keys are pods (with a namespace) and nodes (without).
pub(crate) struct Kubelets {
    nodes: Nodes,
    images: Images,
    logs: ContainerLogs,
    runs: BTreeMap<Key, Run>,
    /// Each node as it was when everything had been said of it.
    told: BTreeMap<String, Weak<Value>>,
    /// Nodes whose kubelets have begun.
    begun: BTreeSet<String>,
    addresses: u32,
    /// Images that a node has: a second container starts without pulling.
    pulled: BTreeSet<(String, String)>,
    /// Pods that wait for a ConfigMap or a Secret.
    unconfigured: BTreeSet<Key>,
    /// What each pod waits for, where what is not here may be there and only be late; `None` in a cluster of our own.
    inquiries: Option<BTreeMap<Key, Inquiry>>,
}

/// What was asked of the API server on behalf of a pod before anything is said to be missing.
#[derive(Default)]
struct Inquiry {
    uid: String,
    awaited: BTreeSet<config::Reference>,
    answered: BTreeSet<config::Reference>,
}

fn pods() -> GroupResource {
    GroupResource::new("", "pods")
}

fn nodes() -> GroupResource {
    GroupResource::new("", "nodes")
}

impl Kubelets {
    pub(crate) fn new(nodes: Nodes, images: Images, logs: ContainerLogs) -> Self {
        Self {
            nodes,
            images,
            logs,
            runs: BTreeMap::new(),
            begun: BTreeSet::new(),
            told: BTreeMap::new(),
            addresses: 0,
            pulled: BTreeSet::new(),
            unconfigured: BTreeSet::new(),
            inquiries: None,
        }
    }

    /// Kubelets whose store is a mirror: a pod can be seen before what it is configured by, though that was there first.
    pub(crate) fn of_a_mirror(self) -> Self {
        Self { inquiries: Some(BTreeMap::new()), ..self }
    }

    /// Whether a pod must wait until it is known whether what it is configured by is really missing.
    fn inquires(&mut self, store: &Store, key: &Key, pod: &Object) -> bool {
        let Some(inquiries) = &mut self.inquiries else { return false };
        let inquiry = inquiries.entry(key.clone()).or_default();
        if inquiry.uid != pod.uid() {
            *inquiry = Inquiry { uid: pod.uid().to_owned(), ..Inquiry::default() };
        }
        inquiry.awaited = config::absent(store, pod).into_iter().collect();
        inquiry.awaited.retain(|reference| !inquiry.answered.contains(reference));
        for (resource, key) in &inquiry.awaited {
            store.ask(resource, key);
        }
        !inquiry.awaited.is_empty()
    }

    fn reconcile_node(&mut self, context: &mut Context<'_>, name: &str) {
        let Some(node) = context.store.get(&nodes(), "", name) else {
            self.nodes.forget(name);
            self.told.remove(name);
            self.begun.remove(name);
            self.pulled.retain(|(node, _)| node != name);
            node::release_lease(context.store, name);
            return;
        };
        // Made here, and not yet registered with the API server: everything else refers to its uid.
        if node.uid().is_empty() {
            return;
        }
        if self.told.get(name).is_none_or(|told| !std::ptr::eq(told.as_ptr(), Arc::as_ptr(&node))) {
            let is_new = self.begun.insert(name.to_owned());
            let (written, said) = self.nodes.write_status(context.store, &node, is_new);
            for (kind, reason, message) in said {
                let note = Note {
                    component: COMPONENT,
                    host: name,
                    kind,
                    reason,
                    message: &message,
                    field_path: "",
                };
                context.recorder.note(&node, &note);
            }
            self.told.insert(name.to_owned(), written.map_or_else(Weak::new, |node| Arc::downgrade(&node)));
        }
        node::renew_lease(context, &node);
    }

    fn reconcile_pod(&mut self, context: &mut Context<'_>, key: &Key) {
        let store = context.store;
        let pod = store.get(&pods(), &key.0, &key.1);
        if pod.is_none() {
            self.unconfigured.remove(key);
            if let Some(inquiries) = &mut self.inquiries {
                inquiries.remove(key);
            }
        }
        let stale = |run: &Run| pod.as_ref().is_none_or(|pod| pod.uid() != run.uid());
        if self.runs.get(key).is_some_and(stale) {
            self.runs.remove(key);
            self.logs.forget(&key.0, &key.1);
        }
        let Some(pod) = pod else { return };
        let node_name = pod["spec"]["nodeName"].as_str().unwrap_or_default();
        let Some(node) = store.get(&nodes(), "", node_name).filter(|_| !node_name.is_empty()) else { return };
        if pod.is_terminating() {
            self.stop(context, &pod, node_name);
            return;
        }
        let network = pod["spec"]["hostNetwork"] == true;
        let ready = self.nodes.is_ready(node_name);
        if !ready && !network && !self.runs.contains_key(key) {
            let message = format!("network is not ready: {}", self.nodes.trouble(node_name));
            let note = Note {
                component: COMPONENT,
                host: node_name,
                kind: "Warning",
                reason: "NetworkNotReady",
                message: &message,
                field_path: "",
            };
            context.recorder.note(&pod, &note);
            return;
        }
        let begun = self.runs.get(key).is_some_and(Run::has_begun);
        if !begun && self.inquires(store, key, &pod) {
            return;
        }
        let run = match self.runs.get_mut(key) {
            Some(run) => run,
            None => {
                let host = node::internal_ip(&node);
                let ip = if network {
                    host.clone()
                } else {
                    self.addresses += 1;
                    pod_ip(self.addresses)
                };
                self.runs.entry(key.clone()).or_insert(Run::new(&pod, ip, host, context.clock.moment()))
            }
        };
        let mut said = Vec::new();
        let unmounted = if begun { None } else { config::unmountable(store, &pod) };
        let next = match &unmounted {
            Some(_) => None,
            None => {
                let now = context.clock.moment();
                run.advance(&pod, store, &self.images, &mut self.pulled, now, &mut said)
            }
        };
        if unmounted.is_some() || run.is_unconfigured() {
            self.unconfigured.insert(key.clone());
        } else {
            self.unconfigured.remove(key);
        }
        if let Some(message) = unmounted {
            let note = Note {
                component: COMPONENT,
                host: node_name,
                kind: "Warning",
                reason: "FailedMount",
                message: &message,
                field_path: "",
            };
            context.recorder.note(&pod, &note);
        }
        for Said { container, kind, reason, message, log } in said {
            if let Some((text, previous_ended)) = log {
                self.logs.write(&key.0, &key.1, &container, context.now(), &text, previous_ended);
            }
            if reason.is_empty() {
                continue;
            }
            let field = if run.is_init(&container) { "initContainers" } else { "containers" };
            let path = format!("spec.{field}{{{container}}}");
            let note = Note {
                component: COMPONENT,
                host: node_name,
                kind,
                reason,
                message: &message,
                field_path: &path,
            };
            context.recorder.note(&pod, &note);
        }
        if let Some(next) = next {
            context.again_when(next);
        }
        if let Some(status) = run.status_to_write(&pod, &context.clock) {
            let written = store.update(&pods(), &key.0, &key.1, |pod| {
                pod["status"] = status;
                Ok(())
            });
            // Whoever deleted it meanwhile has the last word.
            if let Ok(written) = written {
                run.wrote(&written);
            }
        }
    }

    fn stop(&mut self, context: &mut Context<'_>, pod: &Object, node: &str) {
        let key = key_of(pod);
        let running = self.runs.remove(&key).map(|run| run.running()).unwrap_or_default();
        for (container, field) in running {
            let note = Note {
                component: COMPONENT,
                host: node,
                kind: "Normal",
                reason: "Killing",
                message: &format!("Stopping container {container}"),
                field_path: &format!("spec.{field}{{{container}}}"),
            };
            context.recorder.note(pod, &note);
        }
        self.logs.forget(&key.0, &key.1);
        let same = Preconditions { uid: Some(pod.uid().to_owned()), resource_version: None };
        // Finalizers may still hold it; then it stays, with its containers gone.
        let _ = context.store.delete(&pods(), &key.0, &key.1, &same, 0);
    }
}

fn pod_ip(number: u32) -> String {
    format!("10.0.{}.{}", 64 + (number / 250) % 192, 1 + number % 250)
}

impl Controller for Kubelets {
    fn concerns(&mut self, store: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        match (resource.group.as_str(), resource.resource.as_str()) {
            ("", "nodes") => {
                let mut keys = vec![key_of(change.object)];
                if change.deleted || change.previous.is_none() {
                    keys.extend(store.pods_on(change.object.name()).iter().map(|pod| key_of(pod)));
                }
                keys
            }
            ("", "pods")
                if change.object["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty()) =>
            {
                let key = key_of(change.object);
                // What a kubelet wrote itself is no news to it.
                let own =
                    !change.deleted && self.runs.get(&key).is_some_and(|run| run.has_written(change.object));
                if own { Vec::new() } else { vec![key] }
            }
            ("", "configmaps" | "secrets") if !change.deleted => {
                let namespace = change.object.namespace();
                self.unconfigured.iter().filter(|key| key.0 == namespace).cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    fn forget(&mut self) {
        self.told.clear();
    }

    fn woken(&mut self, store: &Store) -> Vec<Key> {
        let mut keys = Vec::new();
        for name in self.nodes.take_changed() {
            self.told.remove(&name);
            keys.extend(store.pods_on(&name).iter().map(|pod| key_of(pod)));
            keys.push((String::new(), name));
        }
        let answered = store.take_answered();
        for (key, inquiry) in self.inquiries.iter_mut().flatten() {
            for reference in answered.iter().filter(|it| inquiry.awaited.remove(it)) {
                inquiry.answered.insert(reference.clone());
                keys.push(key.clone());
            }
        }
        let changed = self.images.take_changed();
        if !changed.is_empty() {
            let concerned = |pod: &&Object| {
                let all = containers(pod, "initContainers").chain(containers(pod, "containers"));
                let mut images = all.filter_map(|container| container["image"].as_str());
                images.any(|image| changed.iter().any(|part| image.contains(part.as_str())))
            };
            keys.extend(store.list(&pods(), None).0.iter().filter(concerned).map(|pod| key_of(pod)));
        }
        keys
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        if key.0.is_empty() {
            self.reconcile_node(context, &key.1);
        } else {
            self.reconcile_pod(context, key);
        }
    }
}

/// A value shared between the model and those who set it.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The containers of a list of a pod's spec.
fn containers<'a>(pod: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    pod["spec"][list].as_array().into_iter().flatten()
}
