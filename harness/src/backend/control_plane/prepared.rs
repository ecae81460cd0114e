//! What every start would make anew, made once and kept: keys, certificates, and the store's first content.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use assets::Found;
use nix::fcntl::{Flock, FlockArg};

use super::plane::{Blueprint, Plane};
use super::restore::{self, Content};
use super::{components, content, pki, settle};
use crate::backend::ClusterError;
use crate::ledger::Ledger;

/// File of the first content: a JSON object of keys and values, the values in base64.
const FIRST: &str = "first.json";
/// Folder of keys and certificates.
const KEYS: &str = "keys";

/// How long a new control plane must have been quiet before what it has become is kept.
const QUIET: Duration = Duration::from_secs(1);

/// The blueprint of control planes made of these executables; what it needs is prepared if it was not before.
pub(super) async fn blueprint(
    cache: &Path,
    binaries: Arc<Found>,
    ledger: &Ledger,
) -> Result<Blueprint, ClusterError> {
    let folder = folder(cache, &binaries);
    let failed = |error: io::Error| ClusterError::new(format!("prepare {}: {error}", folder.display()));
    if let Some(first) = load(&folder).map_err(failed)? {
        return Ok(Blueprint::new(binaries, folder.join(KEYS), Arc::new(first)));
    }
    let lock = lock(&folder).await.map_err(failed)?;
    // Whoever held the lock may have prepared it meanwhile.
    if load(&folder).map_err(failed)?.is_none() {
        prepare(&folder, binaries.clone(), ledger).await?;
    }
    drop(lock);
    let first = load(&folder).map_err(failed)?;
    let first = first.ok_or_else(|| ClusterError::new(format!("prepare {}", folder.display())))?;
    Ok(Blueprint::new(binaries, folder.join(KEYS), Arc::new(first)))
}

/// A folder for each set of executables and each content: what one API server has stored is not given to another.
fn folder(cache: &Path, binaries: &Found) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    for (_, path, _) in binaries.all() {
        path.hash(&mut hasher);
        if let Ok(metadata) = path.metadata() {
            (metadata.len(), metadata.mtime(), metadata.mtime_nsec()).hash(&mut hasher);
        }
    }
    let ports = components::Ports { etcd: 0, api: 0, controllers: 0, scheduler: 0 };
    components::api_server(ports, Path::new("/")).hash(&mut hasher);
    kubesim::bootstrap::text().hash(&mut hasher);
    cache.join("control-plane").join(format!("{}-{:016x}", binaries.kubernetes, hasher.finish()))
}

fn load(folder: &Path) -> io::Result<Option<Content>> {
    match std::fs::read(folder.join(FIRST)) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A path beside the folder, named like it.
fn beside(folder: &Path, what: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
}

async fn lock(folder: &Path) -> io::Result<Flock<File>> {
    let path = beside(folder, "lock");
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let locked = tokio::task::spawn_blocking(move || Flock::lock(file, FlockArg::LockExclusive));
    locked.await.map_err(io::Error::other)?.map_err(|(_, errno)| errno.into())
}

/// Starts a control plane on an empty store, lets it become what it becomes, and keeps that.
async fn prepare(folder: &Path, binaries: Arc<Found>, ledger: &Ledger) -> Result<(), ClusterError> {
    let draft = beside(folder, "new");
    let failed = |error: io::Error| ClusterError::new(format!("prepare {}: {error}", folder.display()));
    match std::fs::remove_dir_all(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    // Private keys are in it.
    let keys = draft.join(KEYS);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&keys).map_err(failed)?;
    pki::make(&keys)?;
    let bare = Blueprint::new(binaries, keys, Arc::new(BTreeMap::new()));
    let mut plane = Plane::start(&bare, ledger).await?;
    plane.go().await?;
    content::install(&plane.admin()).await?;
    settle::settled(&plane, None, QUIET).await?;
    plane.alive()?;
    let first = restore::content(plane.etcd().all(true).await?.1);
    drop(plane);
    let text = serde_json::to_vec(&first).map_err(ClusterError::new)?;
    std::fs::write(draft.join(FIRST), text).map_err(failed)?;
    std::fs::rename(&draft, folder).map_err(failed)
}
