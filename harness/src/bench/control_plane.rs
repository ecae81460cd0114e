//! A real control plane beside a plain start of the same executables, and the embedded cluster beside both: each
//! pair is measured in one run, one right after the other, since what else the machine does changes by the minute.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kubesim::kubelet::NodeShape;
use kubesim::store::GroupResource;
use kubesim::{Cluster, Config};
use serde_json::{Value, json};

use super::figure::{Figure, Unit};
use super::room::{BenchError, Room, core, is_first_to_fill, memory_of_components, resident};
use super::scale::{NODES, PODS, pod};
use crate::backend::ClusterError;
use crate::backend::control_plane::Workshop;

/// Objects that are written, listed and watched.
const OBJECTS: usize = 1_000;

/// Objects that are written one after the other.
const ALONE: usize = 100;

/// Requests at the same time.
const AT_ONCE: usize = 16;

/// How often everything but the large cluster is measured at most: a run takes several seconds.
const RUNS: u16 = 5;

/// How long memory is left to come to rest after a start. The processes tell nobody when that is.
const REST: Duration = Duration::from_secs(1);

impl From<ClusterError> for BenchError {
    fn from(error: ClusterError) -> Self {
        Self::new("measure a control plane", error)
    }
}

/// Start, reset, memory and throughput, each beside what it is compared with. Figures without samples where there
/// are no executables.
///
/// # Errors
/// A control plane does not start, or a request fails.
pub async fn control_plane(runs: u16) -> Result<Vec<Figure>, BenchError> {
    if let Some(missing) = Workshop::missing() {
        return Ok(vec![Figure::new(
            format!("a real control plane: {}; {}", missing.what, missing.hint),
            Unit::Times,
        )]);
    }
    let workshop = Workshop::open().await?;
    let runs = runs.min(RUNS);
    let mut figures = starts(&workshop, runs).await?;
    figures.extend(throughput(&workshop, runs).await?);
    figures.extend(sizes(&workshop).await?);
    Ok(figures)
}

/// The plain recipe and then ours, again and again; each of ours is used a little and brought back.
async fn starts(workshop: &Workshop, runs: u16) -> Result<Vec<Figure>, BenchError> {
    let mut plain = Figure::new("plain start: etcd, then kube-apiserver, until /readyz", Unit::Seconds);
    let mut ours = Figure::new("control plane: start, controllers and scheduler too", Unit::Seconds);
    let mut ratio = Figure::new("control plane: start, as a part of the plain one", Unit::Times).at_most(0.5);
    let mut reset = Figure::new("control plane: reset after use", Unit::Seconds).at_most(0.3);
    let mut sizes: BTreeMap<String, Figure> = BTreeMap::new();
    for _ in 0..runs {
        let began = Instant::now();
        let other = workshop.start_plain().await?;
        let took_plain = began.elapsed();
        drop(other);
        let began = Instant::now();
        let mut plane = workshop.start().await?;
        let took = began.elapsed();
        tokio::time::sleep(REST).await;
        for (name, megabytes) in memory_of_components() {
            let figure = sizes.entry(name.clone());
            let named = || Figure::new(format!("control plane: memory of {name}"), Unit::Megabytes);
            figure.or_insert_with(named).samples.push(megabytes);
        }
        use_a_little(plane.admin()).await?;
        let began = Instant::now();
        plane.reset().await?;
        reset.took(began.elapsed());
        plain.took(took_plain);
        ours.took(took);
        ratio.samples.push(took.as_secs_f64() / took_plain.as_secs_f64());
    }
    let mut figures = vec![plain, ours, ratio, reset];
    figures.extend(sizes.into_values());
    Ok(figures)
}

/// What a scenario leaves: a namespace, a workload in it, and some objects.
async fn use_a_little(client: Client) -> Result<(), BenchError> {
    let failed = |error: kube::Error| BenchError::new("use a control plane", error);
    let namespaces = core(client.clone(), "Namespace", None);
    let object = |value: Value| serde_json::from_value::<DynamicObject>(value);
    let object = |value| object(value).map_err(|error| BenchError::new("make an object", error));
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench"}});
    namespaces.create(&PostParams::default(), &object(namespace)?).await.map_err(failed)?;
    let maps = core(client, "ConfigMap", Some("bench"));
    for number in 0..20 {
        let map = config_map(&format!("left-{number}"), "bench");
        maps.create(&PostParams::default(), &object(map)?).await.map_err(failed)?;
    }
    Ok(())
}

/// Requests of one `kube` client, to one of ours and right after to an embedded cluster.
async fn throughput(workshop: &Workshop, runs: u16) -> Result<Vec<Figure>, BenchError> {
    let mut real = Rates::new("kube-apiserver");
    let mut sim = Rates::new("kubesim");
    for _ in 0..runs {
        let plane = workshop.start().await?;
        real.measure(plane.admin()).await?;
        drop(plane);
        let room = Room::start(Config::default()).await?;
        sim.measure(room.client().await?).await?;
        room.down().await;
    }
    Ok(real.beside(sim))
}

/// How many objects a second.
struct Rates(Vec<Figure>);

impl Rates {
    fn new(of: &str) -> Self {
        let figure = |what: &str| Figure::new(format!("{of}: {what}"), Unit::PerSecond);
        Self(vec![
            figure("creates, one after the other"),
            figure("creates, 16 at once"),
            figure("objects listed, in one answer"),
            figure("events of a watch, from the beginning"),
        ])
    }

    async fn measure(&mut self, client: Client) -> Result<(), BenchError> {
        let failed = |what: &'static str| move |error: kube::Error| BenchError::new(what, error);
        let api = core(client, "ConfigMap", Some("default"));
        let create = async |name: String| {
            let object = serde_json::from_value::<DynamicObject>(config_map(&name, "default"));
            let object = object.map_err(|error| BenchError::new("make an object", error))?;
            api.create(&PostParams::default(), &object).await.map_err(failed("create"))
        };
        let [alone, at_once, list, watch] = self.0.as_mut_slice() else { return Ok(()) };
        let began = Instant::now();
        for number in 0..ALONE {
            create(format!("alone-{number}")).await?;
        }
        alone.rate(ALONE, began.elapsed());
        let began = Instant::now();
        let many = futures::stream::iter(0..OBJECTS).map(|number| create(format!("at-once-{number}")));
        many.buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await?;
        at_once.rate(OBJECTS, began.elapsed());
        let labelled = ListParams::default().labels("app=bench");
        let began = Instant::now();
        let listed = api.list(&labelled).await.map_err(failed("list"))?;
        list.rate(listed.items.len(), began.elapsed());
        let began = Instant::now();
        let stream = api.watch(&WatchParams::default().labels("app=bench"), "0").await;
        let added = stream
            .map_err(failed("watch"))?
            .try_filter(|event| std::future::ready(matches!(event, WatchEvent::Added(_))));
        let seen = Box::pin(added).take(listed.items.len()).try_fold(0, async |count, _| Ok(count + 1));
        watch.rate(seen.await.map_err(failed("watch"))?, began.elapsed());
        Ok(())
    }

    /// Both, and how many times as many the other is.
    fn beside(self, other: Self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (real, sim) in self.0.into_iter().zip(other.0) {
            let ratio = times(&sim, &real);
            figures.extend([real, sim, ratio]);
        }
        figures
    }
}

/// How many times one figure another is, sample by sample.
fn times(one: &Figure, other: &Figure) -> Figure {
    let mut ratio = Figure::new(format!("{}, beside the real one", one.name), Unit::Times);
    ratio.samples = one.samples.iter().zip(&other.samples).map(|(one, other)| one / other).collect();
    ratio
}

/// The memory of a large cluster: the same nodes and pods in an embedded cluster and, with the states that they have
/// there, in etcd and kube-apiserver. Once.
async fn sizes(workshop: &Workshop) -> Result<Vec<Figure>, BenchError> {
    let named = |of: &str| format!("{of}: memory of 5,000 nodes and 50,000 pods");
    let mut sim = Figure::new(named("kubesim"), Unit::Megabytes);
    let mut real = Figure::new(named("etcd and kube-apiserver"), Unit::Megabytes);
    let before = resident().filter(|_| is_first_to_fill());
    let region = Config::default().identity.region;
    let nodes: Vec<NodeShape> = (0..NODES).map(|number| NodeShape::numbered(number, &region)).collect();
    let names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
    let failed = |error| BenchError::new("start a cluster", error);
    let cluster = Cluster::start(Config { nodes, ..Config::default() }).await.map_err(failed)?;
    for number in 0..NODES * PODS {
        let node = names.get(number as usize % names.len()).map_or("", String::as_str);
        let made = cluster.store().create(&GroupResource::new("", "pods"), pod(number, node));
        made.map_err(|status| BenchError::new("fill the cluster", status.message))?;
    }
    cluster.settled().await;
    if let (Some(before), Some(after)) = (before, resident()) {
        sim.samples.push(after - before);
    }
    let plain = workshop.start_plain().await?;
    let mut objects: Vec<(&str, Arc<Value>)> = Vec::new();
    for (kind, plural) in [("Node", "nodes"), ("Pod", "pods")] {
        let all = cluster.store().list(&GroupResource::new("", plural), None).0;
        objects.extend(all.into_iter().map(|object| (kind, object)));
    }
    // There from the start on the other side, by and by.
    let namespaces = core(plain.admin(), "Namespace", None);
    for name in ["default", "kube-system"] {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        if let Ok(object) = serde_json::from_value::<DynamicObject>(namespace) {
            let _ = namespaces.create(&PostParams::default(), &object).await;
        }
    }
    let client = plain.admin();
    let copied = futures::stream::iter(objects).map(|(kind, object)| copy(client.clone(), kind, object));
    copied.buffer_unordered(2 * AT_ONCE).try_for_each(async |()| Ok(())).await?;
    real.samples.push(memory_of_components().values().sum());
    let ratio = times(&sim, &real);
    Ok(vec![sim, real, ratio])
}

/// Makes the same object over there, and then gives it the same status.
async fn copy(client: Client, kind: &str, object: Arc<Value>) -> Result<(), BenchError> {
    let failed = |error: &dyn std::fmt::Display| BenchError::new("copy an object", error);
    let mut new = (*object).clone();
    if let Some(metadata) = new["metadata"].as_object_mut() {
        metadata.retain(|field, _| matches!(field.as_str(), "name" | "namespace" | "labels" | "annotations"));
    }
    let status = json!({"status": new["status"].take()});
    let namespace = object["metadata"]["namespace"].as_str();
    let api: Api<DynamicObject> = core(client, kind, namespace);
    let new = serde_json::from_value::<DynamicObject>(new).map_err(|error| failed(&error))?;
    let made = api.create(&PostParams::default(), &new).await.map_err(|error| failed(&error))?;
    let name = made.metadata.name.unwrap_or_default();
    let patched = api.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await;
    patched.map(drop).map_err(|error| failed(&error))
}

fn config_map(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": namespace, "labels": { "app": "bench" } },
        "data": { "text": "x".repeat(800) },
    })
}
