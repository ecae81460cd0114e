//! Verdicts, and the exit codes that follow from them.

use serde::{Deserialize, Serialize};

/// How a scenario ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every expectation held, and the control did not agree.
    Passed,
    /// An expectation did not hold, or the control agreed.
    Failed,
    /// Every expectation held, and what happened is not what happened on the other backend.
    Differs,
    /// The backend cannot carry one of its faults.
    Unsupported,
    /// The harness or its cluster failed; nothing is said of the installer.
    Errored,
    /// It was interrupted.
    Interrupted,
}

impl Verdict {
    /// Word for a report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Differs => "differs",
            Self::Unsupported => "unsupported",
            Self::Errored => "errored",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Exit codes of `cargo xtask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// All as expected.
    Ok = 0,
    /// The command line or a scenario file is wrong.
    Usage = 2,
    /// Nothing was selected, or nothing that the backend can carry.
    NothingSelected = 4,
    /// A prerequisite is missing.
    Prerequisite = 96,
    /// An expectation failed, or two backends differ.
    Failed = 100,
    /// A cluster could not be provisioned, or the harness itself failed.
    Infrastructure = 105,
    /// Something could not be cleaned up.
    Cleanup = 106,
    /// Interrupted; everything was cleaned up and the reports were written.
    Interrupted = 130,
}

impl ExitCode {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The exit code of a run whose scenarios ended so. What was left behind outweighs everything, since an
    /// interruption promises that nothing was; a failed expectation outweighs an infrastructure that failed
    /// elsewhere.
    #[must_use]
    pub fn of(verdicts: impl IntoIterator<Item = Verdict>, cleanup_failed: bool) -> Self {
        let verdicts: Vec<Verdict> = verdicts.into_iter().collect();
        let any = |verdict| verdicts.contains(&verdict);
        if cleanup_failed {
            Self::Cleanup
        } else if any(Verdict::Interrupted) {
            Self::Interrupted
        } else if any(Verdict::Failed) || any(Verdict::Differs) {
            Self::Failed
        } else if any(Verdict::Errored) {
            Self::Infrastructure
        } else if !any(Verdict::Passed) {
            // Green means that something was judged.
            Self::NothingSelected
        } else {
            Self::Ok
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_infrastructure_never_looks_like_a_failed_installer() {
        use Verdict::{Differs, Errored, Failed, Interrupted, Passed, Unsupported};
        for (verdicts, cleanup, code) in [
            (&[Passed, Unsupported][..], false, 0),
            (&[], false, 4),
            (&[Unsupported], false, 4),
            (&[Passed, Errored], false, 105),
            (&[Failed, Errored], false, 100),
            (&[Passed, Differs], false, 100),
            (&[Failed], true, 106),
            (&[Failed, Interrupted], false, 130),
            (&[Failed, Interrupted], true, 106),
        ] {
            assert_eq!(ExitCode::of(verdicts.iter().copied(), cleanup).code(), code, "{verdicts:?}");
        }
    }
}
