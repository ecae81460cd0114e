//! Where executables are looked for.

use std::ffi::OsString;
use std::path::PathBuf;

/// The ecosystem's variable for a folder with etcd, kube-apiserver and kubectl (envtest reads it).
pub const ASSETS_VARIABLE: &str = "KUBEBUILDER_ASSETS";

/// Environment variable that names the cache.
pub const CACHE_VARIABLE: &str = "SEATRIAL_CACHE_DIR";

/// The places, in the order of search.
#[derive(Clone, Debug)]
pub struct Places {
    /// What `KUBEBUILDER_ASSETS` says.
    pub assets: Option<PathBuf>,
    /// What `PATH` says; Go is looked for there too.
    pub path: Option<OsString>,
    /// The cache of what was built.
    pub cache: PathBuf,
}

impl Places {
    /// The places of this process.
    #[must_use]
    pub fn from_env() -> Self {
        Self { assets: set(ASSETS_VARIABLE), path: std::env::var_os("PATH"), cache: cache_folder() }
    }
}

/// The cache: `SEATRIAL_CACHE_DIR`, else below the user's cache folder.
#[must_use]
pub fn cache_folder() -> PathBuf {
    if let Some(folder) = set(CACHE_VARIABLE) {
        return folder;
    }
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("seatrial")
}

fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
