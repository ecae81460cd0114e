//! What a run would do that was asked to change nothing.

use schemars::JsonSchema;
use serde::Serialize;

use crate::phases::Phase;

/// Everything that the same command would do without `--dry-run`, in order, as far as it can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<PlannedStep>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlannedStep {
    /// The phase that would do it.
    pub phase: Phase,
    /// What it would do.
    pub action: PlannedAction,
    /// To what, such as `release kube-system/karpenter`.
    pub what: String,
    /// What was read that asks for it.
    pub why: String,
    /// The command that would be run, or one that does the same; values from standard input are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// What a step would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlannedAction {
    /// Make something that is not there.
    Make,
    /// Change something that is there.
    Change,
    /// Remove something.
    Remove,
    /// Wait for something, and be done only when it has come to be.
    Wait,
    /// What it would do cannot be told before the steps before it are done.
    Unknown,
    /// Leave something as it is.
    Keep,
}

impl PlannedAction {
    /// The sign before a step, as people know it from other plans.
    #[must_use]
    pub fn sign(self) -> char {
        match self {
            Self::Make => '+',
            Self::Change => '~',
            Self::Remove => '-',
            Self::Wait => '…',
            Self::Unknown => '?',
            Self::Keep => '=',
        }
    }
}

impl PlannedStep {
    /// A step without a command of its own.
    pub fn new(phase: Phase, action: PlannedAction, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { phase, action, what: what.into(), why: why.into(), command: None }
    }

    /// Adds the command.
    #[must_use]
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }
}

impl Plan {
    /// The phase of the first step that is more than to leave something as it is.
    #[must_use]
    pub fn begins_with(&self) -> Option<Phase> {
        self.steps.iter().find(|step| step.action != PlannedAction::Keep).map(|step| step.phase)
    }

    /// In words: `2 to make, 1 to wait for`.
    #[must_use]
    pub fn summary(&self) -> String {
        use PlannedAction::{Change, Keep, Make, Remove, Unknown, Wait};
        let count = |action| self.steps.iter().filter(|step| step.action == action).count();
        let parts: Vec<String> = [
            (Make, "to make"),
            (Change, "to change"),
            (Remove, "to remove"),
            (Wait, "to wait for"),
            (Unknown, "not known yet"),
            (Keep, "to leave as they are"),
        ]
        .into_iter()
        .map(|(action, words)| (count(action), words))
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| match (count, words) {
            (1, "to leave as they are") => "1 to leave as it is".to_owned(),
            (count, words) => format!("{count} {words}"),
        })
        .collect();
        if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") }
    }
}

/// A command line as one would type it.
#[must_use]
pub fn typed(program: &str, args: &[String]) -> String {
    let plain = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c))
    };
    let words = std::iter::once(program).chain(args.iter().map(String::as_str));
    let words = words.map(|word| match plain(word) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(actions: &[PlannedAction]) -> Plan {
        let phases = [Phase::Foundation, Phase::Storage, Phase::Compute, Phase::Core];
        let steps = actions.iter().zip(phases.into_iter().cycle());
        Plan { steps: steps.map(|(action, phase)| PlannedStep::new(phase, *action, "it", "so")).collect() }
    }

    #[test]
    fn a_plan_begins_where_something_is_not_left_as_it_is() {
        use PlannedAction::{Keep, Make, Wait};
        assert_eq!(plan(&[]).begins_with(), None);
        assert_eq!(plan(&[Keep, Keep]).begins_with(), None);
        assert_eq!(plan(&[Keep, Wait, Make]).begins_with(), Some(Phase::Storage));
        assert_eq!(plan(&[]).summary(), "nothing to do");
        assert_eq!(
            plan(&[Make, Make, Wait, Keep]).summary(),
            "2 to make, 1 to wait for, 1 to leave as it is"
        );
    }

    #[test]
    fn a_command_can_be_typed_as_it_is_shown() {
        let args = ["--set", "a=b c", "it's", ""].map(str::to_owned);
        assert_eq!(typed("helm", &args), r"helm --set 'a=b c' 'it'\''s' ''");
    }
}
