//! A cluster that stays, broken as a scenario has it, for somebody to poke at.

use std::path::{Path, PathBuf};

use super::SuiteError;
use super::tools::{ToolChoice, Tools};
use crate::backend::{Backend, Cluster, ClusterError};
use crate::fault::{FaultSpec, Ground};
use crate::ledger::{self, Entry, Ledger};
use crate::scenario::{ClusterShape, EksShape};

/// A cluster and its faults.
pub struct Standing {
    cluster: Box<dyn Cluster>,
    room: Room,
}

impl Standing {
    /// Brings it up and injects the faults. `state` is the folder of the ledgers.
    ///
    /// # Errors
    /// It could not be provisioned, or a fault not be injected; nothing is left of it then.
    pub async fn up(
        backend: &dyn Backend,
        shape: &ClusterShape,
        faults: Vec<FaultSpec>,
        seed: u64,
        interposer: &Path,
        state: &Path,
    ) -> Result<Self, SuiteError> {
        let room = Room::make(state)?;
        match furnish(&room, backend, shape, faults, seed, interposer).await {
            Ok(cluster) => Ok(Self { cluster, room }),
            Err(error) => {
                // The reason is worth more than what clearing up comes to; the ledger has the rest.
                let _ = room.clear();
                Err(error.into())
            }
        }
    }

    /// File with a kubeconfig for the installer's user, whom nothing is forbidden. It lasts as long as the
    /// cluster.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.room.kubeconfig()
    }

    /// URL of the API server.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.cluster.identity().endpoint
    }

    /// Takes it down.
    ///
    /// # Errors
    /// It could not be taken down, or its folder not be removed.
    pub async fn down(self) -> Result<(), ClusterError> {
        let down = self.cluster.down().await;
        let cleared = self.room.clear().map_err(|error| ClusterError::new(format!("clear up: {error}")));
        down.and(cleared)
    }
}

async fn furnish(
    room: &Room,
    backend: &dyn Backend,
    shape: &ClusterShape,
    faults: Vec<FaultSpec>,
    seed: u64,
    interposer: &Path,
) -> Result<Box<dyn Cluster>, ClusterError> {
    let cluster = backend.provision(shape, seed).await?;
    let choice = ToolChoice { interposer: interposer.to_owned(), real: Default::default() };
    let mut tools = Tools::make(&room.folder, &choice, cluster.as_ref(), &EksShape::default(), &[])?;
    let kubeconfig = room.kubeconfig();
    std::fs::write(&kubeconfig, cluster.kubeconfig())
        .map_err(|error| ClusterError::new(format!("write {}: {error}", kubeconfig.display())))?;
    for mut fault in faults {
        let pace = backend.pace();
        let ground = Ground { cluster: cluster.as_ref(), tools: &mut tools, kubeconfig: &kubeconfig, pace };
        fault.fault_mut().inject(ground).await?;
    }
    Ok(cluster)
}

/// The temporary folder of a cluster that stays, with the ledger that it is noted in.
struct Room {
    folder: PathBuf,
    ledger: Ledger,
    entry: Entry,
}

impl Room {
    fn make(state: &Path) -> Result<Self, SuiteError> {
        let run = ledger::run_name();
        let failed = |source| SuiteError::Ledger { path: state.to_owned(), source };
        let ledger = Ledger::open(state, &run).map_err(failed)?;
        let folder = std::env::temp_dir().join(format!("seatrial-{run}"));
        let entry = Entry::Folder { path: folder.clone() };
        ledger.owe(entry.clone()).map_err(failed)?;
        let room = Self { folder, ledger, entry };
        match ledger::make_private(&room.folder) {
            Ok(()) => Ok(room),
            Err(source) => {
                let path = room.folder.clone();
                let _ = room.clear();
                Err(SuiteError::Temporary { path, source })
            }
        }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Removes the folder and settles the ledger.
    fn clear(self) -> std::io::Result<()> {
        ledger::remove(&self.folder)?;
        self.ledger.settle(self.entry)?;
        self.ledger.close().map(drop)
    }
}
