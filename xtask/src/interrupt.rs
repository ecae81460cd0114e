//! Ctrl-C: the first ends the run in order, the second at once.

use harness::run::Stop;
use harness::verdict::ExitCode;

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

/// Throws the switch at a signal. Must be called within a runtime.
pub(crate) fn listen(stop: &Stop) -> Result<(), Failure> {
    stop.at_signals(|words| anstream::eprintln!("{words}")).map_err(|error| {
        Failure::new(ExitCode::Infrastructure, format!("failed to listen for signals: {error}"))
    })
}
