//! Whether a file is the executable that it should be: it is run and asked for its version.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Minor;
use crate::error::Unusable;
use crate::tool::Tool;

/// Asks an executable for its version, as `v1.37.2`.
pub(crate) fn version(tool: Tool, path: &Path) -> Result<String, Unusable> {
    let metadata = std::fs::metadata(path).map_err(|_| Unusable::Missing)?;
    if !metadata.is_file() {
        return Err(Unusable::Missing);
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(Unusable::NotExecutable);
    }
    let ran = Command::new(path)
        .args(tool.version_arguments())
        .stdin(Stdio::null())
        // A kubeconfig of the user's must not be looked at for this.
        .env_remove("KUBECONFIG")
        .output();
    let output = ran.map_err(|error| match error.kind() {
        // A script whose interpreter is missing is told of in the same way as a missing file.
        ErrorKind::NotFound => Unusable::Silent("its interpreter or loader is missing".into()),
        ErrorKind::PermissionDenied => Unusable::NotExecutable,
        _ if error.raw_os_error() == Some(nix::libc::ENOEXEC) => {
            Unusable::WrongArchitecture(std::env::consts::ARCH)
        }
        _ => Unusable::Silent(error.to_string()),
    })?;
    let said = String::from_utf8_lossy(&output.stdout);
    match Tool::read_version(&said) {
        Some(version) if output.status.success() => Ok(version),
        _ => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let words = stderr.lines().chain(said.lines()).map(str::trim).find(|line| !line.is_empty());
            Err(Unusable::Silent(words.map_or_else(|| output.status.to_string(), str::to_owned)))
        }
    }
}

/// The oldest etcd that every Kubernetes that can be built here works with.
const OLDEST_ETCD: &str = "3.5";

/// Whether a version is of the wanted line: the minor version for Kubernetes, the major one for Helm.
pub(crate) fn suits(tool: Tool, version: &str, kubernetes: Minor) -> Result<(), Unusable> {
    let has = Minor::of(version);
    let (fits, wanted) = match tool {
        Tool::Helm3 => (has.is_some_and(|it| it.major() == 3), "3".to_owned()),
        Tool::Helm4 => (has.is_some_and(|it| it.major() == 4), "4".to_owned()),
        Tool::Etcd => (has >= Minor::of(OLDEST_ETCD), format!("{OLDEST_ETCD} or newer")),
        _ if tool.follows_kubernetes() => (has == Some(kubernetes), kubernetes.to_string()),
        _ => (true, String::new()),
    };
    if fits { Ok(()) } else { Err(Unusable::OtherVersion { has: version.to_owned(), wanted }) }
}
