//! The way to a cluster: a `kube::Client`, and what the kubeconfig says the cluster is.
//!
//! A connection is made when it is first needed and not before: phase 1 may have to write the
//! kubeconfig that leads to the cluster.

use futures::future::BoxFuture;

use crate::identity::Identity;

/// A client together with what must be said to the tools so that they talk to the same cluster.
#[derive(Clone)]
pub struct Connection {
    /// The API client. It must not retry by itself: retries belong to the installer's own policy.
    pub client: kube::Client,
    /// Path of the kubeconfig, passed on as `--kubeconfig`.
    pub kubeconfig: Option<String>,
    /// Name of the context, passed on as `--kube-context`.
    pub context: Option<String>,
    /// Address of the API server, for messages.
    pub server: String,
    /// Which cluster the kubeconfig's context names.
    pub identity: Identity,
}

/// Why there is no connection to be had.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct ConnectError {
    /// A lowercase fragment: what failed, on which file, what to do next.
    pub detail: String,
    /// Whether the kubeconfig, or a context in it, is not there at all (as opposed to broken).
    pub missing: bool,
}

/// Makes connections.
pub trait Connect: Send + Sync {
    /// Reads the kubeconfig as it is now and builds a client on it. Sends no request.
    fn connect(&self) -> BoxFuture<'_, Result<Connection, ConnectError>>;

    /// Path of the kubeconfig that phase 1 should write; `None` when there is no file behind the seam.
    fn kubeconfig_path(&self) -> Option<String> {
        None
    }
}

/// A connection that is there already: for tests and for running in one process with a cluster.
#[derive(Clone)]
pub struct FixedConnection(pub Connection);

impl Connect for FixedConnection {
    fn connect(&self) -> BoxFuture<'_, Result<Connection, ConnectError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }

    fn kubeconfig_path(&self) -> Option<String> {
        self.0.kubeconfig.clone()
    }
}
