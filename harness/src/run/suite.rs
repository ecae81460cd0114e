//! Many scenarios at once, each with a cluster of its own, told as one ordered stream of events.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::{FutureExt as _, StreamExt as _};
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
    /// Where clusters come from; with several, each scenario is run on each and compared with the first.
    pub backends: Vec<Box<dyn Backend>>,
    /// The installer under test.
    pub installer: Installer,
    /// How tools are carried out.
    pub tools: ToolChoice,
    /// The seed of everything that is random.
    pub seed: u64,
    /// How many scenarios run at the same time.
    pub jobs: usize,
    /// Whether negative controls are run, and a sweep tries every one of its points. Otherwise no control is run, and a
    /// few points are tried.
    pub thorough: bool,
    /// Which recordings are kept where no folder for them is given.
    pub keep: Keep,
    /// Folder for the reports and recordings; a temporary one when `None`.
    pub out: Option<PathBuf>,
    /// Folder of the ledgers.
    pub state: PathBuf,
    /// The part of a command line that runs the same again, such as `--seed 7`.
    pub again: String,
    /// What ends the run early.
    pub stop: Stop,
}

/// Which recordings outlive a run. In a folder of the user's ([`Suite::out`]) all of them do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Those of every scenario.
    All,
    /// Those of scenarios in which something did not hold or went wrong.
    Telling,
    /// None: the run is about something else than what they tell.
    Nothing,
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
pub(super) struct Context {
    pub(super) suite: Suite,
    pub(super) ledger: Ledger,
    /// Name of the run.
    pub(super) run: String,
    /// Where scenarios put their recordings, a folder each.
    pub(super) folder: PathBuf,
    telling: Mutex<Telling>,
}

/// The reporters, and the first of them that failed.
struct Telling {
    reporters: Reporters,
    failed: Option<SuiteError>,
}

impl Context {
    /// Tells all reporters; the first failure is kept for the end of the run.
    pub(super) fn emit(&self, event: &Event) {
        let mut telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err((report, source)) = telling.reporters.event(event)
            && telling.failed.is_none()
        {
            telling.failed = Some(SuiteError::Report { report, source });
        }
    }

    /// Whether the recordings of a scenario that ended so are kept.
    pub(super) fn keep(&self, verdict: Verdict) -> bool {
        self.suite.out.is_some()
            || match self.suite.keep {
                Keep::All => true,
                Keep::Telling => matches!(verdict, Verdict::Failed | Verdict::Differs | Verdict::Errored),
                Keep::Nothing => false,
            }
    }

    /// What a scenario on a backend is called in events and folders.
    pub(super) fn label(&self, found: &Found, backend: &dyn Backend) -> String {
        self.suite.label(found, backend)
    }

    /// The command that runs a scenario again.
    pub(super) fn again(&self, found: &Found) -> String {
        let path = found.path.display().to_string();
        let what = if found.catalogued { found.name() } else { path.as_str() };
        let quoted = shlex::try_quote(what).unwrap_or(what.into());
        format!("cargo xtask scenario {quoted} {}", self.suite.again).trim_end().to_owned()
    }
}

impl Suite {
    /// Runs everything, each scenario as a task of its own, so that one that is busy (a cluster of a thousand
    /// nodes) does not make the deadlines of the others late. Must be called within a runtime.
    ///
    /// # Errors
    /// The run could not begin, or one of its reports could not be written.
    pub async fn run(self, reporters: Reporters) -> Result<Outcome, SuiteError> {
        let began = Instant::now();
        let run = ledger::run_name();
        let ledger_failed = |state: &Path, source| SuiteError::Ledger { path: state.to_owned(), source };
        let ledger = Ledger::open(&self.state, &run).map_err(|source| ledger_failed(&self.state, source))?;
        let (folder, temporary) = match self.folder(&run, &ledger) {
            Ok(folder) => folder,
            Err(error) => {
                // Nothing was made; the reason is worth more than what closing the ledger comes to.
                let _ = ledger.close();
                return Err(error);
            }
        };
        let telling = Mutex::new(Telling { reporters, failed: None });
        let context = Arc::new(Context { suite: self, ledger: ledger.clone(), run, folder, telling });
        let Context { suite, folder, .. } = &*context;
        let on_each = |found| suite.backends.iter().map(move |it| suite.label(found, it.as_ref()));
        let names: Vec<String> = suite.scenarios.iter().flat_map(on_each).collect();
        context.emit(&Event::RunStarted {
            at: Timestamp::now(),
            seed: suite.seed,
            backend: suite.backends.iter().map(|it| it.name()).collect::<Vec<_>>().join(","),
            installer: suite.installer.shown().to_owned(),
            jobs: suite.jobs,
            scenarios: names.clone(),
        });
        let task = |index: usize| {
            let context = context.clone();
            let scenario = tokio::spawn(async move { scenario::run(&context, index).await });
            // A panic is a bug of ours, and goes on as if there were no task.
            scenario.map(move |ended| {
                (index, ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())))
            })
        };
        let ended: BTreeMap<usize, Vec<scenario::Ended>> = futures::stream::iter(0..suite.scenarios.len())
            .map(task)
            .buffer_unordered(suite.jobs.max(1))
            .collect()
            .await;
        let mut left: Vec<String> = ended.values().flatten().flat_map(|ended| ended.left.clone()).collect();
        if let Some(entry) = temporary {
            left.extend(Self::clear(folder, &ledger, entry));
        }
        let owed = ledger.close().map_err(|source| ledger_failed(&suite.state, source))?;
        let verdicts: Vec<Verdict> = ended.values().flatten().map(|ended| ended.verdict).collect();
        let exit = ExitCode::of(verdicts.iter().copied(), !left.is_empty() || !owed.is_empty());
        let elapsed_ms = millis(began.elapsed());
        context.emit(&Event::RunFinished { at: Timestamp::now(), elapsed_ms, exit: exit.code() });
        let failed = context.telling.lock().unwrap_or_else(PoisonError::into_inner).failed.take();
        failed.map_or_else(|| Ok(Outcome { verdicts: names.into_iter().zip(verdicts).collect(), exit }), Err)
    }

    fn label(&self, found: &Found, backend: &dyn Backend) -> String {
        match self.backends.len() {
            0 | 1 => found.name().to_owned(),
            _ => format!("{}@{}", found.name(), backend.name()),
        }
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
