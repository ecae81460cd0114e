//! A place of its own for each test: temporary files, ledgers and processes that are started from it can be
//! told from all others, so that a test can see that nothing was left behind.

use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

use crate::{executables, process, workspace};

/// The place.
pub struct Sandbox {
    folder: TempDir,
}

/// A scenario without faults that expects only what its caller writes; see [`Sandbox::scenario`].
const TEMPLATE: &str = "\
name: NAME
summary: A scenario of a test.
EXTRAsteps:
  - run: { phase: compute }
    expect: EXPECT
control: { cluster: { nodes: 1 } }
";

impl Sandbox {
    /// Makes one.
    ///
    /// # Panics
    /// The system gives no temporary folder.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes folders")]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("sandbox-").tempdir().expect("a temporary folder");
        let sandbox = Self { folder };
        for part in ["tmp", "state", "files"] {
            std::fs::create_dir(sandbox.path(part)).expect("a folder in it");
        }
        sandbox
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path in it, as text.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A call of `cargo xtask`, with everything built already, from the root of the workspace.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(executables::folder().join("xtask"));
        command
            .args(args)
            .current_dir(workspace::root())
            .env("SEATRIAL_EXECUTABLES", executables::folder())
            .env("SEATRIAL_STATE_DIR", self.path("state"))
            .env("TMPDIR", self.path("tmp"));
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CARGO_MANIFEST_DIR"] {
            command.env_remove(name);
        }
        command
    }

    /// The same, for assertions on how it ends.
    #[must_use]
    pub fn xtask(&self, args: &[&str]) -> assert_cmd::Command {
        assert_cmd::Command::from_std(self.command(args))
    }

    /// Calls it and returns what it wrote and how it ended.
    ///
    /// # Panics
    /// It cannot be run.
    #[must_use]
    pub fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("xtask can be run")
    }

    /// Writes a file and returns its path.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path("files").join(name);
        std::fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("its folder");
        std::fs::write(&path, text).expect("a file in the sandbox");
        path.display().to_string()
    }

    /// Writes a shell script that can be executed and returns its path.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn script(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.file(name, format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        path
    }

    /// Writes a scenario with one run of the compute phase on a healthy cluster, and returns its path. `extra`
    /// are more lines at the top level, `expect` is what it expects of the run.
    pub fn scenario(&self, name: &str, extra: &str, expect: &str) -> String {
        let text = TEMPLATE.replace("NAME", name).replace("EXTRA", extra).replace("EXPECT", expect);
        self.file(&format!("{name}.yaml"), text)
    }

    /// Files and folders in one of its folders, by name.
    ///
    /// # Panics
    /// The folder cannot be read.
    #[must_use]
    pub fn names(&self, part: &str) -> Vec<String> {
        names(&self.path(part))
    }

    /// Living processes that were started from it, at any distance.
    #[must_use]
    pub fn processes(&self) -> Vec<String> {
        process::with_variable("TMPDIR", &self.text("tmp"))
    }

    /// Fails unless everything that was started from here has cleared up behind itself.
    ///
    /// # Panics
    /// Something was left behind.
    pub fn assert_nothing_left(&self) {
        assert_eq!(self.processes(), Vec::<String>::new(), "processes were left behind");
        assert_eq!(self.names("tmp"), Vec::<String>::new(), "temporary files were left behind");
        assert_eq!(self.names("state"), Vec::<String>::new(), "the ledger owes something");
    }
}

/// Names in a folder, sorted.
///
/// # Panics
/// It cannot be read.
#[must_use]
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder that can be read");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
