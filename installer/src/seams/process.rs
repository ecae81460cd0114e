//! Tools as real processes.
//!
//! Each runs in a process group of its own, so that what it started (plugins, credential helpers) ends
//! with it: asked with SIGTERM first, killed with SIGKILL after a grace period.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures::future::BoxFuture;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::tools::{ToolCall, ToolError, ToolOutput, ToolRunner};

/// At most this much of a tool's output is kept. `helm status` prints whole manifests.
const KEPT: usize = 16 * 1024 * 1024;

/// How long output may still trickle in once the tool itself has ended: what holds the pipe open
/// then is a grandchild.
const DRAIN: Duration = Duration::from_secs(1);

/// Runs tools with `tokio::process`.
#[derive(Clone, Copy, Debug)]
pub struct ProcessRunner {
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
}

impl Default for ProcessRunner {
    fn default() -> Self {
        Self { grace: Duration::from_secs(5) }
    }
}

/// How the wait for a tool ended.
enum End {
    Exited(ExitStatus),
    TimedOut,
    Stopped(crate::stop::StopReason),
}

impl ToolRunner for ProcessRunner {
    fn run(&self, call: ToolCall) -> BoxFuture<'_, Result<ToolOutput, ToolError>> {
        Box::pin(run(self.grace, call))
    }
}

async fn run(grace: Duration, call: ToolCall) -> Result<ToolOutput, ToolError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => ToolError::NotFound { program: call.program.clone() },
        _ => ToolError::Failed { program: call.program.clone(), detail: error.to_string() },
    };
    let mut child = Command::new(&call.program)
        .args(&call.args)
        .envs(&call.env)
        .stdin(if call.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    // If this future is dropped half way, the whole group has to go, not the leader alone.
    let group = Group::of(&child);
    let stdin = child.stdin.take();
    let stdout = Capture::start(child.stdout.take());
    let stderr = Capture::start(child.stderr.take());
    if let (Some(mut pipe), Some(text)) = (stdin, call.stdin.clone()) {
        // A tool that ends without reading is its own affair; its exit code will say so.
        tokio::spawn(async move {
            let _ = pipe.write_all(text.as_bytes()).await;
        });
    }
    let end = tokio::select! {
        biased;
        status = child.wait() => End::Exited(status.map_err(failed)?),
        reason = call.stop.wait() => End::Stopped(reason),
        () = tokio::time::sleep(call.timeout) => End::TimedOut,
    };
    if !matches!(end, End::Exited(_)) {
        group.signal(Signal::SIGTERM);
        if tokio::time::timeout(grace, child.wait()).await.is_err() {
            group.signal(Signal::SIGKILL);
            let _ = child.wait().await;
        }
    }
    let stdout = stdout.finish().await;
    let stderr = stderr.finish().await;
    drop(group);
    match end {
        End::Exited(status) => {
            use std::os::unix::process::ExitStatusExt;
            Ok(ToolOutput { code: status.code(), signal: status.signal(), stdout, stderr })
        }
        End::TimedOut => Err(ToolError::TimedOut { program: call.program, after: call.timeout, stderr }),
        End::Stopped(reason) => Err(ToolError::Stopped { program: call.program, reason }),
    }
}

/// A process group that we made; whatever is left of it is killed when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // ESRCH means that everybody has left already.
            let _ = killpg(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// Output as it comes in; keeps the last [`KEPT`] bytes.
struct Capture {
    task: Option<tokio::task::JoinHandle<()>>,
    seen: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
}

impl Capture {
    fn start<R: AsyncRead + Send + Unpin + 'static>(pipe: Option<R>) -> Self {
        let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let task = pipe.map(|mut pipe| {
            let seen = seen.clone();
            tokio::spawn(async move {
                let mut chunk = vec![0; 16 * 1024];
                while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
                    let Ok(mut seen) = seen.lock() else { return };
                    seen.extend_from_slice(&chunk[..count]);
                    // Cut rarely: moving 16 MiB for each chunk would be quadratic.
                    if seen.len() > 2 * KEPT {
                        let excess = seen.len() - KEPT;
                        seen.drain(..excess);
                    }
                }
            })
        });
        Self { task, seen }
    }

    async fn finish(mut self) -> String {
        if let Some(task) = &mut self.task
            && tokio::time::timeout(DRAIN, &mut *task).await.is_err()
        {
            task.abort();
        }
        let seen = self.seen.lock().map(|seen| seen.clone()).unwrap_or_default();
        let from = seen.len().saturating_sub(KEPT);
        String::from_utf8_lossy(&seen[from..]).into_owned()
    }
}
