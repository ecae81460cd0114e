//! Processes as the system lists them.

use std::time::{Duration, Instant};

/// Command lines of the living processes that have `NAME=value` in their environment.
#[must_use]
pub fn with_variable(name: &str, value: &str) -> Vec<String> {
    with_variable_like(name, |it| it == value)
}

/// Command lines of the living processes in whose environment a variable has such a value.
pub fn with_variable_like(name: &str, holds: impl Fn(&str) -> bool) -> Vec<String> {
    let prefix = format!("{name}=");
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let carries = |folder: &std::path::Path| {
        let environment = std::fs::read(folder.join("environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let stat = std::fs::read_to_string(folder.join("stat")).unwrap_or_default();
        let zombie = stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['Z', 'X']));
        !zombie && environment.split('\0').any(|it| it.strip_prefix(&prefix).is_some_and(&holds))
    };
    let folders = entries.flatten().map(|entry| entry.path()).filter(|folder| carries(folder));
    folders
        .map(|folder| {
            let line = std::fs::read(folder.join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).replace('\0', " ")
        })
        .collect()
}

/// The most memory that a living process has used so far, in bytes; `None` when it has ended.
#[must_use]
pub fn peak_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Asks until it is so.
///
/// # Panics
/// It is not so within half a minute; `what` says what.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
