//! Ctrl-C: the first ends the run in order, the second at once.

use harness::run::Stop;
use harness::verdict::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// Threads of the runtime for each processor. More than one, so that two clusters that are busy (each may be one of
/// a thousand nodes) leave it to the system to share the processors among all clusters fairly: with as many threads
/// as processors, the others would not answer at all meanwhile.
const THREADS_PER_PROCESSOR: usize = 4;

/// A runtime for everything that waits.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = processors * THREADS_PER_PROCESSOR;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().worker_threads(threads).build().map_err(|error| {
        Failure::new(ExitCode::Infrastructure, format!("failed to start the runtime: {error}"))
    })
}

/// Throws the switch at SIGINT, at SIGTERM, and at SIGHUP, which comes when the terminal is closed. Must be called within a runtime.
pub(crate) fn listen(stop: Stop) -> Result<(), Failure> {
    let failed =
        |error| Failure::new(ExitCode::Infrastructure, format!("failed to listen for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
    tokio::spawn(async move {
        for times in 0.. {
            tokio::select! {
                biased;
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
            if times == 0 {
                stop.trigger();
                anstream::eprintln!("\ninterrupted: clearing up; once more to leave at once");
            } else {
                anstream::eprintln!("left at once\n\nhint: cargo xtask cluster prune");
                std::process::exit(i32::from(ExitCode::Interrupted.code()));
            }
        }
    });
    Ok(())
}
