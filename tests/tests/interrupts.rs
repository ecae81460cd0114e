//! Runs that are cut off: by Ctrl-C, where everything is cleared up and the reports are still written, and by
//! `kill -9`, after which `cluster prune` does it.
#![allow(clippy::unwrap_used)]

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use predicates::prelude::*;
use predicates::str::contains;
use rstest::rstest;
use seatrial_tests::{Sandbox, executables, process};
use serde_json::Value;

/// A run in which the installer has begun and will not end by itself.
struct Running {
    sandbox: Sandbox,
    child: Child,
}

/// An installer that says that it has begun and then does nothing for long.
const SLOW: &str = "touch BEGUN\nexec sleep 300";

/// One that has a child in a session of its own, and neither listens to SIGTERM.
const STUBBORN: &str = "trap '' TERM\nsetsid sleep 300 &\ntouch BEGUN\nwhile :; do sleep 1; done";

impl Running {
    fn start(installer: &str, more: &[&str]) -> Self {
        Self::start_in(Sandbox::new(), installer, more)
    }

    fn start_in(sandbox: Sandbox, installer: &str, more: &[&str]) -> Self {
        Self::start_of(sandbox, &["matrix", "--jobs", "2"], installer, more)
    }

    fn start_of(sandbox: Sandbox, what: &[&str], installer: &str, more: &[&str]) -> Self {
        let begun = sandbox.text("begun");
        let installer = sandbox.script("installer", &installer.replace("BEGUN", &begun));
        let mut child = sandbox
            .command(what)
            .args(["--installer", &installer])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(sandbox.path("error")).unwrap())
            .spawn()
            .unwrap();
        process::eventually("the installer begins", || {
            assert!(child.try_wait().unwrap().is_none(), "the run ended by itself");
            sandbox.path("begun").exists().then_some(())
        });
        assert!(!sandbox.names("state").is_empty(), "a run that lives has a ledger");
        Self { sandbox, child }
    }

    fn send(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// What it has written to standard error so far.
    fn error(&self) -> String {
        std::fs::read_to_string(self.sandbox.path("error")).unwrap()
    }

    /// Waits for its end: exit code, standard output, standard error.
    fn end(self) -> (Sandbox, Option<i32>, String, String) {
        let output = self.child.wait_with_output().unwrap();
        let error = std::fs::read_to_string(self.sandbox.path("error")).unwrap();
        (self.sandbox, output.status.code(), String::from_utf8(output.stdout).unwrap(), error)
    }
}

#[rstest]
#[case::that_was_interrupted(Signal::SIGINT)]
#[case::that_was_terminated(Signal::SIGTERM)]
#[case::whose_terminal_was_closed(Signal::SIGHUP)]
fn a_run_that_is_interrupted_clears_up_and_still_writes_its_reports(#[case] signal: Signal) {
    let sandbox = Sandbox::new();
    let out = sandbox.text("out");
    let running = Running::start_in(sandbox, SLOW, &["--out", &out]);
    let began = Instant::now();
    running.send(signal);
    let (sandbox, code, said, error) = running.end();
    assert_eq!(code, Some(130), "{said}{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "nothing waits for a deadline");
    assert!(error.contains("interrupted: clearing up"), "{error}");
    assert!(said.contains(" interrupted in "), "{said}");
    sandbox.assert_nothing_left();

    let report = std::fs::read_to_string(sandbox.path("out/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["exit"], 130);
    let scenarios = report["scenarios"].as_array().unwrap();
    assert!(scenarios.iter().all(|it| it["verdict"] == "interrupted"), "{report:#}");
    let junit = std::fs::read_to_string(sandbox.path("out/junit.xml")).unwrap();
    assert_eq!(junit.matches("<testcase ").count(), scenarios.len());
    let events = std::fs::read_to_string(sandbox.path("out/events.ndjson")).unwrap();
    assert!(events.lines().last().unwrap().contains("\"run-finished\""));
    // Of what had not begun there is nothing to say but how many there were.
    assert!(said.lines().filter(|line| line.starts_with("! ")).count() <= 2, "{said}");
}

#[test]
fn an_installer_that_ignores_sigterm_does_not_outlive_an_interrupted_run() {
    let running = Running::start(STUBBORN, &[]);
    running.send(Signal::SIGINT);
    let (sandbox, code, said, error) = running.end();
    assert_eq!(code, Some(130), "{said}{error}");
    sandbox.assert_nothing_left();
}

/// One that says when it is told to end.
const POLITE: &str = "trap 'touch BEGUN-told; exit 143' TERM\ntouch BEGUN\nwhile :; do sleep 0.1; done";

#[test]
fn an_installer_in_the_background_is_told_to_end_when_the_run_is_interrupted_at_a_wait() {
    // Its second step waits for a request that such an installer never sends.
    let what = ["scenario", "terminated-while-helm-waits"];
    let running = Running::start_of(Sandbox::new(), &what, POLITE, &[]);
    running.send(Signal::SIGINT);
    let (sandbox, code, said, error) = running.end();
    assert_eq!(code, Some(130), "{said}{error}");
    assert!(sandbox.path("begun-told").exists(), "it was killed without a word: {said}{error}");
    sandbox.assert_nothing_left();
}

#[test]
fn a_second_interrupt_leaves_at_once_and_prune_clears_up() {
    let running = Running::start(STUBBORN, &[]);
    running.send(Signal::SIGINT);
    let ledger = running.sandbox.names("state");
    // Signals of one kind do not queue, so the first is taken note of before the second is sent.
    process::eventually("the first is answered", || running.error().contains("clearing up").then_some(()));
    running.send(Signal::SIGINT);
    let (sandbox, code, said, error) = running.end();
    assert_eq!(code, Some(130), "{said}{error}");
    assert!(error.contains("cargo xtask cluster prune"), "{error}");
    assert_eq!(sandbox.names("state"), ledger);
    sandbox.xtask(&["cluster", "prune"]).assert().code(0);
    sandbox.assert_nothing_left();
}

#[test]
fn prune_destroys_what_a_killed_run_left_and_leaves_a_living_one_alone() {
    let killed = Running::start(STUBBORN, &[]);
    killed.send(Signal::SIGKILL);
    let (sandbox, code, ..) = killed.end();
    assert_eq!(code, None);
    assert!(sandbox.processes().iter().any(|it| it.contains("sleep 300")), "its installer still runs");
    assert!(!sandbox.names("tmp").is_empty() && !sandbox.names("state").is_empty());

    // Another run, from the same place.
    std::fs::remove_file(sandbox.path("begun")).unwrap();
    let living = Running::start_in(sandbox, SLOW, &[]);
    let prune = living.sandbox.xtask(&["cluster", "prune"]).assert().code(0);
    let destroyed =
        contains("destroyed processes ").and(contains("(sleep 300)")).and(contains("destroyed folder "));
    prune.stdout(destroyed.and(contains("left alone: 1 run that is alive")));
    assert_eq!(living.sandbox.names("state").len(), 1, "the ledger of the living one");
    let report = living.sandbox.processes();
    assert!(report.iter().any(|it| it.contains("sleep 300")), "the living one goes on: {report:#?}");

    living.send(Signal::SIGINT);
    let (sandbox, code, ..) = living.end();
    assert_eq!(code, Some(130));
    sandbox.assert_nothing_left();
}

#[test]
fn prune_destroys_what_a_killed_standing_cluster_left() {
    let sandbox = Sandbox::new();
    let mut up =
        sandbox.command(&["cluster", "up"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    process::eventually("its kubeconfig is written", || {
        let folders = sandbox.names("tmp");
        folders.iter().find(|name| sandbox.path("tmp").join(name).join("kubeconfig").exists()).map(drop)
    });
    up.kill().unwrap();
    up.wait().unwrap();
    sandbox.xtask(&["cluster", "prune"]).assert().code(0).stdout(contains("destroyed folder "));
    sandbox.assert_nothing_left();
}

#[test]
fn two_runs_at_once_from_one_place_do_not_disturb_each_other() {
    let sandbox = Sandbox::new();
    // The right installer, which neither run gets past while the other has not begun.
    let (gate, right) = (sandbox.text("gate"), executables::folder().join("eks-installer"));
    let script = format!("until [ -e {gate} ]; do sleep 0.02; done\nexec {} \"$@\"", right.display());
    let installer = format!("{} {{args}}", sandbox.script("installer", &script));
    let start = |out: &str| {
        let mut command = sandbox.command(&["scenario", "no-nodes", "already-installed", "second-run"]);
        command.args(["--jobs", "2", "--installer", &installer, "--out", &sandbox.text(out)]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let runs = [start("one"), start("other")];
    process::eventually("both live at the same time", || (sandbox.names("state").len() == 2).then_some(()));
    // Whoever clears up meanwhile leaves both alone.
    sandbox.xtask(&["cluster", "prune"]).assert().code(0).stdout(contains("left alone: 2 runs"));
    std::fs::write(&gate, "").unwrap();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
    for out in ["one", "other"] {
        let report = std::fs::read_to_string(sandbox.path(out).join("report.json")).unwrap();
        let report: Value = serde_json::from_str(&report).unwrap();
        let verdicts: Vec<&Value> =
            report["scenarios"].as_array().unwrap().iter().map(|it| &it["verdict"]).collect();
        assert_eq!(verdicts, ["passed", "passed", "passed"], "{out}");
    }
    sandbox.assert_nothing_left();
}
