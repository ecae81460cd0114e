//! A case: what there is, what is run on it, what goes wrong meanwhile, and what must come of it.

use std::time::Duration;

use eks_installer::Settings;
use eks_installer::phases::Phase;
use eks_installer::result::{Action, Code, Status};
use eks_installer::stop::StopReason;
use serde::Serialize;

use crate::fault::{Moment, Scheduled};
use crate::scene::Scene;

/// One case, by name.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about, in one line.
    pub summary: &'static str,
    /// What there is before the first run.
    pub scene: Scene,
    /// The runs, one after the other on the same cluster.
    pub runs: Vec<Run>,
}

/// One run of the installer.
#[derive(Clone, Debug)]
pub struct Run {
    /// The phase that is asked for; every phase when `None`.
    pub phase: Option<Phase>,
    /// How long after the end of the run before it (or of the preparation) this one begins.
    pub pause: Duration,
    /// What it is told; cluster and seed are filled in.
    pub settings: Settings,
    /// What goes wrong, and when.
    pub faults: Vec<Scheduled>,
    /// Whether it is ended from outside.
    pub interruption: Option<Interruption>,
    /// What must come of it.
    pub expected: Expected,
}

impl Run {
    /// A run of one phase with default settings and nothing wrong.
    #[must_use]
    pub fn of(phase: Phase, expected: Expected) -> Self {
        Self {
            phase: Some(phase),
            pause: Duration::ZERO,
            settings: Settings::default(),
            faults: Vec::new(),
            interruption: None,
            expected,
        }
    }

    /// The same run with these faults.
    #[must_use]
    pub fn with(self, faults: impl IntoIterator<Item = Scheduled>) -> Self {
        Self { faults: faults.into_iter().collect(), ..self }
    }

    /// The same run, interrupted.
    #[must_use]
    pub fn interrupted(self, at: Moment, ending: Ending) -> Self {
        Self { interruption: Some(Interruption { at, ending }), ..self }
    }

    /// The same run, begun so long after the one before it.
    #[must_use]
    pub fn after(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }
}

/// An end from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Interruption {
    /// When.
    pub at: Moment,
    /// How.
    pub ending: Ending,
}

/// How a run is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// SIGTERM: the installer may still unwind and write its result.
    Terminate,
    /// SIGINT: likewise.
    Interrupt,
    /// SIGKILL: installer and tools are gone in the middle of what they did.
    Kill,
}

impl Ending {
    /// The reason as the installer's switch has it; `None` when nothing is told to it any more.
    pub(crate) fn reason(self) -> Option<StopReason> {
        match self {
            Self::Terminate => Some(StopReason::Terminated),
            Self::Interrupt => Some(StopReason::Interrupted),
            Self::Kill => None,
        }
    }
}

/// What the contract asks of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A result.
    Result {
        /// Exit code.
        exit: u8,
        /// `status`.
        status: Status,
        /// `next.action`.
        action: Action,
        /// `next.phase`.
        phase: Option<Phase>,
        /// The blockers' codes, in order.
        blockers: Vec<Code>,
        /// The cause that the first blocker names, when one is asked for.
        cause: Option<&'static str>,
        /// Whether the installer and its tools wrote to the cluster.
        writes: bool,
    },
    /// Nothing: it is killed.
    Killed,
}

impl Expected {
    /// The phase is done; more remain.
    #[must_use]
    pub fn done(next: Phase, writes: bool) -> Self {
        Self::Result {
            exit: 0,
            status: Status::CompletedPhase,
            action: Action::Install,
            phase: Some(next),
            blockers: Vec::new(),
            cause: None,
            writes,
        }
    }

    /// Every phase is done.
    #[must_use]
    pub fn all_done(writes: bool) -> Self {
        Self::Result {
            exit: 0,
            status: Status::Completed,
            action: Action::None,
            phase: None,
            blockers: Vec::new(),
            cause: None,
            writes,
        }
    }

    /// The foundation phase has to be put right first; nothing was written.
    #[must_use]
    pub fn blocked(blockers: &[Code]) -> Self {
        Self::Result {
            exit: 3,
            status: Status::BlockedPhase,
            action: Action::Fix,
            phase: Some(Phase::Foundation),
            blockers: blockers.to_vec(),
            cause: None,
            writes: false,
        }
    }

    /// The same, another phase having to be put right first.
    #[must_use]
    pub fn fix(mut self, first: Phase) -> Self {
        if let Self::Result { phase, .. } = &mut self {
            *phase = Some(first);
        }
        self
    }

    /// Something failed.
    #[must_use]
    pub fn stopped(exit: u8, blockers: &[Code], writes: bool) -> Self {
        Self::Result {
            exit,
            status: Status::Error,
            action: Action::Stop,
            phase: None,
            blockers: blockers.to_vec(),
            cause: None,
            writes,
        }
    }

    /// The same, the first blocker naming this cause.
    #[must_use]
    pub fn because(mut self, why: &'static str) -> Self {
        if let Self::Result { cause, .. } = &mut self {
            *cause = Some(why);
        }
        self
    }
}
