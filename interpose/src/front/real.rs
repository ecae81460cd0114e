//! Passing a call on to the real tool, its output streamed through and kept, signals forwarded.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::Command;

use super::Answer;
use super::ending::{Ending, GUARD};
use super::stops::Stops;
use crate::record::{Capped, Route};

/// Runs the program to its end. With `speak` its output also goes to ours.
pub(super) async fn run(
    program: &Path,
    argv: &[String],
    speak: bool,
    stops: &mut Stops,
) -> anyhow::Result<Answer> {
    let this = std::env::current_exe().context("find this executable")?;
    let mut child = Command::new(this)
        .arg0(GUARD)
        .arg(std::process::id().to_string())
        .arg(program)
        .args(argv)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}", program.display()))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let forward = async {
        loop {
            let number = stops.next().await;
            if let (Some(pid), Ok(signal)) = (pid, Signal::try_from(number)) {
                let _ = kill(pid, signal);
            }
        }
    };
    let streams = async {
        tokio::join!(pass(out, speak.then(tokio::io::stdout)), pass(err, speak.then(tokio::io::stderr)))
    };
    let (status, (stdout, stderr)) = tokio::select! {
        biased;
        both = async { tokio::join!(child.wait(), streams) } => both,
        () = forward => unreachable!("forwarding has no end"),
    };
    let status = status.with_context(|| format!("wait for {}", program.display()))?;
    let ending = match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exit(code),
        (None, Some(number)) => Ending::Signal(number),
        (None, None) => Ending::Exit(1),
    };
    Ok(Answer { ending, stdout: stdout.text(), stderr: stderr.text(), route: Route::Real, fault: None })
}

/// Copies a stream until its end, as it comes. When nobody reads ours any more, the tool's is still
/// read to the end, so that the tool does not block.
async fn pass(from: Option<impl AsyncRead + Unpin>, mut to: Option<impl AsyncWrite + Unpin>) -> Capped {
    let mut kept = Capped::default();
    let Some(mut from) = from else { return kept };
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..count];
        kept.push(bytes);
        if let Some(sink) = &mut to
            && (sink.write_all(bytes).await.is_err() || sink.flush().await.is_err())
        {
            to = None;
        }
    }
    kept
}
