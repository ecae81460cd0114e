//! How long scenarios take, and what an installer asks for that has nothing to do.

use std::path::{Path, PathBuf};
use std::time::Instant;

use kubesim::Config;
use serde_json::Value;

use super::cost;
use super::figure::{Figure, Unit};
use super::room::{BenchError, Room};
use super::scale::KUBERNETES;
use crate::backend::Sim;
use crate::report::Reporters;
use crate::run::{Installer, Keep, Stop, Suite, ToolChoice};
use crate::scenario::Catalogue;
use crate::verdict::Verdict;

/// What scenarios are run with.
pub struct Trials {
    /// The scenarios.
    pub catalogue: Catalogue,
    /// The installer.
    pub installer: Installer,
    /// How tools are carried out.
    pub tools: ToolChoice,
    /// How many scenarios run at the same time.
    pub jobs: usize,
    /// Folder of the ledgers.
    pub state: PathBuf,
    /// What ends a run early.
    pub stop: Stop,
}

impl Trials {
    fn suite(&self, names: &[&str], controls: bool, out: Option<&Path>) -> Result<Suite, BenchError> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let selected = self.catalogue.select(&names, &[]);
        Ok(Suite {
            scenarios: selected.map_err(|error| BenchError::new("select scenarios", error))?,
            backends: vec![Box::new(Sim::default())],
            installer: self.installer.clone(),
            tools: self.tools.clone(),
            seed: 0,
            jobs: self.jobs,
            thorough: controls,
            keep: Keep::Telling,
            out: out.map(Path::to_owned),
            state: self.state.clone(),
            again: String::new(),
            stop: self.stop.clone(),
        })
    }

    /// Runs scenarios, all of which must pass.
    async fn pass(&self, names: &[&str], controls: bool, out: Option<&Path>) -> Result<(), BenchError> {
        let suite = self.suite(names, controls, out)?;
        let outcome = suite.run(Reporters::default()).await;
        let outcome = outcome.map_err(|error| BenchError::new("run scenarios", error))?;
        let other = |(_, verdict): &&(String, Verdict)| *verdict != Verdict::Passed;
        match outcome.verdicts.iter().find(other) {
            None => Ok(()),
            Some((name, verdict)) => {
                Err(BenchError::new("run scenarios", format!("{name} {}", verdict.word())))
            }
        }
    }
}

/// The scenario of the README, as a run of the harness: what `cargo` takes to find that nothing is to be built comes
/// on top.
///
/// # Errors
/// It does not pass.
pub async fn one_scenario(trials: &Trials, runs: u16) -> Result<Vec<Figure>, BenchError> {
    let mut alone = Figure::new("scenario no-nodes, without its control", Unit::Milliseconds).at_most(50.0);
    let mut both = Figure::new("scenario no-nodes, with its control", Unit::Milliseconds);
    for _ in 0..runs {
        for (figure, controls) in [(&mut alone, false), (&mut both, true)] {
            let began = Instant::now();
            trials.pass(&["no-nodes"], controls, None).await?;
            figure.took(began.elapsed());
        }
    }
    Ok(vec![alone, both])
}

/// The whole catalogue with its controls.
///
/// # Errors
/// A scenario does not pass.
pub async fn matrix(trials: &Trials, runs: u16) -> Result<Vec<Figure>, BenchError> {
    let count = trials.catalogue.scenarios.len();
    let mut all = Figure::new(format!("matrix of {count} scenarios, {} at once", trials.jobs), Unit::Seconds);
    for _ in 0..runs {
        let began = Instant::now();
        trials.pass(&[], true, None).await?;
        all.took(began.elapsed());
    }
    Ok(vec![all])
}

/// Milliseconds of processor time that a run may take for itself which has nothing to do.
const OWN_TIME: f64 = 30.0;

/// A run on a cluster where nothing is to be done: what it asks for, and how long it takes.
///
/// # Errors
/// It does not pass, or its recordings cannot be read.
pub async fn no_op(trials: &Trials, runs: u16) -> Result<Vec<Figure>, BenchError> {
    let mut own = Figure::new("no-op run: API requests of the installer", Unit::Count).at_most(12.0);
    let mut tools = Figure::new("no-op run: API requests of its tools", Unit::Count);
    let mut helm = Figure::new("no-op run: Helm calls", Unit::Count).at_most(2.0);
    let mut whole = Figure::new("no-op run: from start to end", Unit::Milliseconds);
    let mut in_tools = Figure::new("no-op run: of that in tools", Unit::Milliseconds);
    for _ in 0..runs {
        let out = tempfile::tempdir().map_err(|error| BenchError::new("make a folder", error))?;
        trials.pass(&["already-installed"], false, Some(out.path())).await?;
        let folder = out.path().join("recordings/already-installed/main/run-1");
        let requests = lines(&folder.join("requests.ndjson"))?;
        let calls = lines(&folder.join("calls.ndjson"))?;
        let run = lines(&folder.join("run.json"))?;
        let by_tool =
            requests.iter().filter(|it| is_tool(it["userAgent"].as_str().unwrap_or_default())).count();
        count(&mut own, requests.len() - by_tool);
        count(&mut tools, by_tool);
        count(&mut helm, calls.iter().filter(|call| call["tool"] == "helm").count());
        whole.samples.extend(run.first().and_then(|run| run["elapsedMs"].as_f64()));
        in_tools.samples.push(calls.iter().filter_map(|call| call["durationMs"].as_f64()).sum());
    }
    // With a Helm that does nothing, what is left is the installer's own.
    let room = Room::start(Config { kubernetes: KUBERNETES, ..Config::default() }).await?;
    let costs = cost::of_no_op("no-op run", &room, &trials.installer, runs).await?;
    room.down().await;
    Ok(vec![own, tools, helm, whole, in_tools, costs.whole, costs.processor.at_most(OWN_TIME)])
}

/// Whether a client is one of the tools, by the name that it gives itself.
fn is_tool(agent: &str) -> bool {
    ["Helm/", "helm", "kubectl/", "eksctl", "aws-cli/"].iter().any(|name| agent.starts_with(name))
}

fn count(figure: &mut Figure, number: usize) {
    figure.samples.push(f64::from(u32::try_from(number).unwrap_or(u32::MAX)));
}

fn lines(path: &Path) -> Result<Vec<Value>, BenchError> {
    let failed = |error: &dyn std::fmt::Display| {
        BenchError::new("read what was recorded", format!("{}: {error}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|error| failed(&error))).collect()
}
