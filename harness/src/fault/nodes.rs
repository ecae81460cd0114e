//! How many nodes there are.

use kubesim::kubelet::{NodeShape, Nodes};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Done, Fault, Ground};
use crate::backend::{Capability, Cluster, ClusterError};

/// The cluster has another number of nodes; new ones are like a node group's, the last ones go first.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeCount {
    /// How many.
    count: u32,
    #[serde(skip)]
    before: Option<u32>,
}

/// The nodes, or why not.
pub(super) fn nodes(cluster: &dyn Cluster) -> Result<&Nodes, ClusterError> {
    cluster.nodes().ok_or_else(|| ClusterError::new("change nodes: this backend does not control them"))
}

async fn scale(cluster: &dyn Cluster, count: u32) -> Result<u32, ClusterError> {
    let nodes = nodes(cluster)?;
    let mut names = nodes.names();
    let before = u32::try_from(names.len()).unwrap_or(u32::MAX);
    while names.len() > count as usize {
        if let Some(last) = names.pop() {
            nodes
                .remove(&last)
                .map_err(|status| ClusterError::new(format!("remove node {last}: {}", status.message)))?;
        }
    }
    let region = cluster.identity().region;
    let mut number = 0;
    while names.len() < count as usize {
        let shape = NodeShape::numbered(number, &region);
        number += 1;
        if names.contains(&shape.name) {
            continue;
        }
        names.push(shape.name.clone());
        nodes.add(shape).map_err(|status| ClusterError::new(format!("add a node: {}", status.message)))?;
    }
    cluster.settled().await;
    Ok(before)
}

impl Fault for NodeCount {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Nodes]
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            self.before = Some(scale(ground.cluster, self.count).await?);
            Ok(())
        })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            if let Some(before) = self.before.take() {
                scale(ground.cluster, before).await?;
            }
            Ok(())
        })
    }
}
