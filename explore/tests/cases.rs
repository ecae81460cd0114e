//! Every case, in virtual time: the contract's verdict, whatever the wall clock says.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use explore::journal::Happening;
use explore::{Case, ClusterState, Report, cases, judge, sail};

const SEED: u64 = 1;

fn play(name: &str) -> Report {
    sail(&cases::find(name).unwrap(), SEED).unwrap()
}

/// Virtual time that the only run took.
fn took(report: &Report) -> Duration {
    let ends: Vec<_> = report.runs().collect();
    assert_eq!(ends.len(), 1);
    Duration::from_millis(ends[0].0.took_ms)
}

fn statuses(report: &Report) -> Vec<String> {
    let (_, state) = report.runs().last().unwrap();
    state.releases.iter().map(|it| format!("{} {}", it.revision, it.status)).collect()
}

#[test]
fn every_case_ends_as_the_contract_says() {
    for case in cases::all() {
        let mismatches = judge(&case, &sail(&case, SEED).unwrap());
        assert!(mismatches.is_empty(), "{}: {mismatches:?}", case.name);
    }
}

/// The judge is not blind: each run's verdict, swapped for one that does not fit, is noticed.
#[test]
fn a_verdict_that_does_not_fit_is_noticed() {
    let (blocked, done) = (cases::find("no-nodes").unwrap(), cases::find("fresh-install").unwrap());
    let seen = |expected: &Case, played: &Case| -> Vec<&str> {
        let expected = Case { runs: expected.runs.clone(), ..played.clone() };
        judge(&expected, &sail(played, SEED).unwrap()).iter().map(|it| it.what).collect()
    };
    let all = ["exit", "status", "next.action", "next.phase", "blockers", "writes to the cluster"];
    assert_eq!(seen(&done, &blocked), all);
    assert_eq!(seen(&blocked, &done), all);
}

/// The same for what holds in every case: the report is changed as a lying installer's would be.
#[test]
fn a_lie_about_the_controller_is_noticed() {
    let case = cases::find("already-installed").unwrap();
    let tampered = |change: fn(&mut ClusterState)| -> Vec<&str> {
        let mut report = sail(&case, SEED).unwrap();
        for line in &mut report.lines {
            if let Happening::Cluster(state) = &mut line.what {
                change(state);
            }
        }
        judge(&case, &report).iter().map(|it| it.what).collect()
    };
    assert!(tampered(|_| {}).is_empty());
    assert_eq!(tampered(|state| state.controllers[0].ready = false), ["ok"]);
    assert_eq!(tampered(|state| state.controllers[0].uid.push('x')), ["a Ready controller"]);
    assert_eq!(tampered(|state| state.controllers[0].generation += 1), ["a healthy release"]);
}

#[test]
fn names_are_unique_and_fit_a_command_line() {
    let mut names: Vec<_> = cases::all().iter().map(|case| case.name).collect();
    let fits = |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    assert!(names.iter().all(fits), "{names:?}");
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// On a runtime that is paused from its beginning to its end: time moves only when nobody has anything
/// left to do, so Helm's ten minutes are over exactly when they are over.
#[tokio::test(start_paused = true)]
async fn helms_ten_minutes_pass_within_one_paused_runtime() {
    let case = cases::find("never-ready").unwrap();
    let began = tokio::time::Instant::now();
    let mut trial = explore::Trial::start(&case.scene, SEED, case.name).await.unwrap();
    let end = trial.run(&case.runs[0]).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(600), "{:?}", began.elapsed());
    assert_eq!((end.exit, end.took_ms), (Some(1), 600_000));
    let report = trial.finish();
    let (start, helm) = report.calls().find(|(start, _)| start.mutating).unwrap();
    let helm = helm.unwrap();
    assert!(start.argv.join(" ").contains("--wait --timeout 10m"), "{:?}", start.argv);
    assert_eq!((helm.exit, helm.duration_ms), (Some(1), 600_000));
    assert!(helm.stderr.contains("context deadline exceeded"), "{}", helm.stderr);
    assert_eq!(statuses(&report), ["1 failed"]);
    let said = end.result.unwrap()["blockers"][0]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("context deadline exceeded") && said.contains("statuscode: 503"), "{said}");
}

#[test]
fn a_failed_release_is_repaired_once_and_its_history_kept() {
    let report = play("failed-release-repaired");
    let upgrades = report.calls().filter(|(start, _)| start.mutating).count();
    assert_eq!(upgrades, 1);
    assert_eq!(statuses(&report), ["1 superseded", "2 failed", "3 deployed"]);
    let (end, _) = report.runs().next().unwrap();
    let evidence = &end.result.as_ref().unwrap()["evidence"]["phase3"]["karpenter"];
    assert_eq!(evidence["repairAttempted"], true);
    assert_eq!(evidence["repairSucceeded"], true);
    assert_eq!(evidence["release"]["revision"], 3);
}

#[test]
fn retry_after_is_waited_for_in_virtual_time() {
    let report = play("throttled");
    let (end, _) = report.runs().next().unwrap();
    let retries = end.result.as_ref().unwrap()["retries"].as_array().unwrap().clone();
    assert_eq!(retries.len(), 2, "{retries:?}");
    assert!(retries.iter().all(|retry| retry["delayMs"] == 5000), "{retries:?}");
    let nodes: Vec<_> =
        report.requests().filter(|it| it.resource == "nodes").map(|it| (it.status, it.at)).collect();
    let codes: Vec<u16> = nodes.iter().map(|(status, _)| *status).collect();
    assert_eq!(codes[..3], [429, 429, 200]);
    assert!(nodes[1].1.duration_since(nodes[0].1).as_secs() >= 5);
}

#[test]
fn sigterm_in_the_middle_still_gives_a_result_and_leaves_no_lock() {
    let report = play("terminated");
    let (end, state) = report.runs().next().unwrap();
    assert_eq!(end.exit, Some(143));
    let result = end.result.as_ref().unwrap();
    assert_eq!(result["blockers"][0]["code"], "TERMINATED");
    assert_eq!(result["evidence"]["phase3"]["karpenter"]["scriptRan"], true);
    // Thirty seconds in, and not long after: Helm was asked to end, and marked its release.
    assert!((30_000..45_000).contains(&end.took_ms), "{}", end.took_ms);
    assert_eq!(state.releases[0].status, "failed");
    let (_, helm) = report.calls().find(|(start, _)| start.mutating).unwrap();
    assert_eq!(helm.unwrap().exit, Some(1));
}

#[test]
fn a_tool_that_hangs_is_stopped_after_its_time() {
    let report = play("helm-hangs");
    let (_, helm) = report.calls().find(|(start, _)| start.mutating).unwrap();
    assert_eq!((helm.unwrap().exit, helm.unwrap().signal), (None, Some(15)));
    assert_eq!(took(&report), Duration::from_secs(660));
}

#[test]
fn a_run_that_is_killed_leaves_a_call_without_an_end() {
    let report = play("killed");
    let (end, state) = report.runs().next().unwrap();
    assert!(end.result.is_none() && end.exit.is_none());
    assert_eq!(state.releases[0].status, "pending-install");
    assert!(report.calls().any(|(start, end)| start.mutating && end.is_none()));
    assert_eq!(statuses(&report).last().unwrap().split(' ').nth(1), Some("deployed"));
}

#[test]
fn the_stream_is_in_order_and_holds_every_kind_of_line() {
    let report = play("terminated");
    let mut kinds: Vec<String> = Vec::new();
    for (index, line) in report.lines.iter().enumerate() {
        assert_eq!(line.seq, index as u64 + 1);
        let value = serde_json::to_value(&line.what).unwrap();
        kinds.push(value.as_object().unwrap().keys().next().unwrap().clone());
    }
    assert!(report.lines.windows(2).all(|pair| pair[0].at_ms <= pair[1].at_ms));
    let first = |kind: &str| kinds.iter().position(|it| it == kind).unwrap_or_else(|| panic!("no {kind}"));
    let story = ["case", "run-began", "injected", "request", "progress", "tool-started", "tool-ended"];
    assert!(story.windows(2).all(|pair| first(pair[0]) < first(pair[1])), "{kinds:?}");
    for kind in ["interrupted", "healed", "run-ended", "cluster", "event"] {
        first(kind);
    }
    // A call's requests lie between its start and its end.
    let helm = report.lines.iter().position(|line| matches!(&line.what, Happening::ToolStarted(_))).unwrap();
    assert!(
        matches!(&report.lines[helm + 1].what, Happening::Request(it) if it.user_agent.starts_with("Helm")),
        "{:?}",
        report.lines[helm + 1]
    );
}
