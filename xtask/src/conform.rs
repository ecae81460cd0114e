//! `conform`: how far the embedded cluster answers as a real API server does.

use std::path::Path;

use ::conform::known::List;
use ::conform::replay::{self, Replay};
use ::conform::report::Report;
use ::conform::session::{self, Script, Tools};
use ::conform::side::Side;
use ::conform::{Error, Nodes, Options, play, scheduling};
use harness::backend::{Backend as _, ClusterError, ControlPlane};
use harness::run::Stop;
use harness::scenario::ClusterShape;
use harness::verdict::ExitCode;

use crate::args::ConformArgs;
use crate::build;
use crate::failure::Failure;
use crate::{interrupt, scenario};

/// The minor version of both sides.
const MINOR: u8 = 37;

/// How many of the places that differ are told; what is mended first shows first.
const MOST_PLACES: usize = 200;

/// `cargo xtask conform`.
pub(crate) fn run(args: &ConformArgs) -> Result<ExitCode, Failure> {
    let root = build::root();
    let known = List::read(&root.join("conform/known.yaml"))?;
    let plane = ControlPlane::default();
    if args.reference.is_none()
        && let Some(missing) = plane.lacks(&shape())
    {
        skip(&missing, "cargo xtask assets --kubernetes 1.37", "SEATRIAL_REQUIRE_CONTROL_PLANE")?;
        return Ok(ExitCode::Ok);
    }
    let stop = Stop::default();
    let runtime = interrupt::runtime()?;
    let report = runtime.block_on(async {
        interrupt::listen(stop.clone())?;
        let (up, kubeconfig, nodes) = match &args.reference {
            Some(file) => (None, read(file)?, None),
            None => {
                let up = plane.provision(&shape(), 0).await.map_err(infrastructure)?;
                let (kubeconfig, nodes) = (up.owner_kubeconfig(), up.nodes().cloned());
                (Some(up), kubeconfig, nodes)
            }
        };
        // Interrupted, what was started still goes down in order.
        let report = tokio::select! {
            biased;
            () = stop.wait() => Ok(None),
            report = compare(args, &root, &kubeconfig, nodes, &known) => report.map(Some),
        };
        if let Some(up) = up {
            up.down().await.map_err(infrastructure)?;
        }
        report
    })?;
    let Some(report) = report else { return Ok(ExitCode::Interrupted) };
    scenario::print(&told(&report, &known))?;
    Ok(if report.total().new == 0 { ExitCode::Ok } else { ExitCode::Failed })
}

fn read(kubeconfig: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(kubeconfig).map_err(|error| {
        let what = format!("failed to read the kubeconfig {}: {error}", kubeconfig.display());
        Failure::new(ExitCode::Prerequisite, what).hint("cargo xtask conform --reference FILE")
    })
}

/// Skips what there is nothing for: in sight on a laptop, and as a failure where the variable requires it.
fn skip(missing: &str, hint: &str, required: &str) -> Result<(), Failure> {
    if std::env::var(required).is_ok_and(|it| it == "1") {
        return Err(Failure::new(ExitCode::Prerequisite, missing).hint(hint));
    }
    anstream::eprintln!("SKIPPED: {missing}\n\nhint: {hint}");
    Ok(())
}

/// A control plane without nodes, of the newest version.
fn shape() -> ClusterShape {
    let kubernetes = Some(format!("1.{MINOR}"));
    ClusterShape { nodes: Some(0), kubernetes, ..ClusterShape::default() }
}

fn infrastructure(error: ClusterError) -> Failure {
    Failure::new(ExitCode::Infrastructure, format!("failed to {error}"))
        .hint("cargo xtask conform --reference FILE compares with another cluster")
}

async fn compare(
    args: &ConformArgs,
    root: &Path,
    kubeconfig: &str,
    nodes: Option<Nodes>,
    known: &List,
) -> Result<Report, Failure> {
    let embedded = Side::embedded(MINOR).await?;
    let reference = Side::reference(kubeconfig, nodes).await?;
    let sides = [&embedded, &reference];
    match args.replay.as_deref().map(replay::read_any).transpose()? {
        Some(Replay::Sequence(sequence)) => return Ok(play(&sequence, &embedded, &reference, known).await?),
        Some(Replay::Case(case)) => return Ok(scheduling::play(&case, sides, known).await?),
        None => {}
    }
    let folder = root.join("target/conform");
    let options = Options {
        seed: args.seed,
        sequences: args.sequences,
        keep: Some(folder.clone()),
        most: args.shrink,
        tidy: args.reference.is_some(),
        ..Options::default()
    };
    let mut report = ::conform::run(&options, &embedded, &reference, known).await?;
    let nodes = reference.get("/api/v1/nodes").await?;
    if nodes["items"].as_array().is_some_and(Vec::is_empty) {
        let keep = Some(folder.as_path()).filter(|_| args.shrink > 0);
        scheduling::run(args.seed, args.scheduling, keep, sides, known, &mut report).await?;
    } else if args.scheduling > 0 {
        anstream::eprintln!("SKIPPED: scheduler cases: the reference has nodes already");
    }
    let (scripts, tools) = sessions(args, root)?;
    report.add(session::run(&scripts, &tools, &embedded, &reference, known).await?);
    replay::keep_report(&folder, &report)?;
    Ok(report)
}

/// The sessions that are asked for, and the tools that they need. Without its tool a session is skipped in sight;
/// with `SEATRIAL_REQUIRE_TOOLS=1` that is a failure.
fn sessions(args: &ConformArgs, root: &Path) -> Result<(Vec<Script>, Tools), Failure> {
    let mut tools = Tools::new();
    for (name, variable) in
        [("kubectl", "SEATRIAL_KUBECTL"), ("helm3", "SEATRIAL_HELM3"), ("helm4", "SEATRIAL_HELM4")]
    {
        if let Some(path) = std::env::var_os(variable) {
            tools.insert(name.to_owned(), path.into());
        }
    }
    let mut scripts = session::scripts(&root.join("conform/sessions"))?;
    if let Some(wanted) = &args.sessions {
        scripts.retain(|script| script.name.starts_with(wanted));
    }
    let lacking = |script: &Script| script.tools.iter().any(|tool| !tools.contains_key(tool));
    let skipped = scripts.iter().filter(|script| lacking(script)).count();
    if skipped > 0 {
        let what = format!(
            "{skipped} sessions: SEATRIAL_KUBECTL, SEATRIAL_HELM3 and SEATRIAL_HELM4 do not all name tools"
        );
        let hint = "eval \"$(cargo xtask assets --kubectl --helm3 --helm4 --export)\"";
        skip(&what, hint, "SEATRIAL_REQUIRE_TOOLS")?;
    }
    scripts.retain(|script| !lacking(script));
    Ok((scripts, tools))
}

fn told(report: &Report, known: &List) -> String {
    let (places, known, table) = (report.places(MOST_PLACES), report.known(known), report.table());
    format!("{}\n{places}\n{known}\n{table}", report.told())
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error {
            Error::Embedded(_) => ExitCode::Infrastructure,
            Error::Reference(_) => ExitCode::Prerequisite,
            Error::File { .. } | Error::Write { .. } => ExitCode::Usage,
        };
        Self::new(exit, error)
    }
}
