//! A cluster that stays, broken as a scenario has it, for somebody to poke at.

use std::path::Path;

use super::tools::{ToolChoice, Tools};
use crate::backend::{Backend, Cluster, ClusterError};
use crate::fault::{FaultSpec, Ground};
use crate::scenario::{ClusterShape, EksShape};

/// A cluster and its faults.
pub struct Standing {
    cluster: Box<dyn Cluster>,
    _folder: tempfile::TempDir,
}

impl Standing {
    /// Brings it up and injects the faults.
    ///
    /// # Errors
    /// It could not be provisioned, or a fault not be injected.
    pub async fn up(
        backend: &dyn Backend,
        shape: &ClusterShape,
        faults: Vec<FaultSpec>,
        seed: u64,
        interposer: &Path,
    ) -> Result<Self, ClusterError> {
        let folder = tempfile::tempdir().map_err(ClusterError::new)?;
        let cluster = backend.provision(shape, seed).await?;
        let choice = ToolChoice { interposer: interposer.to_owned(), real: Default::default() };
        let mut tools = Tools::make(folder.path(), &choice, cluster.as_ref(), &EksShape::default(), &[])?;
        for mut fault in faults {
            fault.fault_mut().inject(Ground { cluster: cluster.as_ref(), tools: &mut tools }).await?;
        }
        Ok(Self { cluster, _folder: folder })
    }

    /// A kubeconfig (YAML) for the installer's user, whom nothing is forbidden.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        self.cluster.kubeconfig()
    }

    /// URL of the API server.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.cluster.identity().endpoint
    }

    /// Takes it down.
    ///
    /// # Errors
    /// It could not be taken down.
    pub async fn down(self) -> Result<(), ClusterError> {
        self.cluster.down().await
    }
}
