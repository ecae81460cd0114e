//! What is told of a run, and of all runs so far.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::text::{Family, Kind, Sample};
use crate::phases::Phase;
use crate::result::RunResult;

/// The run that has just ended.
#[derive(Clone, Copy, Debug)]
pub struct Last<'r> {
    /// Its result.
    pub result: &'r RunResult,
    /// Its exit code.
    pub exit: u8,
    /// Name of the cluster that was asked for; empty when none was.
    pub cluster: &'r str,
    /// When it ended.
    pub at: Timestamp,
}

/// Every verdict that a gate can have.
const VERDICTS: [&str; 4] = ["passed", "blocked", "unknown", "forced"];

/// The families of a run on top of what was counted before, by sample name.
#[must_use]
pub fn families(last: &Last<'_>, before: &BTreeMap<String, Vec<Sample>>) -> Vec<Family> {
    let mut all = gauges(last);
    all.extend(counters(last).into_iter().map(|mut family| {
        let earlier = before.get(&family.sample_name()).cloned().unwrap_or_default();
        family.samples = sum(earlier.into_iter().chain(family.samples));
        family
    }));
    all
}

/// One sample for each set of labels.
fn sum(samples: impl IntoIterator<Item = Sample>) -> Vec<Sample> {
    let mut sums: BTreeMap<Vec<(String, String)>, f64> = BTreeMap::new();
    for Sample { labels, value } in samples {
        *sums.entry(labels).or_default() += value;
    }
    sums.into_iter().map(|(labels, value)| Sample { labels, value }).collect()
}

fn gauges(last: &Last<'_>) -> Vec<Family> {
    let Last { result, exit, at, .. } = *last;
    let phase = result.phase.map_or("none", Phase::name);
    let labels: &[(&str, &str)] = &[("phase", phase)];
    let one = |value| vec![sample(last, labels, value)];
    let telemetry = &result.telemetry;
    let gates = telemetry.gates.iter().flat_map(|(gate, verdict)| {
        VERDICTS.map(|one| {
            let labels: &[(&str, &str)] = &[("gate", gate), ("verdict", one)];
            sample(last, labels, f64::from(u8::from(one == verdict)))
        })
    });
    vec![
        gauge(
            "eks_installer_last_run_ok",
            None,
            "Whether the last run did what was asked.",
            one(u8::from(result.ok).into()),
        ),
        gauge("eks_installer_last_run_exit_code", None, "Exit code of the last run.", one(exit.into())),
        gauge(
            "eks_installer_last_run_timestamp_seconds",
            Some("seconds"),
            "When the last run ended, since the epoch.",
            one(seconds(u64::try_from(at.as_millisecond()).unwrap_or(0))),
        ),
        gauge(
            "eks_installer_last_run_duration_seconds",
            Some("seconds"),
            "How long the last run took.",
            one(seconds(telemetry.duration_ms)),
        ),
        gauge(
            "eks_installer_last_run_gate",
            None,
            "Verdict of each gate that the last run reached: 1 for the one that it had.",
            gates.collect(),
        ),
    ]
}

fn counters(last: &Last<'_>) -> Vec<Family> {
    let RunResult { telemetry, retries, status, .. } = last.result;
    let of = |labels: &[(&str, &str)], value| sample(last, labels, value);
    let failed = telemetry.repair_attempts.saturating_sub(telemetry.repair_successes);
    let retried = retries.iter().map(|retry| of(&[("target", retry.target.name())], 1.0));
    let opened =
        telemetry.circuits_opened.iter().map(|(target, times)| of(&[("target", target)], (*times).into()));
    let verdicts =
        telemetry.gates.iter().map(|(gate, verdict)| of(&[("gate", gate), ("verdict", verdict)], 1.0));
    vec![
        counter(
            "eks_installer_runs",
            None,
            "Runs, by how they ended.",
            vec![of(&[("status", status.name())], 1.0)],
        ),
        counter(
            "eks_installer_repairs",
            None,
            "Repairs of releases, by outcome.",
            vec![
                of(&[("outcome", "succeeded")], telemetry.repair_successes.into()),
                of(&[("outcome", "failed")], failed.into()),
            ],
        ),
        counter(
            "eks_installer_repair_duration_seconds",
            Some("seconds"),
            "Time spent in repairs.",
            vec![of(&[], seconds(telemetry.repair_duration_ms))],
        ),
        counter(
            "eks_installer_retries",
            None,
            "Calls that were tried again, by whom they went to.",
            retried.collect(),
        ),
        counter(
            "eks_installer_circuits_opened",
            None,
            "How often a target was given up on.",
            opened.collect(),
        ),
        counter(
            "eks_installer_api_requests",
            None,
            "Requests to the API server.",
            vec![of(&[], telemetry.api_requests.into())],
        ),
        counter(
            "eks_installer_tool_calls",
            None,
            "Calls of helm, eksctl and aws.",
            vec![of(&[], telemetry.tool_calls.into())],
        ),
        counter("eks_installer_gate_verdicts", None, "Verdicts of gates.", verdicts.collect()),
    ]
}

fn gauge(name: &'static str, unit: Option<&'static str>, help: &'static str, samples: Vec<Sample>) -> Family {
    Family { name, kind: Kind::Gauge, unit, help, samples }
}

fn counter(
    name: &'static str,
    unit: Option<&'static str>,
    help: &'static str,
    samples: Vec<Sample>,
) -> Family {
    Family { name, kind: Kind::Counter, unit, help, samples }
}

/// A sample with the cluster's label before its own.
fn sample(last: &Last<'_>, labels: &[(&str, &str)], value: f64) -> Sample {
    let labels = std::iter::once(("cluster", last.cluster)).chain(labels.iter().copied());
    Sample { labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), value }
}

#[allow(clippy::cast_precision_loss)]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}
