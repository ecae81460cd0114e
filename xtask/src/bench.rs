//! `bench`: takes the harness's measurements and shows them beside their goals.

use std::time::Instant;

use harness::bench::{self, BenchError, Figure, Trials, Unit};
use harness::ledger;
use harness::run::{Stop, ToolChoice};
use harness::verdict::ExitCode;
use owo_colors::OwoColorize as _;
use serde_json::json;
use xshell::cmd;

use crate::args::{Area, BenchArgs, Format};
use crate::failure::Failure;
use crate::{build, interrupt, scenario};

/// All areas, in the order in which they are measured: what fills the memory comes last.
const AREAS: [Area; 7] = [
    Area::Start,
    Area::Scenario,
    Area::NoOp,
    Area::Throughput,
    Area::Matrix,
    Area::ControlPlane,
    Area::Scale,
];

/// How often the whole catalogue is run at most.
const MATRIX_RUNS: u16 = 3;

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        Self::new(ExitCode::Infrastructure, format!("failed to {error}"))
            .hint("cargo xtask matrix shows more")
    }
}

/// `cargo xtask bench`.
pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode, Failure> {
    let built = build::executables(&["interpose", "eks-installer"])?;
    let stop = Stop::default();
    let trials = Trials {
        catalogue: scenario::catalogue()?,
        installer: scenario::built_in(&built)?,
        tools: ToolChoice {
            interposer: build::executable(&built, "interpose")?.to_owned(),
            real: scenario::real(&[])?,
        },
        jobs: scenario::jobs(None),
        state: ledger::folder(),
        stop: stop.clone(),
    };
    let asked = |area: &&Area| args.areas.is_empty() || args.areas.contains(area);
    let runtime = interrupt::runtime()?;
    runtime.block_on(async { interrupt::listen(&stop) })?;
    let mut figures = Vec::new();
    let mut add = |measured: Vec<Figure>| {
        if args.format == Format::Human {
            scenario::print(&measured.iter().map(row).collect::<String>())?;
        }
        figures.extend(measured);
        Ok::<(), Failure>(())
    };
    if args.format == Format::Human {
        scenario::print(&format!("{} on {} processors, median of {}\n", profile(), processors(), args.runs))?;
    }
    for area in AREAS.iter().filter(asked) {
        add(runtime.block_on(measure(*area, &trials, args.runs))?)?;
        if stop.is_triggered() {
            return Ok(ExitCode::Interrupted);
        }
    }
    if args.cold {
        add(vec![cold()?])?;
    }
    if args.format == Format::Json {
        let document = json!({
            "profile": profile(), "processors": processors(), "runs": args.runs,
            "figures": figures.iter().map(document).collect::<Vec<_>>(),
        });
        scenario::print(&format!("{document:#}\n"))?;
    }
    Ok(ExitCode::Ok)
}

async fn measure(area: Area, trials: &Trials, runs: u16) -> Result<Vec<Figure>, BenchError> {
    match area {
        Area::Start => bench::start(runs).await,
        Area::Scenario => bench::one_scenario(trials, runs).await,
        Area::NoOp => bench::no_op(trials, runs).await,
        Area::Throughput => bench::throughput(runs).await,
        Area::Matrix => bench::matrix(trials, runs.min(MATRIX_RUNS)).await,
        Area::Scale => bench::scale(&trials.installer).await,
        Area::ControlPlane => bench::control_plane(runs).await,
    }
}

/// From a clone whose dependencies are downloaded to the first verdict, as the README's first command has it.
fn cold() -> Result<Figure, Failure> {
    let mut figure = Figure::new("cold build up to the first verdict", Unit::Seconds).at_most(120.0);
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(ExitCode::Infrastructure, format!("failed to measure the cold build: {error}"))
            .hint("cargo fetch --locked, then once more")
    };
    let target =
        tempfile::Builder::new().prefix("seatrial-cold-").tempdir().map_err(|error| failed(&error))?;
    let shell = build::shell()?;
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let call = build::as_if_typed(cmd!(shell, "{cargo} run --quiet --package xtask -- scenario no-nodes"));
    let began = Instant::now();
    call.env("CARGO_TARGET_DIR", target.path())
        .quiet()
        .ignore_stdout()
        .run()
        .map_err(|error| failed(&error))?;
    figure.took(began.elapsed());
    Ok(figure)
}

/// How this was built, since it decides the figures.
fn profile() -> &'static str {
    if cfg!(debug_assertions) { "the dev profile" } else { "the release profile" }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Three digits are enough.
fn number(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn row(figure: &Figure) -> String {
    let unit = figure.unit.word();
    let Some(median) = figure.median() else {
        return format!("- {}: cannot be measured here\n", figure.name);
    };
    let sign = match figure.holds() {
        Some(true) => "✓".green().to_string(),
        Some(false) => "✗".red().to_string(),
        None => " ".to_owned(),
    };
    let range = match figure.range().filter(|_| figure.samples.len() > 1) {
        Some((least, most)) => format!("{} to {}", number(least), number(most)),
        None => String::new(),
    };
    let goal = figure.goal.map_or_else(String::new, |goal| format!("goal ≤ {goal} {unit}"));
    let line = format!(
        "{sign} {:<66} {:>8} {unit:<3} {} {goal}",
        figure.name,
        number(median),
        format!("{range:<18}").dimmed()
    );
    line.trim_end().to_owned() + "\n"
}

fn document(figure: &Figure) -> serde_json::Value {
    json!({
        "name": figure.name, "unit": figure.unit, "median": figure.median(),
        "min": figure.range().map(|it| it.0), "max": figure.range().map(|it| it.1),
        "goal": figure.goal, "holds": figure.holds(), "samples": figure.samples,
    })
}
