//! A cluster from which somebody has deleted custom resource definitions.

use std::time::Duration;

use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Done, Fault, Ground};
use crate::backend::{Capability, Cluster, ClusterError};

/// Custom resource definitions are not there, and neither are the objects of their kinds.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DefinitionsMissing {
    /// Names, such as `nodeclaims.karpenter.sh`; all of Karpenter's when not given.
    names: Option<Vec<String>>,
    #[serde(skip)]
    removed: Vec<DynamicObject>,
}

/// How long a definition may take to go.
const PATIENCE: Duration = Duration::from_secs(30);

impl DefinitionsMissing {
    fn is_removed(&self, definition: &DynamicObject) -> bool {
        self.removed.iter().any(|removed| removed.metadata.uid == definition.metadata.uid)
    }
}

fn definitions(cluster: &dyn Cluster) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    Api::all_with(cluster.admin(), &ApiResource::from_gvk(&kind))
}

impl Fault for DefinitionsMissing {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Objects]
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            let failed = |error: kube::Error| ClusterError::new(format!("remove definitions: {error}"));
            let api = definitions(ground.cluster);
            for found in api.list(&Default::default()).await.map_err(failed)? {
                let name = found.metadata.name.clone().unwrap_or_default();
                let meant = match &self.names {
                    Some(names) => names.contains(&name),
                    None => name.contains(".karpenter."),
                };
                if meant {
                    api.delete(&name, &DeleteParams::default()).await.map_err(failed)?;
                    self.removed.push(found);
                }
            }
            // A finalizer holds each until its objects are gone.
            let gone = async {
                while api
                    .list(&Default::default())
                    .await
                    .map_err(failed)?
                    .iter()
                    .any(|left| self.is_removed(left))
                {
                    ground.cluster.changed().await;
                }
                Ok(())
            };
            tokio::time::timeout(PATIENCE, gone).await.unwrap_or_else(|_| {
                let seconds = PATIENCE.as_secs();
                Err(ClusterError::new(format!("remove definitions: some are still there after {seconds} s")))
            })?;
            ground.cluster.settled().await;
            Ok(())
        })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            for mut removed in self.removed.drain(..) {
                // What the server sets must not come back with the object.
                removed.metadata.resource_version = None;
                removed.metadata.uid = None;
                removed.metadata.managed_fields = None;
                match definitions(ground.cluster).create(&PostParams::default(), &removed).await {
                    Ok(_) => {}
                    // The installer has put it back meanwhile.
                    Err(kube::Error::Api(status)) if status.code == 409 => {}
                    Err(error) => return Err(ClusterError::new(format!("put a definition back: {error}"))),
                }
            }
            ground.cluster.settled().await;
            Ok(())
        })
    }
}
