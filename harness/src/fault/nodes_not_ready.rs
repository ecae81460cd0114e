//! Nodes whose kubelets say that they are not ready.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Done, Fault, Ground, nodes};
use crate::backend::{Capability, ClusterError};

/// Nodes are not Ready.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodesNotReady {
    /// How many; all when not given.
    count: Option<u32>,
    /// What their kubelets say; that the network plugin has not come up when not given.
    message: Option<String>,
    #[serde(skip)]
    broken: Vec<String>,
}

impl Fault for NodesNotReady {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Nodes]
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            let nodes = nodes::nodes(ground.cluster)?;
            let count = self.count.map_or(usize::MAX, |count| count as usize);
            for name in nodes.names().into_iter().take(count) {
                nodes
                    .set_ready(&name, false, self.message.clone())
                    .map_err(|status| ClusterError::new(format!("break node {name}: {}", status.message)))?;
                self.broken.push(name);
            }
            ground.cluster.settled().await;
            Ok(())
        })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            let nodes = nodes::nodes(ground.cluster)?;
            for name in self.broken.drain(..) {
                // A node that has gone meanwhile needs no healing.
                let _ = nodes.set_ready(&name, true, None);
            }
            ground.cluster.settled().await;
            Ok(())
        })
    }
}
