//! `scenario` and `matrix`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use harness::expect::ResultSchema;
use harness::report::{Events, Json, Junit, Reporters, Terminal};
use harness::run::{Installer, Keep, Stop, Suite, ToolChoice};
use harness::scenario::{Catalogue, ClusterShape, Found, spread};
use harness::verdict::ExitCode;
use harness::{backend, ledger};

use crate::args::{Format, RunArgs, ScenarioArgs};
use crate::failure::Failure;
use crate::{build, interrupt};

/// `cargo xtask scenario`.
pub(crate) fn run(args: &ScenarioArgs) -> Result<ExitCode, Failure> {
    if args.names.is_empty() && args.run.tag.is_empty() && args.run.phase.is_none() {
        return Err(Failure::new(ExitCode::NothingSelected, "nothing is selected")
            .hint("cargo xtask scenario no-nodes, or cargo xtask matrix for all of them"));
    }
    execute(&args.names, &args.run)
}

/// `cargo xtask matrix`.
pub(crate) fn matrix(args: &RunArgs) -> Result<ExitCode, Failure> {
    execute(&[], args)
}

/// The catalogue of the workspace.
pub(crate) fn catalogue() -> Result<Catalogue, Failure> {
    Ok(Catalogue::read(&folder())?)
}

/// The catalogue's folder: below the current folder when that is the workspace, so that places are short.
fn folder() -> PathBuf {
    let root = build::root();
    let here = std::env::current_dir().ok().is_some_and(|here| here == root);
    if here { PathBuf::from("scenarios") } else { root.join("scenarios") }
}

fn select(names: &[String], args: &RunArgs) -> Result<Vec<Found>, Failure> {
    let only_files =
        !names.is_empty() && names.iter().all(|name| name.contains('/') || name.ends_with(".yaml"));
    // A file of one's own is run whatever the catalogue holds.
    let catalogue = if only_files { Catalogue::default() } else { catalogue()? };
    let mut selected = catalogue.select(names, &args.tag)?;
    if let Some(phase) = &args.phase {
        let known: BTreeSet<String> = selected.iter().flat_map(phases).map(str::to_owned).collect();
        selected.retain(|found| phases(found).any(|it| it == phase));
        if selected.is_empty() && !known.is_empty() {
            let near = harness::nearest(phase, known.iter().map(String::as_str));
            let meant = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
            let all: Vec<&str> = known.iter().map(String::as_str).collect();
            return Err(Failure::new(
                ExitCode::NothingSelected,
                format!("no selected scenario runs phase {phase:?}"),
            )
            .hint(format!("{meant}the phases that they run are {}", all.join(", "))));
        }
    }
    if selected.is_empty() {
        let what = if args.tag.is_empty() {
            "there is no scenario there"
        } else {
            "no scenario has all of these tags"
        };
        return Err(
            Failure::new(ExitCode::NothingSelected, what).hint("cargo xtask list shows the tags of each")
        );
    }
    if args.spread {
        selected = spread(selected);
        if selected.is_empty() {
            return Err(Failure::new(ExitCode::NothingSelected, "all that is selected is sweeps")
                .hint("the same without --spread runs them"));
        }
    }
    Ok(selected)
}

/// The phases that a scenario runs.
fn phases(found: &Found) -> impl Iterator<Item = &str> {
    let runs = found.scenario.steps.iter().filter_map(|step| step.run.as_ref());
    runs.filter_map(|run| run.phase.as_deref())
}

fn execute(names: &[String], args: &RunArgs) -> Result<ExitCode, Failure> {
    let scenarios = select(names, args)?;
    let shapes: Vec<&ClusterShape> = scenarios.iter().map(|found| &found.scenario.cluster).collect();
    let backends = backends(&args.backend, &shapes)?;
    let packages: &[&str] =
        if args.installer.is_some() { &["interpose"] } else { &["interpose", "eks-installer"] };
    let built = build::executables(packages)?;
    let installer = match &args.installer {
        Some(line) => Installer::parse(line)?,
        None => built_in(&built)?,
    };
    let stop = Stop::default();
    let suite = Suite {
        scenarios,
        backends,
        installer,
        tools: ToolChoice {
            interposer: build::executable(&built, "interpose")?.to_owned(),
            real: real(&args.tool)?,
        },
        seed: args.seed,
        jobs: jobs(args.jobs),
        thorough: true,
        keep: if args.retain { Keep::All } else { Keep::Telling },
        out: args.out.clone(),
        state: ledger::folder(),
        again: again(args),
        stop: stop.clone(),
    };
    let reporters = reporters(args)?;
    let runtime = interrupt::runtime()?;
    let outcome = runtime.block_on(async {
        interrupt::listen(&stop)?;
        suite.run(reporters).await.map_err(Failure::from)
    })?;
    Ok(outcome.exit)
}

/// The installer of the workspace, whose results are held to the schema that is published with it.
pub(crate) fn built_in(built: &build::Executables) -> Result<Installer, Failure> {
    let program = build::executable(built, "eks-installer")?;
    let installer = Installer::new(program, &["{args}"], "built-in installer (eks-installer)")?;
    let path = build::root().join("schemas/result.json");
    let schema = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    let schema = schema.and_then(|text| ResultSchema::read(&text)).map_err(|error| {
        let what = format!("failed to read the schema of results {}: {error}", path.display());
        Failure::new(ExitCode::Infrastructure, what).hint("cargo xtask schema")
    })?;
    Ok(installer.publishing(schema))
}

/// The backends of these names, divided by commas, for clusters of these shapes.
fn backends(names: &str, shapes: &[&ClusterShape]) -> Result<Vec<Box<dyn backend::Backend>>, Failure> {
    let mut found: Vec<Box<dyn backend::Backend>> = Vec::new();
    for name in names.split(',').map(str::trim) {
        if found.iter().any(|it| it.name() == name) {
            return Err(Failure::new(ExitCode::Usage, format!("backend {name} is named twice"))
                .hint("--backend sim,control-plane"));
        }
        found.push(backend(name, !names.contains(','), shapes)?);
    }
    Ok(found)
}

/// The backend of this name, to be used alone or beside others, which can make one at least of these clusters, if
/// there are any.
pub(crate) fn backend(
    name: &str,
    alone: bool,
    shapes: &[&ClusterShape],
) -> Result<Box<dyn backend::Backend>, Failure> {
    let found = backend::named(name, alone).ok_or_else(|| {
        let near = harness::nearest(name, backend::NAMES);
        let meant = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
        Failure::new(ExitCode::Usage, format!("there is no backend {name:?}"))
            .hint(format!("{meant}the backends are {}", backend::NAMES.join(", ")))
    })?;
    match found.missing(shapes) {
        None => Ok(found),
        Some(missing) => Err(Failure::new(ExitCode::Prerequisite, missing.what).hint(missing.hint)),
    }
}

/// How many scenarios run at the same time: four times as many as there are processors, since most of a scenario
/// is waiting.
pub(crate) fn jobs(asked: Option<u16>) -> usize {
    let processors = || std::thread::available_parallelism().map_or(2, usize::from);
    asked.map_or_else(|| 4 * processors(), usize::from)
}

/// Real tools: those that were named, and kubectl where there is one, since it has no stand-in.
pub(crate) fn real(named: &[String]) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let mut real = BTreeMap::new();
    if let Ok(kubectl) = which::which("kubectl") {
        real.insert("kubectl".to_owned(), kubectl);
    }
    for pair in named {
        let Some((name, path)) = pair.split_once('=') else {
            return Err(Failure::new(ExitCode::Usage, format!("--tool {pair:?} is not NAME=PATH"))
                .hint("--tool helm=/usr/local/bin/helm"));
        };
        if !["helm", "eksctl", "aws", "kubectl"].contains(&name) {
            return Err(Failure::new(
                ExitCode::Usage,
                format!("--tool {pair:?}: there is no tool {name:?} to interpose"),
            )
            .hint("the tools are helm, eksctl, aws and kubectl"));
        }
        let found = which::which(path).map_err(|error| {
            Failure::new(ExitCode::Prerequisite, format!("failed to find {name} at {path}: {error}"))
                .hint("name an executable file")
        })?;
        real.insert(name.to_owned(), found);
    }
    Ok(real)
}

/// The options that a second run must be given to be the same.
fn again(args: &RunArgs) -> String {
    let mut words = Vec::new();
    if args.backend != "sim" {
        words.push(format!("--backend {}", args.backend));
    }
    if let Some(installer) = &args.installer {
        words.push(format!("--installer '{}'", installer.replace('\'', "'\\''")));
    }
    words.extend(args.tool.iter().map(|tool| format!("--tool {tool}")));
    if args.seed != 0 {
        words.push(format!("--seed {}", args.seed));
    }
    words.push("--retain".to_owned());
    words.join(" ")
}

fn reporters(args: &RunArgs) -> Result<Reporters, Failure> {
    let reporters = match args.format {
        Format::Human => Reporters::default().with(Terminal::new(anstream::stdout())),
        Format::Json => Reporters::default().with(Json::new(std::io::stdout(), "standard output")),
    };
    match &args.out {
        Some(out) => with_files(reporters, out),
        None => Ok(reporters),
    }
}

/// The reports of a folder: the events, `report.json` and `junit.xml`.
pub(crate) fn with_files(reporters: Reporters, out: &Path) -> Result<Reporters, Failure> {
    let unusable = |source| Failure::from(harness::run::SuiteError::Out { path: out.to_owned(), source });
    let reporters = reporters.with(Events::create(out).map_err(unusable)?);
    let file = |name: &str| {
        let path = out.join(name);
        std::fs::File::create(&path).map(|file| (std::io::BufWriter::new(file), path.display().to_string()))
    };
    let (to, name) = file("report.json").map_err(unusable)?;
    let reporters = reporters.with(Json::new(to, name));
    let (to, name) = file("junit.xml").map_err(unusable)?;
    Ok(reporters.with(Junit::new(to, name)))
}

/// Writes to standard output; a reader that has gone away is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    harness::report::print(text).map_err(|error| Failure::new(ExitCode::Infrastructure, error))
}
