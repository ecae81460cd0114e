//! The executable itself, called as an installer calls it.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use interpose::plan::{Action, Plan, Tool, ToolFault, When};
use interpose::record::{self, Call, Route};
use interpose::state::State;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

struct Bench {
    dir: tempfile::TempDir,
    plan: Plan,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for tool in interpose::front::TOOLS {
            symlink(env!("CARGO_BIN_EXE_interpose"), dir.path().join(tool)).unwrap();
        }
        Self { dir, plan: Plan::default() }
    }

    /// A real tool: a shell script of these lines.
    fn real(mut self, tool: &str, script: &str) -> Self {
        let path = self.path(&format!("real-{tool}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self.plan.tools.insert(tool.into(), Tool { real: Some(path) });
        self
    }

    fn fault(mut self, args: &[&str], times: Option<u32>, when: When, action: Action) -> Self {
        let args = args.iter().map(|a| (*a).into()).collect();
        let label = format!("fault {}", self.plan.faults.len());
        self.plan.faults.push(ToolFault { label, tool: "helm".into(), args, skip: 0, times, when, action });
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        self.plan.save(self.dir.path()).unwrap();
        let mut words = line.split(' ');
        let mut command = Command::new(self.path(words.next().unwrap()));
        command
            .args(words)
            .env("SEATRIAL_TOOLS_DIR", self.dir.path())
            .env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn call(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    fn calls(&self) -> Vec<Call> {
        record::read(self.dir.path()).unwrap()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Waits until a file is there: what a child says once it has set itself up.
fn wait_for(path: &Path, child: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !path.exists() {
        assert!(child.try_wait().unwrap().is_none(), "the call ended early");
        assert!(Instant::now() < deadline, "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[test]
fn a_call_reaches_the_real_tool_and_is_recorded_with_its_answer() {
    let bench = Bench::new().real("helm", "echo \"$2 wJalrXUtnFEMI\"; echo oops >&2; cat; exit 3");
    let output = bench.call("helm status karpenter --password open");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("karpenter wJalrXUtnFEMI\n", "oops\n"));
    let calls = bench.calls();
    assert_eq!(calls.len(), 1);
    let call = &calls[0];
    assert_eq!((call.seq, call.tool.as_str(), call.exit, call.signal), (1, "helm", Some(3), None));
    assert_eq!(call.argv, ["status", "karpenter", "--password", "[redacted]"]);
    assert_eq!((call.stdout.as_str(), call.stderr.as_str()), ("karpenter [redacted]\n", "oops\n"));
    assert_eq!((call.route, call.mutating, call.fault.as_deref()), (Some(Route::Real), false, None));
    let raw = std::fs::read_to_string(bench.path("calls.ndjson")).unwrap();
    assert!(!raw.contains("wJalrXUtnFEMI") && !raw.contains("\"open\""), "{raw}");
}

#[test]
fn a_fault_breaks_as_many_calls_as_it_says_and_the_next_one_goes_through() {
    let action =
        Action::Exit { code: 1, stdout: String::new(), stderr: "Error: etcdserver: leader changed\n".into() };
    let bench =
        Bench::new().real("helm", "touch $(dirname $0)/ran").fault(&["list"], Some(1), When::Before, action);
    let broken = bench.call("helm list -o json");
    assert_eq!(
        (broken.status.code(), text(&broken.stderr)),
        (Some(1), "Error: etcdserver: leader changed\n")
    );
    assert!(!bench.path("ran").exists());
    assert_eq!(bench.call("helm list -o json").status.code(), Some(0));
    assert!(bench.path("ran").exists());
    let seen: Vec<_> = bench.calls().into_iter().map(|c| (c.route, c.fault)).collect();
    assert_eq!(seen, [(Some(Route::Fault), Some("fault 0".into())), (Some(Route::Real), None)]);
}

#[test]
fn a_lost_answer_leaves_the_work_done() {
    let action = Action::Exit { code: 1, stdout: String::new(), stderr: "Error: unexpected EOF\n".into() };
    let bench = Bench::new().real("helm", "touch $(dirname $0)/ran; echo done").fault(
        &["upgrade"],
        None,
        When::After,
        action,
    );
    let output = bench.call("helm upgrade x y");
    assert!(bench.path("ran").exists());
    assert_eq!(
        (output.status.code(), text(&output.stdout), text(&output.stderr)),
        (Some(1), "", "Error: unexpected EOF\n")
    );
    assert_eq!(bench.calls()[0].route, Some(Route::Real));
}

#[test]
fn a_call_that_is_held_is_known_to_be_by_the_label_of_its_fault() {
    use Action::{Delay, Hang};
    let slow = Delay { ms: 60_000 };
    for (when, action) in
        [(When::Before, Hang), (When::Before, slow.clone()), (When::After, Hang), (When::After, slow)]
    {
        let bench = Bench::new().real("helm", "touch $(dirname $0)/ran").fault(&[], None, when, action);
        let held = || State::of(bench.dir.path()).held("fault 0");
        assert!(!held());
        let mut child = bench.command("helm upgrade x y").spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !held() {
            assert!(Instant::now() < deadline, "the call was never held");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(bench.path("ran").exists(), when == When::After);
        assert!(!State::of(bench.dir.path()).held("fault"));
        signal(&child, Signal::SIGTERM);
        assert_eq!(child.wait().unwrap().signal(), Some(15));
    }
}

#[test]
fn a_signal_is_forwarded_and_the_real_tools_own_ending_is_mirrored() {
    let bench = Bench::new().real(
        "helm",
        "trap 'echo stopping; exit 7' TERM; touch $(dirname $0)/up; while :; do sleep 0.05; done",
    );
    let mut child = bench.command("helm upgrade x y").spawn().unwrap();
    wait_for(&bench.path("up"), &mut child);
    signal(&child, Signal::SIGTERM);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(7), "stopping\n"));
    assert_eq!(bench.calls()[0].exit, Some(7));
}

#[test]
fn a_tool_that_dies_by_a_signal_is_seen_to_die_by_it() {
    for number in [9, 15] {
        let bench = Bench::new().real("helm", &format!("kill -{number} $$"));
        let output = bench.call("helm status x");
        assert_eq!((output.status.code(), output.status.signal()), (None, Some(number)));
        assert_eq!(bench.calls()[0].signal, Some(number));
    }
    let bench = Bench::new().fault(&[], None, When::Before, Action::Signal { number: 9 });
    assert_eq!(bench.call("helm status x").status.signal(), Some(9));
}

#[test]
fn a_hanging_call_ends_by_the_signal_that_ends_it() {
    let bench = Bench::new().fault(&[], None, When::Before, Action::Hang);
    let mut child = bench.command("helm status x").spawn().unwrap();
    wait_for(&bench.path("calls.ndjson"), &mut child);
    signal(&child, Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    let calls = bench.calls();
    assert_eq!((calls[0].signal, calls[0].fault.as_deref()), (Some(15), Some("fault 0")));
}

#[test]
fn a_killed_call_leaves_a_start_without_an_end_and_no_real_tool_behind() {
    let bench = Bench::new().real("helm", "echo $$ > $(dirname $0)/pid.new; mv $(dirname $0)/pid.new $(dirname $0)/pid; while :; do sleep 0.05; done");
    let mut child = bench.command("helm upgrade x y").spawn().unwrap();
    wait_for(&bench.path("pid"), &mut child);
    let pid: i32 = std::fs::read_to_string(bench.path("pid")).unwrap().trim().parse().unwrap();
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
    let calls = bench.calls();
    assert!(!calls[0].ended() && calls[0].mutating);
    let deadline = Instant::now() + Duration::from_secs(20);
    while still_runs(pid) {
        assert!(Instant::now() < deadline, "the real tool is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process still runs; one that has ended and was not yet waited for does not.
fn still_runs(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with('Z')))
}

#[test]
fn a_stand_in_answers_when_the_plan_names_no_real_tool() {
    let bench = Bench::new();
    let output = bench.call("aws sts get-caller-identity --query Account --output text");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "111122223333\n"));
    let output = bench.call("helm version --short");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "v3.22.0\n"));
    let seen: Vec<_> = bench.calls().into_iter().map(|c| (c.tool, c.route, c.mutating)).collect();
    assert_eq!(
        seen,
        [("aws".into(), Some(Route::StandIn), false), ("helm".into(), Some(Route::StandIn), false)]
    );
}

#[test]
fn kubectl_has_no_stand_in_and_says_what_to_do() {
    let output = Bench::new().call("kubectl get nodes");
    assert_eq!(output.status.code(), Some(127));
    assert!(text(&output.stderr).contains("tools.kubectl.real"), "{}", text(&output.stderr));
}

#[test]
fn a_plan_that_cannot_be_read_is_not_taken_for_an_answer() {
    let bench = Bench::new();
    let mut command = bench.command("helm status x");
    std::fs::write(bench.path("plan.json"), "{").unwrap();
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(text(&output.stderr).contains("plan.json"));
}
