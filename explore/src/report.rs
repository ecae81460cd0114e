//! What came of a case.

use std::time::Duration;

use interpose::record;
use kubesim::tap::Recording;
use serde::Serialize;
use serde_json::Value;

use crate::journal::{Happening, Line};
use crate::state::ClusterState;

/// How one run ended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunEnd {
    /// Exit code of the process that it would have been; `null` when it was killed.
    pub exit: Option<u8>,
    /// The result document; `null` when it was killed.
    pub result: Option<Value>,
    /// Milliseconds of virtual time that it took.
    pub took_ms: u64,
    /// Writes that the installer and its tools sent to the cluster.
    pub writes: usize,
}

/// Everything that happened in a case.
#[derive(Clone, Debug)]
pub struct Report {
    /// One line for each thing that happened, in order.
    pub lines: Vec<Line>,
    /// Virtual time that passed from the start of the cluster to the end.
    pub elapsed: Duration,
}

impl Report {
    /// The stream as newline-delimited JSON.
    ///
    /// # Errors
    /// When a line cannot be written as JSON, which is a defect of its type.
    pub fn ndjson(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = Vec::new();
        for line in &self.lines {
            serde_json::to_writer(&mut bytes, line)?;
            bytes.push(b'\n');
        }
        Ok(bytes)
    }

    /// The cluster as each run found it.
    pub fn found(&self) -> impl Iterator<Item = &ClusterState> {
        self.lines.iter().filter_map(|line| match &line.what {
            Happening::RunBegan(header) => Some(&header.found),
            _ => None,
        })
    }

    /// How each run ended, and the cluster at that moment.
    pub fn runs(&self) -> impl Iterator<Item = (&RunEnd, &ClusterState)> {
        let ends = self.lines.iter().filter_map(|line| match &line.what {
            Happening::RunEnded(end) => Some(&**end),
            _ => None,
        });
        let states = self.lines.iter().filter_map(|line| match &line.what {
            Happening::Cluster(state) => Some(state),
            _ => None,
        });
        ends.zip(states)
    }

    /// Requests to the API, in order.
    pub fn requests(&self) -> impl Iterator<Item = &Recording> {
        self.lines.iter().filter_map(|line| match &line.what {
            Happening::Request(recording) => Some(recording),
            _ => None,
        })
    }

    /// Calls of tools, each with its end if it had one, in order of their start.
    pub fn calls(&self) -> impl Iterator<Item = (&record::Start, Option<&record::End>)> {
        let ends = || {
            self.lines.iter().filter_map(|line| match &line.what {
                Happening::ToolEnded(end) => Some(end),
                _ => None,
            })
        };
        self.lines.iter().filter_map(move |line| match &line.what {
            Happening::ToolStarted(start) => Some((start, ends().find(|end| end.seq == start.seq))),
            _ => None,
        })
    }
}
