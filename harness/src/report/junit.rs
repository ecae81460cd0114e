//! JUnit XML, as CI systems read it: a suite for each area, a case for each scenario.

use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Reporter, ScenarioSummary, Summary};
use crate::event::Event;
use crate::parity::Parity;
use crate::verdict::Verdict;

/// Writes JUnit XML when the run has ended.
pub struct Junit<W> {
    to: W,
    name: String,
    summary: Summary,
}

impl<W: Write> Junit<W> {
    /// Writes to `to`; `name` stands for it in messages.
    pub fn new(to: W, name: impl Into<String>) -> Self {
        Self { to, name: name.into(), summary: Summary::default() }
    }
}

impl<W: Write + Send> Reporter for Junit<W> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.summary.event(event);
        if matches!(event, Event::RunFinished { .. }) {
            report(&self.summary).serialize(&mut self.to).map_err(io::Error::other)?;
            self.to.write_all(b"\n")?;
            self.to.flush()?;
        }
        Ok(())
    }
}

fn report(summary: &Summary) -> Report {
    let mut report = Report::new("seatrial");
    report.set_time(Duration::from_millis(summary.elapsed_ms));
    // Areas come in the order of the scenarios, which is theirs too.
    let mut suites: Vec<TestSuite> = Vec::new();
    for scenario in &summary.scenarios {
        let area = if scenario.area.is_empty() { "scenarios" } else { &scenario.area };
        if suites.last().is_none_or(|suite| suite.name.as_str() != area) {
            let mut suite = TestSuite::new(area);
            suite.add_property(("backend", summary.backend.as_str()));
            suite.add_property(("seed", summary.seed.to_string().as_str()));
            suites.push(suite);
        }
        if let Some(suite) = suites.last_mut() {
            suite.add_test_case(case(scenario));
        }
    }
    report.add_test_suites(suites);
    report
}

fn case(scenario: &ScenarioSummary) -> TestCase {
    let non_success = |kind, message: &str, text: String| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(message);
        status.set_description(text);
        status
    };
    let reason = scenario.reason.clone().unwrap_or_default();
    let status = match scenario.verdict {
        Some(Verdict::Passed) => TestCaseStatus::success(),
        Some(Verdict::Unsupported) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.as_str());
            status
        }
        Some(Verdict::Failed) => {
            non_success(NonSuccessKind::Failure, "an expectation did not hold", failures(scenario))
        }
        Some(Verdict::Differs) => {
            non_success(NonSuccessKind::Failure, "parity failure: the backends differ", differences(scenario))
        }
        Some(Verdict::Errored) => non_success(NonSuccessKind::Error, "the harness failed", reason),
        Some(Verdict::Interrupted) | None => {
            non_success(NonSuccessKind::Error, "interrupted", "the run was interrupted".to_owned())
        }
    };
    let mut case = TestCase::new(scenario.name.as_str(), status);
    case.set_classname(scenario.area.as_str());
    case.add_property(("backend", scenario.backend.as_str()));
    case.set_time(Duration::from_millis(scenario.elapsed_ms));
    case.set_assertions(scenario.steps.iter().map(|step| step.checked).sum());
    case
}

fn failures(scenario: &ScenarioSummary) -> String {
    let mut lines: Vec<String> = scenario
        .steps
        .iter()
        .flat_map(|step| &step.mismatches)
        .map(|it| {
            let place = it.place.as_deref().map_or_else(String::new, |place| format!(" ({place})"));
            format!("{}{place}: expected {}, saw {}", it.expectation, it.expected, it.observed)
        })
        .collect();
    lines.extend(scenario.reason.clone());
    if scenario.parity.is_some() {
        lines.push(differences(scenario));
    } else {
        lines.push(format!("run it again: {}", scenario.again));
    }
    lines.join("\n")
}

/// Where the backends differ, with both sides.
fn differences(scenario: &ScenarioSummary) -> String {
    let mut lines = Vec::new();
    if let Some(Parity { backends: [first, second], differences }) = &scenario.parity {
        lines.extend(differences.iter().map(|it| {
            let [one, other] = &it.seen;
            format!("{}: {first}: {one}; {second}: {other}", it.what)
        }));
    }
    lines.push(format!("run it again: {}", scenario.again));
    lines.join("\n")
}
