//! Many scenarios at once, each with a cluster of its own, told as one ordered stream of events.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use futures::StreamExt as _;
use jiff::Timestamp;
use thiserror::Error;

use super::attempt::millis;
use super::tools::ToolChoice;
use super::{Installer, Stop, scenario};
use crate::backend::{Backend, ClusterError};
use crate::event::Event;
use crate::ledger::{self, Entry, Ledger};
use crate::report::Reporters;
use crate::scenario::Found;
use crate::verdict::{ExitCode, Verdict};

/// What is to be run, and how.
pub struct Suite {
    /// The scenarios, in the order of every report.
    pub scenarios: Vec<Found>,
    /// Where clusters come from.
    pub backend: Box<dyn Backend>,
    /// The installer under test.
    pub installer: Installer,
    /// How tools are carried out.
    pub tools: ToolChoice,
    /// The seed of everything that is random.
    pub seed: u64,
    /// How many scenarios run at the same time.
    pub jobs: usize,
    /// Whether negative controls are run.
    pub controls: bool,
    /// Whether recordings are kept also where everything held.
    pub retain: bool,
    /// Folder for the reports and recordings; a temporary one when `None`.
    pub out: Option<PathBuf>,
    /// Folder of the ledgers.
    pub state: PathBuf,
    /// The part of a command line that runs the same again, such as `--seed 7`.
    pub again: String,
    /// What ends the run early.
    pub stop: Stop,
}

/// Why a run did not begin, or could not be told of.
#[derive(Debug, Error)]
pub enum SuiteError {
    /// The output folder cannot be used.
    #[error("failed to use the output folder {}: {source}", path.display())]
    Out {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no place for temporary files.
    #[error("failed to make the temporary folder {}: {source}", path.display())]
    Temporary {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A cluster that should stay could not be had.
    #[error("failed to bring up a cluster: {0}")]
    Cluster(#[from] ClusterError),
    /// The ledger cannot be written.
    #[error("failed to write a ledger in {}: {source}", path.display())]
    Ledger {
        /// The folder of the ledgers.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A report cannot be written.
    #[error("failed to write {report}: {source}")]
    Report {
        /// Which.
        report: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// Verdicts by scenario, in order.
    pub verdicts: Vec<(String, Verdict)>,
    /// Exit code.
    pub exit: ExitCode,
}

/// What every scenario of a run shares.
pub(super) struct Context<'s> {
    pub(super) backend: &'s dyn Backend,
    pub(super) installer: &'s Installer,
    pub(super) tools: &'s ToolChoice,
    pub(super) seed: u64,
    pub(super) controls: bool,
    pub(super) stop: &'s Stop,
    pub(super) ledger: &'s Ledger,
    /// Name of the run.
    pub(super) run: &'s str,
    /// Where scenarios put their recordings, a folder each.
    pub(super) folder: &'s Path,
    retain: bool,
    again: &'s str,
    reporters: &'s Mutex<Telling>,
}

/// The reporters, and the first of them that failed.
struct Telling {
    reporters: Reporters,
    failed: Option<SuiteError>,
}

impl Context<'_> {
    pub(super) fn emit(&self, event: Event) {
        tell(self.reporters, &event);
    }

    /// Whether the recordings of a scenario that ended so are kept.
    pub(super) fn keep(&self, verdict: Verdict) -> bool {
        self.retain || matches!(verdict, Verdict::Failed | Verdict::Errored)
    }

    /// The command that runs a scenario again.
    pub(super) fn again(&self, found: &Found) -> String {
        let path = found.path.display().to_string();
        let what = if found.catalogued { found.name() } else { path.as_str() };
        let quoted = shlex::try_quote(what).unwrap_or(what.into());
        format!("cargo xtask scenario {quoted} {}", self.again).trim_end().to_owned()
    }
}

fn tell(telling: &Mutex<Telling>, event: &Event) {
    let mut telling = telling.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Err((report, source)) = telling.reporters.event(event)
        && telling.failed.is_none()
    {
        telling.failed = Some(SuiteError::Report { report, source });
    }
}

impl Suite {
    /// Runs everything.
    ///
    /// # Errors
    /// The run could not begin, or one of its reports could not be written.
    pub async fn run(&self, reporters: Reporters) -> Result<Outcome, SuiteError> {
        let began = Instant::now();
        let run = ledger::run_name();
        let ledger_failed = |source| SuiteError::Ledger { path: self.state.clone(), source };
        let ledger = Ledger::open(&self.state, &run).map_err(ledger_failed)?;
        let (folder, temporary) = match self.folder(&run, &ledger) {
            Ok(folder) => folder,
            Err(error) => {
                // Nothing was made; the reason is worth more than what closing the ledger comes to.
                let _ = ledger.close();
                return Err(error);
            }
        };
        let telling = Mutex::new(Telling { reporters, failed: None });
        tell(
            &telling,
            &Event::RunStarted {
                at: Timestamp::now(),
                seed: self.seed,
                backend: self.backend.name().to_owned(),
                installer: self.installer.shown().to_owned(),
                jobs: self.jobs,
                scenarios: self.scenarios.iter().map(|found| found.name().to_owned()).collect(),
            },
        );
        let context = Context {
            backend: self.backend.as_ref(),
            installer: &self.installer,
            tools: &self.tools,
            seed: self.seed,
            controls: self.controls,
            stop: &self.stop,
            ledger: &ledger,
            run: &run,
            folder: &folder,
            retain: self.retain || self.out.is_some(),
            again: &self.again,
            reporters: &telling,
        };
        let mut ended: Vec<(usize, scenario::Ended)> =
            futures::stream::iter(self.scenarios.iter().enumerate())
                .map(|(index, found)| {
                    let context = &context;
                    async move { (index, scenario::run(context, found).await) }
                })
                .buffer_unordered(self.jobs.max(1))
                .collect()
                .await;
        ended.sort_by_key(|(index, _)| *index);
        let mut left: Vec<String> = ended.iter().flat_map(|(_, ended)| ended.left.clone()).collect();
        if let Some(entry) = temporary {
            left.extend(Self::clear(&folder, &ledger, entry));
        }
        let owed = ledger.close().map_err(ledger_failed)?;
        let exit =
            ExitCode::of(ended.iter().map(|(_, ended)| ended.verdict), !left.is_empty() || !owed.is_empty());
        let finished = Event::RunFinished {
            at: Timestamp::now(),
            elapsed_ms: millis(began.elapsed()),
            exit: exit.code(),
        };
        tell(&telling, &finished);
        let telling = telling.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(failed) = telling.failed {
            return Err(failed);
        }
        let names = self.scenarios.iter().map(|found| found.name().to_owned());
        let verdicts = names.zip(ended.iter().map(|(_, ended)| ended.verdict)).collect();
        Ok(Outcome { verdicts, exit })
    }

    /// The folder of the recordings; with its entry in the ledger if it is a temporary one.
    fn folder(&self, run: &str, ledger: &Ledger) -> Result<(PathBuf, Option<Entry>), SuiteError> {
        if let Some(out) = &self.out {
            let path = out.join("recordings");
            let made = std::fs::create_dir_all(&path).and_then(|()| path.canonicalize());
            return match made {
                Ok(path) => Ok((path, None)),
                Err(source) => Err(SuiteError::Out { path, source }),
            };
        }
        let path = std::env::temp_dir().join(format!("seatrial-{run}"));
        let entry = Entry::Folder { path: path.clone() };
        ledger
            .owe(entry.clone())
            .map_err(|source| SuiteError::Ledger { path: self.state.clone(), source })?;
        match ledger::make_private(&path) {
            Ok(()) => Ok((path, Some(entry))),
            Err(source) => {
                ledger
                    .settle(entry)
                    .map_err(|source| SuiteError::Ledger { path: self.state.clone(), source })?;
                Err(SuiteError::Temporary { path, source })
            }
        }
    }

    /// Removes the temporary folder if nothing in it was kept. What is kept is the user's from now on.
    fn clear(folder: &Path, ledger: &Ledger, entry: Entry) -> Vec<String> {
        // Not empty: something was kept, and the events name it.
        let _ = std::fs::remove_dir(folder);
        ledger.settle(entry).err().map(|error| format!("the ledger: {error}")).into_iter().collect()
    }
}
