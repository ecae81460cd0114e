//! The workspace's executables, built once for all tests of a process.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use crate::workspace;

/// The folder with `xtask`, `interpose`, `eks-installer` and `known-bad`, built.
///
/// # Panics
/// They cannot be built.
#[must_use]
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let packages = ["xtask", "interpose", "eks-installer", "known-bad"];
        let built = workspace::cargo()
            .args(["build", "--quiet", "--bins", "--message-format=json-render-diagnostics"])
            .args(packages.iter().flat_map(|name| ["--package", name]))
            .output()
            .expect("cargo can be run");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let messages = String::from_utf8_lossy(&built.stdout).into_owned();
        let xtask = messages.lines().find_map(|line| {
            let message: Value = serde_json::from_str(line).ok()?;
            let path = (message["target"]["name"] == "xtask").then_some(&message["executable"])?;
            path.as_str().map(PathBuf::from)
        });
        let xtask = xtask.expect("cargo says where it put xtask");
        xtask.parent().expect("an executable lies in a folder").to_owned()
    })
}
