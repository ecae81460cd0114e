//! What people and machines get wrong: each time a clear message, the right exit code, and nothing left behind.
#![allow(clippy::unwrap_used)]

use std::process::{Output, Stdio};

use predicates::prelude::*;
use predicates::str::contains;
use rstest::rstest;
use seatrial_tests::{Sandbox, process};
use serde_json::Value;

/// An expectation that none of the wrong installers meets.
const MET_BY_NONE: &str = "{ exit: 77 }";

// Scenario files.

const SOUND: &str = "\
name: mine
summary: The cluster has no worker node.
cluster:
  nodes: 0
steps:
  - run: { phase: compute }
    expect:
      exit: 3
control: { cluster: { nodes: 2 } }
";

#[rstest]
#[case::an_unknown_key("  nodes: 0", "  ndoes: 0", ":4:3", "unknown field", "did you mean `nodes`?")]
#[case::a_wrong_type("  nodes: 0", "  nodes: many", ":4:10", "expected a whole number", "not many")]
#[case::an_unknown_fault(
    "steps:",
    "faults:\n  - cordns: { state: missing }\nsteps:",
    ":6:5",
    "unknown variant",
    "did you mean `coredns`?"
)]
#[case::an_unknown_step("  - run:", "  - ran:", ":6:5", "unknown field", "did you mean `run`?")]
#[case::a_wait_for_the_words_of_nobody(
    "steps:\n",
    "steps:\n  - wait: { stderr: Karpenter }\n",
    ":6:1",
    "nothing is running that could write",
    "run: { background: true }"
)]
#[case::a_wait_for_so_many_of_nothing(
    "steps:\n",
    "steps:\n  - wait: { count: 2 }\n",
    ":6:1",
    "none is named",
    "request: {"
)]
#[case::a_wait_for_a_fault_that_is_nowhere(
    "steps:\n",
    "faults:\n  - tool: { label: slow, tool: aws, when: after, action: { slow: 30s } }\nsteps:\n  - wait: { held: slaw }\n",
    ":8:1",
    "no fault \"slaw\" that could hold a call",
    "did you mean `slow`?"
)]
#[case::no_expectation(
    "    expect:\n      exit: 3\n",
    "",
    ":1:1",
    "expects nothing",
    "give at least one step"
)]
#[case::no_control("control: { cluster: { nodes: 2 } }\n", "", ":", "missing field `control`", "mine.yaml")]
#[case::a_name_that_is_a_path(
    "name: mine",
    "name: ../mine",
    ":1:1",
    "is not a scenario's name",
    "lower-case letters"
)]
#[case::no_yaml("cluster:\n", "cluster: {\n", ":", "mine.yaml", "nodes")]
fn a_wrong_scenario_file_is_refused_at_its_place(
    #[case] from: &str,
    #[case] to: &str,
    #[case] place: &str,
    #[case] what: &str,
    #[case] hint: &str,
) {
    let sandbox = Sandbox::new();
    let wrong = SOUND.replace(from, to);
    assert_ne!(wrong, SOUND);
    let file = sandbox.file("mine.yaml", wrong);
    let run = sandbox.xtask(&["scenario", &file]).assert().code(2).stdout("");
    run.stderr(contains(format!("mine.yaml{place}")).and(contains(what)).and(contains(hint)));
    sandbox.assert_nothing_left();
}

#[test]
fn a_bomb_of_aliases_is_refused_before_it_goes_off() {
    let sandbox = Sandbox::new();
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [before.as_str(); 9].join(", "));
    }
    let file = sandbox.file("bomb.yaml", bomb + SOUND);
    sandbox.xtask(&["scenario", &file]).assert().code(2).stderr(contains("bomb.yaml"));
    sandbox.assert_nothing_left();
}

#[rstest]
#[case::of_ten_megabytes(vec![b'#'; 10 << 20], "it has 10485760 bytes, and a scenario has at most")]
#[case::that_is_empty(Vec::new(), "it is empty")]
#[case::that_is_no_text(vec![0xff; 64], "failed to read")]
fn a_file_that_is_no_scenario_is_refused(#[case] bytes: Vec<u8>, #[case] what: &str) {
    let sandbox = Sandbox::new();
    let file = sandbox.file("file.yaml", bytes);
    sandbox.xtask(&["scenario", &file]).assert().code(2).stderr(contains(what)).stdout("");
}

#[test]
fn two_scenarios_of_one_name_are_refused_with_both_files() {
    let sandbox = Sandbox::new();
    let (first, second) = (sandbox.file("a/one.yaml", SOUND), sandbox.file("b/two.yaml", SOUND));
    let run = sandbox.xtask(&["scenario", &first, &second]).assert().code(2).stdout("");
    run.stderr(contains("two scenarios are named mine").and(contains("one.yaml")).and(contains("two.yaml")));
    // The same file twice is one scenario.
    let twice = sandbox.output(&["scenario", &first, &first, "--format", "json"]);
    assert_eq!(report(&twice)["scenarios"].as_array().unwrap().len(), 1);
}

// Installers.

#[rstest]
#[case::missing(
    "/no/such/installer {args}",
    96,
    "failed to find the installer /no/such/installer: there is no such file",
    "give the path"
)]
#[case::not_on_the_path(
    "no-such-installer",
    96,
    "failed to find the installer no-such-installer: no folder of PATH has it",
    "put it on PATH"
)]
#[case::not_executable("FILE", 96, "it is not executable", "chmod +x")]
#[case::unmatched_quotes("'sh", 2, "quotes do not match", "quote it as in a shell")]
#[case::empty("", 2, "it is empty", "quote it as in a shell")]
fn an_installer_that_cannot_be_run_is_refused(
    #[case] installer: &str,
    #[case] code: i32,
    #[case] what: &str,
    #[case] hint: &str,
) {
    let sandbox = Sandbox::new();
    let file = sandbox.file("installer", "#!/bin/sh\n");
    let installer = installer.replace("FILE", &file);
    let run = sandbox.xtask(&["scenario", "no-nodes", "--installer", &installer]).assert();
    run.code(code).stderr(contains(what).and(contains(hint))).stdout("");
    sandbox.assert_nothing_left();
}

#[test]
fn an_installer_that_the_system_cannot_start_is_no_verdict_on_it() {
    let sandbox = Sandbox::new();
    let nothing = sandbox.script("installer", "");
    std::fs::write(&nothing, "neither a program nor a script with an interpreter\n").unwrap();
    let output = run(&sandbox, &nothing, "", MET_BY_NONE);
    let scenario = &report(&output)["scenarios"][0];
    assert_eq!((output.status.code(), &scenario["verdict"]), (Some(105), &Value::from("errored")));
    let reason = scenario["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("failed to start {nothing}")) && reason.contains("#!"), "{reason}");
}

/// Runs a script as the installer in a scenario of one run.
fn run(sandbox: &Sandbox, installer: &str, extra: &str, expect: &str) -> Output {
    let scenario = sandbox.scenario("mine", extra, expect);
    sandbox.output(&["scenario", &scenario, "--installer", installer, "--format", "json"])
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The mismatches of the only step, each as `expectation: observed`.
fn mismatches(report: &Value) -> Vec<String> {
    let step = &report["scenarios"][0]["steps"][0];
    let all = step["mismatches"].as_array().unwrap_or_else(|| panic!("{report:#}")).iter();
    all.map(|it| format!("{}: {}", it["expectation"].as_str().unwrap(), it["observed"].as_str().unwrap()))
        .collect()
}

/// An honest end for an installer that did nothing.
const HONEST: &str = r#"echo '{"ok":false,"status":"error","blockers":[{"code":"X","message":"x","remediation":"x"}]}'; exit 1"#;

#[rstest]
#[case::nothing("exit 0", "invariant 12: exit code 0, and no result on standard output")]
#[case::garbage("echo Installing…", "invariant 12: standard output is no JSON")]
#[case::two_documents("echo '{}{}'", "invariant 12: standard output holds 2 JSON documents")]
#[case::more_after_it("echo '{} done'", "invariant 12: standard output goes on after the result: \"done\"")]
#[case::half_a_document("printf '{\"ok\":'", "invariant 12: standard output is no JSON")]
#[case::no_object("echo '[]'", "invariant 12: the document on standard output is no JSON object")]
#[case::bytes_that_are_no_text("printf '\\377\\376'", "invariant 12: standard output is no JSON")]
#[case::a_code_of_its_own(
    "echo '{\"ok\":true,\"status\":\"completed\"}'; exit 9",
    "invariant 12: exit code 9, status \"completed\", ok true"
)]
#[case::death_by_a_signal("kill -SEGV $$", "invariant 12: ended by SIGSEGV")]
fn an_installer_that_does_not_keep_the_contract_fails(#[case] script: &str, #[case] what: &str) {
    let sandbox = Sandbox::new();
    let installer = sandbox.script("installer", script);
    let output = run(&sandbox, &installer, "", MET_BY_NONE);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(100), "{report:#}");
    assert_eq!(report["scenarios"][0]["verdict"], "failed");
    let found = mismatches(&report);
    assert!(found.iter().any(|it| it.starts_with(what)), "{what} is not among {found:#?}");
    assert_eq!((sandbox.processes(), sandbox.names("state")), (Vec::new(), Vec::new()));
}

#[test]
fn an_installer_that_prints_a_gigabyte_is_read_to_its_end_in_little_memory() {
    let sandbox = Sandbox::new();
    let installer = sandbox.script("installer", "head -c 1073741824 /dev/zero");
    let scenario = sandbox.scenario("mine", "", MET_BY_NONE);
    let mut child = sandbox
        .command(&["scenario", &scenario, "--installer", &installer, "--format", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(process::peak_memory(child.id()).unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    let found = mismatches(&report(&output));
    let whole = "invariant 12: standard output has 1073741824 bytes; a result is one document";
    assert!(found.iter().any(|it| it == whole), "{found:#?}");
    assert!(most < 256 << 20, "{most} bytes of memory");
    assert!(most > 0 || !cfg!(target_os = "linux"), "memory was measured");
}

#[rstest]
#[case::that_hangs("sleep 300", "ended by SIGTERM")]
#[case::that_ignores_sigterm(
    "trap '' TERM; while :; do sleep 1; done",
    "ignored SIGTERM and was ended by SIGKILL"
)]
fn an_installer_is_ended_after_its_deadline(#[case] script: &str, #[case] how: &str) {
    let sandbox = Sandbox::new();
    let installer = sandbox.script("installer", script);
    let output = run(&sandbox, &installer, "timeouts: { deadline: 100ms }\n", MET_BY_NONE);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(100), "{report:#}");
    let found = mismatches(&report);
    let what = format!("invariant 3: still running after its deadline; {how}");
    assert!(found.iter().any(|it| it.starts_with(&what)), "{found:#?}");
    assert_eq!((sandbox.processes(), sandbox.names("state")), (Vec::new(), Vec::new()));
}

#[rstest]
#[case::in_its_group("sleep 300 >/dev/null 2>&1 &")]
#[case::that_holds_its_output_open("sleep 300 &")]
#[case::in_a_session_of_its_own("setsid sleep 300 >/dev/null 2>&1 &")]
fn a_child_that_an_installer_leaves_is_found_named_and_killed(#[case] script: &str) {
    let sandbox = Sandbox::new();
    // The child is first a copy of the shell, and has the name that is looked for only later.
    let named = "until tr '\\0' ' ' </proc/$!/cmdline | grep -q '^sleep'; do :; done";
    let installer = sandbox.script("installer", &format!("{script}\n{named}\n{HONEST}"));
    let output = run(&sandbox, &installer, "", "{ exit: 1 }");
    let report = report(&output);
    assert_eq!(output.status.code(), Some(100), "{report:#}");
    let found = mismatches(&report);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].starts_with("invariant 3: left behind: ") && found[0].contains("(sleep 300)"),
        "{found:#?}"
    );
    assert_eq!((sandbox.processes(), sandbox.names("state")), (Vec::new(), Vec::new()));
}

// Disks and folders.

#[test]
fn an_output_folder_that_cannot_be_made_is_refused_before_anything_runs() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("in-the-way", "");
    let run = sandbox.xtask(&["scenario", "no-nodes", "--out", &format!("{file}/out")]).assert();
    run.code(2).stdout("").stderr(contains("failed to use the output folder").and(contains("--out DIR")));
    sandbox.assert_nothing_left();
}

#[rstest]
#[case("events.ndjson")]
#[case("report.json")]
#[case("junit.xml")]
fn a_report_that_finds_the_disk_full_says_which_and_is_no_verdict(#[case] report: &str) {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("out")).unwrap();
    std::os::unix::fs::symlink("/dev/full", sandbox.path("out").join(report)).unwrap();
    let run = sandbox.xtask(&["scenario", "no-nodes", "--out", &sandbox.text("out")]).assert();
    let which = contains(format!("out/{report}: No space left on device"));
    run.code(105).stderr(which.and(contains("see whether the disk is full")));
    sandbox.assert_nothing_left();
}

#[rstest]
#[case::as_json("json")]
#[case::for_a_person("human")]
fn standard_output_that_is_full_is_an_error(#[case] format: &str) {
    let sandbox = Sandbox::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = sandbox.command(&["scenario", "no-nodes", "--format", format]);
    let output = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(105), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    sandbox.assert_nothing_left();
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let sandbox = Sandbox::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = sandbox.command(&["scenario", "no-nodes"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
    sandbox.assert_nothing_left();
}

#[test]
fn recordings_that_cannot_be_written_are_the_harness_s_failure_and_not_the_installer_s() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("out/recordings")).unwrap();
    std::fs::write(sandbox.path("out/recordings/no-nodes"), "in the way").unwrap();
    let run = sandbox.xtask(&["scenario", "no-nodes", "--out", &sandbox.text("out")]).assert();
    run.code(105).stdout(contains("! no-nodes").and(contains("failed to make")));
    sandbox.assert_nothing_left();
}

#[rstest]
#[case::for_ledgers("SEATRIAL_STATE_DIR", "failed to write a ledger")]
#[case::for_temporary_files("TMPDIR", "failed to make the temporary folder")]
fn a_folder_of_ours_that_cannot_be_used_is_named_with_the_variable(
    #[case] variable: &str,
    #[case] what: &str,
) {
    let sandbox = Sandbox::new();
    let file = sandbox.file("in-the-way", "");
    for words in [&["scenario", "no-nodes"][..], &["cluster", "up"]] {
        let mut command = sandbox.xtask(words);
        let run = command.env(variable, format!("{file}/folder")).assert().code(105).stdout("");
        run.stderr(contains(what).and(contains(format!("{variable}=DIR"))));
        sandbox.assert_nothing_left();
    }
}
