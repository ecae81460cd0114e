//! The installer under test: any command line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::expect::ResultSchema;
use crate::scenario::{RunStep, Subcommand};

/// A command line, with `{args}` and `{phase}` to be filled in for each run.
#[derive(Clone, Debug)]
pub struct Installer {
    program: PathBuf,
    words: Vec<String>,
    shown: String,
    schema: Option<Arc<ResultSchema>>,
}

/// Why a command line cannot be run.
#[derive(Debug, Error)]
pub enum InstallerError {
    /// It is empty, or its quotes do not match.
    #[error("failed to read the installer's command line {0:?}: quotes do not match, or it is empty")]
    Unreadable(String),
    /// There is no such program.
    #[error("failed to find the installer {program}: {reason}")]
    Missing {
        /// The program.
        program: String,
        /// What the system said.
        reason: String,
    },
    /// The file is there and is no program.
    #[error("failed to run the installer {}: it is not executable", .0.display())]
    NotExecutable(PathBuf),
}

impl InstallerError {
    /// What to type next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable(_) => "quote it as in a shell: --installer './install.sh {args}'".into(),
            Self::Missing { .. } => "give the path of the program, or put it on PATH".into(),
            Self::NotExecutable(path) => format!("chmod +x {}", path.display()),
        }
    }
}

impl Installer {
    /// Reads a command line, quoted as in a shell; no shell ever runs it. A word that is the relative path of a
    /// file, as in `sh scripts/install.sh`, keeps meaning that file, although the installer runs elsewhere.
    ///
    /// # Errors
    /// It cannot be split into words, or its program is not there or not executable.
    pub fn parse(line: &str) -> Result<Self, InstallerError> {
        let unreadable = || InstallerError::Unreadable(line.to_owned());
        let mut words = shlex::split(line).ok_or_else(unreadable)?.into_iter();
        let program = words.next().filter(|word| !word.is_empty()).ok_or_else(unreadable)?;
        let words = words.map(pinned).collect();
        Ok(Self { program: find(&program)?, words, shown: line.to_owned(), schema: None })
    }

    /// A program with these words, both taken as they are; reports call it `shown`.
    ///
    /// # Errors
    /// The program is not there or not executable.
    pub fn new(program: &Path, words: &[&str], shown: impl Into<String>) -> Result<Self, InstallerError> {
        let program = find(&program.to_string_lossy())?;
        let words = words.iter().map(|&word| word.to_owned()).collect();
        Ok(Self { program, words, shown: shown.into(), schema: None })
    }

    /// The same, whose results must be as this schema describes them.
    #[must_use]
    pub fn publishing(self, schema: ResultSchema) -> Self {
        Self { schema: Some(Arc::new(schema)), ..self }
    }

    /// What reports call it: the command line, as it was given.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn schema(&self) -> Option<Arc<ResultSchema>> {
        self.schema.clone()
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The arguments of one run.
    pub(crate) fn words(&self, run: &RunStep) -> Vec<String> {
        let mut filled = Vec::new();
        for word in &self.words {
            match word.as_str() {
                "{args}" => filled.extend(args(run)),
                word => filled.push(word.replace("{phase}", run.phase.as_deref().unwrap_or_default())),
            }
        }
        filled
    }
}

/// The command's word.
pub(super) fn command(command: Subcommand) -> &'static str {
    match command {
        Subcommand::Install => "install",
        Subcommand::Status => "status",
        Subcommand::Preflight => "preflight",
        Subcommand::Cleanup => "cleanup",
    }
}

/// What stands for `{args}`: the command line of the installer contract.
fn args(run: &RunStep) -> Vec<String> {
    let mut args = vec![command(run.command).to_owned()];
    if let Some(phase) = &run.phase {
        args.extend(["--phase".to_owned(), phase.clone()]);
    }
    if let Some(force) = &run.force {
        args.extend(["--force-phase-complete", &force.phase, "--reason", &force.reason].map(str::to_owned));
    }
    args.extend(run.args.iter().cloned());
    args
}

/// A word as it means the same in every folder.
fn pinned(word: String) -> String {
    let path = Path::new(&word);
    if !path.is_relative() || !path.is_file() {
        return word;
    }
    let whole = std::path::absolute(path).ok();
    whole.and_then(|path| path.into_os_string().into_string().ok()).unwrap_or(word)
}

fn find(program: &str) -> Result<PathBuf, InstallerError> {
    let path = Path::new(program);
    if program.contains('/') && path.is_file() && which::which(path).is_err() {
        return Err(InstallerError::NotExecutable(path.to_owned()));
    }
    let found = which::which(program).ok().and_then(|found| found.canonicalize().ok());
    found.ok_or_else(|| {
        let reason = if program.contains('/') { "there is no such file" } else { "no folder of PATH has it" };
        InstallerError::Missing { program: program.to_owned(), reason: reason.to_owned() }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn placeholders_are_filled_in_and_nothing_is_appended() {
        let run = RunStep { phase: Some("compute".into()), ..RunStep::default() };
        let words = |line: &str| Installer::parse(line).unwrap().words(&run);
        assert_eq!(words("sh {args} x"), ["install", "--phase", "compute", "x"]);
        assert_eq!(words("sh --only={phase}"), ["--only=compute"]);
        assert_eq!(words("sh 'a b'"), ["a b"]);
    }

    #[test]
    fn a_file_that_is_named_relative_to_here_is_the_same_file_elsewhere() {
        let run = RunStep::default();
        let words = Installer::parse("sh Cargo.toml no-such-file --file=Cargo.toml").unwrap().words(&run);
        assert_eq!(words[0], std::path::absolute("Cargo.toml").unwrap().to_str().unwrap());
        assert_eq!(words[1..], ["no-such-file", "--file=Cargo.toml"]);
    }

    #[test]
    fn a_command_line_that_cannot_run_says_why() {
        assert!(matches!(Installer::parse("'sh"), Err(InstallerError::Unreadable(_))));
        assert!(matches!(Installer::parse("no-such-program-at-all"), Err(InstallerError::Missing { .. })));
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = Installer::parse(file.path().to_str().unwrap());
        assert!(matches!(refused, Err(InstallerError::NotExecutable(_))));
    }
}
