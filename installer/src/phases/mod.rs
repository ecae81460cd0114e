//! The phases, one folder each, in the order in which they build on one another.

pub mod compute;
pub mod core;
pub mod foundation;
pub mod storage;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::context::Run;
use crate::result::{Blocker, Code};

/// A phase of the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The EKS cluster and its nodes.
    Foundation,
    /// The object store that workloads need.
    Storage,
    /// Karpenter.
    Compute,
    /// The application stack.
    Core,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Phase; 4] = [Phase::Foundation, Phase::Storage, Phase::Compute, Phase::Core];

    /// Reads a phase's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }

    /// The name on the command line and in the result.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Phase::Foundation => "foundation",
            Phase::Storage => "storage",
            Phase::Compute => "compute",
            Phase::Core => "core",
        }
    }

    /// The phase after this one.
    #[must_use]
    pub fn successor(self) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| *phase > self)
    }
}

/// Sees that the kubeconfig's context is the cluster that was asked for.
pub(crate) fn right_cluster(run: &Run<'_>, cluster: &Cluster<'_>) -> Result<(), Vec<Blocker>> {
    let connection = &cluster.connection;
    let contradictions = connection.identity.contradictions(&run.settings.cluster);
    if contradictions.is_empty() {
        if connection.identity.name.is_none() && run.settings.cluster.name.is_some() {
            run.warn("connect", "the kubeconfig's context does not say which EKS cluster it is");
        }
        return Ok(());
    }
    let context = connection.context.as_deref().unwrap_or("(none)");
    let message = format!("wrong cluster: {} (context {context})", contradictions.join("; "));
    run.fail("connect", &message);
    Err(vec![
        Blocker::new(
            Code::WrongCluster,
            message,
            "nothing was touched: point KUBECONFIG at the cluster that was asked for, or ask for this one",
        )
        .commands(["kubectl config get-contexts", "kubectl config current-context"]),
    ])
}
