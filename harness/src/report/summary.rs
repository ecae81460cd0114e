//! What the stream says by scenario: the state that every report with a total is made from.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::event::{Attempt, Event, Mismatch};
use crate::parity::Parity;
use crate::verdict::Verdict;

/// A run, as far as it was told.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// The seed.
    pub seed: u64,
    /// Name of the backend.
    pub backend: String,
    /// The installer's command line.
    pub installer: String,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// Exit code.
    pub exit: Option<u8>,
    /// How many scenarios ended in each verdict.
    pub totals: BTreeMap<&'static str, usize>,
    /// The scenarios, in order.
    pub scenarios: Vec<ScenarioSummary>,
}

/// A scenario, as far as it was told.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScenarioSummary {
    /// Its name.
    pub name: String,
    /// Its area.
    pub area: String,
    /// Its file.
    pub file: String,
    /// What the situation is.
    pub summary: String,
    /// Name of the backend.
    pub backend: String,
    /// How it ended; none when it has not.
    pub verdict: Option<Verdict>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// What its cluster was like.
    pub shape: String,
    /// How long the cluster took, in milliseconds.
    pub cluster_ms: u64,
    /// Its steps; the control's are not listed.
    pub steps: Vec<StepSummary>,
    /// Why it ended so, where the steps do not say.
    pub reason: Option<String>,
    /// What the control came to.
    pub control: Option<String>,
    /// How it compares with the first backend.
    pub parity: Option<Parity>,
    /// Folder of its recordings.
    pub kept: Option<String>,
    /// What could not be cleaned up.
    pub left: Vec<String>,
    /// The command that runs it again.
    pub again: String,
}

/// A step.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepSummary {
    /// Number, from 1.
    pub step: usize,
    /// What it did and what came of it.
    pub what: String,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// How many expectations were judged.
    pub checked: usize,
    /// Those that did not hold.
    pub mismatches: Vec<Mismatch>,
}

impl Summary {
    /// Takes the next event.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::RunStarted { at, seed, backend, installer, scenarios, .. } => {
                self.started = Some(*at);
                self.seed = *seed;
                self.backend.clone_from(backend);
                self.installer.clone_from(installer);
                self.scenarios = scenarios
                    .iter()
                    .map(|name| ScenarioSummary { name: name.clone(), ..ScenarioSummary::default() })
                    .collect();
            }
            Event::ScenarioStarted { scenario, area, file, summary, backend } => {
                if let Some(found) = self.find(scenario) {
                    found.area.clone_from(area);
                    found.file.clone_from(file);
                    found.summary.clone_from(summary);
                    found.backend.clone_from(backend);
                }
            }
            Event::ClusterReady { scenario, attempt: Attempt::Main, elapsed_ms, shape } => {
                if let Some(found) = self.find(scenario) {
                    found.shape.clone_from(shape);
                    found.cluster_ms = *elapsed_ms;
                }
            }
            Event::StepFinished {
                scenario,
                attempt: Attempt::Main,
                step,
                what,
                elapsed_ms,
                checked,
                mismatches,
            } => {
                if let Some(found) = self.find(scenario) {
                    found.steps.push(StepSummary {
                        step: *step,
                        what: what.clone(),
                        elapsed_ms: *elapsed_ms,
                        checked: *checked,
                        mismatches: mismatches.clone(),
                    });
                }
            }
            Event::ClusterReady { .. } | Event::StepFinished { .. } => {}
            Event::ScenarioFinished {
                scenario,
                verdict,
                elapsed_ms,
                reason,
                control,
                parity,
                kept,
                left,
                again,
            } => {
                *self.totals.entry(verdict.word()).or_default() += 1;
                if let Some(found) = self.find(scenario) {
                    found.verdict = Some(*verdict);
                    found.elapsed_ms = *elapsed_ms;
                    found.reason.clone_from(reason);
                    found.control.clone_from(control);
                    found.parity.clone_from(parity);
                    found.kept.clone_from(kept);
                    found.left.clone_from(left);
                    found.again.clone_from(again);
                }
            }
            Event::RunFinished { at, elapsed_ms, exit } => {
                self.finished = Some(*at);
                self.elapsed_ms = *elapsed_ms;
                self.exit = Some(*exit);
            }
        }
    }

    /// A scenario by name.
    pub fn find(&mut self, name: &str) -> Option<&mut ScenarioSummary> {
        self.scenarios.iter_mut().find(|scenario| scenario.name == name)
    }
}
