//! One scenario: the attempt and its negative control, and the verdict that follows from both.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::attempt::{self, Attempted, Setting, Trouble, millis};
use super::suite::Context;
use super::sweep;
use crate::backend::Backend;
use crate::event::{Attempt, Event, Mismatch};
use crate::expect;
use crate::ledger::{self, Entry};
use crate::parity::{Course, Parity, Side};
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
    /// What the scenario and its control are compared by.
    courses: [Course; 2],
}

/// Runs the scenario of this index on each backend and tells of it.
pub(super) async fn run(context: &Context, index: usize) -> Vec<Ended> {
    let found = &context.suite.scenarios[index];
    let mut ended = Vec::new();
    let mut first = None;
    for backend in &context.suite.backends {
        let (one, side) = on(context, found, backend.as_ref(), first.as_ref()).await;
        ended.push(one);
        first = first.or(side);
    }
    ended
}

/// Runs a scenario on one backend and tells of it, and of how it compares with the `first` one.
async fn on(
    context: &Context,
    found: &Found,
    backend: &dyn Backend,
    first: Option<&Side>,
) -> (Ended, Option<Side>) {
    let began = Instant::now();
    let name = context.label(found, backend);
    let file = found.path.display().to_string();
    context.emit(&Event::ScenarioStarted {
        scenario: name.clone(),
        area: found.area.clone(),
        file: file.clone(),
        summary: found.scenario.summary.clone(),
        backend: backend.name().to_owned(),
    });
    let folder = context.folder.join(&name);
    let mut findings = match attempt::unsupported(&found.scenario, backend) {
        Some(reason) => Findings::of(Verdict::Unsupported, Some(reason)),
        None => both(context, found, backend, &folder, &file).await,
    };
    let side = findings.side(backend.name());
    let parity = first.zip(side.as_ref()).map(|(first, second)| Parity::of(first, second));
    if findings.verdict == Verdict::Passed && parity.as_ref().is_some_and(|it| !it.differences.is_empty()) {
        findings.verdict = Verdict::Differs;
    }
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
        parity,
        kept: (keep && folder.exists()).then(|| folder.display().to_string()),
        left: findings.left.clone(),
        again: context.again(found),
    });
    (Ended { verdict: findings.verdict, left: findings.left }, side)
}

impl Findings {
    fn of(verdict: Verdict, reason: Option<String>) -> Self {
        Self {
            verdict,
            reason,
            control: None,
            left: Vec::new(),
            courses: [Course::default(), Course::default()],
        }
    }

    /// What is compared with another backend; `None` when nothing was judged.
    fn side(&mut self, backend: &str) -> Option<Side> {
        let judged = matches!(self.verdict, Verdict::Passed | Verdict::Failed);
        let [main, control] = std::mem::take(&mut self.courses);
        judged.then(|| Side { backend: backend.to_owned(), verdict: self.verdict, main, control })
    }
}

async fn both(
    context: &Context,
    found: &Found,
    backend: &dyn Backend,
    folder: &Path,
    file: &str,
) -> Findings {
    let scenario = &found.scenario;
    let main = one(context, found, backend, Attempt::Main, folder.join("main"), file).await;
    let mut left: Vec<String> = main.left.iter().cloned().collect();
    if let Some(findings) = troubled(&main, "", &left) {
        return findings;
    }
    let failed = !main.mismatches.is_empty() || !main.violations.is_empty();
    if failed || !context.suite.thorough {
        let verdict = if failed { Verdict::Failed } else { Verdict::Passed };
        let courses = [main.course, Course::default()];
        return Findings { left, courses, ..Findings::of(verdict, None) };
    }
    let control = one(context, found, backend, Attempt::Control, folder.join("control"), file).await;
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
    Findings { verdict, reason, control: Some(said), left, courses: [main.course, control.course] }
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
    Some(Findings { left: left.to_vec(), ..Findings::of(verdict, reason) })
}

/// Makes the folder of an attempt, without what an earlier run left in it.
fn empty(folder: &Path) -> std::io::Result<()> {
    ledger::remove(folder)?;
    std::fs::create_dir_all(folder)
}

async fn one(
    context: &Context,
    found: &Found,
    backend: &dyn Backend,
    which: Attempt,
    folder: PathBuf,
    file: &str,
) -> Attempted {
    let infrastructure =
        |reason: String| Attempted { trouble: Some(Trouble::Infrastructure(reason)), ..Attempted::default() };
    if let Err(error) = empty(&folder) {
        return infrastructure(format!("failed to make {}: {error}", folder.display()));
    }
    let label = context.label(found, backend);
    let mark = format!("{}-{label}-{which:?}", context.run);
    let entry = Entry::Processes { mark: mark.clone() };
    if let Err(error) = context.ledger.owe(entry.clone()) {
        return infrastructure(format!("failed to write the ledger: {error}"));
    }
    let emit = |event: Event| context.emit(&event);
    let setting = Setting {
        backend,
        label: &label,
        compared: context.suite.backends.len() > 1,
        installer: &context.suite.installer,
        tools: &context.suite.tools,
        seed: context.suite.seed,
        stop: &context.suite.stop,
        file,
        folder,
        mark: mark.clone(),
        which,
        sampled: which == Attempt::Control || !context.suite.thorough,
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
