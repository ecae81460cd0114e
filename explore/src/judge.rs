//! Whether a case ended as the contract says. Pure: everything is in the report.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use crate::case::{Case, Expected};
use crate::report::{Report, RunEnd};
use crate::state::ClusterState;

/// Something that is not as the contract says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Number of the run, from 1.
    pub run: usize,
    /// What is looked at.
    pub what: &'static str,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub seen: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {}: {}: expected {}, saw {}", self.run, self.what, self.expected, self.seen)
    }
}

/// Holds a report against its case; empty when all is as it should be.
#[must_use]
pub fn judge(case: &Case, report: &Report) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    let ends: Vec<_> = report.runs().collect();
    let found: Vec<_> = report.found().collect();
    for (index, run) in case.runs.iter().enumerate() {
        let mut against = Against { run: index + 1, mismatches: &mut mismatches };
        match (ends.get(index), found.get(index)) {
            (Some((end, state)), Some(found)) => {
                against.expectation(&run.expected, end);
                against.result_and_cluster_agree(end, state);
                against.what_worked_still_stands(found, state);
            }
            _ => against.differ("the run", "to have ended", "nothing"),
        }
    }
    mismatches
}

struct Against<'m> {
    run: usize,
    mismatches: &'m mut Vec<Mismatch>,
}

impl Against<'_> {
    fn differ(&mut self, what: &'static str, expected: impl ToString, seen: impl ToString) {
        let (expected, seen) = (expected.to_string(), seen.to_string());
        self.mismatches.push(Mismatch { run: self.run, what, expected, seen });
    }

    fn same(&mut self, what: &'static str, expected: impl Serialize, seen: &Value) {
        let expected = json!(expected);
        if expected != *seen {
            self.differ(what, expected, seen);
        }
    }

    fn expectation(&mut self, expected: &Expected, end: &RunEnd) {
        let Expected::Result { exit, status, action, phase, blockers, cause, writes } = expected else {
            if let Some(result) = &end.result {
                self.differ("the result", "none, the run being killed", result);
            }
            return;
        };
        let Some(result) = &end.result else {
            return self.differ("the result", "a document", "none");
        };
        self.same("exit", exit, &json!(end.exit));
        self.same("status", status, &result["status"]);
        self.same("next.action", action, &result["next"]["action"]);
        self.same("next.phase", phase, &result["next"]["phase"]);
        let seen: Vec<&Value> = blockers_of(result).map(|blocker| &blocker["code"]).collect();
        self.same("blockers", blockers, &json!(seen));
        if let Some(cause) = cause {
            let seen = blockers_of(result).next().map_or(&Value::Null, |blocker| &blocker["cause"]);
            self.same("the first blocker's cause", cause, seen);
        }
        if *writes != (end.writes > 0) {
            self.differ("writes to the cluster", if *writes { "some" } else { "none" }, end.writes);
        }
    }

    /// Whatever is wrong: `ok` means a Ready controller, and agrees with all that says the same.
    fn result_and_cluster_agree(&mut self, end: &RunEnd, state: &ClusterState) {
        let Some(result) = &end.result else { return };
        let ok = result["ok"] == true;
        if ok != (end.exit == Some(0)) {
            self.differ("ok", "to agree with the exit code", format!("{ok} with exit {:?}", end.exit));
        }
        if ok != (blockers_of(result).next().is_none()) {
            self.differ("ok", "to hold exactly when nothing blocks", ok);
        }
        let gated = result["phase"] == "compute" && result.get("forced").is_none();
        if ok && gated && !state.controller_ready() {
            self.differ("ok", "a Ready controller in the cluster", format!("{:?}", state.controllers));
        }
    }

    /// Whatever is wrong: a controller that was Ready is not taken down for a repair, and one of a deployed
    /// release not even touched. A release that is going away, or never was there, may be put up anew.
    fn what_worked_still_stands(&mut self, found: &ClusterState, state: &ClusterState) {
        let newest = |name: &str| found.releases.iter().rfind(|it| it.name == name);
        for before in found.controllers.iter().filter(|controller| controller.ready) {
            let Some(release) = newest(&before.name) else { continue };
            if matches!(release.status.as_str(), "uninstalling" | "pending-install") {
                continue;
            }
            let after = state.controllers.iter().find(|after| after.uid == before.uid);
            match after {
                None => self.differ("a Ready controller", "the same object as before", "another, or none"),
                Some(after) if release.status == "deployed" && after.generation != before.generation => {
                    let generation = format!("generation {}", after.generation);
                    self.differ("a healthy release", format!("generation {}", before.generation), generation);
                }
                Some(_) => {}
            }
        }
    }
}

fn blockers_of(result: &Value) -> impl Iterator<Item = &Value> {
    result["blockers"].as_array().into_iter().flatten()
}
