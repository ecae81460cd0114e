//! Objects that somebody else put into the cluster.

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Done, Fault, Ground};
use crate::backend::{Capability, Cluster, ClusterError};

/// Objects that are there before the installer runs, as manifests. A `status` is written as the controller
/// that owns it would write it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objects {
    /// A name to heal it by; `objects` when not given.
    label: Option<String>,
    /// The manifests, created in this order.
    manifests: Vec<Map<String, Value>>,
    #[serde(skip)]
    made: Vec<usize>,
}

/// The place in the API of an object, and its name.
pub(super) fn place(
    cluster: &dyn Cluster,
    object: &Map<String, Value>,
) -> Result<(Api<DynamicObject>, String), ClusterError> {
    let object = Value::Object(object.clone());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let lacking = |what: &str| ClusterError::new(format!("place an object: it has no {what}"));
    let version = text(&object["apiVersion"]).ok_or_else(|| lacking("apiVersion"))?;
    let kind = text(&object["kind"]).ok_or_else(|| lacking("kind"))?;
    let name = text(&object["metadata"]["name"]).ok_or_else(|| lacking("metadata.name"))?;
    let (group, version) = version.split_once('/').unwrap_or(("", version.as_str()));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
    let api = match text(&object["metadata"]["namespace"]) {
        None => Api::all_with(cluster.admin(), &resource),
        Some(namespace) => Api::namespaced_with(cluster.admin(), &namespace, &resource),
    };
    Ok((api, name))
}

async fn create(cluster: &dyn Cluster, manifest: &Map<String, Value>) -> Result<(), ClusterError> {
    let (api, name) = place(cluster, manifest)?;
    let failed = |error: &dyn std::fmt::Display| {
        ClusterError::new(format!("create {} {name}: {error}", manifest["kind"]))
    };
    let object = serde_json::from_value(Value::Object(manifest.clone())).map_err(|error| failed(&error))?;
    api.create(&PostParams::default(), &object).await.map_err(|error| failed(&error))?;
    if let Some(status) = manifest.get("status") {
        let status = Patch::Merge(json!({ "status": status }));
        api.patch_status(&name, &PatchParams::default(), &status).await.map_err(|error| failed(&error))?;
    }
    Ok(())
}

impl Fault for Objects {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Objects]
    }

    fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            for (index, manifest) in self.manifests.iter().enumerate() {
                create(ground.cluster, manifest).await?;
                self.made.push(index);
            }
            ground.cluster.settled().await;
            Ok(())
        })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            for index in self.made.drain(..).rev() {
                let (api, name) = place(ground.cluster, &self.manifests[index])?;
                match api.delete(&name, &DeleteParams::background()).await {
                    Ok(_) => {}
                    Err(kube::Error::Api(status)) if status.code == 404 => {}
                    Err(error) => return Err(ClusterError::new(format!("remove {name}: {error}"))),
                }
            }
            ground.cluster.settled().await;
            Ok(())
        })
    }
}
