//! Errors of the user's making and of ours, and how they are told.

use std::process::ExitCode as Exit;

use harness::run::{InstallerError, SuiteError};
use harness::scenario::CatalogueError;
use harness::verdict::ExitCode;
use miette::Diagnostic as _;

/// Why a command did not come to its end, and the exit code that goes with it.
pub(crate) struct Failure {
    exit: ExitCode,
    words: Words,
}

enum Words {
    Plain { what: String, hint: Option<String> },
    Diagnostic(Box<miette::Report>),
}

impl Failure {
    /// A failure in words: what failed, on what.
    pub(crate) fn new(exit: ExitCode, what: impl std::fmt::Display) -> Self {
        Self { exit, words: Words::Plain { what: what.to_string(), hint: None } }
    }

    /// What to type next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Words::Plain { hint: place, .. } = &mut self.words {
            *place = Some(hint.into());
        }
        self
    }

    /// Writes it to standard error.
    pub(crate) fn tell(self) -> Exit {
        match self.words {
            Words::Plain { what, hint } => harness::report::complain(&what, hint.as_deref()),
            Words::Diagnostic(report) => anstream::eprint!("{report:?}"),
        }
        Exit::from(self.exit.code())
    }
}

impl From<assets::Error> for Failure {
    fn from(error: assets::Error) -> Self {
        Self::new(ExitCode::Prerequisite, &error).hint(error.hint())
    }
}

impl From<CatalogueError> for Failure {
    fn from(error: CatalogueError) -> Self {
        let exit = if error.nothing_selected() { ExitCode::NothingSelected } else { ExitCode::Usage };
        // What has a place in a file is shown there; the rest is told like everything else.
        if error.source_code().is_some() {
            return Self { exit, words: Words::Diagnostic(Box::new(miette::Report::new(error))) };
        }
        let hint = error.help().map(|help| help.to_string());
        Self { exit, words: Words::Plain { what: error.to_string(), hint } }
    }
}

impl From<InstallerError> for Failure {
    fn from(error: InstallerError) -> Self {
        let exit = match error {
            InstallerError::Unreadable(_) => ExitCode::Usage,
            _ => ExitCode::Prerequisite,
        };
        Self::new(exit, &error).hint(error.hint())
    }
}

impl From<SuiteError> for Failure {
    fn from(error: SuiteError) -> Self {
        let (exit, hint) = match &error {
            SuiteError::Out { .. } => (ExitCode::Usage, "name a folder that can be written: --out DIR"),
            SuiteError::Temporary { .. } => {
                (ExitCode::Infrastructure, "name a folder that can be written: TMPDIR=DIR cargo xtask …")
            }
            SuiteError::Cluster(_) => return Self::new(ExitCode::Infrastructure, &error),
            SuiteError::Ledger { .. } => (
                ExitCode::Infrastructure,
                "name a folder that can be written: SEATRIAL_STATE_DIR=DIR cargo xtask …",
            ),
            SuiteError::Report { .. } => (ExitCode::Infrastructure, "see whether the disk is full"),
        };
        Self::new(exit, &error).hint(hint)
    }
}
