//! The workspace's own executables, built by cargo before they are used.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use harness::verdict::ExitCode;
use xshell::{Cmd, Shell, cmd};

use crate::failure::Failure;

/// Root of the workspace.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR");
    let xtask = manifest.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// A shell in the root of the workspace.
pub(crate) fn shell() -> Result<Shell, Failure> {
    let shell = Shell::new().map_err(|error| Failure::new(ExitCode::Infrastructure, error))?;
    shell.change_dir(root());
    Ok(shell)
}

/// A call of cargo as if it were typed in a shell. `cargo run` tells its child of the package that it runs, and
/// build scripts that look at such variables would take the change for a reason to build everything anew.
pub(crate) fn as_if_typed(mut call: Cmd<'_>) -> Cmd<'_> {
    const TOLD: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    for (name, _) in std::env::vars_os() {
        if TOLD.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            call = call.env_remove(name);
        }
    }
    call
}

/// Executables by name.
pub(crate) type Executables = BTreeMap<String, PathBuf>;

/// Environment variable that names a folder of built executables.
const FOLDER_VARIABLE: &str = "SEATRIAL_EXECUTABLES";

/// Builds packages and returns their executables, or returns those of `SEATRIAL_EXECUTABLES` as they are.
pub(crate) fn executables(packages: &[&str]) -> Result<Executables, Failure> {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE).filter(|value| !value.is_empty()) {
        return found(Path::new(&folder), packages);
    }
    let shell = shell()?;
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    // Cargo decides the features of every dependency by what is built together. With xtask, which is built
    // already, they are those that are built already; without it, half of the dependencies are built again.
    let names = packages.iter().chain(&["xtask"]).flat_map(|package| ["--package", package]);
    let call =
        cmd!(shell, "{cargo} build --quiet --bins --message-format=json-render-diagnostics {names...}");
    let patience = Patience::new(packages);
    let built = as_if_typed(call).quiet().read();
    drop(patience);
    let built = built.map_err(|error| {
        Failure::new(ExitCode::Prerequisite, format!("failed to build {}: {error}", packages.join(", ")))
            .hint("see what the compiler says above")
    })?;
    let mut found = BTreeMap::new();
    for line in built.lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        if let (Some(name), Some(path)) = (message["target"]["name"].as_str(), message["executable"].as_str())
        {
            found.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    Ok(found)
}

/// The executables of packages in a folder; each package has one, of its own name.
fn found(folder: &Path, packages: &[&str]) -> Result<Executables, Failure> {
    let named = packages.iter().map(|name| {
        let path = which::which(folder.join(name)).map_err(|error| {
            Failure::new(
                ExitCode::Prerequisite,
                format!("failed to find {name} in {}: {error}", folder.display()),
            )
            .hint(format!("build it there, or unset {FOLDER_VARIABLE} and have it built"))
        })?;
        Ok(((*name).to_owned(), path))
    });
    named.collect()
}

/// Says what is being waited for when a build takes longer than a person expects.
struct Patience {
    _built: mpsc::Sender<()>,
}

impl Patience {
    fn new(packages: &[&str]) -> Self {
        let (built, waiting) = mpsc::channel::<()>();
        let words = format!("building {} …", packages.join(", "));
        std::thread::spawn(move || {
            if let Err(mpsc::RecvTimeoutError::Timeout) = waiting.recv_timeout(Duration::from_secs(2)) {
                anstream::eprintln!("{words}");
            }
        });
        Self { _built: built }
    }
}

/// One of them.
pub(crate) fn executable<'b>(built: &'b Executables, name: &str) -> Result<&'b Path, Failure> {
    let missing = || {
        Failure::new(ExitCode::Prerequisite, format!("failed to build {name}: cargo made no such executable"))
    };
    built.get(name).map(PathBuf::as_path).ok_or_else(missing)
}
