//! Accounting for processes: everything that a subject starts carries a mark in its environment, so that
//! it is found whatever process group or session it moved to, and by a later run too.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

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
        let Ok(environment) = environment(&entry.path()) else { continue };
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

/// The longest that a process is taken to be between two programs: a step of the kernel, on a crowded machine.
const BETWEEN: Duration = Duration::from_secs(1);

/// A process's environment. While it becomes another program it has none for a moment, and is not to be missed.
fn environment(folder: &Path) -> std::io::Result<Vec<u8>> {
    let began = Instant::now();
    loop {
        let environment = std::fs::read(folder.join("environ"))?;
        if !environment.is_empty() || !is_between_programs(folder) || began.elapsed() > BETWEEN {
            return Ok(environment);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A process that has a program and no place for its environment yet (`env_end` in proc_pid_stat(5)). A thread of the
/// kernel, and what has ended, has no program.
fn is_between_programs(folder: &Path) -> bool {
    const ENV_END: usize = 51;
    stat(folder, ENV_END).is_some_and(|end| end == "0") && std::fs::read_link(folder.join("exe")).is_ok()
}

/// A process that has ended and is only waiting to be reaped.
fn is_zombie(folder: &Path) -> bool {
    const STATE: usize = 3;
    stat(folder, STATE).is_none_or(|state| state.starts_with(['Z', 'X']))
}

/// A field of `/proc/PID/stat`, counted from 1 as proc_pid_stat(5) does, from the third on: what stands before is in
/// parentheses and may hold anything.
fn stat(folder: &Path, field: usize) -> Option<String> {
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split_whitespace().nth(field.checked_sub(3)?).map(str::to_owned)
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
