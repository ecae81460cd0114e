//! `cluster up` and `cluster prune`.

use std::path::{Path, PathBuf};

use harness::backend::Sim;
use harness::ledger;
use harness::run::{Standing, Stop, SuiteError};
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
    let backend = Sim::on(args.port);
    let built = build::executables(&["interpose"])?;
    let interposer = build::executable(&built, "interpose")?.to_owned();
    let stop = Stop::default();
    interrupt::runtime()?.block_on(async {
        interrupt::listen(&stop)?;
        let faults = scenario.as_ref().map(|it| it.faults.clone()).unwrap_or_default();
        let standing = Standing::up(&backend, &shape, faults, args.seed, &interposer, &ledger::folder())
            .await
            .map_err(|error| match &error {
                SuiteError::Cluster(_) if args.port != 0 => {
                    Failure::from(error).hint("name another --port, or none for any that is free")
                }
                _ => Failure::from(error),
            })?;
        let told = tell(args, &shape, scenario.as_ref(), &standing);
        if told.is_ok() {
            stop.wait().await;
        }
        standing.down().await.map_err(|error| {
            Failure::new(ExitCode::Cleanup, format!("failed to take the cluster down: {error}"))
                .hint("cargo xtask cluster prune")
        })?;
        told.map(|()| ExitCode::Ok)
    })
}

/// Says how to reach it: on standard output what a shell can evaluate, on standard error the rest.
fn tell(
    args: &UpArgs,
    shape: &ClusterShape,
    scenario: Option<&Scenario>,
    standing: &Standing,
) -> Result<(), Failure> {
    let path = match &args.kubeconfig {
        Some(path) => copied(&standing.kubeconfig(), path)?,
        None => standing.kubeconfig(),
    };
    let nodes = match shape.nodes.unwrap_or(2) {
        0 => "no node".to_owned(),
        1 => "1 node".to_owned(),
        more => format!("{more} nodes"),
    };
    let broken = scenario.map_or_else(String::new, |it| format!(", broken as in {}", it.name.value));
    anstream::eprintln!("{} a cluster with {nodes}{broken} at {}", "✓".green(), standing.endpoint());
    scenario::print(&format!("export KUBECONFIG='{}'\n", path.display()))?;
    anstream::eprintln!("  in another terminal: kubectl get nodes,pods -A\n  Ctrl-C ends it");
    Ok(())
}

fn chosen(name: &str) -> Result<Scenario, Failure> {
    let found = scenario::catalogue()?.select(&[name.to_owned()], &[])?;
    let missing = || Failure::new(ExitCode::NothingSelected, format!("there is no scenario {name:?}"));
    found.into_iter().next().map(|it| it.scenario).ok_or_else(missing)
}

/// Copies the kubeconfig to a file of the user's choice.
fn copied(kubeconfig: &Path, to: &Path) -> Result<PathBuf, Failure> {
    let copied = std::fs::copy(kubeconfig, to).and_then(|_| std::path::absolute(to));
    copied.map_err(|error| {
        Failure::new(ExitCode::Usage, format!("failed to write the kubeconfig {}: {error}", to.display()))
            .hint("name a file that can be written: --kubeconfig FILE")
    })
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
    match pruned.alive {
        0 => {}
        1 => scenario::print("left alone: 1 run that is alive\n")?,
        more => scenario::print(&format!("left alone: {more} runs that are alive\n"))?,
    }
    if !pruned.failed.is_empty() {
        return Err(Failure::new(ExitCode::Cleanup, format!("failed to {}", pruned.failed.join("; "))));
    }
    if pruned.destroyed.is_empty() {
        scenario::print("nothing was left behind\n")?;
    }
    Ok(ExitCode::Ok)
}
