//! Reports: consumers of the event stream. A reporter is one file and one line where reporters are chosen.

mod events;
mod json;
mod junit;
mod summary;
mod terminal;

use std::io;

use owo_colors::OwoColorize as _;

pub use events::Events;
pub use json::Json;
pub use junit::Junit;
pub use summary::{ScenarioSummary, StepSummary, Summary};
pub use terminal::Terminal;

use crate::event::Event;

/// Tells of a run.
pub trait Reporter: Send {
    /// What it writes, for messages.
    fn name(&self) -> String;

    /// Takes the next event.
    ///
    /// # Errors
    /// It could not be written.
    fn event(&mut self, event: &Event) -> io::Result<()>;
}

/// Several reporters, told of everything in the same order.
#[derive(Default)]
pub struct Reporters {
    reporters: Vec<Box<dyn Reporter>>,
}

impl Reporters {
    /// Adds one.
    #[must_use]
    pub fn with(mut self, reporter: impl Reporter + 'static) -> Self {
        self.reporters.push(Box::new(reporter));
        self
    }

    /// Tells all of them, also when one of them fails; the first failure is returned with the reporter's name.
    ///
    /// # Errors
    /// A reporter could not write. One whose reader has gone away (a closed pipe) is no failure.
    pub fn event(&mut self, event: &Event) -> Result<(), (String, io::Error)> {
        let mut first = Ok(());
        for reporter in &mut self.reporters {
            match reporter.event(event) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe && first.is_ok() => {
                    first = Err((reporter.name(), error));
                }
                _ => {}
            }
        }
        first
    }
}

/// Writes to standard error why a command did not come to its end, and what to type next.
pub fn complain(what: &str, hint: Option<&str>) {
    anstream::eprintln!("{} {what}", "error:".red().bold());
    if let Some(hint) = hint {
        anstream::eprintln!("\n{} {hint}", "hint:".cyan());
    }
}

/// Writes a document or a table to standard output, without colours where it shows none; a reader that has gone away is
/// no failure.
///
/// # Errors
/// It cannot be written, in words.
pub fn print(text: &str) -> Result<(), String> {
    use std::io::Write as _;
    let mut to = anstream::stdout().lock();
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("failed to write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}
