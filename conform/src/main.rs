//! `conform`: how far the embedded cluster answers as a real API server does. `cargo xtask conform` becomes it.

use std::path::{Path, PathBuf};

use clap::Parser;
use conform::known::List;
use conform::replay::{self, Replay};
use conform::report::Report;
use conform::session::{self, Script, Tools};
use conform::side::Side;
use conform::{Error, Nodes, Options, play, scheduling};
use harness::backend::{Backend as _, ClusterError, ControlPlane};
use harness::report;
use harness::run::Stop;
use harness::scenario::ClusterShape;
use harness::verdict::ExitCode;

/// Compare the embedded cluster with a real API server, request by request.
#[derive(Parser, Debug)]
#[command(
    name = "conform",
    bin_name = "cargo xtask conform",
    after_help = "\
The reference is changed at will: never name a cluster that somebody needs.

Examples:
  cargo xtask conform --reference ./kubeconfig
  cargo xtask conform --reference ./kubeconfig --seed 7 --sequences 500
  cargo xtask conform --reference ./kubeconfig --replay target/conform/1-1.json"
)]
struct Args {
    /// Kubeconfig of the API server to compare with, whose content may be changed at will; a control plane is
    /// started when not given.
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
    /// Decides every request.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many sequences of requests.
    #[arg(long, value_name = "N", default_value_t = 100)]
    sequences: u32,
    /// Not every value of every kind once.
    #[arg(long)]
    no_values: bool,
    /// How many cases for the schedulers, on a reference without nodes.
    #[arg(long, value_name = "N", default_value_t = 20)]
    scheduling: u32,
    /// Sessions of real tools whose name begins so; `none` for none. All when not given.
    #[arg(long, value_name = "NAME")]
    sessions: Option<String>,
    /// Also a kubectl of another version, for every session of kubectl; may be repeated.
    #[arg(long, value_name = "PATH")]
    kubectl: Vec<PathBuf>,
    /// How many new divergences are shrunk to the shortest sequence and kept; the others are told as they were met.
    #[arg(long, value_name = "N", default_value_t = 5)]
    shrink: usize,
    /// Play one kept sequence again instead.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
}

/// Why they could not be compared, the exit code that goes with it, and what to type next.
struct Failure {
    exit: ExitCode,
    what: String,
    hint: Option<String>,
}

impl Failure {
    fn new(exit: ExitCode, what: impl std::fmt::Display) -> Self {
        Self { exit, what: what.to_string(), hint: None }
    }

    fn hint(self, hint: &str) -> Self {
        Self { hint: Some(hint.to_owned()), ..self }
    }

    fn tell(self) -> ExitCode {
        report::complain(&self.what, self.hint.as_deref());
        self.exit
    }
}

fn main() -> std::process::ExitCode {
    // Fails only when somebody else was first, and then one is installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let code = run(&Args::parse()).unwrap_or_else(Failure::tell);
    std::process::ExitCode::from(code.code())
}

/// Root of the workspace, which the cargo that began all this names by that of its package.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The minor version of both sides.
const MINOR: u8 = 37;

/// How many of the places that differ are told; what is mended first shows first.
const MOST_PLACES: usize = 200;

fn run(args: &Args) -> Result<ExitCode, Failure> {
    let root = root();
    let known = List::read(&root.join("conform/known.yaml"))?;
    let plane = ControlPlane::default();
    if args.reference.is_none()
        && let Some(missing) = plane.lacks(&shape())
    {
        skip(&missing, "cargo xtask assets --kubernetes 1.37", "SEATRIAL_REQUIRE_CONTROL_PLANE")?;
        return Ok(ExitCode::Ok);
    }
    let stop = Stop::default();
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        Failure::new(ExitCode::Infrastructure, format!("failed to start the runtime: {error}"))
    })?;
    let report = runtime.block_on(async {
        stop.at_signals(|words| anstream::eprintln!("{words}")).map_err(|error| {
            Failure::new(ExitCode::Infrastructure, format!("failed to listen for signals: {error}"))
        })?;
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
    report::print(&told(&report, &known)).map_err(|error| Failure::new(ExitCode::Infrastructure, error))?;
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
    args: &Args,
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
    // What is missing is said before anything is asked.
    let (scripts, tools) = sessions(args, root)?;
    let folder = root.join("target/conform");
    let options = Options {
        seed: args.seed,
        sequences: args.sequences,
        values: !args.no_values,
        keep: Some(folder.clone()),
        most: args.shrink,
        tidy: args.reference.is_some(),
        ..Options::default()
    };
    let mut scheduled = Report::against(known);
    // First, as long as nothing else waits for a node.
    let nodes = reference.get("/api/v1/nodes").await?;
    if nodes["items"].as_array().is_some_and(Vec::is_empty) {
        let keep = Some(folder.as_path()).filter(|_| args.shrink > 0);
        scheduling::run(args.seed, args.scheduling, keep, sides, known, &mut scheduled).await?;
    } else if args.scheduling > 0 {
        anstream::eprintln!("SKIPPED: scheduler cases: the reference has nodes already");
    }
    let mut report = conform::run(&options, &embedded, &reference, known).await?;
    report.add(scheduled);
    report.add(session::run(&scripts, &tools, &embedded, &reference, known).await?);
    replay::keep_report(&folder, &report)?;
    Ok(report)
}

/// The sessions that are asked for, and the tools that they need. Without its tool a session is skipped in sight;
/// with `SEATRIAL_REQUIRE_TOOLS=1` that is a failure.
fn sessions(args: &Args, root: &Path) -> Result<(Vec<Script>, Tools), Failure> {
    let mut tools = Tools::new();
    for (name, variable) in
        [("kubectl", "SEATRIAL_KUBECTL"), ("helm3", "SEATRIAL_HELM3"), ("helm4", "SEATRIAL_HELM4")]
    {
        if let Some(path) = std::env::var_os(variable) {
            tools.insert(name.to_owned(), path.into());
        }
    }
    for path in &args.kubectl {
        tools.insert(format!("kubectl-{}", minor_of(path)?), path.clone());
    }
    let mut scripts = session::scripts(&root.join("conform/sessions"), &tools)?;
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

/// `1-34` of a kubectl 1.34.
fn minor_of(kubectl: &Path) -> Result<String, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::new(
            ExitCode::Prerequisite,
            format!("failed to ask {} for its version: {why}", kubectl.display()),
        )
        .hint("cargo xtask assets --kubernetes 1.34 --kubectl --no-control-plane says where one is")
    };
    let output = std::process::Command::new(kubectl).args(["version", "--client", "--output=json"]).output();
    let said = output.map_err(|error| wrong(&error))?.stdout;
    let said: serde_json::Value = serde_json::from_slice(&said).map_err(|error| wrong(&error))?;
    let version = &said["clientVersion"];
    match (version["major"].as_str(), version["minor"].as_str()) {
        (Some(major), Some(minor)) => Ok(format!("{major}-{}", minor.trim_end_matches('+'))),
        _ => Err(wrong(&format!("it says {said}"))),
    }
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
