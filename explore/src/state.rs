//! The cluster as it is, read past the API: what a result is held against.

use interpose::helm::storage;
use kubesim::Cluster;
use kubesim::store::{GroupResource, Meta as _};
use serde::Serialize;
use serde_json::Value;

/// What matters of a cluster at the end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterState {
    /// Nodes.
    pub nodes: usize,
    /// Those that are Ready.
    pub nodes_ready: usize,
    /// Karpenter's controller Deployments.
    pub controllers: Vec<Controller>,
    /// Every revision of every Helm release, in order of namespace, name and number.
    pub releases: Vec<Revision>,
}

/// A controller's Deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Controller {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// uid; another one means that it was deleted and made again.
    pub uid: String,
    /// Generation; another one means that it was changed.
    pub generation: i64,
    /// Whether its current generation is observed, and every replica is updated and available.
    pub ready: bool,
}

/// One revision of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Namespace of the release.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Number of the revision.
    pub revision: i64,
    /// Helm's word for its status.
    pub status: String,
}

impl ClusterState {
    /// Reads a cluster.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        let list =
            |group: &str, resource: &str| cluster.store().list(&GroupResource::new(group, resource), None).0;
        let nodes = list("", "nodes");
        let deployments = list("apps", "deployments");
        let karpenter = deployments.iter().filter(|it| {
            it.labels().is_some_and(|labels| {
                labels.get("app.kubernetes.io/name").is_some_and(|name| name == "karpenter")
            })
        });
        let mut releases: Vec<Revision> =
            list("", "secrets").iter().filter_map(|secret| Revision::of(secret)).collect();
        releases
            .sort_by(|a, b| (&a.namespace, &a.name, a.revision).cmp(&(&b.namespace, &b.name, b.revision)));
        Self {
            nodes: nodes.len(),
            nodes_ready: nodes.iter().filter(|node| condition(node, "Ready")).count(),
            controllers: karpenter.map(|it| Controller::of(it)).collect(),
            releases,
        }
    }

    /// Whether there is a controller, and every one is ready.
    #[must_use]
    pub fn controller_ready(&self) -> bool {
        !self.controllers.is_empty() && self.controllers.iter().all(|controller| controller.ready)
    }
}

fn condition(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|it| it["type"] == kind && it["status"] == "True"))
}

impl Controller {
    fn of(deployment: &Value) -> Self {
        let desired = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
        let status = &deployment["status"];
        let current = status["observedGeneration"] == deployment["metadata"]["generation"];
        let counts = ["replicas", "updatedReplicas", "availableReplicas"];
        let full = counts.iter().all(|count| status[count].as_i64().unwrap_or(0) == desired);
        Self {
            namespace: deployment.namespace().to_owned(),
            name: deployment.name().to_owned(),
            uid: deployment.uid().to_owned(),
            generation: deployment["metadata"]["generation"].as_i64().unwrap_or(0),
            ready: current && full && desired > 0,
        }
    }
}

impl Revision {
    fn of(secret: &Value) -> Option<Self> {
        if secret["type"] != storage::SECRET_TYPE {
            return None;
        }
        let labels = secret.labels()?;
        let label = |name: &str| labels.get(name)?.as_str().map(str::to_owned);
        Some(Self {
            namespace: secret.namespace().to_owned(),
            name: label("name")?,
            revision: label("version")?.parse().ok()?,
            status: label("status")?,
        })
    }
}
