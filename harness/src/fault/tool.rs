//! Calls of tools that the interposers break.

use interpose::plan::{Action, ToolFault, When};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Done, Fault, Ground};
use crate::backend::Capability;
use crate::duration::Span;

/// Breaks calls of a tool, keyed by arguments and how many like it came before.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolCalls {
    /// A name to heal it by; `tool` when not given.
    label: Option<String>,
    /// `helm`, `eksctl`, `aws` or `kubectl`.
    tool: String,
    /// Words that occur among the arguments in this order, with anything between them; any call when empty.
    #[serde(default)]
    args: Vec<String>,
    /// How many matching calls pass first.
    #[serde(default)]
    skip: u32,
    /// How many are broken after that; every one when not given.
    times: Option<u32>,
    /// Whether the tool has done its work when the call breaks.
    #[serde(default)]
    when: Moment,
    /// What happens to them.
    action: Break,
}

/// Before or after the tool's work.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Moment {
    /// The tool does nothing.
    #[default]
    Before,
    /// The tool does its work, and its answer is lost.
    After,
}

/// What happens to a call.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "BrokenCall")]
enum Break {
    /// It ends with this exit code and these words.
    Exit(Exit),
    /// It never ends by itself.
    Hang,
    /// It goes on after a while.
    Slow(Span),
    /// It dies by the signal of this number.
    Signal(i32),
}

/// How a broken call ends.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Exit {
    /// Exit code.
    code: u8,
    /// Written to standard output.
    #[serde(default)]
    stdout: String,
    /// Written to standard error.
    #[serde(default)]
    stderr: String,
}

impl ToolCalls {
    fn name(&self) -> &str {
        self.label.as_deref().unwrap_or("tool")
    }

    fn fault(&self, pace: u32) -> ToolFault {
        let action = match &self.action {
            Break::Exit(exit) => {
                Action::Exit { code: exit.code, stdout: exit.stdout.clone(), stderr: exit.stderr.clone() }
            }
            Break::Hang => Action::Hang,
            Break::Slow(span) => {
                Action::Delay { ms: u64::try_from(span.times(pace).0.as_millis()).unwrap_or(u64::MAX) }
            }
            Break::Signal(number) => Action::Signal { number: *number },
        };
        let when = match self.when {
            Moment::Before => When::Before,
            Moment::After => When::After,
        };
        let (label, tool, args) = (self.name().to_owned(), self.tool.clone(), self.args.clone());
        ToolFault { label, tool, args, skip: self.skip, times: self.times, when, action }
    }
}

impl Fault for ToolCalls {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Tools]
    }

    fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move { ground.tools.change(|plan| plan.faults.push(self.fault(ground.pace))) })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            let name = self.name().to_owned();
            ground.tools.change(|plan| plan.faults.retain(|fault| fault.label != name))
        })
    }
}
