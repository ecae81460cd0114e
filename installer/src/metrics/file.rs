//! The file: never half of it is seen, whoever reads and whenever the run is killed.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::families::{Last, families};
use super::text::{carried, render};

/// Why the metrics could not be written.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The path is that of a folder, or ends in one that is not named.
    #[error("the path names no file")]
    NoFile,
    /// The folder is not there.
    #[error("there is no folder {}; make it, or name another with --metrics-file", .0.display())]
    NoFolder(PathBuf),
    /// The folder may not be written to.
    #[error("the folder {} is not writable; make it so, or name another with --metrics-file", .0.display())]
    NotWritable(PathBuf),
    /// Anything else.
    #[error("{0}")]
    Io(io::Error),
}

/// Writes the metrics of a run, on top of what the file says of earlier ones.
///
/// They are written beside their place and then moved there, which is one step for whoever reads.
///
/// # Errors
/// When the file cannot be written or moved; then what was there is still there.
pub fn write(path: &Path, last: &Last<'_>) -> Result<(), MetricsError> {
    let name = path.file_name().filter(|_| !path.is_dir()).ok_or(MetricsError::NoFile)?;
    // One that cannot be read is replaced all the same: its counters begin anew.
    let before = std::fs::read_to_string(path).ok().and_then(|text| carried(&text)).unwrap_or_default();
    let text = render(&families(last, &before));
    // Collectors read files by their ending, so that this one is none of theirs.
    let beside = path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let written = fill(&beside, &text).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        match error.kind() {
            io::ErrorKind::NotFound => MetricsError::NoFolder(folder.to_owned()),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                MetricsError::NotWritable(folder.to_owned())
            }
            _ => MetricsError::Io(error),
        }
    })
}

/// Down to the disk before it is moved, so that a lost machine leaves the old file or the new one.
fn fill(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
