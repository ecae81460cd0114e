//! The phases, one folder each, in the order in which they build on one another.

pub mod compute;
pub mod core;
mod ensure;
mod force;
pub mod foundation;
mod stability;
pub mod storage;
mod target;
mod unread;

use schemars::JsonSchema;
use serde::Serialize;

pub(crate) use target::{right_cluster, right_endpoint};
pub(crate) use unread::plan_unread;

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
