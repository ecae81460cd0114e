//! Where clusters come from. A backend is one file and one line in [`named`].

pub mod control_plane;
mod shape;
mod sim;

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use kubesim::clock::Clock;
use kubesim::kubelet::{Images, Nodes};
use kubesim::tap::{Recording, Tap};

pub use control_plane::ControlPlane;
pub use sim::Sim;

use crate::observe::Snapshot;
use crate::parity::{self, Told};
use crate::scenario::{ClusterShape, Timeouts};

/// Whom the installer is; its requests are known by it.
const SUBJECT: &str = "seatrial:installer";

/// What a fault needs of a backend to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Objects can be made, changed and removed through the API.
    Objects,
    /// Nodes can be added, removed and made not Ready.
    Nodes,
    /// What containers of an image do can be set.
    Images,
    /// Requests pass a tap that can break them.
    Tap,
    /// The API server's endpoint can be closed and opened.
    Endpoint,
    /// The installer's credentials can be revoked and restored.
    Credentials,
    /// The tools are interposed.
    Tools,
    /// The cluster's clock can be set, and is not the machine's.
    Clock,
}

impl Capability {
    /// Words for a report.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Objects => "change objects",
            Self::Nodes => "control nodes",
            Self::Images => "control what images do",
            Self::Tap => "break requests",
            Self::Endpoint => "close the API server's endpoint",
            Self::Credentials => "revoke credentials",
            Self::Tools => "interpose tools",
            Self::Clock => "set the cluster's clock without the machine's, by which the installer goes too",
        }
    }
}

/// The AWS identity of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the EKS cluster.
    pub name: String,
    /// AWS region.
    pub region: String,
    /// AWS account, twelve digits.
    pub account: String,
    /// URL of the API server.
    pub endpoint: String,
}

/// A cluster could not be had, or not be taken down, or does not answer its own harness.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ClusterError(pub String);

impl ClusterError {
    /// A lowercase fragment that fits after "failed to".
    pub fn new(what: impl std::fmt::Display) -> Self {
        Self(what.to_string())
    }
}

/// Why a backend cannot be used on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What failed, on what.
    pub what: String,
    /// What to type next.
    pub hint: String,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.what, self.hint)
    }
}

/// Makes clusters.
pub trait Backend: Send + Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// What its clusters can do.
    fn offers(&self) -> BTreeSet<Capability>;

    /// What this machine lacks, if none of these clusters can be made for lack of it.
    fn missing(&self, _shapes: &[&ClusterShape]) -> Option<Missing> {
        None
    }

    /// Why it cannot make a cluster of this shape, though it can make others.
    fn lacks(&self, _shape: &ClusterShape) -> Option<String> {
        None
    }

    /// How many times as long as in the embedded cluster things take. What a scenario says of time is for that one,
    /// and is multiplied by it, so that it means the same.
    fn pace(&self) -> u32 {
        1
    }

    /// How long things may take on it, where a scenario does not say.
    fn timeouts(&self) -> Timeouts;

    /// Makes a cluster of this shape; everything that can be running runs.
    ///
    /// # Errors
    /// It could not be provisioned; nothing is left of it.
    fn provision<'a>(
        &'a self,
        shape: &'a ClusterShape,
        seed: u64,
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, ClusterError>>;
}

/// A cluster under test. What it cannot do it answers with `None`; see [`Capability`].
pub trait Cluster: Send + Sync {
    /// What its clock shows.
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    /// Its clock, when that is one of its own.
    fn clock(&self) -> Option<Clock> {
        None
    }

    /// The API as its administrator. What goes this way is not the installer's.
    fn admin(&self) -> kube::Client;

    /// Its identity.
    fn identity(&self) -> Identity;

    /// A kubeconfig for the installer: a user of its own, so that its requests can be told from all others.
    fn kubeconfig(&self) -> String;

    /// A kubeconfig for what the cloud's own tools do on the owner's behalf.
    fn owner_kubeconfig(&self) -> String;

    /// The requests of the installer and of the tools that it called, in order of arrival.
    fn requests(&self) -> Vec<Recording>;

    /// Its nodes.
    fn nodes(&self) -> Option<&Nodes>;

    /// What containers do.
    fn images(&self) -> Option<&Images>;

    /// What breaks requests.
    fn tap(&self) -> Option<&Tap>;

    /// Closes the endpoint, or opens it again.
    fn reachable(&self, open: bool) -> BoxFuture<'_, Result<(), ClusterError>>;

    /// Revokes the installer's credentials, or restores them.
    fn authorized(&self, valid: bool) -> BoxFuture<'_, Result<(), ClusterError>>;

    /// Whether it is whole: a part of it that died is a failure of the infrastructure.
    ///
    /// # Errors
    /// It is not; with the dead part's last words.
    fn health(&self) -> Result<(), ClusterError> {
        Ok(())
    }

    /// What it warns of before anything is done to it, also in events that it has forgotten since.
    ///
    /// # Errors
    /// It cannot be read.
    fn warned_before(&self) -> BoxFuture<'_, Result<Told, ClusterError>> {
        Box::pin(async move { Ok(parity::warnings(&self.snapshot().await?)) })
    }

    /// Every object, as it is now.
    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, ClusterError>>;

    /// The objects of one resource, such as `deployments.apps`, as they are now; there may be others with them.
    fn snapshot_of<'a>(&'a self, _resource: &'a str) -> BoxFuture<'a, Result<Snapshot, ClusterError>> {
        self.snapshot()
    }

    /// Returns when anything in the cluster, or among the requests, has changed since the last call.
    fn changed(&self) -> BoxFuture<'_, ()>;

    /// Waits until controllers, scheduler and kubelets have nothing left to do.
    fn settled(&self) -> BoxFuture<'_, ()>;

    /// Takes it down.
    fn down(self: Box<Self>) -> BoxFuture<'static, Result<(), ClusterError>>;
}

/// Names of all backends.
pub const NAMES: [&str; 2] = [sim::NAME, control_plane::NAME];

/// The backend of this name, to be used alone or beside others.
#[must_use]
pub fn named(name: &str, alone: bool) -> Option<Box<dyn Backend>> {
    match name {
        sim::NAME if alone => Some(Box::new(Sim::default())),
        sim::NAME => Some(Box::new(Sim::beside_others())),
        control_plane::NAME => Some(Box::new(ControlPlane::default())),
        _ => None,
    }
}
