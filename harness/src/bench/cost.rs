//! What an installer costs that finds everything as it should be: memory, processor time, time.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use interpose::helm::{Seed, karpenter_release};
use kubesim::transport::User;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use tokio::process::Command;

use super::figure::{Figure, Unit};
use super::room::{BenchError, Room};
use crate::run::Installer;
use crate::scenario::RunStep;

/// A Helm that knows of one release, deployed, and answers at once: what a real one costs is not the installer's.
const HELM: &str = r#"#!/bin/sh
echo '{"name":"karpenter","version":1,"namespace":"kube-system","info":{"status":"deployed"}}'
"#;

/// How often the system is asked; what is asked for is a peak, which it keeps.
const ASKED: Duration = Duration::from_millis(5);

/// What runs cost that found everything as it should be.
pub(super) struct Costs {
    /// The most memory that was resident.
    pub(super) memory: Figure,
    /// Processor time, of the installer and of a Helm that does nothing.
    pub(super) processor: Figure,
    /// From start to end.
    pub(super) whole: Figure,
}

/// What `runs` runs of an installer cost on a cluster that has a healthy release.
pub(super) async fn of_no_op(
    name: &str,
    room: &Room,
    installer: &Installer,
    runs: u16,
) -> Result<Costs, BenchError> {
    let mut costs = Costs {
        memory: Figure::new(format!("{name}: peak memory of the installer"), Unit::Megabytes),
        processor: Figure::new(format!("{name}: processor time of the installer"), Unit::Milliseconds),
        whole: Figure::new(
            format!("{name}: from start to end, with a Helm that does nothing"),
            Unit::Milliseconds,
        ),
    };
    let failed = |error: &dyn std::fmt::Display| BenchError::new("run the installer", error);
    let seeded = karpenter_release(&Seed::default(), room.cluster.clock().now());
    let seeded = seeded.map_err(|error| failed(&error))?;
    seeded.plant(room.client().await?).await.map_err(|error| failed(&error))?;
    room.cluster.settled().await;
    let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, room.server.kubeconfig(&User::admin())).map_err(|error| failed(&error))?;
    let helm = folder.path().join("helm");
    std::fs::write(&helm, HELM)
        .and_then(|()| std::fs::set_permissions(&helm, std::fs::Permissions::from_mode(0o755)))
        .map_err(|error| failed(&error))?;
    for _ in 0..runs {
        let run = RunStep { phase: Some("compute".into()), ..RunStep::default() };
        let (before, began) = (processor_time(), Instant::now());
        costs.memory.samples.extend(peak(installer, &run, &kubeconfig, folder.path()).await?);
        costs.whole.took(began.elapsed());
        costs.processor.samples.extend(before.zip(processor_time()).map(|(before, after)| after - before));
    }
    Ok(costs)
}

/// What the system has counted of children that have ended, and of theirs, in milliseconds. Nobody else starts any
/// while an installer is measured.
fn processor_time() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    u32::try_from(micros / 10).ok().map(|hundredths| f64::from(hundredths) / 100.0)
}

async fn peak(
    installer: &Installer,
    run: &RunStep,
    kubeconfig: &Path,
    path: &Path,
) -> Result<Option<f64>, BenchError> {
    let failed = |error: &dyn std::fmt::Display| BenchError::new("run the installer", error);
    let mut child = Command::new(installer.program())
        .args(installer.words(run))
        .env_clear()
        .env("KUBECONFIG", kubeconfig)
        .env("PATH", path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&error))?;
    let status = child.id().map(|id| format!("/proc/{id}/status")).unwrap_or_default();
    let mut most: Option<f64> = None;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|it| it.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
        // It only grows, once the process is a program of its own.
        most = kilobytes.map(|kilobytes| kilobytes / 1024.0).or(most);
        tokio::select! {
            ended = child.wait() => {
                let ended = ended.map_err(|error| failed(&error))?;
                if !ended.success() {
                    return Err(failed(&format!("it ended with {ended} where there is nothing to do")));
                }
                return Ok(most);
            }
            () = tokio::time::sleep(ASKED) => {}
        }
    }
}
