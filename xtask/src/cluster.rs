//! `cluster up` and `cluster prune`.

use std::io::Write as _;
use std::path::PathBuf;

use harness::ledger;
use harness::run::{Standing, Stop};
use harness::scenario::{ClusterShape, Scenario};
use harness::verdict::ExitCode;
use owo_colors::OwoColorize as _;

use crate::args::{ClusterArgs, ClusterCommand, UpArgs};
use crate::failure::Failure;
use crate::{build, interrupt, scenario};

/// `cargo xtask cluster`.
pub(crate) fn run(args: &ClusterArgs) -> Result<ExitCode, Failure> {
    match &args.command {
        ClusterCommand::Up(args) => up(args),
        ClusterCommand::Prune => prune(),
    }
}

fn up(args: &UpArgs) -> Result<ExitCode, Failure> {
    let scenario = match &args.scenario {
        Some(name) => Some(chosen(name)?),
        None => None,
    };
    let shape = scenario.as_ref().map_or_else(
        || ClusterShape { nodes: Some(args.nodes), ..ClusterShape::default() },
        |it| it.cluster.clone(),
    );
    let backend = scenario::backend("sim")?;
    let built = build::executables(&["interpose"])?;
    let interposer = build::executable(&built, "interpose")?.to_owned();
    let stop = Stop::default();
    interrupt::runtime()?.block_on(async {
        interrupt::listen(stop.clone())?;
        let broken = |error: harness::backend::ClusterError| {
            Failure::new(ExitCode::Infrastructure, format!("failed to bring up a cluster: {error}"))
        };
        let faults = scenario.map(|it| it.faults).unwrap_or_default();
        let standing =
            Standing::up(backend.as_ref(), &shape, faults, args.seed, &interposer).await.map_err(broken)?;
        let (path, _file) = kubeconfig(args.kubeconfig.as_ref(), &standing.kubeconfig())?;
        let nodes = shape.nodes.unwrap_or(2);
        anstream::eprintln!("{} a cluster with {nodes} nodes at {}", "✓".green(), standing.endpoint());
        scenario::print(&format!("export KUBECONFIG='{}'\n", path.display()))?;
        anstream::eprintln!("  kubectl get nodes,pods -A\n  Ctrl-C ends it");
        stop.wait().await;
        standing.down().await.map_err(broken)?;
        Ok(ExitCode::Ok)
    })
}

fn chosen(name: &str) -> Result<Scenario, Failure> {
    let found = scenario::catalogue()?.select(&[name.to_owned()], &[])?;
    let missing = || Failure::new(ExitCode::NothingSelected, format!("there is no scenario {name:?}"));
    found.into_iter().next().map(|it| it.scenario).ok_or_else(missing)
}

/// Writes the kubeconfig; a temporary one lasts as long as what is returned beside its path.
fn kubeconfig(
    path: Option<&PathBuf>,
    text: &str,
) -> Result<(PathBuf, Option<tempfile::NamedTempFile>), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(ExitCode::Usage, format!("failed to write the kubeconfig: {error}"))
            .hint("name a file that can be written with --kubeconfig")
    };
    if let Some(path) = path {
        std::fs::write(path, text).map_err(failed)?;
        return Ok((std::path::absolute(path).map_err(failed)?, None));
    }
    let mut file = tempfile::Builder::new().prefix("seatrial-kubeconfig-").tempfile().map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    Ok((file.path().to_owned(), Some(file)))
}

fn prune() -> Result<ExitCode, Failure> {
    let folder = ledger::folder();
    let pruned = ledger::prune(&folder).map_err(|error| {
        Failure::new(
            ExitCode::Cleanup,
            format!("failed to read the ledgers in {}: {error}", folder.display()),
        )
    })?;
    for destroyed in &pruned.destroyed {
        scenario::print(&format!("destroyed {destroyed}\n"))?;
    }
    if pruned.alive > 0 {
        scenario::print(&format!("left alone: {} runs that are alive\n", pruned.alive))?;
    }
    if !pruned.failed.is_empty() {
        return Err(Failure::new(ExitCode::Cleanup, format!("failed to {}", pruned.failed.join("; "))));
    }
    if pruned.destroyed.is_empty() {
        scenario::print("nothing was left behind\n")?;
    }
    Ok(ExitCode::Ok)
}
