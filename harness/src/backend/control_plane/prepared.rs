//! What every start would make anew, made once and kept: keys, certificates, and the store's first content.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use assets::Found;
use nix::fcntl::{Flock, FlockArg};

use super::blueprint::Blueprint;
use super::plane::Plane;
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

/// How far a clock may have been ahead on the day of the preparation. Objects that are younger than nothing have ages
/// that nobody can read.
const SKEW: Duration = Duration::from_secs(60);

/// The blueprint of control planes made of these executables; what it needs is prepared if it was not before, or not
/// so that it can be used now.
pub(super) async fn blueprint(
    cache: &Path,
    binaries: Arc<Found>,
    ledger: &Ledger,
) -> Result<Blueprint, ClusterError> {
    let folder = folder(cache, &binaries);
    let made = |first: Content| Blueprint::new(binaries.clone(), folder.join(KEYS), Arc::new(first));
    if let Ok(first) = load(&folder) {
        return Ok(made(first));
    }
    let failed = |error: io::Error| ClusterError::new(format!("prepare {}: {error}", folder.display()));
    let _lock = lock(&folder).await.map_err(failed)?;
    // Whoever held the lock may have prepared it meanwhile.
    if load(&folder).is_err() {
        prepare(&folder, binaries.clone(), ledger).await?;
    }
    load(&folder).map(made)
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
    let ports = components::Ports { etcd: 0, api: 0 };
    components::api_server(ports, Path::new("/")).hash(&mut hasher);
    kubesim::bootstrap::text().hash(&mut hasher);
    cache.join("control-plane").join(format!("{}-{:016x}", binaries.kubernetes, hasher.finish()))
}

/// What was prepared.
///
/// # Errors
/// It is not there, is damaged, or is not good on this day.
fn load(folder: &Path) -> Result<Content, ClusterError> {
    let path = folder.join(FIRST);
    let failed = |error: io::Error| ClusterError::new(format!("read {}: {error}", path.display()));
    let text = std::fs::read(&path).map_err(failed)?;
    let prepared = path.metadata().and_then(|metadata| metadata.modified()).map_err(failed)?;
    if prepared > SystemTime::now() + SKEW {
        return Err(ClusterError::new(format!("use {}: its objects are of the future", path.display())));
    }
    let first = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
    pki::check(&folder.join(KEYS))?;
    Ok(first)
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
    clear(&draft).map_err(failed)?;
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
    // One that cannot be used is in the way.
    clear(folder).map_err(failed)?;
    std::fs::rename(&draft, folder).map_err(failed)
}

fn clear(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
