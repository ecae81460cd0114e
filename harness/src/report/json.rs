//! The whole run as one JSON document, written when it has ended.

use std::io::{self, Write};

use super::{Reporter, Summary};
use crate::event::Event;

/// Writes the summary as JSON.
pub struct Json<W> {
    to: W,
    name: String,
    summary: Summary,
}

impl<W: Write> Json<W> {
    /// Writes to `to`; `name` stands for it in messages.
    pub fn new(to: W, name: impl Into<String>) -> Self {
        Self { to, name: name.into(), summary: Summary::default() }
    }
}

impl<W: Write + Send> Reporter for Json<W> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.summary.event(event);
        if matches!(event, Event::RunFinished { .. }) {
            serde_json::to_writer_pretty(&mut self.to, &self.summary)?;
            self.to.write_all(b"\n")?;
            self.to.flush()?;
        }
        Ok(())
    }
}
