//! Nodes that keep pods away.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Done, Fault, Ground, nodes};
use crate::backend::{Capability, ClusterError};

/// Nodes have a taint.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodesTainted {
    /// Key of the taint.
    key: String,
    /// Its value; none when not given.
    value: Option<String>,
    /// Its effect; `NoSchedule` when not given.
    #[serde(default)]
    effect: Effect,
    /// How many nodes have it; all when not given.
    count: Option<u32>,
    #[serde(skip)]
    tainted: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
enum Effect {
    #[default]
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

impl Fault for NodesTainted {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Nodes]
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            let nodes = nodes::nodes(ground.cluster)?;
            let mut taint = json!({ "key": self.key, "effect": format!("{:?}", self.effect) });
            if let Some(value) = &self.value {
                taint["value"] = json!(value);
            }
            let count = self.count.map_or(usize::MAX, |count| count as usize);
            for name in nodes.names().into_iter().take(count) {
                nodes
                    .set_taints(&name, std::slice::from_ref(&taint))
                    .map_err(|status| ClusterError::new(format!("taint node {name}: {}", status.message)))?;
                self.tainted.push(name);
            }
            ground.cluster.settled().await;
            Ok(())
        })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            let nodes = nodes::nodes(ground.cluster)?;
            for name in self.tainted.drain(..) {
                // A node that has gone meanwhile needs no healing.
                let _ = nodes.set_taints(&name, &[]);
            }
            ground.cluster.settled().await;
            Ok(())
        })
    }
}
