//! One run of an installer, seen from outside.

use std::sync::Arc;
use std::time::Duration;

use interpose::cloud::Account;
use interpose::record::Call;
use kubesim::tap::Recording;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Snapshot;
use crate::expect::ResultSchema;
use crate::scenario::Subcommand;

/// Everything that was seen of one run. Expectations are functions of this and nothing else.
#[derive(Clone, Debug)]
pub struct Observation {
    /// How the process ended.
    pub ending: Ending,
    /// Number of the signal that a step sent it.
    pub sent: Option<i32>,
    /// How long it took.
    pub elapsed: Duration,
    /// How long it was allowed to take, without the grace period.
    pub deadline: Duration,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
    /// What standard output held.
    pub result: ResultDocument,
    /// What the installer has published of the shape of its results, if it has.
    pub schema: Option<Arc<ResultSchema>>,
    /// Requests of this run.
    pub requests: Vec<Recording>,
    /// Tool calls of this run.
    pub calls: Vec<Call>,
    /// Processes that it left behind: id and command line.
    pub left_behind: Vec<String>,
    /// The phase that was asked for.
    pub phase: Option<String>,
    /// The command that was run.
    pub command: Subcommand,
    /// Words that must not have been printed.
    pub secrets: Vec<String>,
    /// The cluster before the scenario's first step.
    pub origin: Snapshot,
    /// The cluster just before this run.
    pub before: Snapshot,
    /// The cluster just after it.
    pub after: Snapshot,
    /// What the tools had made in the cloud account by then.
    pub account: Account,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal, which the harness did not send for being late: a step did, or somebody else.
    Signal(i32),
    /// It was still running after its deadline and the grace period, and was ended: by SIGTERM (`false`), or
    /// only by SIGKILL (`true`).
    Overdue {
        /// Whether SIGTERM was not enough.
        killed: bool,
    },
}

impl Ending {
    /// Words for a report.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Exit(code) => format!("exit code {code}"),
            Self::Signal(number) => match nix::sys::signal::Signal::try_from(*number) {
                Ok(signal) => format!("ended by {signal}"),
                Err(_) => format!("ended by signal {number}"),
            },
            Self::Overdue { killed: false } => "still running after its deadline; ended by SIGTERM".into(),
            Self::Overdue { killed: true } => {
                "still running after its deadline; ignored SIGTERM and was ended by SIGKILL".into()
            }
        }
    }
}

/// What a process wrote to one stream.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The beginning of it, as far as it was kept.
    pub text: String,
    /// How many bytes there were in all.
    pub bytes: u64,
    /// Whether more was written than was kept.
    pub cut: bool,
}

/// What standard output held.
#[derive(Clone, Debug, PartialEq)]
pub enum ResultDocument {
    /// Exactly one JSON object.
    One(Value),
    /// Nothing.
    Nothing,
    /// Not one JSON object: how it is otherwise.
    Wrong(String),
}

impl ResultDocument {
    /// Reads standard output.
    #[must_use]
    pub fn read(stdout: &Output) -> Self {
        if stdout.bytes == 0 || stdout.text.trim().is_empty() {
            return Self::Nothing;
        }
        if stdout.cut {
            return Self::Wrong(format!(
                "standard output has {} bytes; a result is one document",
                stdout.bytes
            ));
        }
        let mut documents = serde_json::Deserializer::from_str(&stdout.text).into_iter::<Value>();
        let first = match documents.next() {
            Some(Ok(first)) => first,
            Some(Err(error)) => return Self::Wrong(format!("standard output is no JSON: {error}")),
            None => return Self::Nothing,
        };
        match documents.next() {
            None if first.is_object() => Self::One(first),
            None => Self::Wrong("the document on standard output is no JSON object".into()),
            Some(Ok(_)) => {
                let more = 2 + documents.filter(Result::is_ok).count();
                Self::Wrong(format!(
                    "standard output holds {more} JSON documents, and a result is exactly one"
                ))
            }
            Some(Err(_)) => {
                let after = documents.byte_offset();
                let rest: String =
                    stdout.text.get(after..).unwrap_or_default().trim().chars().take(80).collect();
                Self::Wrong(format!("standard output goes on after the result: {rest:?}"))
            }
        }
    }

    /// The document.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::One(value) => Some(value),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(text: &str) -> ResultDocument {
        ResultDocument::read(&Output { text: text.into(), bytes: text.len() as u64, cut: false })
    }

    #[rstest]
    #[case("", ResultDocument::Nothing)]
    #[case(" \n", ResultDocument::Nothing)]
    #[case("{\"ok\":true}\n", ResultDocument::One(serde_json::json!({"ok": true})))]
    fn one_document_is_read_and_nothing_is_nothing(#[case] text: &str, #[case] expected: ResultDocument) {
        assert_eq!(read(text), expected);
    }

    #[rstest]
    #[case("installing…\n{}", "no JSON")]
    #[case("{}\n{}", "2 JSON documents")]
    #[case("{}\ndone", "goes on after the result: \"done\"")]
    #[case("[1]", "no JSON object")]
    #[case("{\"ok\":", "no JSON")]
    fn anything_else_is_wrong_and_says_how(#[case] text: &str, #[case] words: &str) {
        match read(text) {
            ResultDocument::Wrong(said) => assert!(said.contains(words), "{said}"),
            other => panic!("{other:?}"),
        }
    }
}
