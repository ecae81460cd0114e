//! DaemonSets: one pod on every node that takes it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::deployment::HASH;
use super::owned::{
    adopt, create_pod, delete_pod, is_active, is_available, is_ready, owner_key, pod_from, pods_of,
};
use super::recorder::Note;
use super::rollout::template_hash;
use super::{Context, Controller, Key, Seen, key_of, revisions};
use crate::scheduler::fits_daemon;
use crate::store::{GroupResource, Meta, Object, Store};

const COMPONENT: &str = "daemonset-controller";
const GENERATION: &str = "pod-template-generation";
const REVISION: &str = "controller-revision-hash";

#[derive(Default)]
pub(crate) struct DaemonSets {
    /// What follows from the spec of each set, which is looked at far more often than it changes.
    drafts: BTreeMap<Key, Draft>,
}

/// What the pods of a set are made from.
struct Draft {
    uid: String,
    generation: Value,
    hash: String,
    template: Value,
}

impl Draft {
    fn of(set: &Value) -> Self {
        let mut template = set["spec"]["template"].clone();
        template["metadata"]["labels"].as_object_mut().map(|labels| labels.remove(HASH));
        let hash = template_hash(&template, 0);
        template["metadata"]["labels"][REVISION] = json!(hash);
        template["metadata"]["labels"][GENERATION] = json!(set["metadata"]["generation"].to_string());
        tolerate_node_trouble(&mut template["spec"]);
        Self { uid: set.uid().to_owned(), generation: set["metadata"]["generation"].clone(), hash, template }
    }

    fn is_of(&self, set: &Value) -> bool {
        self.uid == set.uid() && self.generation == set["metadata"]["generation"]
    }
}

fn daemon_sets() -> GroupResource {
    GroupResource::new("apps", "daemonsets")
}

impl Controller for DaemonSets {
    fn concerns(&mut self, store: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        match (resource.group.as_str(), resource.resource.as_str()) {
            ("apps", "daemonsets") => vec![key_of(change.object)],
            ("", "pods") => owner_key(change.object, "DaemonSet").into_iter().collect(),
            ("", "nodes") => {
                let same = change.previous.is_some_and(|before| {
                    before["spec"] == change.object["spec"]
                        && before["metadata"]["labels"] == change.object["metadata"]["labels"]
                });
                if same && !change.deleted {
                    return Vec::new();
                }
                store.list(&daemon_sets(), None).0.iter().map(|set| key_of(set)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let store = context.store;
        let Some(set) = store.get(&daemon_sets(), &key.0, &key.1) else {
            self.drafts.remove(key);
            return;
        };
        let (nodes, _) = store.list(&GroupResource::new("", "nodes"), None);
        if self.drafts.get(key).is_none_or(|draft| !draft.is_of(&set)) {
            self.drafts.insert(key.clone(), Draft::of(&set));
        }
        let Some(Draft { hash, template, .. }) = self.drafts.get(key) else { return };
        let mut counts = Counts::default();
        adopt(store, &GroupResource::new("", "pods"), &set);
        let pods: Vec<Object> = pods_of(store, &set);
        if !set.is_terminating() {
            revisions::keep(context, &set, &format!("{}-{hash}", set.name()), hash, &pods);
        }
        let mut by_node: BTreeMap<&str, Vec<&Object>> = BTreeMap::new();
        for pod in &pods {
            by_node.entry(target(pod).unwrap_or_default()).or_default().push(pod);
        }
        for node in &nodes {
            let should_run = fits_daemon(template, node);
            let here = by_node.get(node.name()).map_or(&[][..], Vec::as_slice);
            let live: Vec<&Object> = here.iter().copied().filter(|pod| is_active(pod)).collect();
            if should_run {
                counts.desired += 1;
                counts.count(&live, hash, &set, context);
            } else {
                counts.misscheduled += usize::from(!live.is_empty());
            }
            if set.is_terminating() {
                continue;
            }
            // A failed daemon pod is replaced.
            for dead in here.iter().filter(|pod| pod["status"]["phase"] == "Failed" && !pod.is_terminating())
            {
                delete_pod(store, dead);
            }
            if should_run && here.iter().all(|pod| !is_active(pod) && !pod.is_terminating()) {
                let mut pod = pod_from(&set, template);
                pin(&mut pod["spec"], node.name());
                match create_pod(store, pod) {
                    Ok(pod) => {
                        let message = format!("Created pod: {}", pod.name());
                        context.recorder.note(&set, &Note::normal(COMPONENT, "SuccessfulCreate", &message));
                    }
                    Err(status) => {
                        let message = format!("Error creating: {}", status.message);
                        context.recorder.note(&set, &Note::warning(COMPONENT, "FailedCreate", &message));
                        context.again_in(std::time::Duration::from_secs(5));
                    }
                }
            }
            let surplus = if should_run { 1 } else { 0 };
            for pod in live.iter().skip(surplus) {
                remove(context, &set, pod);
            }
        }
        let is_there = |name: &str| nodes.binary_search_by(|node| node.name().cmp(name)).is_ok();
        for pod in pods.iter().filter(|pod| is_active(pod)) {
            if target(pod).is_some_and(|name| !is_there(name)) {
                remove(context, &set, pod);
            }
        }
        if !set.is_terminating() && set["spec"]["updateStrategy"]["type"] != "OnDelete" {
            update(context, &set, &pods, hash);
        }
        counts.write(context, key, &set);
    }
}

fn remove(context: &mut Context<'_>, set: &Value, pod: &Value) {
    delete_pod(context.store, pod);
    let message = format!("Deleted pod: {}", pod.name());
    context.recorder.note(set, &Note::normal(COMPONENT, "SuccessfulDelete", &message));
}

/// Takes down pods of an old template, no more at once than `maxUnavailable`.
fn update(context: &mut Context<'_>, set: &Value, pods: &[Object], hash: &str) {
    let limit = &set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"];
    let limit = match limit.as_str().and_then(|text| text.strip_suffix('%')).map(str::parse::<usize>) {
        Some(Ok(percent)) => (pods.len() * percent).div_ceil(100),
        _ => usize::try_from(limit.as_i64().unwrap_or(1)).unwrap_or(1),
    };
    let is_old = |pod: &&Object| pod["metadata"]["labels"][REVISION] != hash && is_active(pod);
    let down = pods.iter().filter(|pod| !is_ready(pod) && !is_old(pod)).count();
    let mut room = limit.max(1).saturating_sub(down);
    for pod in pods.iter().filter(is_old) {
        let was_down = !is_ready(pod);
        if was_down || room > 0 {
            room = room.saturating_sub(1);
            remove(context, set, pod);
        }
    }
}

/// The node that a daemon pod is for: where it runs, or where it is pinned.
fn target(pod: &Value) -> Option<&str> {
    pod["spec"]["nodeName"].as_str().filter(|name| !name.is_empty()).or_else(|| {
        let required =
            &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0].as_str()
    })
}

fn pin(spec: &mut Value, node: &str) {
    spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!({
        "nodeSelectorTerms": [{"matchFields": [
            {"key": "metadata.name", "operator": "In", "values": [node]},
        ]}],
    });
}

/// The tolerations that the real controller adds: daemons run on nodes in trouble.
fn tolerate_node_trouble(spec: &mut Value) {
    let host_network = spec["hostNetwork"] == true;
    let mut added = vec![
        json!({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}),
        json!({"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}),
    ];
    let mut keys = vec!["disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"];
    if host_network {
        keys.push("network-unavailable");
    }
    for key in keys {
        let key = format!("node.kubernetes.io/{key}");
        added.push(json!({"key": key, "operator": "Exists", "effect": "NoSchedule"}));
    }
    match spec["tolerations"].as_array_mut() {
        Some(tolerations) => {
            for toleration in added {
                if !tolerations.contains(&toleration) {
                    tolerations.push(toleration);
                }
            }
        }
        None => spec["tolerations"] = json!(added),
    }
}

#[derive(Default)]
struct Counts {
    desired: usize,
    current: usize,
    updated: usize,
    ready: usize,
    available: usize,
    misscheduled: usize,
}

impl Counts {
    fn count(&mut self, live: &[&Object], hash: &str, set: &Value, context: &Context<'_>) {
        let Some(pod) = live.first() else { return };
        let delay = set["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
        self.current += 1;
        self.updated += usize::from(pod["metadata"]["labels"][REVISION] == hash);
        self.ready += usize::from(is_ready(pod));
        self.available += usize::from(is_available(pod, delay, context.now()));
    }

    fn write(&self, context: &Context<'_>, key: &Key, set: &Value) {
        let mut status = json!({
            "desiredNumberScheduled": self.desired, "currentNumberScheduled": self.current,
            "numberMisscheduled": self.misscheduled, "numberReady": self.ready,
            "observedGeneration": set["metadata"]["generation"],
        });
        let optional = [
            ("updatedNumberScheduled", self.updated),
            ("numberAvailable", self.available),
            ("numberUnavailable", self.desired.saturating_sub(self.available)),
        ];
        for (field, count) in optional {
            if count > 0 {
                status[field] = json!(count);
            }
        }
        context.set_status(&daemon_sets(), key, &status);
    }
}
