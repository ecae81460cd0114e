//! Pods that no node has room for.

use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Done, Fault, Ground};
use crate::backend::{Capability, Cluster, ClusterError};

/// Containers without requests of their own get a default that no node can give: a LimitRange, as an
/// administrator's policy may have it. Only pods that are created from then on are concerned.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestsTooLarge {
    /// CPU that each container requests, such as `64`.
    cpu: Option<String>,
    /// Memory that each container requests, such as `512Gi`.
    memory: Option<String>,
    /// Namespace of the pods; `kube-system` when not given.
    namespace: Option<String>,
}

const NAME: &str = "seatrial-requests-too-large";

impl RequestsTooLarge {
    fn api(&self, cluster: &dyn Cluster) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "LimitRange"));
        let namespace = self.namespace.as_deref().unwrap_or("kube-system");
        Api::namespaced_with(cluster.admin(), namespace, &resource)
    }
}

impl Fault for RequestsTooLarge {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Objects]
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            let mut requests = serde_json::Map::new();
            for (resource, amount) in [("cpu", &self.cpu), ("memory", &self.memory)] {
                if let Some(amount) = amount {
                    requests.insert(resource.to_owned(), json!(amount));
                }
            }
            if requests.is_empty() {
                return Err(ClusterError::new("inject requests-too-large: give it cpu or memory"));
            }
            let range: DynamicObject = serde_json::from_value(json!({
                "apiVersion": "v1", "kind": "LimitRange", "metadata": { "name": NAME },
                "spec": { "limits": [{ "type": "Container", "defaultRequest": requests }] },
            }))
            .map_err(|error| ClusterError::new(format!("make a LimitRange: {error}")))?;
            let created = self.api(ground.cluster).create(&PostParams::default(), &range).await;
            created.map(|_| ()).map_err(|error| ClusterError::new(format!("create a LimitRange: {error}")))
        })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            match self.api(ground.cluster).delete(NAME, &DeleteParams::default()).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                Err(error) => Err(ClusterError::new(format!("remove the LimitRange: {error}"))),
            }
        })
    }
}
