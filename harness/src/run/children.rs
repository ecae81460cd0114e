//! Accounting for processes: everything that a subject starts carries a mark in its environment, so that
//! it is found whatever process group or session it moved to, and by a later run too.

use std::fmt;
use std::path::Path;

use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;

/// Environment variable that carries the mark.
pub const MARK: &str = "SEATRIAL_RUN";

/// A process that is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its command line, cut.
    pub command: String,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.pid, self.command)
    }
}

/// Living processes with this mark, or with one below it (`mark/part`). Empty where the system does not show environments (there is no
/// `/proc`).
#[must_use]
pub fn marked(mark: &str) -> Vec<Process> {
    let wanted = format!("{MARK}={mark}");
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // Processes of others cannot be read, and are not ours.
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
        let ours = environment.split(|byte| *byte == 0).any(|variable| {
            let rest = variable.strip_prefix(wanted.as_bytes());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        });
        if ours && !is_zombie(&entry.path()) {
            found.push(Process { pid, command: command(&entry.path()) });
        }
    }
    found.sort_by_key(|process| process.pid);
    found
}

/// Kills processes for good.
pub fn kill(processes: &[Process]) {
    for process in processes {
        // One that has ended meanwhile is as good as killed.
        let _ = send(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
}

/// A process that has ended and is only waiting to be reaped: its state stands behind the name in
/// parentheses.
fn is_zombie(folder: &Path) -> bool {
    let Ok(stat) = std::fs::read_to_string(folder.join("stat")) else { return true };
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['Z', 'X']))
}

fn command(folder: &Path) -> String {
    let line = std::fs::read(folder.join("cmdline")).unwrap_or_default();
    let words: Vec<String> = line
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    words.join(" ").chars().take(120).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::Command;

    use super::*;

    #[test]
    fn a_marked_process_is_found_and_killed() {
        let mark = format!("children-test-{}", std::process::id());
        let mut child = Command::new("sleep").arg("60").env(MARK, &mark).spawn().unwrap();
        // The mark is there once the process has become `sleep`.
        let found = loop {
            let found = marked(&mark);
            if found.iter().any(|it| it.command.starts_with("sleep")) {
                break found;
            }
            std::thread::yield_now();
        };
        assert_eq!(found.len(), 1);
        kill(&found);
        child.wait().unwrap();
        assert!(marked(&mark).is_empty());
    }
}
