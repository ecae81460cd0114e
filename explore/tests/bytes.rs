//! The same seed gives the same bytes, in two separate processes.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use assert_cmd::Command;
use rstest::rstest;
use serde_json::Value;

/// A run of the executable in a process of its own. The environment differs from call to call, as it does
/// between machines; nothing of it may show.
fn explore(case: &str, seed: u64, zone: &str) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_explore"));
    let run = command.args(["run", "--case", case, "--seed", &seed.to_string()]);
    run.env("TZ", zone)
        .env("AWS_REGION", zone)
        .env("LANG", zone)
        .assert()
        .success()
        .get_output()
        .stdout
        .clone()
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// The uids of what the Kubernetes events are about.
fn uids(lines: &[Value]) -> BTreeSet<&str> {
    lines.iter().filter_map(|line| line["what"]["event"]["involvedObject"]["uid"].as_str()).collect()
}

#[rstest]
#[case::setup("fresh-install")]
#[case::ten_minutes("never-ready")]
#[case::crashes("crash-loop")]
#[case::jitter("api-unreachable")]
#[case::interrupted("terminated")]
#[case::killed("killed")]
#[case::unlocked("pending-install-stale")]
fn the_same_seed_gives_the_same_bytes_in_two_processes(#[case] case: &str) {
    let (one, two) = (explore(case, 7, "UTC"), explore(case, 7, "Asia/Kathmandu"));
    assert!(lines(&one).len() > 10);
    let differs = lines(&one).into_iter().zip(lines(&two)).find(|(one, two)| one != two);
    assert!(differs.is_none(), "{differs:?}");
    assert!(one == two, "equal as JSON, and not as bytes");
}

#[test]
fn another_seed_gives_other_uids() {
    let (one, two) = (explore("fresh-install", 7, "UTC"), explore("fresh-install", 8, "UTC"));
    let (one, two) = (lines(&one), lines(&two));
    assert!(uids(&one).len() > 2);
    assert_eq!(uids(&one).intersection(&uids(&two)).count(), 0);
}

#[test]
fn another_seed_gives_other_jitter() {
    let delays = |seed| -> Vec<u64> {
        let lines = lines(&explore("api-unreachable", seed, "UTC"));
        let result = lines.iter().find_map(|line| line["what"]["run-ended"]["result"].as_object()).unwrap();
        let retries = result["retries"].as_array().unwrap();
        retries.iter().filter_map(|retry| retry["delayMs"].as_u64()).collect()
    };
    let (one, two) = (delays(7), delays(8));
    assert!(one.len() > 3, "{one:?}");
    assert_ne!(one, two);
}

#[test]
fn a_name_that_is_no_case_gets_a_hint_and_exit_2() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_explore"));
    let output = command.args(["run", "--case", "never-redy"]).assert().code(2).get_output().clone();
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("never-ready"), "{said}");
}

#[test]
fn every_case_is_listed() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_explore"));
    let listed =
        String::from_utf8(command.arg("list").assert().success().get_output().stdout.clone()).unwrap();
    let names: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, explore::cases::all().iter().map(|case| case.name).collect::<Vec<_>>());
}
