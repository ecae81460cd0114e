//! External tools: helm, eksctl, aws.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::stop::{Stop, StopReason};

/// One call of a tool. Arguments are passed as arguments, never through a shell.
#[derive(Clone, Debug)]
pub struct ToolCall {
    /// Name of the program, looked up on PATH.
    pub program: String,
    /// Arguments, without the program's name.
    pub args: Vec<String>,
    /// Variables on top of the inherited environment.
    pub env: BTreeMap<String, String>,
    /// What the tool reads from standard input; nothing when absent. Values with secrets travel here
    /// rather than on the command line, where every process could read them.
    pub stdin: Option<String>,
    /// After this the tool is asked to end, and then made to.
    pub timeout: Duration,
    /// When this is thrown the tool is stopped as on a timeout.
    pub stop: Stop,
}

/// How a tool ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolOutput {
    /// Exit code; absent when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to standard output, capped.
    pub stdout: String,
    /// What it wrote to standard error, capped; the end is kept.
    pub stderr: String,
}

impl ToolOutput {
    /// Whether the tool ended by itself with code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

/// Why a tool gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ToolError {
    /// There is no such program.
    #[error("{program} is not on PATH; install it, or put it there")]
    NotFound {
        /// The program.
        program: String,
    },
    /// The program could not be started or talked to.
    #[error("could not run {program}: {detail}")]
    Failed {
        /// The program.
        program: String,
        /// The system's words.
        detail: String,
    },
    /// The program did not end in time and was stopped.
    #[error("{program} did not end within {after:?} and was stopped")]
    TimedOut {
        /// The program.
        program: String,
        /// The time it was given.
        after: Duration,
        /// What it had written to standard error.
        stderr: String,
    },
    /// The call would have changed something, and the run may not.
    #[error("{program} was not run: this is a dry run, and the call would have changed something")]
    Dry {
        /// The program.
        program: String,
    },
    /// The run is ending, so the program was stopped.
    #[error("{program} was stopped, because the run was ({reason:?})")]
    Stopped {
        /// The program.
        program: String,
        /// Why the run ends.
        reason: StopReason,
    },
}

/// Runs tools.
pub trait ToolRunner: Send + Sync {
    /// Runs a tool to its end. An implementation returns soon after `call.timeout` has passed or
    /// `call.stop` is thrown, and leaves nothing running that it started.
    fn run(&self, call: ToolCall) -> BoxFuture<'_, Result<ToolOutput, ToolError>>;
}
