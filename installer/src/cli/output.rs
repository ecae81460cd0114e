//! What is written: the result to standard output, progress to standard error.

use std::io::Write;
use std::sync::Mutex;

use owo_colors::OwoColorize;

use crate::log::{Event, Level, Log};
use crate::redact::Redactor;
use crate::result::RunResult;

/// How progress is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// One line a step, for a person.
    Human,
    /// One JSON object a step.
    Json,
}

/// Progress on standard error.
pub(super) struct Stderr {
    format: Format,
    // Lines must not mingle.
    lock: Mutex<()>,
}

impl Stderr {
    pub(super) fn new(format: Format) -> Self {
        Self { format, lock: Mutex::new(()) }
    }
}

impl Log for Stderr {
    fn event(&self, event: &Event) {
        let _guard = self.lock.lock();
        let mut stderr = anstream::stderr();
        // Nobody may be listening any more; that is no reason to stop.
        let _ = match self.format {
            Format::Json => serde_json::to_string(event).map_or(Ok(()), |line| writeln!(stderr, "{line}")),
            Format::Human => {
                let seconds = std::time::Duration::from_millis(event.elapsed_ms).as_secs_f64();
                let mark = match event.level {
                    Level::Info => "•".green().to_string(),
                    Level::Warn => "!".yellow().to_string(),
                    Level::Error => "✗".red().to_string(),
                };
                let message = event.message.replace('\n', " ");
                writeln!(stderr, "{mark} {:>8} {:<14} {message}", format!("{seconds:.2}s"), event.step)
            }
        };
    }
}

/// Writes the one document.
pub(super) fn result(result: &RunResult, redactor: &Redactor) -> std::io::Result<()> {
    let mut document = serde_json::to_value(result)?;
    redactor.json(&mut document);
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Prints a text that is no result.
pub(super) fn print(text: &str) -> u8 {
    let mut stdout = std::io::stdout().lock();
    u8::from(writeln!(stdout, "{}", text.trim_end()).is_err())
}
