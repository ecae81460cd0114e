//! The tools that an installer finds first on its PATH.
//!
//! One multi-call executable stands in for `helm`, `eksctl`, `aws` and `kubectl`: it records each
//! call, breaks it when the [plan] says so, and passes it on to the real tool or to a stand-in. The
//! stand-ins are functions of this library, so that they also run inside another process, on a
//! paused clock.

pub mod aws;
pub mod cloud;
mod cluster;
pub mod eksctl;
pub mod front;
pub mod helm;
pub mod mutates;
pub mod plan;
pub mod record;
pub mod redact;
pub mod state;

/// What a stand-in is called with.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// Arguments without the tool's name.
    pub args: Vec<String>,
    /// The caller's environment.
    pub env: std::collections::BTreeMap<String, String>,
    /// What the tool would read from standard input.
    pub stdin: String,
}

/// What a stand-in answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Success with this on standard output.
    pub fn ok(stdout: impl Into<String>) -> Self {
        Self { code: 0, stdout: stdout.into(), stderr: String::new() }
    }

    /// Failure with this on standard error, a newline added.
    pub fn fail(code: i32, stderr: impl std::fmt::Display) -> Self {
        Self { code, stdout: String::new(), stderr: format!("{stderr}\n") }
    }
}
