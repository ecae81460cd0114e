//! `prove`: installers with one known defect each, against the catalogue.

use std::fmt::Write as _;
use std::path::Path;

use futures::StreamExt as _;
use harness::event::Event;
use harness::ledger;
use harness::report::{Reporter, Reporters};
use harness::run::{Installer, Keep, Outcome, Stop, Suite, SuiteError, ToolChoice};
use harness::verdict::{ExitCode, Verdict};
use owo_colors::OwoColorize as _;
use serde::Deserialize;
use serde_json::json;
use xshell::cmd;

use crate::args::{Format, ProveArgs};
use crate::failure::Failure;
use crate::{build, interrupt, scenario};

/// One known-bad installer, as its executable lists it.
#[derive(Deserialize)]
struct Defect {
    name: String,
    summary: String,
}

/// What became of one installer.
struct Proof {
    name: String,
    summary: String,
    /// Scenarios that failed it.
    caught_by: Vec<String>,
    /// How many scenarios were run to their end.
    of: usize,
}

/// How many installers are at work at the same time: while the longest scenarios of one end, the next begins. With more,
/// the scenarios that are heavy (a cluster of hundreds of nodes) meet and make each other late.
const AT_ONCE: usize = 2;

/// Ends the run that it reports on once a scenario has failed.
struct FailFast(Stop);

impl Reporter for FailFast {
    fn name(&self) -> String {
        "the first scenario that fails".to_owned()
    }

    fn event(&mut self, event: &Event) -> std::io::Result<()> {
        if let Event::ScenarioFinished { verdict: Verdict::Failed, .. } = event {
            self.0.trigger();
        }
        Ok(())
    }
}

/// Name of the row of the right installer.
const RIGHT: &str = "the right installer";

/// `cargo xtask prove`.
pub(crate) fn run(args: &ProveArgs) -> Result<ExitCode, Failure> {
    let scenarios = scenario::catalogue()?.select(&[], &args.tag)?;
    let built = build::executables(&["interpose", "eks-installer", "known-bad"])?;
    let program = build::executable(&built, "known-bad")?;
    let defects = chosen(program, &args.names)?;
    let interposer = build::executable(&built, "interpose")?.to_owned();
    let stop = Stop::default();
    let runtime = interrupt::runtime()?;
    runtime.block_on(async { interrupt::listen(&stop) })?;
    let mut installers = Vec::new();
    if !args.known_bad_only {
        installers.push((RIGHT.to_owned(), "passes all".to_owned(), scenario::built_in(&built)?));
    }
    for defect in defects {
        let installer = Installer::new(program, &[&defect.name, "{args}"], defect.name.as_str())?;
        installers.push((defect.name, defect.summary, installer));
    }
    let suite = |installer, out, stop| -> Result<Suite, Failure> {
        Ok(Suite {
            scenarios: scenarios.clone(),
            backends: vec![scenario::backend("sim", true, &[])?],
            installer,
            tools: ToolChoice { interposer: interposer.clone(), real: scenario::real(&[])? },
            seed: args.seed,
            jobs: scenario::jobs(args.jobs).div_ceil(AT_ONCE),
            // A control shows that a scenario can fail; here the installer does. And that the right one goes on from
            // every point of a sweep is for the whole catalogue to say.
            thorough: false,
            keep: Keep::Nothing,
            out,
            state: ledger::folder(),
            again: String::new(),
            stop,
        })
    };
    let mut runs = Vec::new();
    for (name, summary, installer) in installers {
        let out = args.out.as_ref().map(|out| out.join(name.replace(' ', "-")));
        let reporters = out.as_ref().map_or_else(
            || Ok(Reporters::default()),
            |out| scenario::with_files(Reporters::default(), out),
        )?;
        let own = stop.child();
        let reporters = match args.fail_fast && name != RIGHT {
            true => reporters.with(FailFast(own.clone())),
            false => reporters,
        };
        let suite = suite(installer, out, own)?;
        runs.push(async move { (name, summary, suite.run(reporters).await) });
    }
    let mut runs = futures::stream::iter(runs).buffered(AT_ONCE);
    let (mut proofs, mut trouble) = (Vec::new(), None);
    while let Some((name, summary, outcome)) = runtime.block_on(runs.next()) {
        let outcome = match ended(&name, outcome, &stop) {
            Ok(outcome) => outcome,
            Err(failure) => {
                // Those that run beside it are ended too, and clear up; what they come to says nothing more.
                stop.trigger();
                trouble.get_or_insert(failure);
                continue;
            }
        };
        let (mut of, mut caught_by) = (0, Vec::new());
        for (scenario, verdict) in outcome.verdicts {
            of += usize::from(verdict != Verdict::Interrupted);
            if verdict == Verdict::Failed {
                caught_by.push(scenario);
            }
        }
        let proof = Proof { name, summary, caught_by, of };
        if args.format == Format::Human {
            scenario::print(&row(&proof))?;
        }
        proofs.push(proof);
    }
    match trouble {
        // The user knows, and has been told that it is being cleared up.
        Some(Trouble::Interrupted) => Ok(ExitCode::Interrupted),
        Some(Trouble::Failed(failure)) => Err(failure),
        None => conclude(args, program, &proofs),
    }
}

/// Why a run proved nothing.
enum Trouble {
    Interrupted,
    Failed(Failure),
}

/// A run that came to its end, or was left at the first scenario that failed; `stop` is the user's.
fn ended(name: &str, outcome: Result<Outcome, SuiteError>, stop: &Stop) -> Result<Outcome, Trouble> {
    let outcome = outcome.map_err(|error| Trouble::Failed(error.into()))?;
    match outcome.exit {
        ExitCode::Ok | ExitCode::Failed => Ok(outcome),
        ExitCode::Interrupted if !stop.is_triggered() => Ok(outcome),
        ExitCode::Interrupted => Err(Trouble::Interrupted),
        other => {
            let words = format!("failed to run the catalogue against {name}: see cargo xtask matrix");
            Err(Trouble::Failed(Failure::new(other, words)))
        }
    }
}

fn chosen(program: &Path, names: &[String]) -> Result<Vec<Defect>, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(ExitCode::Infrastructure, format!("failed to list the known-bad installers: {error}"))
    };
    let shell = build::shell()?;
    let listed = cmd!(shell, "{program} --list").quiet().read().map_err(|error| failed(&error))?;
    let mut defects: Vec<Defect> = serde_json::from_str(&listed).map_err(|error| failed(&error))?;
    for name in names {
        if !defects.iter().any(|defect| defect.name == *name) {
            let known = defects.iter().map(|defect| defect.name.as_str());
            let near = harness::nearest(name, known.clone());
            let meant = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
            let all: Vec<&str> = known.collect();
            return Err(Failure::new(
                ExitCode::NothingSelected,
                format!("there is no known-bad installer {name:?}"),
            )
            .hint(format!("{meant}they are {}", all.join(", "))));
        }
    }
    if !names.is_empty() {
        defects.retain(|defect| names.contains(&defect.name));
    }
    Ok(defects)
}

impl Proof {
    /// Whether it came out as it must: the right installer is caught by nothing, every other by something.
    fn holds(&self) -> bool {
        (self.name == RIGHT) == self.caught_by.is_empty()
    }
}

fn row(proof: &Proof) -> String {
    let sign = if proof.holds() { "✓".green().to_string() } else { "✗".red().to_string() };
    let mut text = String::new();
    let what = match (proof.name == RIGHT, proof.caught_by.len()) {
        (true, 0) => format!("passes all {} scenarios", proof.of),
        (true, count) => {
            format!("failed by {count} of {} scenarios: {}", proof.of, proof.caught_by.join(", "))
        }
        (false, 0) => format!("not caught by any of {} scenarios", proof.of),
        (false, _) => format!("caught by {}", proof.caught_by.join(", ")),
    };
    let _ = writeln!(text, "{sign} {}  {}", proof.name.bold(), proof.summary.dimmed());
    let _ = writeln!(text, "    {what}");
    text
}

fn conclude(args: &ProveArgs, program: &Path, proofs: &[Proof]) -> Result<ExitCode, Failure> {
    if args.format == Format::Json {
        let all: Vec<_> = proofs
            .iter()
            .map(|it| json!({ "name": it.name, "summary": it.summary, "caughtBy": it.caught_by, "of": it.of, "holds": it.holds() }))
            .collect();
        scenario::print(&format!("{:#}\n", json!(all)))?;
    }
    let wrong: Vec<&str> = proofs.iter().filter(|it| !it.holds()).map(|it| it.name.as_str()).collect();
    if wrong.is_empty() {
        if args.format == Format::Human {
            let words = match proofs.iter().filter(|it| it.name != RIGHT).count() {
                1 => "the known-bad installer is caught".to_owned(),
                more => format!("all {more} known-bad installers are caught"),
            };
            scenario::print(&format!("\n{words}\n"))?;
        }
        return Ok(ExitCode::Ok);
    }
    Err(Failure::new(ExitCode::Failed, format!("not as it must be: {}", wrong.join(", "))).hint(format!(
        "cargo xtask scenario NAME --installer '{} DEFECT {{args}}' shows one of them",
        program.display()
    )))
}
