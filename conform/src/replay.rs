//! Sequences in files, to be played again.

use std::path::Path;

use crate::Error;
use crate::operation::Operation;
use crate::report::Report;
use crate::scheduling::Case;

/// Keeps a sequence in a folder; answers with the file's path.
///
/// # Errors
/// When it cannot be written.
pub fn keep(folder: &Path, name: &str, sequence: &[Operation]) -> Result<String, Error> {
    write(folder, name, sequence)
}

fn write(folder: &Path, name: &str, what: &(impl serde::Serialize + ?Sized)) -> Result<String, Error> {
    let path = folder.join(format!("{name}.json"));
    let shown = path.display().to_string();
    let wrong = |source| Error::Write { path: shown.clone(), source };
    std::fs::create_dir_all(folder).map_err(wrong)?;
    let text = serde_json::to_string_pretty(what).unwrap_or_default();
    std::fs::write(&path, text + "\n").map_err(wrong)?;
    Ok(shown)
}

/// Keeps a scheduler case; answers with the file's path.
///
/// # Errors
/// When it cannot be written.
pub fn keep_case(folder: &Path, name: &str, case: &Case) -> Result<String, Error> {
    write(folder, name, case)
}

/// What a file replays.
pub enum Replay {
    /// Requests.
    Sequence(Vec<Operation>),
    /// A scheduler case.
    Case(Case),
}

/// Reads either.
///
/// # Errors
/// When the file cannot be read, or is neither.
pub fn read_any(path: &Path) -> Result<Replay, Error> {
    let wrong = |why: String| Error::File { path: path.display().to_string(), why };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    if text.trim_start().starts_with('[') {
        return read(path).map(Replay::Sequence);
    }
    serde_json::from_str(&text).map(Replay::Case).map_err(|error| wrong(error.to_string()))
}

/// Keeps a whole report beside them, as `report.json`; answers with the file's path.
///
/// # Errors
/// When it cannot be written.
pub fn keep_report(folder: &Path, report: &Report) -> Result<String, Error> {
    write(folder, "report", report)
}

/// Reads a sequence.
///
/// # Errors
/// When the file cannot be read, or is no sequence.
pub fn read(path: &Path) -> Result<Vec<Operation>, Error> {
    let wrong = |why: String| Error::File { path: path.display().to_string(), why };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let sequence = vec![Operation::new("get", "GET", "/api/v1/namespaces/{ns}/pods/a").asking("x", "y")];
        let path = keep(folder.path(), "one", &sequence).unwrap();
        assert_eq!(read(Path::new(&path)).unwrap(), sequence);
    }
}
