//! The stream itself, kept: one event a line.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Reporter;
use crate::event::Event;

/// Name of the file.
pub const FILE: &str = "events.ndjson";

/// Writes `events.ndjson`.
pub struct Events {
    file: io::BufWriter<std::fs::File>,
    path: PathBuf,
}

impl Events {
    /// Makes the file in a folder, which is made too.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(FILE);
        Ok(Self { file: io::BufWriter::new(std::fs::File::create(&path)?), path })
    }
}

impl Reporter for Events {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        serde_json::to_writer(&mut self.file, event)?;
        self.file.write_all(b"\n")?;
        // Whoever reads after a crash wants every event before it.
        self.file.flush()
    }
}
