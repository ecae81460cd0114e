//! The recording of every call: two lines in `calls.ndjson`, one when it starts and one when it ends.
//!
//! Two lines rather than one, because a call may never end by itself: an installer that is killed,
//! or kills its tool, leaves a start without an end, and exactly that is what the recording then says.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::State;

/// File of the protocol folder that calls are appended to.
pub const CALLS_FILE: &str = "calls.ndjson";

/// Bytes of each output stream that are kept: half from its beginning, half from its end.
pub const OUTPUT_CAP: usize = 64 * 1024;

/// Who answered a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// The real tool.
    Real,
    /// Our stand-in.
    StandIn,
    /// A fault of the plan, without the tool's having run.
    Fault,
}

/// One call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Call {
    /// Number of the call among all tools' calls, from 1, in order of start.
    pub seq: u64,
    /// `helm`, `eksctl`, `aws` or `kubectl`.
    pub tool: String,
    /// Arguments without the tool's name, redacted.
    pub argv: Vec<String>,
    /// The variables worth knowing, redacted.
    pub env: BTreeMap<String, String>,
    /// When it started.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds; `None` for a call that has no end.
    pub duration_ms: Option<u64>,
    /// Exit code; `None` when a signal ended it or it has no end.
    pub exit: Option<i32>,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// Standard output, capped and redacted.
    pub stdout: String,
    /// Standard error, capped and redacted.
    pub stderr: String,
    /// Whether such a call changes a cluster or an account, judged by its arguments.
    pub mutating: bool,
    /// Who answered; `None` for a call that has no end.
    pub route: Option<Route>,
    /// Label of the fault that broke it.
    pub fault: Option<String>,
}

impl Call {
    /// Whether its end was recorded. A call without one was killed, or is still running.
    pub fn ended(&self) -> bool {
        self.duration_ms.is_some()
    }
}

/// What is known when a call starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Start {
    /// See [`Call::seq`].
    pub seq: u64,
    /// See [`Call::tool`].
    pub tool: String,
    /// See [`Call::argv`].
    pub argv: Vec<String>,
    /// See [`Call::env`].
    pub env: BTreeMap<String, String>,
    /// See [`Call::started_at`].
    pub started_at: Timestamp,
    /// See [`Call::mutating`].
    pub mutating: bool,
}

/// What is known when a call ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct End {
    /// The call that ends.
    pub seq: u64,
    /// See [`Call::duration_ms`].
    pub duration_ms: u64,
    /// See [`Call::exit`].
    pub exit: Option<i32>,
    /// See [`Call::signal`].
    pub signal: Option<i32>,
    /// See [`Call::stdout`].
    pub stdout: String,
    /// See [`Call::stderr`].
    pub stderr: String,
    /// See [`Call::route`].
    pub route: Route,
    /// See [`Call::fault`].
    pub fault: Option<String>,
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    Start(Start),
    End(End),
}

/// Appends the start of a call.
///
/// # Errors
/// The file cannot be locked or written.
pub fn start(dir: &Path, start: Start) -> io::Result<()> {
    append(dir, &Line::Start(start))
}

/// Appends the end of a call.
///
/// # Errors
/// The file cannot be locked or written.
pub fn end(dir: &Path, end: End) -> io::Result<()> {
    append(dir, &Line::End(end))
}

fn append(dir: &Path, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    let _lock = State::of(dir).lock()?;
    OpenOptions::new().create(true).append(true).open(dir.join(CALLS_FILE))?.write_all(&text)
}

/// Reads all calls of a protocol folder in order of their start; those without an end included. No
/// file means that there was no call.
///
/// # Errors
/// The file cannot be read, or a line is not a recording. A last line without its newline is one
/// that is being written and is left out.
pub fn read(dir: &Path) -> io::Result<Vec<Call>> {
    let text = match std::fs::read_to_string(dir.join(CALLS_FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut calls: BTreeMap<u64, Call> = BTreeMap::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let Some(line) = line.strip_suffix('\n') else { break };
        let wrong =
            |what: String| io::Error::other(format!("read {CALLS_FILE}, line {}: {what}", number + 1));
        match serde_json::from_str(line).map_err(|error| wrong(error.to_string()))? {
            Line::Start(it) => {
                let call = Call {
                    seq: it.seq,
                    tool: it.tool,
                    argv: it.argv,
                    env: it.env,
                    started_at: it.started_at,
                    mutating: it.mutating,
                    duration_ms: None,
                    exit: None,
                    signal: None,
                    stdout: String::new(),
                    stderr: String::new(),
                    route: None,
                    fault: None,
                };
                calls.insert(call.seq, call);
            }
            Line::End(it) => {
                let call = calls
                    .get_mut(&it.seq)
                    .ok_or_else(|| wrong(format!("call {} ends without a start", it.seq)))?;
                call.duration_ms = Some(it.duration_ms);
                (call.exit, call.signal) = (it.exit, it.signal);
                (call.stdout, call.stderr) = (it.stdout, it.stderr);
                (call.route, call.fault) = (Some(it.route), it.fault);
            }
        }
    }
    Ok(calls.into_values().collect())
}

/// An output stream of which the beginning and the end are kept.
#[derive(Debug, Clone, Default)]
pub struct Capped {
    head: Vec<u8>,
    tail: std::collections::VecDeque<u8>,
    left_out: usize,
}

impl Capped {
    /// Takes what the stream says next.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = (OUTPUT_CAP / 2).saturating_sub(self.head.len()).min(bytes.len());
        let (head, tail) = bytes.split_at(room);
        self.head.extend_from_slice(head);
        self.tail.extend(tail);
        let surplus = self.tail.len().saturating_sub(OUTPUT_CAP / 2);
        self.tail.drain(..surplus);
        self.left_out += surplus;
    }

    /// The text kept; says how much is missing, if anything is. Bytes that are no UTF-8 become `�`.
    pub fn text(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        if self.left_out == 0 {
            return String::from_utf8_lossy(&[self.head.as_slice(), &tail].concat()).into_owned();
        }
        format!(
            "{}\n[{} bytes left out]\n{}",
            String::from_utf8_lossy(&self.head),
            self.left_out,
            String::from_utf8_lossy(&tail)
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn begin(seq: u64) -> Start {
        Start {
            seq,
            tool: "helm".into(),
            argv: vec!["status".into()],
            env: BTreeMap::new(),
            started_at: Timestamp::UNIX_EPOCH,
            mutating: false,
        }
    }

    #[test]
    fn a_call_without_an_end_is_accounted_for() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).unwrap().is_empty());
        start(dir.path(), begin(1)).unwrap();
        start(dir.path(), begin(2)).unwrap();
        let over = End {
            seq: 2,
            duration_ms: 7,
            exit: Some(1),
            signal: None,
            stdout: String::new(),
            stderr: "Error: release: not found\n".into(),
            route: Route::StandIn,
            fault: None,
        };
        end(dir.path(), over).unwrap();
        let calls = read(dir.path()).unwrap();
        assert_eq!(calls.iter().map(Call::ended).collect::<Vec<_>>(), [false, true]);
        assert_eq!(calls[1].stderr, "Error: release: not found\n");
    }

    #[test]
    fn a_line_being_written_is_left_out_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        start(dir.path(), begin(1)).unwrap();
        let file = dir.path().join(CALLS_FILE);
        let whole = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{whole}{{\"star")).unwrap();
        assert_eq!(read(dir.path()).unwrap().len(), 1);
        std::fs::write(&file, format!("{whole}garbage\n")).unwrap();
        assert!(read(dir.path()).unwrap_err().to_string().contains("line 2"));
    }

    #[test]
    fn a_long_output_keeps_its_beginning_and_its_end() {
        let mut capped = Capped::default();
        capped.push(b"first ");
        for _ in 0..100_000 {
            capped.push(b"0123456789");
        }
        capped.push(b" last");
        let text = capped.text();
        assert!(text.starts_with("first ") && text.ends_with(" last"));
        assert!(text.len() < OUTPUT_CAP + 100 && text.contains("bytes left out"));
    }
}
