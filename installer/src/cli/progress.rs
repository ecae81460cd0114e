//! Progress on standard error: a line a step, and on a terminal what is being waited for.

use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use owo_colors::OwoColorize as _;

use super::wrap::hang;
use crate::log::{Event, Level, Log};

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
    // Also keeps lines from mingling.
    spinner: Arc<Mutex<Spinner>>,
    turning: Option<(Sender<()>, JoinHandle<()>)>,
}

/// What is being waited for, in the last line of a terminal.
#[derive(Default)]
struct Spinner {
    waiting: Option<(String, Instant)>,
    drawn: bool,
    turn: usize,
}

const TURNS: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// Between two turns. Waits that are shorter are not shown at all.
const TURN: Duration = Duration::from_millis(120);

impl Stderr {
    pub(super) fn new(format: Format) -> Self {
        let spinner = Arc::new(Mutex::new(Spinner::default()));
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let turns = format == Format::Human && std::io::stderr().is_terminal() && !dumb;
        let turning = turns.then(|| {
            let (end, ended) = channel();
            let spinner = spinner.clone();
            let turning = std::thread::spawn(move || {
                while ended.recv_timeout(TURN) == Err(RecvTimeoutError::Timeout) {
                    spinner.lock().unwrap_or_else(PoisonError::into_inner).draw();
                }
            });
            (end, turning)
        });
        Self { format, spinner, turning }
    }

    /// Whether a person reads along.
    pub(super) fn human(&self) -> bool {
        self.format == Format::Human
    }

    /// Writes a text of more than one line, for a person.
    pub(super) fn text(&self, text: &str) {
        let mut spinner = self.spinner.lock().unwrap_or_else(PoisonError::into_inner);
        spinner.clear();
        // Nobody may be listening any more; that is no reason to stop.
        let _ = anstream::stderr().write_all(text.as_bytes());
    }
}

/// How wide standard error is, if it is a terminal.
pub(super) fn columns() -> Option<usize> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    // A terminal that does not say is as wide as they used to be.
    let size = terminal_size::terminal_size_of(std::io::stderr());
    Some(size.map_or(80, |(width, _)| usize::from(width.0)))
}

impl Spinner {
    /// Takes the line away that is in the way of the next.
    fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    fn draw(&mut self) {
        let Some((what, since)) = &self.waiting else { return };
        let waited = since.elapsed();
        if waited < TURN {
            return;
        }
        self.turn = (self.turn + 1) % TURNS.len();
        let line = format!("{} {:>8} {what}", TURNS[self.turn], seconds(waited));
        // One that breaks could not be taken away again.
        let width = columns().unwrap_or_default().saturating_sub(1);
        let line: String = line.chars().take(width).collect();
        let mut stderr = std::io::stderr();
        self.drawn = write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush()).is_ok();
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2}s", duration.as_secs_f64())
}

/// An event as a person reads it.
fn line(event: &Event, columns: Option<usize>) -> String {
    let mark = match event.level {
        Level::Info => '•',
        Level::Warn => '!',
        Level::Error => '✗',
    };
    let elapsed = seconds(Duration::from_millis(event.elapsed_ms));
    hang(&format!("{mark} {elapsed:>8} {:<13} ", event.step), &event.message, columns)
}

impl Log for Stderr {
    fn event(&self, event: &Event) {
        let text = match self.format {
            Format::Json => match serde_json::to_string(event) {
                Ok(line) => line,
                Err(_) => return,
            },
            Format::Human => {
                let line = line(event, columns());
                let mut rest = line.chars();
                let mark = rest.next().map(String::from).unwrap_or_default();
                let mark = match event.level {
                    Level::Info => mark.green().to_string(),
                    Level::Warn => mark.yellow().to_string(),
                    Level::Error => mark.red().to_string(),
                };
                mark + rest.as_str()
            }
        };
        self.text(&(text + "\n"));
    }

    fn shows_waits(&self) -> bool {
        self.turning.is_some()
    }

    fn waiting(&self, what: Option<&str>) {
        if !self.shows_waits() {
            return;
        }
        let mut spinner = self.spinner.lock().unwrap_or_else(PoisonError::into_inner);
        let same = matches!((&spinner.waiting, what), (Some((before, _)), Some(now)) if before == now);
        if !same {
            spinner.clear();
            spinner.waiting = what.map(|what| (what.to_owned(), Instant::now()));
        }
    }
}

impl Drop for Stderr {
    fn drop(&mut self) {
        if let Some((end, turning)) = self.turning.take() {
            drop(end);
            let _ = turning.join();
        }
        self.spinner.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str) -> Event {
        Event::new(Duration::from_millis(1234), Level::Warn, "platform-gate", message.to_owned())
    }

    #[test]
    fn a_step_is_one_line_in_a_pipe_whatever_is_in_it() {
        let long =
            "one of the nodes is not Ready:\nits kubelet has never reported anything to anybody at all";
        assert_eq!(
            line(&event(long), None),
            "!    1.23s platform-gate one of the nodes is not Ready: its kubelet has never reported anything to anybody at all"
        );
    }

    #[test]
    fn a_terminal_of_eighty_columns_is_wide_enough() {
        let long = "one of the nodes is not Ready: its kubelet has never reported anything to anybody at all";
        assert_eq!(
            line(&event(long), Some(80)),
            "!    1.23s platform-gate one of the nodes is not Ready: its kubelet has never\n\
             \x20                        reported anything to anybody at all"
        );
    }
}
