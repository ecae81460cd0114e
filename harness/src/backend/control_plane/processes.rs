//! The processes of one control plane: one process group, which ends when this process does.
//!
//! The group's leader is a shell that reads from a pipe of which only this process holds the other end. However
//! this process ends, also by SIGKILL, the kernel closes the pipe, and the shell kills the group. A parent-death
//! signal (`PR_SET_PDEATHSIG`) would follow the *thread* that forked, which a runtime may end at any time.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::Ipv4Addr;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::process::ChildStdin;
use tokio::sync::watch;

use crate::backend::ClusterError;
use crate::run::children::MARK;

/// The leader's program: `read` returns when the pipe is closed.
const LEADER: &str = "read -r _; kill -s KILL 0";

/// How much of a log's end is read, and how many of its lines are told.
const TAIL_BYTES: u64 = 16 * 1024;
const TAIL_LINES: usize = 6;

/// How long a process that was killed may take to be gone.
const LAST_BREATH: Duration = Duration::from_secs(10);

/// A process group. Dropping it kills everybody in it.
pub(super) struct Group {
    // Holds the pipe too.
    leader: Child,
    id: Pid,
    mark: String,
    environment: &'static [(&'static str, &'static str)],
}

impl Group {
    /// Starts an empty group; its processes carry `mark` (see [`children`](crate::run::children)) and these variables.
    pub(super) fn start(
        mark: &str,
        environment: &'static [(&'static str, &'static str)],
    ) -> io::Result<Self> {
        let leader = std::process::Command::new("sh")
            .args(["-c", LEADER])
            .env(MARK, mark)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let id = i32::try_from(leader.id()).map_err(io::Error::other)?;
        Ok(Self { leader, id: Pid::from_raw(id), mark: mark.to_owned(), environment })
    }

    /// Starts a process in it. What it writes goes to the end of `log`.
    pub(super) fn spawn(
        &self,
        name: &'static str,
        program: &Path,
        arguments: &[String],
        log: PathBuf,
    ) -> io::Result<Process> {
        Ok(self.start_process(name, program, arguments, log, Stdio::null())?.0)
    }

    /// Starts one that waits for what comes through its standard input.
    pub(super) fn spawn_held(
        &self,
        name: &'static str,
        program: &Path,
        arguments: &[String],
        log: PathBuf,
    ) -> io::Result<Held> {
        let (process, stdin) = self.start_process(name, program, arguments, log, Stdio::piped())?;
        Ok(Held { process, stdin: stdin.ok_or(io::ErrorKind::BrokenPipe)? })
    }

    fn start_process(
        &self,
        name: &'static str,
        program: &Path,
        arguments: &[String],
        log: PathBuf,
        stdin: Stdio,
    ) -> io::Result<(Process, Option<ChildStdin>)> {
        let file = File::options().create(true).append(true).open(&log)?;
        let from = file.metadata()?.len();
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.environment.iter().copied())
            .env(MARK, &self.mark)
            .current_dir(log.parent().unwrap_or(Path::new("/")))
            .stdin(stdin)
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(self.id.as_raw())
            .spawn()?;
        let stdin = child.stdin.take();
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let (sender, ended) = watch::channel(None);
        tokio::spawn(async move {
            // A wait fails only for a process that is not our child.
            if let Ok(status) = child.wait().await {
                sender.send_replace(Some(status));
            }
        });
        Ok((Process { name, log, from, pid, ended }, stdin))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // ESRCH: everybody has left already.
        let _ = killpg(self.id, Signal::SIGKILL);
        let _ = self.leader.wait();
    }
}

/// A process that was started and waits for its standard input.
pub(super) struct Held {
    process: Process,
    stdin: ChildStdin,
}

impl Held {
    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// Gives it what it waits for. What it or another of its name has written until now is none of its last words.
    pub(super) async fn tell(self, text: &str) -> Process {
        let Self { mut process, mut stdin } = self;
        process.from = process.log.metadata().map_or(process.from, |log| log.len());
        // Fails only for one that has died, which is seen by whoever waits for it.
        let _ = stdin.write_all(text.as_bytes()).await;
        process
    }
}

/// A process of a group.
#[derive(Clone)]
pub(super) struct Process {
    name: &'static str,
    log: PathBuf,
    /// Where in the log its own lines begin: one of the same name may have written before.
    from: u64,
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
        let known = *self.ended.borrow();
        known.or_else(|| self.unreaped()).or_else(|| self.dying()).map(|status| self.cause(status))
    }

    /// How it ends, if it has been killed and is not gone yet: one of hundreds of megabytes takes its time, in which
    /// it looks alive and answers nobody.
    fn dying(&self) -> Option<ExitStatus> {
        let began = Instant::now();
        while is_dying(self.pid?) && began.elapsed() < LAST_BREATH {
            std::thread::sleep(Duration::from_millis(1));
            if let Some(status) = self.unreaped().or_else(|| *self.ended.borrow()) {
                return Some(status);
            }
        }
        None
    }

    /// How it ended, if it has and nobody was told yet: whoever asks because a connection was refused must not hear
    /// that all is well.
    fn unreaped(&self) -> Option<ExitStatus> {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.pid?), look) {
            Ok(WaitStatus::Exited(_, code)) => Some(ExitStatus::from_raw(code << 8)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(ExitStatus::from_raw(signal as i32)),
            _ => None,
        }
    }

    /// Waits for its end.
    pub(super) async fn died(&self) -> Death {
        let status = self.ended.clone().wait_for(Option::is_some).await.ok().and_then(|it| *it);
        self.cause(status.unwrap_or_default())
    }

    fn cause(&self, status: ExitStatus) -> Death {
        let last = tail(&self.log, self.from).unwrap_or_default();
        Death { name: self.name, status, last }
    }
}

/// Whether SIGKILL is on its way to a process, or the process on its way out (proc(5): pending signals, and of the
/// flags `PF_EXITING`). Never where there is no `/proc`.
fn is_dying(pid: Pid) -> bool {
    const EXITING: u64 = 0x4;
    let killed = 1_u64 << (nix::libc::SIGKILL - 1);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pending = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|signals| u64::from_str_radix(signals.trim(), 16).ok()).unwrap_or_default()
    };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name in parentheses: the state, five ids, the flags.
    let flags = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(6)?.parse::<u64>().ok());
    (pending("SigPnd:") | pending("ShdPnd:")) & killed != 0 || flags.unwrap_or_default() & EXITING != 0
}

/// How a process ended.
#[derive(Clone, Debug)]
pub(super) struct Death {
    name: &'static str,
    status: ExitStatus,
    last: String,
}

impl Death {
    /// Whether it gave up on an API server that was too slow for it: kube-controller-manager waits for ten seconds.
    pub(super) fn gave_up_waiting(&self) -> bool {
        self.last.contains("failed to wait for apiserver being healthy")
    }

    /// What happened, with the process's own last words, as a fragment that fits after "failed to".
    pub(super) fn words(&self) -> String {
        let cause = if self.last.contains("address already in use") {
            "its port is in use: "
        } else if self.last.contains("no space left on device") {
            "the disk is full: "
        } else {
            ""
        };
        let lines: Vec<&str> = self.last.lines().filter(|line| !line.trim().is_empty()).collect();
        let lines = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n  ");
        let told = match lines.is_empty() {
            true => "it said nothing".to_owned(),
            false => format!("its last lines:\n  {lines}"),
        };
        format!("keep {} running: it ended ({}): {cause}{told}", self.name, self.status)
    }
}

impl From<Death> for ClusterError {
    fn from(death: Death) -> Self {
        Self(death.words())
    }
}

/// The end of a file, but nothing before `from`.
fn tail(path: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES).max(from)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A port of 127.0.0.1 that is ours for as long as this lives. The socket that holds it is bound and does not listen;
/// only who is told to share ports (`SO_REUSEPORT`) can listen beside it, and the system gives it to nobody else, also
/// not to the near end of somebody's connection.
pub(super) struct Port {
    number: u16,
    _held: TcpSocket,
}

impl Port {
    /// Takes one that is free.
    pub(super) fn take() -> io::Result<Self> {
        let held = TcpSocket::new_v4()?;
        held.set_reuseport(true)?;
        held.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self { number: held.local_addr()?.port(), _held: held })
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::{SocketAddr, TcpListener};

    use super::*;
    use crate::run::children;

    #[tokio::test]
    async fn a_process_that_ends_says_how_and_what_it_said_last() {
        let folder = tempfile::tempdir().unwrap();
        let group = Group::start("processes-test-death", &[]).unwrap();
        let words =
            ["-c", "echo one; echo listen tcp: address already in use >&2; exit 3"].map(str::to_owned);
        let process = group.spawn("shell", Path::new("sh"), &words, folder.path().join("log")).unwrap();
        let death = process.died().await;
        let words = death.words();
        assert!(
            words.starts_with("keep shell running: it ended (exit status: 3): its port is in use"),
            "{words}"
        );
        assert!(words.contains("\n  one\n  listen tcp"), "{words}");
        // The next one of this name is not taken for it.
        let words = ["-c", "exit 4"].map(str::to_owned);
        let next = group.spawn("shell", Path::new("sh"), &words, folder.path().join("log")).unwrap();
        let words = next.died().await.words();
        assert_eq!(words, "keep shell running: it ended (exit status: 4): it said nothing");
    }

    /// On a runtime of one thread, which hears of the end only when this test waits for something.
    #[tokio::test(flavor = "current_thread")]
    async fn a_process_that_has_ended_is_known_to_be_dead_before_anybody_was_told() {
        let folder = tempfile::tempdir().unwrap();
        let group = Group::start("processes-test-unreaped", &[]).unwrap();
        for (words, status) in [("exit 3", "exit status: 3"), ("kill -9 $$", "signal: 9 (SIGKILL)")] {
            let words = ["-c", words].map(str::to_owned);
            let process = group.spawn("shell", Path::new("sh"), &words, folder.path().join("log")).unwrap();
            let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
            waitid(Id::Pid(process.pid.unwrap()), ended).unwrap();
            let words = process.death().unwrap().words();
            assert!(words.contains(&format!("it ended ({status})")), "{words}");
        }
    }

    #[tokio::test]
    async fn a_dropped_group_leaves_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let mark = format!("processes-test-drop-{}", std::process::id());
        let group = Group::start(&mark, &[]).unwrap();
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
        let mut group = Group::start("processes-test-pipe", &[]).unwrap();
        let sleep = ["60".to_owned()];
        let process = group.spawn("sleep", Path::new("sleep"), &sleep, folder.path().join("log")).unwrap();
        drop(group.leader.stdin.take());
        process.died().await;
    }

    #[tokio::test]
    async fn a_process_that_is_held_goes_on_when_it_is_told_and_only_what_it_says_then_counts() {
        let folder = tempfile::tempdir().unwrap();
        let group = Group::start("processes-test-held", &[]).unwrap();
        let log = folder.path().join("log");
        let words = ["-c".to_owned(), "echo early; text=$(cat); echo told $text; exit 3".to_owned()];
        let held = group.spawn_held("shell", Path::new("sh"), &words, log.clone()).unwrap();
        while std::fs::read_to_string(&log).unwrap() != "early\n" {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(held.process().death().is_none());
        let words = held.tell("everything").await.died().await.words();
        assert!(words.ends_with("its last lines:\n  told everything"), "{words}");
    }

    #[tokio::test]
    async fn a_process_that_is_held_is_not_held_by_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let group = Group::start("processes-test-let-go", &[]).unwrap();
        let held = group.spawn_held("cat", Path::new("cat"), &[], folder.path().join("log")).unwrap();
        let process = held.process().clone();
        drop(held);
        process.died().await;
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_process_that_was_killed_is_dead_from_that_moment_on() {
        let folder = tempfile::tempdir().unwrap();
        let group = Group::start("processes-test-dying", &[]).unwrap();
        for _ in 0..50 {
            let words = ["60".to_owned()];
            let process =
                group.spawn("sleep", Path::new("sleep"), &words, folder.path().join("log")).unwrap();
            assert!(process.death().is_none());
            kill(process.pid.unwrap(), Signal::SIGKILL).unwrap();
            let words = process.death().unwrap().words();
            assert!(words.contains("it ended (signal: 9 (SIGKILL))"), "{words}");
        }
    }

    #[tokio::test]
    async fn a_port_cannot_be_stolen_between_its_choice_and_its_use() {
        let port = Port::take().unwrap();
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
        let thief = TcpListener::bind(at).unwrap_err();
        assert_eq!(thief.kind(), io::ErrorKind::AddrInUse);
        // Nor by the near end of a connection.
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpSocket::new_v4().unwrap();
        client.set_reuseaddr(true).unwrap();
        let bound = client.bind(at);
        let refused = match bound {
            Err(error) => error,
            Ok(()) => client.connect(server.local_addr().unwrap()).await.unwrap_err(),
        };
        assert!(
            matches!(refused.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable),
            "{refused}"
        );
        // Whoever shares it, as the components are told to, has it to itself.
        let component = TcpSocket::new_v4().unwrap();
        component.set_reuseport(true).unwrap();
        component.bind(at).unwrap();
        let listener = component.listen(16).unwrap();
        for _ in 0..8 {
            let (to, from) = tokio::join!(tokio::net::TcpStream::connect(at), listener.accept());
            assert_eq!(to.unwrap().local_addr().unwrap(), from.unwrap().1);
        }
        // And while it is gone it is still ours.
        drop(listener);
        // A child that another test is starting may have it for a moment longer.
        let gone = async { while tokio::net::TcpStream::connect(at).await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
        assert!(TcpListener::bind(at).is_err());
    }
}
