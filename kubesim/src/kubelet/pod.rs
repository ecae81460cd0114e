//! One pod on its node: its containers in their order, and the status that they make.

use std::collections::BTreeSet;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Weak};

use serde_json::{Value, json};

use super::container::{Container, Restart, Said, World, time};
use super::images::Images;
use super::{config, containers};
use crate::clock::{Clock, Moment};
use crate::controllers::set_condition;
use crate::store::{Meta, Object, Store};

/// A pod that a kubelet has.
pub(super) struct Run {
    uid: String,
    ip: String,
    host_ip: String,
    started: Moment,
    containers: Vec<Container>,
    restart: Restart,
    /// What was last rendered, as a hash of it.
    rendered: Option<u64>,
    /// The pod as it was when its status had been written.
    written: Weak<Value>,
}

impl Run {
    pub(super) fn new(pod: &Value, ip: String, host_ip: String, now: Moment) -> Self {
        let init = containers(pod, "initContainers")
            .map(|spec| Container::new(spec, spec["restartPolicy"] != "Always"));
        let main = containers(pod, "containers").map(|spec| Container::new(spec, false));
        Self {
            uid: pod.uid().to_owned(),
            ip,
            host_ip,
            started: now,
            containers: init.chain(main).collect(),
            restart: Restart::of(pod),
            rendered: None,
            written: Weak::new(),
        }
    }

    pub(super) fn uid(&self) -> &str {
        &self.uid
    }

    pub(super) fn is_init(&self, name: &str) -> bool {
        self.containers.iter().any(|container| container.init && container.name == name)
    }

    /// Whether any container has been begun.
    pub(super) fn has_begun(&self) -> bool {
        self.containers.iter().any(Container::has_begun)
    }

    /// Whether a container cannot be created for lack of what it is configured by.
    pub(super) fn is_unconfigured(&self) -> bool {
        self.containers.iter().any(Container::is_unconfigured)
    }

    /// The containers that run, each with the list of the spec that it is in.
    pub(super) fn running(&self) -> Vec<(String, &'static str)> {
        let running = self.containers.iter().filter(|container| container.is_running());
        running
            .map(|container| {
                (container.name.clone(), if container.init { "initContainers" } else { "containers" })
            })
            .collect()
    }

    /// Moves every container on to `now`; says when there is more to do.
    pub(super) fn advance(
        &mut self,
        pod: &Value,
        store: &Store,
        images: &Images,
        pulled: &mut BTreeSet<(String, String)>,
        now: Moment,
        said: &mut Vec<Said>,
    ) -> Option<Moment> {
        let name = format!("{}_{}({})", pod.name(), pod.namespace(), pod.uid());
        let mut world = World {
            images,
            pulled,
            node: pod["spec"]["nodeName"].as_str().unwrap_or_default(),
            pod: &name,
            restart: self.restart,
            now,
            said,
            unset: &|container| config::unset(store, pod, container),
        };
        let mut next: Option<Moment> = None;
        for container in &mut self.containers {
            let list = if container.init { "initContainers" } else { "containers" };
            let spec = containers(pod, list).find(|spec| spec["name"] == container.name.as_str());
            if let Some(image) = spec.and_then(|spec| spec["image"].as_str()) {
                container.set_image(image);
            }
            let due = container.advance(&mut world);
            next = match (next, due) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            // An init container that has not succeeded holds up those after it.
            if container.init && container.exit_code() != Some(0) {
                break;
            }
        }
        next
    }

    fn initialized(&self) -> bool {
        self.containers.iter().filter(|container| container.init).all(|c| c.exit_code() == Some(0))
    }

    fn phase(&self) -> &'static str {
        let init_failed =
            self.containers.iter().any(|c| c.init && c.exit_code().is_some_and(|code| code != 0));
        if !self.initialized() {
            return if init_failed { "Failed" } else { "Pending" };
        }
        let main: Vec<&Container> = self.containers.iter().filter(|container| !container.init).collect();
        if main.iter().any(|container| container.has_never_run()) {
            "Pending"
        } else if main.iter().all(|container| container.exit_code().is_some()) {
            if main.iter().all(|container| container.exit_code() == Some(0)) { "Succeeded" } else { "Failed" }
        } else {
            "Running"
        }
    }

    /// The pod's status, if it differs from what was last written, or from what somebody has made of it.
    pub(super) fn status_to_write(&mut self, pod: &Value, clock: &Clock) -> Option<Value> {
        let rendered = self.render(pod);
        // Conditions of others, and their times, are theirs: only what is rendered here is compared.
        let undone = contradicts(&pod["status"]["conditions"], &rendered["conditions"]);
        let hash = hash(&rendered);
        if self.rendered == Some(hash) && !undone {
            return None;
        }
        let mut status = pod["status"].clone();
        let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let now = clock.rfc3339();
        for (field, value) in rendered.as_object().into_iter().flatten() {
            if field != "conditions" {
                status[field] = value.clone();
            }
        }
        for condition in rendered["conditions"].as_array().into_iter().flatten() {
            set_condition(&mut conditions, condition.clone(), &now);
        }
        status["conditions"] = json!(conditions);
        self.rendered = Some(hash);
        Some(status)
    }

    /// Takes note of the pod with its status written.
    pub(super) fn wrote(&mut self, pod: &Object) {
        self.written = Arc::downgrade(pod);
    }

    /// Whether this is the pod as it was when its status had been written.
    pub(super) fn has_written(&self, pod: &Object) -> bool {
        std::ptr::eq(self.written.as_ptr(), Arc::as_ptr(pod))
    }

    fn render(&self, pod: &Value) -> Value {
        let phase = self.phase();
        let pod_name = format!("{}_{}({})", pod.name(), pod.namespace(), pod.uid());
        let statuses = |init: bool, waiting: &str| -> Vec<Value> {
            let of = self.containers.iter().filter(|container| container.init == init);
            of.map(|container| container.status(&pod_name, &self.uid, waiting)).collect()
        };
        let has_init = self.containers.iter().any(|container| container.init);
        let waiting = if has_init { "PodInitializing" } else { "ContainerCreating" };
        let main: Vec<&Container> = self.containers.iter().filter(|container| !container.init).collect();
        let unready: Vec<&str> =
            main.iter().filter(|c| !c.is_ready_now()).map(|container| container.name.as_str()).collect();
        let uninitialized: Vec<&str> = self
            .containers
            .iter()
            .filter(|c| c.init && c.exit_code() != Some(0))
            .map(|container| container.name.as_str())
            .collect();
        let generation = &pod["metadata"]["generation"];
        let condition = |kind: &str, refusal: Option<(&str, String)>| {
            let mut condition = json!({
                "type": kind, "status": if refusal.is_none() { "True" } else { "False" },
                "lastProbeTime": null, "observedGeneration": generation,
            });
            if let Some((reason, message)) = refusal {
                if !reason.is_empty() {
                    condition["reason"] = json!(reason);
                }
                if !message.is_empty() {
                    condition["message"] = json!(message);
                }
            }
            condition
        };
        let sandbox_gone = matches!(phase, "Succeeded" | "Failed") || !self.has_begun();
        let not_ready = || match phase {
            "Succeeded" => Some(("PodCompleted", String::new())),
            "Failed" => Some(("PodFailed", String::new())),
            _ if unready.is_empty() => None,
            _ => Some((
                "ContainersNotReady",
                format!("containers with unready status: [{}]", unready.join(" ")),
            )),
        };
        let not_initialized = (!uninitialized.is_empty()).then(|| {
            (
                "ContainersNotInitialized",
                format!("containers with incomplete status: [{}]", uninitialized.join(" ")),
            )
        });
        let mut status = json!({
            "observedGeneration": generation, "phase": phase, "startTime": time(self.started),
            "hostIP": self.host_ip, "hostIPs": [{"ip": self.host_ip}],
            "podIP": self.ip, "podIPs": [{"ip": self.ip}],
            "containerStatuses": statuses(false, waiting),
            "conditions": [
                // The sandbox goes when the last container has ended.
                condition("PodReadyToStartContainers", sandbox_gone.then(|| ("", String::new()))),
                condition("Initialized", not_initialized),
                condition("Ready", not_ready()),
                condition("ContainersReady", not_ready()),
            ],
        });
        // The address is the sandbox's, and there is none before the volumes are mounted.
        if !self.has_begun()
            && let Some(fields) = status.as_object_mut()
        {
            fields.remove("podIP");
            fields.remove("podIPs");
        }
        if has_init {
            status["initContainerStatuses"] = json!(statuses(true, waiting));
        }
        status
    }
}

/// The same value in two runs of the same executable gives the same hash.
fn hash(value: &Value) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Whether one of the conditions that are said has another status than is said here.
fn contradicts(found: &Value, said: &Value) -> bool {
    let mut found = found.as_array().into_iter().flatten();
    found.any(|found| {
        let mut said = said.as_array().into_iter().flatten();
        said.any(|said| said["type"] == found["type"] && said["status"] != found["status"])
    })
}
