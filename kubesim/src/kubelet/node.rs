//! Nodes: how a kubelet registers one, what it says of it, and its lease.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{locked, nodes};
use crate::admission;
use crate::controllers::{Context, set_condition};
use crate::scheduler::quantity::Quantity;
use crate::status::Status;
use crate::store::{GroupResource, Meta, Object, Preconditions, Store};

/// How often a lease is renewed: a quarter of its 40 s.
const RENEW: Duration = Duration::from_secs(10);
const LEASE_SECONDS: u32 = 40;

/// What a node is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeShape {
    /// Name; on EKS the private DNS name.
    pub name: String,
    /// Whether its kubelet says that it is ready.
    pub ready: bool,
    /// `spec.taints`.
    pub taints: Vec<Value>,
    /// Labels, besides those that every node has.
    pub labels: BTreeMap<String, String>,
    /// CPU capacity, e.g. `2`.
    pub cpu: String,
    /// Memory capacity, e.g. `8Gi`.
    pub memory: String,
    /// How many pods it takes.
    pub pods: u32,
    /// What its kubelet says while it is not ready; the usual words without a CNI when `None`.
    pub not_ready_message: Option<String>,
}

impl Default for NodeShape {
    /// A ready m5.large without taints. The name is to be set.
    fn default() -> Self {
        Self {
            name: String::new(),
            ready: true,
            taints: Vec::new(),
            labels: BTreeMap::new(),
            cpu: "2".into(),
            memory: "8Gi".into(),
            pods: 29,
            not_ready_message: None,
        }
    }
}

impl NodeShape {
    /// The `number`-th node of a node group, counted from 0, with the name that EKS would give it.
    #[must_use]
    pub fn numbered(number: u32, region: &str) -> Self {
        let name =
            format!("ip-192-168-{}-{}.{region}.compute.internal", 10 + number / 200, 10 + number % 200);
        Self { name, ..Self::default() }
    }
}

impl NodeShape {
    /// What its kubelet says while it is not ready.
    fn trouble(&self) -> String {
        self.not_ready_message.clone().unwrap_or_else(|| NO_CNI.to_owned())
    }
}

/// The words of a kubelet whose network plugin has not come up.
pub const NO_CNI: &str = "container runtime network not ready: NetworkReady=false \
    reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";

/// The cluster's nodes, as those who break them see them. Cloning shares them.
#[derive(Clone)]
pub struct Nodes {
    store: Store,
    region: String,
    shapes: Arc<Mutex<BTreeMap<String, NodeShape>>>,
    /// Nodes that were told to be otherwise since somebody asked.
    changed: Arc<Mutex<BTreeSet<String>>>,
    wake: Arc<Notify>,
    /// The port at which an API server outside this process asks for logs.
    port: Arc<OnceLock<u16>>,
    /// The kubelets' version: the API server's.
    version: Arc<OnceLock<String>>,
}

impl Nodes {
    pub(crate) fn new(store: Store, region: String, wake: Arc<Notify>) -> Self {
        Self {
            store,
            region,
            shapes: Arc::default(),
            changed: Arc::default(),
            wake,
            port: Arc::default(),
            version: Arc::default(),
        }
    }

    /// Kubelets are of this version of Kubernetes, such as `v1.34.2`. It is told once.
    pub(crate) fn are_of(&self, version: String) {
        let _ = self.version.set(version);
    }

    /// Nodes that register from now on say that their kubelets listen on this port of 127.0.0.1.
    pub(super) fn reached_at(&self, port: u16) {
        let _ = self.port.set(port);
    }

    /// Starts a node: its kubelet registers it and says what it is like.
    ///
    /// # Errors
    /// `AlreadyExists`.
    pub fn add(&self, shape: NodeShape) -> Result<(), Status> {
        let name = shape.name.clone();
        let mut labels = json!({
            "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/instance-type": "m5.large", "node.kubernetes.io/instance-type": "m5.large",
            "eks.amazonaws.com/capacityType": "ON_DEMAND", "eks.amazonaws.com/nodegroup": "default",
            "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": name,
            "topology.kubernetes.io/region": self.region,
            "topology.kubernetes.io/zone": self.zone(&name),
            "failure-domain.beta.kubernetes.io/region": self.region,
            "failure-domain.beta.kubernetes.io/zone": self.zone(&name),
        });
        for (key, value) in &shape.labels {
            labels[key] = json!(value);
        }
        let mut spec = json!({
            "providerID": format!("aws:///{}/i-0{:016x}", self.zone(&name), hash(&name)),
        });
        if !shape.taints.is_empty() {
            spec["taints"] = json!(shape.taints);
        }
        let mut node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": labels, "annotations": {
                "node.alpha.kubernetes.io/ttl": "0",
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            }},
            "spec": spec,
        });
        if !shape.ready {
            admission::taint_until_ready(&mut node);
        }
        // A kubelet registers its node with what it has: without, pods would find no room on it.
        node["status"] = self.said_of(&shape, &node, &self.store.clock().rfc3339());
        locked(&self.shapes).insert(name.clone(), shape);
        if let Err(status) = self.store.create(&nodes(), node) {
            locked(&self.shapes).remove(&name);
            return Err(status);
        }
        Ok(())
    }

    /// Takes a node away, and what runs on it.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn remove(&self, name: &str) -> Result<(), Status> {
        self.store.delete(&nodes(), "", name, &Preconditions::default(), 0).map(|_| ())
    }

    /// Makes a node's kubelet say that it is ready, or that it is not and why.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn set_ready(&self, name: &str, ready: bool, message: Option<String>) -> Result<(), Status> {
        if self.store.get(&nodes(), "", name).is_none() {
            return Err(Status::not_found("", "nodes", name));
        }
        let mut shapes = locked(&self.shapes);
        let shape = shapes.entry(name.to_owned()).or_insert_with(|| self.unknown(name));
        shape.ready = ready;
        shape.not_ready_message = message;
        drop(shapes);
        locked(&self.changed).insert(name.to_owned());
        self.wake.notify_one();
        Ok(())
    }

    /// Sets a node's own taints, leaving those that follow from its conditions.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn set_taints(&self, name: &str, taints: &[Value]) -> Result<(), Status> {
        let change = |node: &mut Value| {
            let mut all = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
            all.retain(|taint| {
                taint["key"].as_str().is_some_and(|key| key.starts_with("node.kubernetes.io/"))
            });
            all.extend(taints.iter().cloned());
            match node["spec"].as_object_mut() {
                Some(spec) if all.is_empty() => {
                    spec.remove("taints");
                }
                _ => node["spec"]["taints"] = json!(all),
            }
            Ok(())
        };
        self.store.update(&nodes(), "", name, change).map(|_| ())
    }

    /// Names of all nodes, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.store.list(&nodes(), None).0.iter().map(|node| node.name().to_owned()).collect()
    }

    fn unknown(&self, name: &str) -> NodeShape {
        NodeShape { name: name.to_owned(), ..NodeShape::default() }
    }

    fn zone(&self, name: &str) -> String {
        format!("{}{}", self.region, ["a", "b", "c"][usize::try_from(hash(name) % 3).unwrap_or(0)])
    }

    /// The nodes that were told to be otherwise since this was last asked.
    pub(super) fn take_changed(&self) -> BTreeSet<String> {
        std::mem::take(&mut *locked(&self.changed))
    }

    pub(super) fn forget(&self, name: &str) {
        locked(&self.shapes).remove(name);
    }

    pub(super) fn is_ready(&self, name: &str) -> bool {
        locked(&self.shapes).get(name).is_none_or(|shape| shape.ready)
    }

    /// What the kubelet says of a node that is not ready.
    pub(super) fn trouble(&self, name: &str) -> String {
        locked(&self.shapes).get(name).map_or_else(|| NO_CNI.to_owned(), NodeShape::trouble)
    }

    /// The status of a node as its kubelet says it: what is there stays, what is lacking is filled in, its readiness is
    /// that of its shape, and what runs on it is what it says of itself.
    fn said_of(&self, shape: &NodeShape, node: &Value, now: &str) -> Value {
        let mut status = node["status"].clone();
        let fill = |status: &mut Value, field: &str, value: Value| {
            if status[field].is_null() {
                status[field] = value;
            }
        };
        let capacity = json!({
            "cpu": shape.cpu, "memory": shape.memory, "pods": shape.pods.to_string(),
            "ephemeral-storage": "83873772Ki", "hugepages-1Gi": "0", "hugepages-2Mi": "0",
        });
        fill(&mut status, "capacity", capacity);
        fill(
            &mut status,
            "allocatable",
            json!({
                "cpu": reserved(&shape.cpu, 70, true), "memory": reserved(&shape.memory, 574, false),
                "pods": shape.pods.to_string(), "ephemeral-storage": "76224326324",
                "hugepages-1Gi": "0", "hugepages-2Mi": "0",
            }),
        );
        let mut addresses = vec![
            json!({"type": "InternalIP", "address": internal_ip(node)}),
            json!({"type": "InternalDNS", "address": node.name()}),
            json!({"type": "Hostname", "address": node.name()}),
        ];
        let port = self.port.get().copied();
        if port.is_some() {
            addresses.push(json!({"type": super::remote::LOOPBACK, "address": "127.0.0.1"}));
        }
        fill(&mut status, "addresses", json!(addresses));
        status["daemonEndpoints"] = json!({"kubeletEndpoint": {"Port": port.unwrap_or(10250)}});
        let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        for (kind, reason, message) in [
            ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ] {
            if !conditions.iter().any(|condition| condition["type"] == kind) {
                let condition = json!({
                    "type": kind, "status": "False", "reason": reason, "message": message,
                    "lastHeartbeatTime": now,
                });
                set_condition(&mut conditions, condition, now);
            }
        }
        let (state, reason, message) = if shape.ready {
            ("True", "KubeletReady", "kubelet is posting ready status".to_owned())
        } else {
            ("False", "KubeletNotReady", shape.trouble())
        };
        let known = conditions.iter().find(|condition| condition["type"] == "Ready");
        if known.is_none_or(|known| known["status"] != state || known["message"] != message.as_str()) {
            let ready = json!({
                "type": "Ready", "status": state, "reason": reason, "message": message,
                "lastHeartbeatTime": now,
            });
            set_condition(&mut conditions, ready, now);
        }
        status["conditions"] = json!(conditions);
        status["nodeInfo"] = json!({
            "architecture": "amd64", "operatingSystem": "linux", "osImage": "Amazon Linux 2023",
            "kernelVersion": "6.12.40-63.114.amzn2023.x86_64", "containerRuntimeVersion": "containerd://2.1.4",
            "kubeletVersion": self.version.get(), "kubeProxyVersion": "",
            "bootID": format!("{:016x}", hash(node.name())), "machineID": format!("{:032x}", hash(node.name())),
            "systemUUID": format!("{:032x}", hash(node.name())),
        });
        status
    }

    /// Writes what the kubelet says of its node, for the first time if it `is_new`; answers with the node as it is then,
    /// and with the events: type, reason, message.
    pub(super) fn write_status(
        &self,
        store: &Store,
        node: &Value,
        is_new: bool,
    ) -> (Option<Object>, Vec<(&'static str, &'static str, String)>) {
        let name = node.name();
        let shape = locked(&self.shapes).get(name).cloned().unwrap_or_else(|| self.unknown(name));
        let now = store.clock().rfc3339();
        let known = |status: &Value| {
            let conditions = status["conditions"].as_array()?;
            conditions.iter().find(|it| it["type"] == "Ready").map(|it| it["status"] == "True")
        };
        let before = known(&node["status"]);
        let status = self.said_of(&shape, node, &now);
        let written = store.update(&nodes(), "", name, |node| {
            node["status"] = status;
            Ok(())
        });
        let said = |ready: bool| {
            let state = if ready { "NodeReady" } else { "NodeNotReady" };
            ("Normal", state, format!("Node {name} status is now: {state}"))
        };
        let events = match before {
            _ if is_new => vec![("Normal", "Starting", "Starting kubelet.".to_owned())],
            Some(before) if before == shape.ready => Vec::new(),
            _ => vec![said(shape.ready)],
        };
        // One that has gone meanwhile is told nothing more.
        (written.ok(), events)
    }
}

/// What is left for pods: 70 millicores or 574 MiB less, as the EKS bootstrap reserves on an m5.large.
fn reserved(amount: &str, less: i128, cpu: bool) -> String {
    let Some(quantity) = Quantity::parse(amount) else { return amount.to_owned() };
    if cpu {
        return format!("{}m", (quantity.milli() - less).max(0));
    }
    format!("{}Ki", (quantity.milli() / 1000 / 1024 - less * 1024).max(0))
}

/// The node's address: what its object says, else from its name (`ip-a-b-c-d.…`), else made up from it.
pub(super) fn internal_ip(node: &Value) -> String {
    let known = node["status"]["addresses"].as_array().into_iter().flatten();
    let known = known.filter(|address| address["type"] == "InternalIP").find_map(|a| a["address"].as_str());
    if let Some(address) = known {
        return address.to_owned();
    }
    let first = node.name().split('.').next().unwrap_or_default();
    let numbers: Vec<u8> = first.split('-').skip(1).filter_map(|part| part.parse().ok()).collect();
    match numbers[..] {
        [a, b, c, d] => format!("{a}.{b}.{c}.{d}"),
        _ => {
            let hash = hash(node.name());
            format!("192.168.{}.{}", 100 + (hash >> 8) % 100, 1 + hash % 250)
        }
    }
}

fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn leases() -> GroupResource {
    GroupResource::new("coordination.k8s.io", "leases")
}

const LEASES: &str = "kube-node-lease";

/// Renews a node's lease if it is due, and asks to be called when it is due again.
pub(super) fn renew_lease(context: &mut Context<'_>, node: &Value) {
    let store = context.store;
    let now = context.now();
    let renewed = store.get(&leases(), LEASES, node.name()).and_then(|lease| {
        lease["spec"]["renewTime"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok())
    });
    // One from the future is of a clock that was set back since.
    let renewed = renewed.filter(|renewed| *renewed <= now);
    if let Some(due) = renewed.and_then(|renewed| renewed.checked_add(RENEW).ok())
        && due > now
    {
        context.again_at(due);
        return;
    }
    let renewing = context.clock.rfc3339_micro();
    let spec = json!({
        "holderIdentity": node.name(), "leaseDurationSeconds": LEASE_SECONDS, "renewTime": renewing,
    });
    let updated = store.update(&leases(), LEASES, node.name(), |lease| {
        lease["spec"] = spec.clone();
        Ok(())
    });
    if updated.is_err() {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": node.name(), "namespace": LEASES, "ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": node.name(), "uid": node.uid()},
            ]},
            "spec": spec,
        });
        // Without the namespace there is nowhere to put it; the next renewal tries again.
        let _ = store.create(&leases(), lease);
    }
    // Counted from what is written, so that whoever reads it asks for the same moment and no other.
    match renewing.parse::<jiff::Timestamp>().and_then(|at| at.checked_add(RENEW)) {
        Ok(due) => context.again_at(due),
        Err(_) => context.again_in(RENEW),
    }
}

pub(super) fn release_lease(store: &Store, name: &str) {
    let _ = store.delete(&leases(), LEASES, name, &Preconditions::default(), 0);
}
