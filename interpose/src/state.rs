//! The folder that all calls of one run share: numbered documents under one lock.
//!
//! Calls of different tools run at the same time, in processes of their own. Whoever changes a file
//! of the folder holds the lock file; it is advisory (`flock`) and falls with the process that held
//! it, so that a killed call never blocks the next one.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::plan::ToolFault;

/// Name of the folder within the protocol folder.
pub const FOLDER: &str = "state";

/// File of the folder with the labels of the faults that held a call, a JSON string on each line.
const HELD_FILE: &str = "held";

/// The state folder, to be locked before use.
#[derive(Debug, Clone)]
pub struct State {
    dir: PathBuf,
}

/// A label as the file of the held ones has it, whatever it holds.
fn line_of(label: &str) -> String {
    serde_json::Value::from(label).to_string()
}

/// The right to change the state; ends when dropped.
#[derive(Debug)]
pub struct Locked {
    dir: PathBuf,
    _lock: Flock<File>,
}

impl State {
    /// The state of a protocol folder. Nothing is made on disk yet.
    pub fn of(tools_dir: &Path) -> Self {
        Self { dir: tools_dir.join(FOLDER) }
    }

    /// Notes that a call is being held by the fault of this label, before its work or after it.
    ///
    /// # Errors
    /// The note cannot be written.
    pub fn hold(&self, label: &str) -> io::Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        let mut notes = OpenOptions::new().create(true).append(true).open(self.dir.join(HELD_FILE))?;
        notes.write_all(format!("{}\n", line_of(label)).as_bytes())
    }

    /// Whether the fault of this label holds a call, or has.
    pub fn held(&self, label: &str) -> bool {
        let notes = std::fs::read_to_string(self.dir.join(HELD_FILE)).unwrap_or_default();
        notes.lines().any(|line| line == line_of(label))
    }

    /// Waits for the lock.
    ///
    /// # Errors
    /// The folder cannot be made or its lock file not opened.
    pub fn lock(&self) -> io::Result<Locked> {
        std::fs::create_dir_all(&self.dir)?;
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(self.dir.join(".lock"))?;
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))?;
        Ok(Locked { dir: self.dir.clone(), _lock: lock })
    }
}

impl Locked {
    /// Reads a document; `None` when there is none yet.
    ///
    /// # Errors
    /// It exists and cannot be read, or is not what it should be.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match std::fs::read(self.dir.join(format!("{name}.json"))) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| io::Error::other(format!("read state {name}: {error}"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces a document in one step.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        let draft = self.dir.join(format!(".{name}.draft"));
        std::fs::write(&draft, serde_json::to_vec_pretty(value)?)?;
        std::fs::rename(draft, self.dir.join(format!("{name}.json")))
    }

    /// The next number of a sequence, from 1.
    ///
    /// # Errors
    /// The counter cannot be read or written.
    pub fn next(&self, sequence: &str) -> io::Result<u64> {
        let next = self.read::<u64>(sequence)?.unwrap_or(0) + 1;
        self.write(sequence, &next)?;
        Ok(next)
    }

    /// Counts this call for each fault that it matches, and says which fault breaks it: the first,
    /// in the plan's order, whose occurrences include this one. Occurrences are kept by label, so
    /// that a plan may gain and lose faults while the installer runs.
    ///
    /// # Errors
    /// The counts cannot be read or written.
    pub fn fault<'p>(
        &self,
        faults: &'p [ToolFault],
        tool: &str,
        argv: &[String],
    ) -> io::Result<Option<&'p ToolFault>> {
        const COUNTS: &str = "faults";
        let matching: Vec<&ToolFault> = faults.iter().filter(|f| f.matches(tool, argv)).collect();
        if matching.is_empty() {
            return Ok(None);
        }
        let mut counts: BTreeMap<String, u32> = self.read(COUNTS)?.unwrap_or_default();
        let mut chosen = None;
        for fault in matching {
            let count = counts.entry(fault.label.clone()).or_default();
            if chosen.is_none() && fault.holds(*count) {
                chosen = Some(fault);
            }
            *count = count.saturating_add(1);
        }
        self.write(COUNTS, &counts)?;
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::plan::{Action, When};

    #[test]
    fn a_fault_with_occurrences_breaks_those_calls_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::of(dir.path());
        let fault = ToolFault {
            label: "second and third".into(),
            tool: "helm".into(),
            args: vec!["upgrade".into()],
            skip: 1,
            times: Some(2),
            when: When::Before,
            action: Action::Hang,
        };
        let call = |argv: &str| {
            let argv: Vec<String> = argv.split(' ').map(Into::into).collect();
            state.lock().unwrap().fault(std::slice::from_ref(&fault), "helm", &argv).unwrap().is_some()
        };
        let broken: Vec<bool> =
            ["upgrade a", "status a", "upgrade a", "upgrade b", "upgrade a"].into_iter().map(call).collect();
        assert_eq!(broken, [false, false, true, true, false]);
    }

    #[test]
    fn numbers_go_up_by_one_whoever_asks() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::of(dir.path());
        let mut seen: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..5).map(|_| state.lock().unwrap().next("calls").unwrap()).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
        });
        seen.sort_unstable();
        assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    }
}
