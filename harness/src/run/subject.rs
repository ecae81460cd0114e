//! The installer as a process: its own process group, its output captured, its end awaited or brought about.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::Stop;
use super::children;
use crate::observe::{Ending, Output};

/// How much of each stream is kept. A result has some ten thousand bytes.
const KEPT: usize = 4 * 1024 * 1024;

/// How long after its deadline a run may take to end by itself.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// How long after SIGTERM a run may take to end, before SIGKILL.
const TERM_GRACE: Duration = Duration::from_secs(5);

/// How long output may trickle in after the process itself has ended: what holds the pipe open then is
/// something that it left behind.
const DRAIN: Duration = Duration::from_millis(500);

/// A running installer.
pub(super) struct Subject {
    child: Child,
    group: Group,
    mark: String,
    stdout: Capture,
    stderr: Capture,
    began: Instant,
    deadline: Duration,
}

/// What became of it.
pub(super) struct Ended {
    pub(super) ending: Ending,
    /// Number of the signal that it was sent, other than for being late.
    pub(super) sent: Option<i32>,
    pub(super) elapsed: Duration,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    pub(super) left_behind: Vec<String>,
}

impl Subject {
    /// Starts a program. `deadline` is what the installer was told; it gets a grace period on top.
    pub(super) fn start(
        program: &Path,
        args: &[String],
        environment: &BTreeMap<OsString, OsString>,
        folder: &Path,
        mark: &str,
        deadline: Duration,
    ) -> std::io::Result<Self> {
        let mut child = Command::new(program)
            .args(args)
            .env_clear()
            .envs(environment)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = Group { id: child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw) };
        let (stdout, stderr) = (Capture::start(child.stdout.take()), Capture::start(child.stderr.take()));
        Ok(Self { child, group, mark: mark.to_owned(), stdout, stderr, began: Instant::now(), deadline })
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Whether it has written this to its standard error so far.
    pub(super) fn has_said(&self, text: &str) -> bool {
        self.stderr.has(text)
    }

    /// Waits for its end, which its deadline or the switch may bring about.
    pub(super) async fn end(mut self, stop: &Stop) -> std::io::Result<Ended> {
        let left = (self.deadline + GRACE).saturating_sub(self.began.elapsed());
        let finished = tokio::select! {
            biased;
            status = self.child.wait() => Some(status?),
            () = tokio::time::sleep(left) => None,
            () = stop.wait() => None,
        };
        let ending = match finished {
            Some(status) => Self::ending(status),
            None => Ending::Overdue { killed: self.make_end().await? },
        };
        self.account(ending, None).await
    }

    /// Sends it a signal and waits for its end.
    pub(super) async fn kill(mut self, signal: Signal) -> std::io::Result<Ended> {
        self.group.signal(signal);
        if signal == Signal::SIGKILL {
            // Nobody can clean up after SIGKILL; what is played is the loss of the whole machine.
            children::kill(&children::marked(&self.mark));
        }
        let ending = match tokio::time::timeout(TERM_GRACE + GRACE, self.child.wait()).await {
            Ok(status) => Self::ending(status?),
            Err(_) => Ending::Overdue { killed: self.make_end().await? },
        };
        self.account(ending, Some(signal as i32)).await
    }

    /// Ends it, as one does that is overdue; what it said and did is of no interest any more.
    pub(super) async fn abandon(mut self) -> std::io::Result<()> {
        let killed = self.make_end().await?;
        self.account(Ending::Overdue { killed }, None).await.map(drop)
    }

    /// SIGTERM, then SIGKILL; whether the latter was needed.
    async fn make_end(&mut self) -> std::io::Result<bool> {
        self.group.signal(Signal::SIGTERM);
        if let Ok(status) = tokio::time::timeout(TERM_GRACE, self.child.wait()).await {
            status?;
            return Ok(false);
        }
        self.group.signal(Signal::SIGKILL);
        self.child.wait().await?;
        Ok(true)
    }

    fn ending(status: ExitStatus) -> Ending {
        match (status.code(), status.signal()) {
            (Some(code), _) => Ending::Exit(code),
            (None, Some(number)) => Ending::Signal(number),
            (None, None) => Ending::Exit(-1),
        }
    }

    /// Collects its output and its children, and ends the children.
    async fn account(mut self, ending: Ending, sent: Option<i32>) -> std::io::Result<Ended> {
        self.group.id = None;
        let elapsed = self.began.elapsed();
        let mark = self.mark.clone();
        let look = move || children::marked(&mark);
        let left = tokio::task::spawn_blocking(look).await.map_err(std::io::Error::other)?;
        let (stdout, stderr) = tokio::join!(self.stdout.finish(), self.stderr.finish());
        // What a killed tool leaves for an instant is not left behind.
        let left_behind: Vec<_> = if left.is_empty() { left } else { still_there(&self.mark, left).await };
        children::kill(&left_behind);
        let left_behind = left_behind.iter().map(ToString::to_string).collect();
        Ok(Ended { ending, sent, elapsed, stdout, stderr, left_behind })
    }
}

/// A process group; whatever is left of it is killed when this is dropped before its leader was reaped.
struct Group {
    id: Option<Pid>,
}

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.id {
            // ESRCH: everybody has left already.
            let _ = killpg(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// Those of the processes that are still there after the time that an ended process takes to be reaped.
async fn still_there(mark: &str, first: Vec<children::Process>) -> Vec<children::Process> {
    const PATIENCE: Duration = Duration::from_millis(500);
    const STEP: Duration = Duration::from_millis(20);
    let began = Instant::now();
    let mut left = first;
    while !left.is_empty() && began.elapsed() < PATIENCE {
        tokio::time::sleep(STEP).await;
        left = children::marked(mark);
    }
    left
}

/// A stream as it comes in: its beginning is kept, the rest is counted.
struct Capture {
    task: JoinHandle<()>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    kept: Vec<u8>,
    bytes: u64,
}

impl Capture {
    fn start<R: AsyncRead + Send + Unpin + 'static>(pipe: Option<R>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        let task = tokio::spawn(async move {
            let Some(mut pipe) = pipe else { return };
            let mut chunk = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
                let mut seen = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let room = KEPT.saturating_sub(seen.kept.len()).min(count);
                seen.kept.extend_from_slice(&chunk[..room]);
                seen.bytes += count as u64;
            }
        });
        Self { task, seen }
    }

    fn has(&self, text: &str) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&seen.kept).contains(text)
    }

    async fn finish(mut self) -> Output {
        if tokio::time::timeout(DRAIN, &mut self.task).await.is_err() {
            self.task.abort();
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Output {
            text: String::from_utf8_lossy(&seen.kept).into_owned(),
            bytes: seen.bytes,
            cut: seen.bytes > seen.kept.len() as u64,
        }
    }
}
