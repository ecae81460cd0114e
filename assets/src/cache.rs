//! The cache: a folder for each pinned module, in which a tool appears under its name only when it is whole.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::error::Error;
use crate::pins::Pin;
use crate::tool::Tool;

/// The folder of what one pin builds.
pub(crate) fn folder(cache: &Path, pin: &Pin) -> PathBuf {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    cache.join("assets").join(format!("{}-{}-{os}-{arch}-{}", pin.name, pin.version, pin.hash()))
}

/// The tool, if it was built before.
pub(crate) fn built(cache: &Path, pin: &Pin, tool: Tool) -> Option<PathBuf> {
    let path = folder(cache, pin).join(tool.file());
    let metadata = path.metadata().ok()?;
    (metadata.is_file() && metadata.permissions().mode() & 0o111 != 0).then_some(path)
}

/// A pin's folder while this process alone builds into it. The lock falls with the process, however it ends.
pub(crate) struct Workshop {
    folder: PathBuf,
    _lock: Flock<File>,
}

impl Workshop {
    /// Takes the lock; `busy` is called once if another builder has it, before waiting for its end.
    pub(crate) fn open(cache: &Path, pin: &Pin, busy: &mut dyn FnMut()) -> Result<Self, Error> {
        let folder = folder(cache, pin);
        let failed = |source| Error::Cache { what: format!("make {}", folder.display()), source };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let path = folder.join(".lock");
        let failed = |source| Error::Cache { what: format!("lock {}", path.display()), source };
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
        let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((file, nix::errno::Errno::EWOULDBLOCK)) => {
                busy();
                Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| failed(errno.into()))?
            }
            Err((_, errno)) => return Err(failed(errno.into())),
        };
        let workshop = Self { folder, _lock: lock };
        workshop.sweep().map_err(|source| Error::Cache {
            what: format!("clear {}", workshop.folder.display()),
            source,
        })?;
        Ok(workshop)
    }

    /// Removes what builders that were killed have left half done.
    fn sweep(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(".new-") {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// The module to build from, written out.
    pub(crate) fn module(&self, pin: &Pin) -> io::Result<PathBuf> {
        let module = self.folder.join(".module");
        std::fs::create_dir_all(&module)?;
        std::fs::write(module.join("go.mod"), pin.go_mod)?;
        std::fs::write(module.join("go.sum"), pin.go_sum)?;
        Ok(module)
    }

    /// Where a tool is written until it is whole.
    pub(crate) fn draft(&self, tool: Tool) -> io::Result<PathBuf> {
        let folder = self.folder.join(format!(".new-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(folder.join(tool.file()))
    }

    /// Gives a whole tool its name.
    pub(crate) fn publish(&self, tool: Tool, draft: &Path) -> io::Result<PathBuf> {
        // On disk before it has its name: a power cut must not leave an empty file under it.
        File::open(draft)?.sync_all()?;
        let path = self.folder.join(tool.file());
        std::fs::rename(draft, &path)?;
        if let Some(folder) = draft.parent() {
            // Empty now; if not, the next builder sweeps it.
            let _ = std::fs::remove_dir(folder);
        }
        Ok(path)
    }
}
