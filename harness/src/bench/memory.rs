//! How much memory an installer takes on a cluster of some size.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use interpose::helm::{Seed, karpenter_release};
use kubesim::transport::User;
use tokio::process::Command;

use super::figure::{Figure, Unit};
use super::room::{BenchError, Room};
use crate::run::Installer;
use crate::scenario::RunStep;

/// A Helm that knows of one release, deployed, and answers at once: its memory is not the installer's.
const HELM: &str = r#"#!/bin/sh
echo '{"name":"karpenter","version":1,"namespace":"kube-system","info":{"status":"deployed"}}'
"#;

/// How often the system is asked; what is asked for is a peak, which it keeps.
const ASKED: Duration = Duration::from_millis(5);

/// The most memory that a run took which found everything as it should be.
pub(super) async fn installer(name: &str, room: &Room, installer: &Installer) -> Result<Figure, BenchError> {
    let mut figure = Figure::new(format!("{name}: peak memory of the installer"), Unit::Megabytes);
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
    for _ in 0..3 {
        let run = RunStep { phase: Some("compute".into()), ..RunStep::default() };
        figure.samples.extend(peak(installer, &run, &kubeconfig, folder.path()).await?);
    }
    Ok(figure)
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
