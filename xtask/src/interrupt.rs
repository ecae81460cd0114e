//! Ctrl-C: the first ends the run in order, the second at once.

use harness::run::Stop;
use harness::verdict::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// A runtime for everything that waits.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
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
