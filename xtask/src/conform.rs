//! `conform`: how far the embedded cluster answers as a real API server does.

use std::path::Path;

use ::conform::known::List;
use ::conform::report::Report;
use ::conform::side::Side;
use ::conform::{Error, Nodes, Options, play, replay};
use harness::backend::{Backend as _, Cluster, ClusterError, ControlPlane};
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
        return skipped(&missing);
    }
    let stop = Stop::default();
    let runtime = interrupt::runtime()?;
    let report = runtime.block_on(async {
        interrupt::listen(stop.clone())?;
        let Some(file) = &args.reference else {
            let up = start(&plane).await?;
            let (kubeconfig, nodes) = (up.owner_kubeconfig(), up.nodes().cloned());
            // Interrupted, what was started still goes down in order.
            let report = tokio::select! {
                biased;
                () = stop.wait() => Ok(None),
                report = compare(args, &root, &kubeconfig, nodes, &known) => report.map(Some),
            };
            up.down().await.map_err(infrastructure)?;
            return report;
        };
        let kubeconfig = std::fs::read_to_string(file).map_err(|error| {
            let what = format!("failed to read the kubeconfig {}: {error}", file.display());
            Failure::new(ExitCode::Prerequisite, what).hint("cargo xtask conform --reference FILE")
        })?;
        tokio::select! {
            biased;
            () = stop.wait() => Ok(None),
            report = compare(args, &root, &kubeconfig, None, &known) => report.map(Some),
        }
    })?;
    let Some(report) = report else { return Ok(ExitCode::Interrupted) };
    scenario::print(&told(&report, &known))?;
    Ok(if report.total().new == 0 { ExitCode::Ok } else { ExitCode::Failed })
}

/// Without a reference there is nothing to compare with: in sight on a laptop, a failure where one is required.
fn skipped(missing: &str) -> Result<ExitCode, Failure> {
    if std::env::var("SEATRIAL_REQUIRE_CONTROL_PLANE").is_ok_and(|it| it == "1") {
        return Err(Failure::new(ExitCode::Prerequisite, missing).hint(HINT));
    }
    anstream::eprintln!("SKIPPED: {missing}\n\nhint: {HINT}");
    Ok(ExitCode::Ok)
}

const HINT: &str = "cargo xtask assets --kubernetes 1.37";

/// A control plane without nodes, of the newest version.
fn shape() -> ClusterShape {
    let kubernetes = Some(format!("1.{MINOR}"));
    ClusterShape { nodes: Some(0), kubernetes, ..ClusterShape::default() }
}

async fn start(plane: &ControlPlane) -> Result<Box<dyn Cluster>, Failure> {
    plane.provision(&shape(), 0).await.map_err(infrastructure)
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
    if let Some(file) = &args.replay {
        return Ok(play(&replay::read(file)?, &embedded, &reference, known).await?);
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
    let report = ::conform::run(&options, &embedded, &reference, known).await?;
    replay::keep_report(&folder, &report)?;
    Ok(report)
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
