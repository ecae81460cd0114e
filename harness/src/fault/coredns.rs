//! A cluster whose names do not resolve.

use kube::api::{Api, DeleteParams, DynamicObject, PostParams, PropagationPolicy};
use kube::core::{ApiResource, GroupVersionKind};
use kubesim::kubelet::Behaviour;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Done, Fault, Ground};
use crate::backend::{Capability, Cluster, ClusterError};

/// CoreDNS is missing or not Ready.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Coredns {
    /// How it is.
    state: State,
    #[serde(skip)]
    removed: Option<DynamicObject>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// Its Deployment is not there, nor are its pods.
    Missing,
    /// Its pods run and their readiness probes fail.
    NotReady,
}

/// Part of its image's reference.
const IMAGE: &str = "coredns";

fn deployments(cluster: &dyn Cluster) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("apps", "v1", "Deployment");
    Api::namespaced_with(cluster.admin(), "kube-system", &ApiResource::from_gvk(&kind))
}

impl Fault for Coredns {
    fn needs(&self) -> &'static [Capability] {
        match self.state {
            State::Missing => &[Capability::Objects],
            State::NotReady => &[Capability::Images],
        }
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            if self.state == State::NotReady {
                let images = ground.cluster.images();
                let images =
                    images.ok_or_else(|| ClusterError::new("break CoreDNS: images are not controlled"))?;
                images.set(
                    IMAGE,
                    Behaviour::NeverReady { probe: "HTTP probe failed with statuscode: 503".into() },
                );
                ground.cluster.settled().await;
                return Ok(());
            }
            let failed = |error: kube::Error| ClusterError::new(format!("remove CoreDNS: {error}"));
            let api = deployments(ground.cluster);
            let mut found = api.get("coredns").await.map_err(failed)?;
            let now = DeleteParams {
                propagation_policy: Some(PropagationPolicy::Background),
                ..DeleteParams::default()
            };
            api.delete("coredns", &now).await.map_err(failed)?;
            // What the server sets must not come back with the object.
            found.metadata.resource_version = None;
            found.metadata.uid = None;
            found.metadata.managed_fields = None;
            self.removed = Some(found);
            ground.cluster.settled().await;
            Ok(())
        })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            if let (State::NotReady, Some(images)) = (self.state, ground.cluster.images()) {
                images.unset(IMAGE);
            }
            if let Some(removed) = self.removed.take() {
                let created = deployments(ground.cluster).create(&PostParams::default(), &removed).await;
                created.map_err(|error| ClusterError::new(format!("put CoreDNS back: {error}")))?;
            }
            ground.cluster.settled().await;
            Ok(())
        })
    }
}
