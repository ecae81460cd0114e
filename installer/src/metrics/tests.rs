#![allow(clippy::unwrap_used)]
//! What is written is what a strict reader reads; counters go on from run to run; the file is whole at every
//! moment.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::phases::Phase;
use crate::result::{Action, Evidence, Next, Retry, RunResult, SCHEMA_VERSION, Status, Telemetry};
use crate::retry::Target;

fn result(repairs: u32, successes: u32, retries: &[Target]) -> RunResult {
    let retry = |target: &Target| Retry {
        target: *target,
        operation: "list nodes".into(),
        attempt: 1,
        error: "HTTP 503".into(),
        delay_ms: 200,
        at_ms: 5,
    };
    RunResult {
        schema_version: SCHEMA_VERSION,
        ok: successes == repairs,
        status: if successes == repairs { Status::CompletedPhase } else { Status::Error },
        phase: Some(Phase::Compute),
        evidence: Evidence::default(),
        blockers: Vec::new(),
        next: Next { action: Action::None, phase: None },
        forced: None,
        plan: None,
        telemetry: Telemetry {
            duration_ms: 1500,
            api_requests: 8,
            tool_calls: 2,
            retries: u32::try_from(retries.len()).unwrap(),
            circuits_opened: BTreeMap::from([("api".to_owned(), 1)]),
            repair_attempts: repairs,
            repair_successes: successes,
            repair_duration_ms: 250 * u64::from(repairs),
            gates: BTreeMap::from([("platform".to_owned(), "passed".to_owned())]),
        },
        retries: retries.iter().map(retry).collect(),
    }
}

fn last<'r>(result: &'r RunResult, cluster: &'r str) -> Last<'r> {
    Last { result, exit: 0, cluster, at: "2026-01-02T03:04:05Z".parse().unwrap() }
}

/// The value of a series, whose labels are written `a=b,c=d`.
fn value(read: &strict::Exposition, name: &str, labels: &str) -> f64 {
    let labels: BTreeMap<String, String> = labels
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let found = read[name].iter().find(|(of, _)| *of == labels);
    found.unwrap_or_else(|| panic!("no {labels:?} in {:?}", read[name])).1
}

fn read(path: &Path) -> strict::Exposition {
    let text = std::fs::read_to_string(path).unwrap();
    strict::read(&text).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"))
}

#[test]
fn a_strict_reader_reads_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eks_installer.prom");
    write(&path, &last(&result(2, 1, &[Target::Api, Target::Helm, Target::Api]), "shop")).unwrap();
    let read = read(&path);
    assert_eq!(value(&read, "eks_installer_last_run_ok", "cluster=shop,phase=compute"), 0.0);
    assert_eq!(value(&read, "eks_installer_last_run_duration_seconds", "cluster=shop,phase=compute"), 1.5);
    assert_eq!(value(&read, "eks_installer_repairs_total", "cluster=shop,outcome=succeeded"), 1.0);
    assert_eq!(value(&read, "eks_installer_repairs_total", "cluster=shop,outcome=failed"), 1.0);
    assert_eq!(value(&read, "eks_installer_repair_duration_seconds_total", "cluster=shop"), 0.5);
    assert_eq!(value(&read, "eks_installer_retries_total", "cluster=shop,target=api"), 2.0);
    assert_eq!(value(&read, "eks_installer_last_run_gate", "cluster=shop,gate=platform,verdict=passed"), 1.0);
    assert_eq!(
        value(&read, "eks_installer_last_run_gate", "cluster=shop,gate=platform,verdict=blocked"),
        0.0
    );
    // Nothing of the making is left beside it.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn counters_go_on_from_run_to_run_and_gauges_are_the_last_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics");
    write(&path, &last(&result(1, 1, &[]), "shop")).unwrap();
    write(&path, &last(&result(1, 0, &[Target::Aws]), "shop")).unwrap();
    write(&path, &last(&result(0, 0, &[Target::Aws]), "depot")).unwrap();
    let read = read(&path);
    assert_eq!(value(&read, "eks_installer_repairs_total", "cluster=shop,outcome=succeeded"), 1.0);
    assert_eq!(value(&read, "eks_installer_repairs_total", "cluster=shop,outcome=failed"), 1.0);
    assert_eq!(value(&read, "eks_installer_runs_total", "cluster=shop,status=error"), 1.0);
    assert_eq!(value(&read, "eks_installer_runs_total", "cluster=depot,status=completed_phase"), 1.0);
    assert_eq!(value(&read, "eks_installer_retries_total", "cluster=shop,target=aws"), 1.0);
    assert_eq!(read["eks_installer_last_run_ok"].len(), 1, "of the last run only");
}

#[test]
fn a_file_that_is_not_ours_or_is_cut_off_is_replaced_and_counted_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics");
    for before in ["", "hello\n# EOF\n", "eks_installer_api_requests_total{cluster=\"shop\"} 8\n", "\u{0}"] {
        std::fs::write(&path, before).unwrap();
        write(&path, &last(&result(0, 0, &[]), "shop")).unwrap();
        assert_eq!(
            value(&read(&path), "eks_installer_api_requests_total", "cluster=shop"),
            8.0,
            "{before:?}"
        );
    }
}

#[test]
fn whoever_reads_meanwhile_sees_a_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics");
    write(&path, &last(&result(0, 0, &[]), "shop")).unwrap();
    let (done, path) = (std::sync::atomic::AtomicBool::new(false), path.as_path());
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                read(path);
                seen += 1;
            }
            seen
        });
        for _ in 0..50 {
            write(path, &last(&result(1, 1, &[]), "shop")).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
}

#[test]
fn a_place_that_cannot_be_written_is_named_and_what_was_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere/metrics");
    let wrong = write(&nowhere, &last(&result(0, 0, &[]), "shop")).unwrap_err().to_string();
    assert!(wrong.contains("there is no folder") && wrong.contains("nowhere"), "{wrong}");
    let wrong = write(folder.path(), &last(&result(0, 0, &[]), "shop")).unwrap_err().to_string();
    assert_eq!(wrong, "the path names no file");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(
        write(&file.join("metrics"), &last(&result(0, 0, &[]), "shop")),
        Err(MetricsError::Io(_) | MetricsError::NoFolder(_))
    ));
}

proptest! {
    #[test]
    fn a_label_may_hold_anything(cluster in "(\\PC|[\\\\\"\n{}=, #])*") {
        let result = result(1, 0, &[Target::Eksctl]);
        let text = render(&families(&last(&result, &cluster), &BTreeMap::new()));
        let read = strict::read(&text).map_err(TestCaseError::fail)?;
        prop_assert_eq!(&read["eks_installer_api_requests_total"][0].0["cluster"], &cluster);
        // And it is counted on by the same label.
        let before = carried(&text).ok_or_else(|| TestCaseError::fail("not read back"))?;
        let again = strict::read(&render(&families(&last(&result, &cluster), &before)));
        let again = again.map_err(TestCaseError::fail)?;
        prop_assert_eq!(again["eks_installer_api_requests_total"][0].1, 16.0);
    }
}
