//! One scenario: the attempt and its negative control, and the verdict that follows from both.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::attempt::{self, Attempted, Setting, Trouble, millis};
use super::suite::Context;
use super::sweep;
use crate::event::{Attempt, Event, Mismatch};
use crate::expect;
use crate::ledger::{self, Entry};
use crate::run::children;
use crate::scenario::Found;
use crate::verdict::Verdict;

/// How a scenario ended.
pub(super) struct Ended {
    pub(super) verdict: Verdict,
    pub(super) left: Vec<String>,
}

/// What a verdict rests on.
struct Findings {
    verdict: Verdict,
    reason: Option<String>,
    control: Option<String>,
    left: Vec<String>,
}

/// Runs the scenario of this index and tells of it.
pub(super) async fn run(context: &Context, index: usize) -> Ended {
    let found = &context.suite.scenarios[index];
    let began = Instant::now();
    let name = found.name().to_owned();
    let file = found.path.display().to_string();
    context.emit(&Event::ScenarioStarted {
        scenario: name.clone(),
        area: found.area.clone(),
        file: file.clone(),
        summary: found.scenario.summary.clone(),
    });
    let folder = context.folder.join(&name);
    let mut findings = match attempt::unsupported(&found.scenario, context.suite.backend.as_ref()) {
        Some(reason) => {
            Findings { verdict: Verdict::Unsupported, reason: Some(reason), control: None, left: Vec::new() }
        }
        None => both(context, found, &folder, &file).await,
    };
    let keep = context.keep(findings.verdict);
    if !keep && let Err(error) = ledger::remove(&folder) {
        findings.left.push(format!("{}: {error}", folder.display()));
    }
    context.emit(&Event::ScenarioFinished {
        scenario: name,
        verdict: findings.verdict,
        elapsed_ms: millis(began.elapsed()),
        reason: findings.reason,
        control: findings.control,
        kept: (keep && folder.exists()).then(|| folder.display().to_string()),
        left: findings.left.clone(),
        again: context.again(found),
    });
    Ended { verdict: findings.verdict, left: findings.left }
}

async fn both(context: &Context, found: &Found, folder: &Path, file: &str) -> Findings {
    let scenario = &found.scenario;
    let main = one(context, found, Attempt::Main, folder.join("main"), file).await;
    let mut left: Vec<String> = main.left.iter().cloned().collect();
    if let Some(findings) = troubled(&main, "", &left) {
        return findings;
    }
    let failed = !main.mismatches.is_empty() || !main.violations.is_empty();
    if failed || !context.suite.controls {
        let verdict = if failed { Verdict::Failed } else { Verdict::Passed };
        return Findings { verdict, reason: None, control: None, left };
    }
    let control = one(context, found, Attempt::Control, folder.join("control"), file).await;
    left.extend(control.left.iter().cloned());
    if let Some(findings) = troubled(&control, "control: ", &left) {
        return findings;
    }
    let mut wrong: Vec<String> = control.violations.iter().map(in_words).collect();
    if control.mismatches.is_empty() {
        wrong.push(format!(
            "all {} expectations hold without the fault too, so this scenario proves nothing",
            control.checked
        ));
    }
    if let (Some(expected), Some(run)) = (&scenario.control.expect, &control.run) {
        let judged = expect::judge(file, expected, Some(run), &run.origin, &run.after);
        wrong.extend(judged.mismatches.iter().map(in_words));
    }
    let said = format!("{} of {} expectations differ", control.mismatches.len(), control.checked);
    let (verdict, reason) = if wrong.is_empty() {
        (Verdict::Passed, None)
    } else {
        (Verdict::Failed, Some(format!("control: {}", wrong.join("; "))))
    };
    Findings { verdict, reason, control: Some(said), left }
}

fn in_words(mismatch: &Mismatch) -> String {
    format!("{}: expected {}, saw {}", mismatch.expectation, mismatch.expected, mismatch.observed)
}

/// What an attempt that could not be carried through makes of the scenario.
fn troubled(attempted: &Attempted, prefix: &str, left: &[String]) -> Option<Findings> {
    let (verdict, reason) = match attempted.trouble.as_ref()? {
        Trouble::Interrupted => (Verdict::Interrupted, None),
        Trouble::Infrastructure(reason) => (Verdict::Errored, Some(format!("{prefix}{reason}"))),
    };
    Some(Findings { verdict, reason, control: None, left: left.to_vec() })
}

/// Makes the folder of an attempt, without what an earlier run left in it.
fn empty(folder: &Path) -> std::io::Result<()> {
    ledger::remove(folder)?;
    std::fs::create_dir_all(folder)
}

async fn one(context: &Context, found: &Found, which: Attempt, folder: PathBuf, file: &str) -> Attempted {
    let infrastructure =
        |reason: String| Attempted { trouble: Some(Trouble::Infrastructure(reason)), ..Attempted::default() };
    if let Err(error) = empty(&folder) {
        return infrastructure(format!("failed to make {}: {error}", folder.display()));
    }
    let mark = format!("{}-{}-{which:?}", context.run, found.name());
    let entry = Entry::Processes { mark: mark.clone() };
    if let Err(error) = context.ledger.owe(entry.clone()) {
        return infrastructure(format!("failed to write the ledger: {error}"));
    }
    let emit = |event: Event| context.emit(&event);
    let setting = Setting {
        backend: context.suite.backend.as_ref(),
        installer: &context.suite.installer,
        tools: &context.suite.tools,
        seed: context.suite.seed,
        stop: &context.suite.stop,
        file,
        folder,
        mark: mark.clone(),
        which,
        emit: &emit,
    };
    let controlled;
    let scenario = match which {
        Attempt::Main => &found.scenario,
        Attempt::Control => {
            controlled = found.scenario.controlled();
            &controlled
        }
    };
    let mut attempted = if scenario.is_sweep() {
        sweep::attempt(&setting, scenario).await
    } else {
        attempt::attempt(&setting, scenario).await
    };
    // Only a run that was cut off can have left something that was not accounted for already.
    if attempted.trouble.is_some() {
        children::kill(&children::marked(&mark));
    }
    if let Err(error) = context.ledger.settle(entry) {
        attempted.left = Some(format!("the ledger: {error}"));
    }
    attempted
}
