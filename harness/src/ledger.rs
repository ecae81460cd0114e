//! What must be destroyed later, written to disk before it is made.
//!
//! Each run has a ledger of its own, a file of one JSON entry a line, locked while the run lives. The lock
//! falls with the process, also after `kill -9`; `cargo xtask cluster prune` then finds a ledger that
//! nobody holds and destroys what it lists.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::run::children;

/// Environment variable that names the folder of the ledgers.
pub const FOLDER_VARIABLE: &str = "SEATRIAL_STATE_DIR";

/// Something that must not outlive its run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Entry {
    /// A folder of temporary files.
    Folder {
        /// Where.
        path: PathBuf,
    },
    /// Processes that carry this mark in their environment.
    Processes {
        /// Value of `SEATRIAL_RUN`.
        mark: String,
    },
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Owed(Entry),
    Settled(Entry),
}

/// The ledger of a run. Cloning shares it.
#[derive(Clone)]
pub struct Ledger {
    file: Arc<Mutex<Option<Flock<File>>>>,
    path: PathBuf,
}

/// What pruning came to.
#[derive(Debug, Default)]
pub struct Pruned {
    /// What was destroyed, in words.
    pub destroyed: Vec<String>,
    /// What could not be, with the reason.
    pub failed: Vec<String>,
    /// How many runs are alive and were left alone.
    pub alive: usize,
}

/// The folder of the ledgers: `SEATRIAL_STATE_DIR`, else below the user's state folder.
#[must_use]
pub fn folder() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set(FOLDER_VARIABLE) {
        return folder;
    }
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    state.unwrap_or_else(std::env::temp_dir).join("seatrial")
}

/// A name that no other run has.
#[must_use]
pub fn run_name() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S").to_string();
    format!("{now}-{}-{:04x}", std::process::id(), fastrand::u16(..))
}

impl Ledger {
    /// Opens a new ledger.
    ///
    /// # Errors
    /// The folder cannot be made or written.
    pub fn open(folder: &Path, run: &str) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{run}.ledger"));
        // It becomes a ledger when it is locked: one that is not would be taken for a dead run's.
        let unlocked = folder.join(format!("{run}.new"));
        let file = OpenOptions::new().create_new(true).append(true).open(&unlocked)?;
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| io::Error::from(errno))?;
        std::fs::rename(&unlocked, &path)?;
        Ok(Self { file: Arc::new(Mutex::new(Some(file))), path })
    }

    /// Notes what is about to be made.
    ///
    /// # Errors
    /// The ledger cannot be written; then it must not be made.
    pub fn owe(&self, entry: Entry) -> io::Result<()> {
        self.append(&Line::Owed(entry))
    }

    /// Notes that it is destroyed.
    ///
    /// # Errors
    /// The ledger cannot be written; the entry is destroyed again when the ledger is pruned.
    pub fn settle(&self, entry: Entry) -> io::Result<()> {
        self.append(&Line::Settled(entry))
    }

    fn append(&self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = file.as_mut().ok_or_else(|| io::Error::other("the ledger is closed"))?;
        file.write_all(&text)?;
        file.sync_data()
    }

    /// Closes the ledger; it is removed when nothing is owed any more.
    ///
    /// # Errors
    /// The file cannot be read or removed.
    pub fn close(self) -> io::Result<Vec<Entry>> {
        let owed = owed(&self.path)?;
        if owed.is_empty() {
            std::fs::remove_file(&self.path)?;
        }
        // Only now: what is not locked may be pruned.
        drop(self.file.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(owed)
    }
}

/// What a ledger lists and nobody has destroyed. A last line that was cut off in the middle is the note of
/// something that was not made yet.
fn owed(path: &Path) -> io::Result<Vec<Entry>> {
    let mut owed: Vec<Entry> = Vec::new();
    for line in io::BufReader::new(File::open(path)?).lines() {
        match serde_json::from_str(&line?) {
            Ok(Line::Owed(entry)) => owed.push(entry),
            Ok(Line::Settled(entry)) => owed.retain(|other| *other != entry),
            Err(_) => {}
        }
    }
    Ok(owed)
}

/// Destroys what runs that are dead have left behind.
///
/// # Errors
/// The folder of the ledgers cannot be read.
pub fn prune(folder: &Path) -> io::Result<Pruned> {
    let mut pruned = Pruned::default();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(pruned),
        Err(error) => return Err(error),
    };
    let mut ledgers = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ledger") {
            ledgers.push(path);
        }
    }
    ledgers.sort();
    for path in ledgers {
        let Ok(file) = OpenOptions::new().append(true).open(&path) else { continue };
        let Ok(_lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
            pruned.alive += 1;
            continue;
        };
        let before = pruned.failed.len();
        let owed = match owed(&path) {
            Ok(owed) => owed,
            // Its run has come to its end just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in owed {
            match destroy(&entry) {
                Ok(Some(words)) => pruned.destroyed.push(words),
                Ok(None) => {}
                Err(words) => pruned.failed.push(words),
            }
        }
        if pruned.failed.len() == before {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(pruned)
}

/// Makes a folder that nobody else may look into, since there will be credentials in it.
///
/// # Errors
/// It cannot be made, or is there already.
pub(crate) fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o700).create(folder)
}

/// Removes a folder and all that is in it; `false` when there was none.
///
/// # Errors
/// Something in it cannot be removed.
pub(crate) fn remove(folder: &Path) -> io::Result<bool> {
    use io::ErrorKind::{NotADirectory, NotFound};
    match std::fs::remove_dir_all(folder) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) && !folder.exists() => Ok(false),
        Err(error) => Err(error),
    }
}

/// How long killed processes may take to be gone.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// Destroys one thing; `None` when it was gone already.
fn destroy(entry: &Entry) -> Result<Option<String>, String> {
    match entry {
        Entry::Folder { path } => match remove(path) {
            Ok(true) => Ok(Some(format!("folder {}", path.display()))),
            Ok(false) => Ok(None),
            Err(error) => Err(format!("remove {}: {error}", path.display())),
        },
        Entry::Processes { mark } => {
            let mut words = Vec::new();
            let began = Instant::now();
            // Again and again, since one of them may have started another meanwhile, and the dead take a moment to go.
            loop {
                let found = children::marked(mark);
                if found.is_empty() {
                    break;
                }
                let fresh: Vec<_> = found.iter().map(ToString::to_string).collect();
                if began.elapsed() > LAST_BREATH {
                    return Err(format!("kill processes {}: they are still there", fresh.join(", ")));
                }
                children::kill(&found);
                words.extend(fresh.into_iter().filter(|it| !words.contains(it)).collect::<Vec<_>>());
                std::thread::sleep(Duration::from_millis(2));
            }
            if words.is_empty() {
                return Ok(None);
            }
            Ok(Some(format!("processes {}", words.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_dead_run_owes_is_destroyed_and_a_living_run_is_left_alone() {
        let state = tempfile::tempdir().unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = scratch.path().join(name);
            std::fs::create_dir(&path).unwrap();
            Entry::Folder { path }
        };
        let living = Ledger::open(state.path(), "living").unwrap();
        living.owe(folder("kept")).unwrap();
        let dead = Ledger::open(state.path(), "dead").unwrap();
        dead.owe(folder("left")).unwrap();
        let done = folder("done");
        dead.owe(done.clone()).unwrap();
        dead.settle(done).unwrap();
        drop(dead);
        let pruned = prune(state.path()).unwrap();
        assert_eq!((pruned.destroyed.len(), pruned.failed.len(), pruned.alive), (1, 0, 1));
        assert!(scratch.path().join("kept").exists());
        assert!(!scratch.path().join("left").exists());
        assert!(scratch.path().join("done").exists(), "what was settled is nobody's any more");
        assert_eq!(prune(state.path()).unwrap().destroyed.len(), 0);
        assert_eq!(living.close().unwrap().len(), 1);
    }

    #[test]
    fn a_ledger_without_debts_vanishes() {
        let state = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(state.path(), "run").unwrap();
        assert!(ledger.close().unwrap().is_empty());
        assert!(state.path().read_dir().unwrap().next().is_none());
    }

    #[test]
    fn a_line_that_was_cut_off_is_no_debt() {
        let state = tempfile::tempdir().unwrap();
        std::fs::write(state.path().join("cut.ledger"), "{\"owed\":{\"kind\":\"folder\",\"pa").unwrap();
        let pruned = prune(state.path()).unwrap();
        assert!(pruned.failed.is_empty() && pruned.destroyed.is_empty());
    }
}
