//! The cluster and the account as the first run finds them.

use std::time::Duration;

use interpose::helm::{Seed, Status};
use interpose::plan::{Eks, Registry};

/// What there is before anything runs.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Nodes of the cluster, all alike and Ready.
    pub nodes: u32,
    /// A Karpenter release that somebody left behind.
    pub leftover: Option<Leftover>,
    /// What EKS has and does.
    pub eks: Eks,
    /// What chart registries do.
    pub registry: Registry,
}

impl Default for Scene {
    /// An EKS cluster with two Ready nodes and no release.
    fn default() -> Self {
        let eks = Eks {
            exists: Some(true),
            node_groups: std::iter::once(("default".to_owned(), 2)).collect(),
            ..Eks::default()
        };
        Self { nodes: 2, leftover: None, eks, registry: Registry::default() }
    }
}

/// A release in a given state, as true Helm storage and with its objects.
#[derive(Clone, Copy, Debug)]
pub struct Leftover {
    /// State of the newest revision.
    pub status: Status,
    /// Number of the newest revision, from 1.
    pub revision: i64,
    /// How long before the first run it was begun.
    pub age: Duration,
}

impl Leftover {
    /// A release of one revision, an hour old.
    #[must_use]
    pub fn of(status: Status) -> Self {
        Self { status, revision: 1, age: Duration::from_secs(3600) }
    }

    pub(crate) fn seed(self) -> Seed {
        Seed { status: self.status, revision: self.revision, age: self.age, ..Seed::default() }
    }
}
