//! What a control plane leaves if nobody clears it away: a folder and processes. In the ledger before they are made.

use std::path::{Path, PathBuf};

use crate::backend::ClusterError;
use crate::ledger::{Entry, Ledger};

/// A folder of its own and a mark for processes. Dropping it removes the folder; by then the processes must be dead.
pub(super) struct Estate {
    path: PathBuf,
    mark: String,
    ledger: Ledger,
}

impl Estate {
    /// Writes it to the ledger and makes the folder.
    pub(super) fn found(ledger: &Ledger) -> Result<Self, ClusterError> {
        let mark = format!("control-plane-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(format!("seatrial-{mark}"));
        let estate = Self { path, mark, ledger: ledger.clone() };
        for entry in estate.entries() {
            ledger.owe(entry).map_err(|error| ClusterError::new(format!("write the ledger: {error}")))?;
        }
        std::fs::create_dir(&estate.path)
            .map_err(|error| ClusterError::new(format!("make {}: {error}", estate.path.display())))?;
        Ok(estate)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The mark that its processes carry.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    fn entries(&self) -> [Entry; 2] {
        [Entry::Processes { mark: self.mark.clone() }, Entry::Folder { path: self.path.clone() }]
    }
}

impl Drop for Estate {
    fn drop(&mut self) {
        let removed = match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        // What could not be cleared away stays owed, for `cluster prune`.
        if removed.is_ok() {
            for entry in self.entries() {
                let _ = self.ledger.settle(entry);
            }
        }
    }
}
