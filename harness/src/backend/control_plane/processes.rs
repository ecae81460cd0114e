//! The processes of one control plane: one process group, which ends when this process does.
//!
//! The group's leader is a shell that reads from a pipe of which only this process holds the other end. However
//! this process ends, also by SIGKILL, the kernel closes the pipe, and the shell kills the group. A parent-death
//! signal (`PR_SET_PDEATHSIG`) would follow the *thread* that forked, which a runtime may end at any time.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::sync::watch;

use crate::backend::ClusterError;
use crate::run::children::MARK;

/// The leader's program: `read` returns when the pipe is closed.
const LEADER: &str = "read -r _; kill -s KILL 0";

/// How much of a log's end is read, and how many of its lines are told.
const TAIL_BYTES: u64 = 16 * 1024;
const TAIL_LINES: usize = 6;

/// A process group. Dropping it kills everybody in it.
pub(super) struct Group {
    // Holds the pipe too.
    leader: Child,
    id: Pid,
    mark: String,
}

impl Group {
    /// Starts an empty group; its processes carry `mark` (see [`children`](crate::run::children)).
    pub(super) fn start(mark: &str) -> io::Result<Self> {
        let leader = std::process::Command::new("sh")
            .args(["-c", LEADER])
            .env(MARK, mark)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let id = i32::try_from(leader.id()).map_err(io::Error::other)?;
        Ok(Self { leader, id: Pid::from_raw(id), mark: mark.to_owned() })
    }

    /// Starts a process in it. What it writes goes to the end of `log`.
    pub(super) fn spawn(
        &self,
        name: &'static str,
        program: &Path,
        arguments: &[String],
        log: PathBuf,
    ) -> io::Result<Process> {
        let file = File::options().create(true).append(true).open(&log)?;
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env(MARK, &self.mark)
            .current_dir(log.parent().unwrap_or(Path::new("/")))
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(self.id.as_raw())
            .spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let (sender, ended) = watch::channel(None);
        tokio::spawn(async move {
            // A wait fails only for a process that is not our child.
            if let Ok(status) = child.wait().await {
                sender.send_replace(Some(status));
            }
        });
        Ok(Process { name, log, pid, ended })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // ESRCH: everybody has left already.
        let _ = killpg(self.id, Signal::SIGKILL);
        let _ = self.leader.wait();
    }
}

/// A process of a group.
#[derive(Clone)]
pub(super) struct Process {
    name: &'static str,
    log: PathBuf,
    pid: Option<Pid>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// What it is called.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Kills it and waits for its end.
    pub(super) async fn kill(&self) {
        if let Some(pid) = self.pid.filter(|_| self.ended.borrow().is_none()) {
            let _ = kill(pid, Signal::SIGKILL);
        }
        // An error is a sender that is gone, and with it the process.
        let _ = self.ended.clone().wait_for(Option::is_some).await;
    }

    /// Why it is not alive; `None` while it is.
    pub(super) fn death(&self) -> Option<Death> {
        self.ended.borrow().map(|status| self.cause(status))
    }

    /// Waits for its end.
    pub(super) async fn died(&self) -> Death {
        let status = self.ended.clone().wait_for(Option::is_some).await.ok().and_then(|it| *it);
        self.cause(status.unwrap_or_default())
    }

    fn cause(&self, status: ExitStatus) -> Death {
        let last = tail(&self.log).unwrap_or_default();
        Death { name: self.name, status, last }
    }
}

/// How a process ended.
#[derive(Clone, Debug)]
pub(super) struct Death {
    name: &'static str,
    status: ExitStatus,
    last: String,
}

impl Death {
    /// Whether somebody else took the port between our choosing it and its being bound.
    pub(super) fn port_was_stolen(&self) -> bool {
        self.last.contains("address already in use")
    }

    /// What happened, with the process's own last words.
    pub(super) fn words(&self) -> String {
        let cause = if self.port_was_stolen() {
            "its port is in use: "
        } else if self.last.contains("no space left on device") {
            "the disk is full: "
        } else {
            ""
        };
        let lines: Vec<&str> = self.last.lines().filter(|line| !line.trim().is_empty()).collect();
        let lines = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n  ");
        format!("{} ended ({}): {cause}its last lines:\n  {lines}", self.name, self.status)
    }
}

impl From<Death> for ClusterError {
    fn from(death: Death) -> Self {
        Self(death.words())
    }
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Ports of 127.0.0.1 that are free now. All are held until all are known, so that they differ.
pub(super) fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::run::children;

    #[tokio::test]
    async fn a_process_that_ends_says_how_and_what_it_said_last() {
        let folder = tempfile::tempdir().unwrap();
        let group = Group::start("processes-test-death").unwrap();
        let words =
            ["-c", "echo one; echo listen tcp: address already in use >&2; exit 3"].map(str::to_owned);
        let process = group.spawn("shell", Path::new("sh"), &words, folder.path().join("log")).unwrap();
        let death = process.died().await;
        assert!(death.port_was_stolen());
        let words = death.words();
        assert!(words.starts_with("shell ended (exit status: 3): its port is in use"), "{words}");
        assert!(words.contains("\n  one\n  listen tcp"), "{words}");
    }

    #[tokio::test]
    async fn a_dropped_group_leaves_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let mark = format!("processes-test-drop-{}", std::process::id());
        let group = Group::start(&mark).unwrap();
        let sleep = ["60".to_owned()];
        let process = group.spawn("sleep", Path::new("sleep"), &sleep, folder.path().join("log")).unwrap();
        assert!(process.death().is_none());
        drop(group);
        process.died().await;
        assert!(children::marked(&mark).is_empty());
    }

    /// What the kernel does when this process is killed: it closes the pipe.
    #[tokio::test]
    async fn a_closed_pipe_ends_the_group() {
        let folder = tempfile::tempdir().unwrap();
        let mut group = Group::start("processes-test-pipe").unwrap();
        let sleep = ["60".to_owned()];
        let process = group.spawn("sleep", Path::new("sleep"), &sleep, folder.path().join("log")).unwrap();
        drop(group.leader.stdin.take());
        process.died().await;
    }
}
