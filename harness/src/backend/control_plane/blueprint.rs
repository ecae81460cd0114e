//! What control planes are started from, prepared once for all of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use assets::{Found, Tool};
use kube::{Client, Config};

use super::restore::Content;
use super::{components, pki};
use crate::backend::ClusterError;

/// What control planes are started from.
#[derive(Clone)]
pub(super) struct Blueprint {
    pub(super) binaries: Arc<Found>,
    /// Folder of keys and certificates.
    pub(super) keys: PathBuf,
    /// The first state; when empty, whatever the API server makes of an empty store.
    pub(super) first: Arc<Content>,
}

impl Blueprint {
    pub(super) fn new(binaries: Arc<Found>, keys: PathBuf, first: Arc<Content>) -> Self {
        Self { binaries, keys, first }
    }

    /// Whether the first state has the objects of every cluster.
    pub(super) fn is_prepared(&self) -> bool {
        !self.first.is_empty()
    }

    /// Where an executable is.
    pub(super) fn program(&self, tool: Tool) -> Result<&Path, ClusterError> {
        self.binaries.path(tool).ok_or_else(|| ClusterError::new(format!("find {}", tool.name())))
    }

    /// A client that shows one of our certificates.
    pub(super) fn client(&self, port: u16, pair: [&str; 2]) -> Result<Client, ClusterError> {
        let url = components::url(port);
        let mut config = Config::new(url.parse().map_err(ClusterError::new)?);
        let authority = pki::der(&self.keys, pki::CA)?;
        config.root_cert = Some(vec![authority]);
        config.auth_info.client_certificate = Some(self.keys.join(pair[0]).display().to_string());
        config.auth_info.client_key = Some(self.keys.join(pair[1]).display().to_string());
        Client::try_from(config)
            .map_err(|error| ClusterError::new(format!("make a client of {url}: {error}")))
    }
}
