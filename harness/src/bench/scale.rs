//! What a large cluster costs: memory, and lists of it.

use std::time::Instant;

use kube::api::ListParams;
use kubesim::Config;
use kubesim::kubelet::NodeShape;
use kubesim::store::GroupResource;
use serde_json::{Value, json};

use super::cost;
use super::figure::{Figure, Unit};
use super::room::{BenchError, Room, core, is_first_to_fill, resident};
use crate::run::Installer;

/// Nodes of the cluster.
pub(super) const NODES: u32 = 5_000;

/// Pods on each of them, besides those that its DaemonSets put there.
pub(super) const PODS: u32 = 8;

/// The newest minor version of Kubernetes that the installer's Karpenter runs on.
pub(super) const KUBERNETES: u8 = 34;

/// Megabytes that an installer may take there: a page of nodes and what it keeps of each.
const FLAT: f64 = 64.0;

/// A pod that is bound to a node already.
pub(super) fn pod(number: u32, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": format!("load-{number}"), "namespace": "default", "labels": { "app": "load" } },
        "spec": {
            "nodeName": node,
            "containers": [{ "name": "main", "image": "registry.k8s.io/pause:3.10",
                             "resources": { "requests": { "cpu": "10m", "memory": "16Mi" } } }],
        },
        "status": { "phase": "Pending" },
    })
}

/// How often an installer is run for its memory, which hardly differs.
const MEMORY_RUNS: u16 = 3;

/// Fills a cluster with 5,000 nodes and, with the pods of their DaemonSets, 50,000 pods, once; and how much memory an
/// installer takes there, and on clusters of two and of 500 nodes.
///
/// # Errors
/// The cluster does not start, or a request fails.
pub async fn scale(installer: &Installer) -> Result<Vec<Figure>, BenchError> {
    let region = Config::default().identity.region;
    let mut flat = Vec::new();
    for (name, count) in [("2 nodes", 2), ("500 nodes", 500)] {
        let nodes = (0..count).map(|number| NodeShape::numbered(number, &region)).collect();
        let room = Room::start(Config { nodes, kubernetes: KUBERNETES, ..Config::default() }).await?;
        flat.push(cost::of_no_op(name, &room, installer, MEMORY_RUNS).await?.memory);
        room.down().await;
    }
    let mut filled = Figure::new("5,000 nodes and 50,000 pods: until all run", Unit::Seconds);
    let mut grown = Figure::new("5,000 nodes and 50,000 pods: memory", Unit::Megabytes);
    let mut pods =
        Figure::new("5,000 nodes and 50,000 pods: list of all pods in pages of 500", Unit::Seconds);
    let mut one = Figure::new("5,000 nodes and 50,000 pods: list of one node's pods", Unit::Milliseconds);
    let mut each =
        Figure::new("5,000 nodes and 50,000 pods: memory of an object of any kind", Unit::Kilobytes);
    let before = resident().filter(|_| is_first_to_fill());
    let began = Instant::now();
    let nodes: Vec<NodeShape> = (0..NODES).map(|number| NodeShape::numbered(number, &region)).collect();
    let names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
    let room = Room::start(Config { nodes, kubernetes: KUBERNETES, ..Config::default() }).await?;
    let resource = GroupResource::new("", "pods");
    for number in 0..NODES * PODS {
        let node = names.get(number as usize % names.len()).map_or("", String::as_str);
        let made = room.cluster.store().create(&resource, pod(number, node));
        made.map_err(|status| BenchError::new("fill the cluster", status.message))?;
    }
    room.cluster.settled().await;
    filled.took(began.elapsed());
    if let (Some(before), Some(after)) = (before, resident()) {
        grown.samples.push(after - before);
        let store = room.cluster.store();
        let count = |resource: &GroupResource| store.list(resource, None).0.len();
        let objects = store.resources().iter().map(count).sum::<usize>();
        each.samples.push((after - before) * 1024.0 / f64::from(u32::try_from(objects).unwrap_or(u32::MAX)));
    }
    let client = room.client().await?;
    let api = core(client, "Pod", None);
    let failed = |error: kube::Error| BenchError::new("list pods", error);

    let began = Instant::now();
    let (mut page, mut seen, mut running) = (ListParams::default().limit(500), 0, 0);
    loop {
        let part = api.list(&page).await.map_err(failed)?;
        seen += part.items.len();
        running += part.items.iter().filter(|pod| pod.data["status"]["phase"] == "Running").count();
        match part.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => break,
        }
    }
    pods.took(began.elapsed());
    if running < (NODES * PODS) as usize {
        return Err(BenchError::new("fill the cluster", format!("{running} of {seen} pods run")));
    }
    let mut total = Figure::new("5,000 nodes and 50,000 pods: pods in all", Unit::Count);
    total.samples.push(f64::from(u32::try_from(seen).unwrap_or(u32::MAX)));

    for name in names.iter().take(9) {
        let began = Instant::now();
        let of_node = ListParams::default().fields(&format!("spec.nodeName={name}"));
        api.list(&of_node).await.map_err(failed)?;
        one.took(began.elapsed());
    }
    let on_many = cost::of_no_op("5,000 nodes and 50,000 pods", &room, installer, MEMORY_RUNS).await?;
    room.down().await;
    flat.push(on_many.memory.at_most(FLAT));
    let mut figures = vec![total, filled, grown, each, pods, one];
    figures.extend(flat);
    Ok(figures)
}
