//! What a chart registry makes of the credentials that Helm has stored.
//!
//! ECR Public lets anybody pull, and refuses somebody whose stored token has expired: 403, until the
//! token is thrown away by `helm registry logout` or renewed by a login.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::state::State;

const DOCUMENT: &str = "registry";

/// Stored credentials, by registry host.
#[derive(Clone, Default)]
pub struct Credentials {
    expired: Vec<String>,
    dropped: Dropped,
}

/// Hosts whose credentials have been dropped or renewed.
#[derive(Clone)]
enum Dropped {
    Process(Arc<Mutex<BTreeSet<String>>>),
    Folder(State),
}

impl Default for Dropped {
    fn default() -> Self {
        Self::Process(Arc::default())
    }
}

impl Credentials {
    /// Credentials of which these hosts' have expired; what is dropped is kept in memory, and shared
    /// by clones.
    pub fn expired(hosts: &[String]) -> Self {
        Self { expired: hosts.to_vec(), dropped: Dropped::default() }
    }

    /// The same, kept in the state of a protocol folder.
    pub fn kept_in(hosts: &[String], tools_dir: &Path) -> Self {
        Self { expired: hosts.to_vec(), dropped: Dropped::Folder(State::of(tools_dir)) }
    }

    /// Drops or renews a host's credentials.
    pub(super) fn renew(&self, host: &str) -> std::io::Result<()> {
        match &self.dropped {
            Dropped::Process(hosts) => {
                hosts.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned());
                Ok(())
            }
            Dropped::Folder(state) => {
                let state = state.lock()?;
                let mut hosts: BTreeSet<String> = state.read(DOCUMENT)?.unwrap_or_default();
                hosts.insert(host.to_owned());
                state.write(DOCUMENT, &hosts)
            }
        }
    }

    /// Whether a host refuses what is stored for it.
    pub(super) fn refused(&self, host: &str) -> std::io::Result<bool> {
        if !self.expired.iter().any(|it| it == host) {
            return Ok(false);
        }
        let dropped = match &self.dropped {
            Dropped::Process(hosts) => hosts.lock().unwrap_or_else(PoisonError::into_inner).contains(host),
            Dropped::Folder(state) => {
                let hosts: Option<BTreeSet<String>> = state.lock()?.read(DOCUMENT)?;
                hosts.is_some_and(|it| it.contains(host))
            }
        };
        Ok(!dropped)
    }
}
