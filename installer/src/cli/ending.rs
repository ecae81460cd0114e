//! The last words to a person: how it ended, what is in the way and why, and what to type.

use std::fmt::Write as _;
use std::time::Duration;

use owo_colors::OwoColorize as _;

use super::wrap::hang;
use crate::duration;
use crate::redact::Redactor;
use crate::result::{Action, Blocker, Code, Outcome, RunResult, Status};

/// The last words, as so many lines; secrets are hidden before lines are broken.
pub(super) fn words(outcome: &Outcome, redactor: &Redactor, columns: Option<usize>) -> String {
    let mut text = String::from("\n");
    let clean = |words: &str| redactor.text(words);
    let (mark, headline) = headline(outcome);
    let mark = if outcome.result.ok {
        mark.green().to_string()
    } else if is_plan(outcome) {
        mark.yellow().to_string()
    } else {
        mark.red().to_string()
    };
    let hung = hang("  ", &clean(&headline), columns);
    let _ = writeln!(text, "{mark}{}", &hung[1..]);
    if let Some(forced) = &outcome.result.forced {
        let words = format!("the gate of the {} phase was forced: {}", forced.phase.name(), forced.reason);
        let _ = writeln!(text, "{}", hang("  forced  ", &clean(&words), columns));
    }
    for blocker in outcome.result.blockers.iter().filter(|blocker| blocker.code != Code::ChangesPlanned) {
        text.push('\n');
        tell(&mut text, blocker, &clean, columns);
    }
    let commands: Vec<&String> = planned(&outcome.result).collect();
    if !commands.is_empty() {
        let _ = writeln!(text, "\n  would be run, in this order:");
        for command in commands {
            let _ = writeln!(text, "    {}", clean(command));
        }
    }
    if let Some(next) = next(&outcome.result) {
        let _ = writeln!(text, "\n  next    {next}");
    }
    text
}

fn is_plan(outcome: &Outcome) -> bool {
    outcome.result.blockers.iter().all(|blocker| blocker.code == Code::ChangesPlanned)
}

fn planned(result: &RunResult) -> impl Iterator<Item = &String> {
    result.plan.iter().flat_map(|plan| &plan.steps).filter_map(|step| step.command.as_ref())
}

fn headline(outcome: &Outcome) -> (&'static str, String) {
    let Outcome { result, exit } = outcome;
    let took = duration::go(Duration::from_millis(result.telemetry.duration_ms / 10 * 10));
    let what =
        result.phase.map_or_else(|| "the run".to_owned(), |phase| format!("the {} phase", phase.name()));
    if let Some(plan) = result.plan.as_ref().filter(|_| is_plan(outcome)) {
        let mark = if result.ok { "✓" } else { "!" };
        return (mark, format!("dry run: {}; nothing was changed ({took})", plan.summary()));
    }
    match result.status {
        Status::Completed => ("✓", format!("everything is done ({took})")),
        Status::CompletedPhase => ("✓", format!("{what} is done ({took})")),
        Status::BlockedPhase => {
            let missing = result.next.phase.map_or("an earlier", crate::phases::Phase::name);
            ("✗", format!("{what} is blocked by the {missing} phase ({took}, exit code {exit})"))
        }
        Status::Error => {
            let how = match exit {
                130 | 143 => "was interrupted",
                4 => "stopped: the state is not known",
                _ => "failed",
            };
            ("✗", format!("{what} {how} ({took}, exit code {exit})"))
        }
    }
}

/// One blocker: what was seen, the cause, what to do, what to type.
fn tell(text: &mut String, blocker: &Blocker, clean: &dyn Fn(&str) -> String, columns: Option<usize>) {
    let cause = blocker.cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
    let _ = writeln!(text, "  {}{cause}", blocker.code.name().bold());
    let _ = writeln!(text, "{}", hang("  seen    ", &clean(&blocker.message), columns));
    if !blocker.remediation.is_empty() {
        let _ = writeln!(text, "{}", hang("  do      ", &clean(&blocker.remediation), columns));
    }
    for (at, command) in blocker.commands.iter().enumerate() {
        // Never broken: it is to be copied.
        let before = if at == 0 { "  type    " } else { "          " };
        let _ = writeln!(text, "{before}{}", clean(command));
    }
}

fn next(result: &RunResult) -> Option<String> {
    let phase = result.next.phase?.name();
    match result.next.action {
        Action::Install => Some(format!("eks-installer install --phase {phase}")),
        Action::Fix => Some(format!("put the {phase} phase right: eks-installer install --phase {phase}")),
        Action::Stop | Action::None => None,
    }
}

#[cfg(test)]
#[path = "ending_tests.rs"]
mod tests;
