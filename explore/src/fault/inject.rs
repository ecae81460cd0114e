//! Making things wrong, and putting them right again. What goes this way passes by the tap: it is the
//! world's doing and not the installer's.

use kubesim::Cluster;
use kubesim::kubelet::NodeShape;
use kubesim::status::Status;
use kubesim::store::{GroupResource, Meta as _, Preconditions};
use kubesim::tap::RuleId;
use serde_json::{Value, json};

use super::Fault;
use crate::tools::StandIns;

/// What has to be known to put a fault right.
pub(crate) enum Injected {
    Rule(RuleId),
    Tool(String),
    Image(String),
    Unready(Vec<String>),
    Tainted(Vec<String>),
    Nodes(u32),
    Coredns(Value),
    /// There was nothing to break.
    Nothing,
}

/// Makes things wrong.
pub(crate) async fn inject(fault: &Fault, cluster: &Cluster, tools: &StandIns) -> Result<Injected, Status> {
    let nodes = cluster.nodes();
    let injected = match fault {
        Fault::Requests(fault) => Injected::Rule(cluster.tap().add(fault.rule())),
        Fault::Tool(fault) => {
            tools.faults().add(fault.clone());
            Injected::Tool(fault.label.clone())
        }
        Fault::Container { image, does } => {
            cluster.images().set(image, does.behaviour());
            Injected::Image(image.clone())
        }
        Fault::Nodes(count) => Injected::Nodes(scale(cluster, *count)?),
        Fault::NodesNotReady => {
            let names = nodes.names();
            names.iter().try_for_each(|name| nodes.set_ready(name, false, None))?;
            Injected::Unready(names)
        }
        Fault::NodesTainted(key) => {
            let (names, taint) = (nodes.names(), json!({ "key": key, "effect": "NoSchedule" }));
            names.iter().try_for_each(|name| nodes.set_taints(name, std::slice::from_ref(&taint)))?;
            Injected::Tainted(names)
        }
        // For good: what puts them right is the installer's work.
        Fault::DefinitionsMissing => {
            let store = cluster.store();
            for definition in store.list(&definitions(), None).0 {
                if definition.name().contains(".karpenter.") {
                    store.delete(&definitions(), "", definition.name(), &Preconditions::default(), 0)?;
                }
            }
            Injected::Nothing
        }
        Fault::CorednsMissing => remove_coredns(cluster)?.map_or(Injected::Nothing, Injected::Coredns),
    };
    cluster.settled().await;
    Ok(injected)
}

/// Puts things right. A node that has gone meanwhile needs no healing.
pub(crate) async fn heal(injected: Injected, cluster: &Cluster, tools: &StandIns) -> Result<(), Status> {
    let nodes = cluster.nodes();
    match injected {
        Injected::Rule(id) => cluster.tap().remove(id),
        Injected::Tool(label) => tools.faults().remove(&label),
        Injected::Image(image) => cluster.images().unset(&image),
        Injected::Unready(names) => names.iter().for_each(|name| drop(nodes.set_ready(name, true, None))),
        Injected::Tainted(names) => names.iter().for_each(|name| drop(nodes.set_taints(name, &[]))),
        Injected::Nodes(before) => drop(scale(cluster, before)?),
        Injected::Coredns(object) => drop(cluster.store().create(&deployments(), object)?),
        Injected::Nothing => {}
    }
    cluster.settled().await;
    Ok(())
}

/// Adds or removes nodes until there are so many; says how many there were.
fn scale(cluster: &Cluster, count: u32) -> Result<u32, Status> {
    let nodes = cluster.nodes();
    let mut names = nodes.names();
    let before = u32::try_from(names.len()).unwrap_or(u32::MAX);
    for name in names.split_off((count as usize).min(names.len())) {
        nodes.remove(&name)?;
    }
    let region = &cluster.identity().region;
    let fresh =
        (0..).map(|number| NodeShape::numbered(number, region)).filter(|it| !names.contains(&it.name));
    fresh.take((count as usize).saturating_sub(names.len())).try_for_each(|shape| nodes.add(shape))?;
    Ok(before)
}

fn definitions() -> GroupResource {
    GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

fn deployments() -> GroupResource {
    GroupResource::new("apps", "deployments")
}

fn remove_coredns(cluster: &Cluster) -> Result<Option<Value>, Status> {
    let store = cluster.store();
    let Some(found) = store.get(&deployments(), "kube-system", "coredns") else { return Ok(None) };
    store.delete(&deployments(), found.namespace(), found.name(), &Preconditions::default(), 0)?;
    // What the server sets must not come back with the object.
    let mut found = (*found).clone();
    if let Some(metadata) = found["metadata"].as_object_mut() {
        metadata
            .retain(|field, _| !matches!(field.as_str(), "uid" | "resourceVersion" | "creationTimestamp"));
    }
    found["status"] = Value::Null;
    Ok(Some(found))
}
