//! Accidents of a real control plane, seen from the command line: whatever dies, nothing is held against the installer,
//! and nothing is left that `cluster prune` does not find.
//!
//! Without executables (`cargo xtask assets`) the tests skip in sight; with `SEATRIAL_REQUIRE_CONTROL_PLANE=1` they
//! fail instead.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rstest::rstest;
use seatrial_tests::process::with_variable_like;
use seatrial_tests::sandbox::names;
use seatrial_tests::{Sandbox, tool};

/// A result that is right wherever the installer is not looked at closely.
const CONTENT: &str = r#"echo '{"ok":true,"status":"completed_phase","blockers":[]}'"#;

/// A function that sets `pid` to the process of this name which the harness has started.
const FIND: &str = r#"find() {
  for folder in /proc/[0-9]*; do
    grep -qs "^PPid:[[:space:]]*$PPID\$" "$folder/status" || continue
    case $(readlink "$folder/exe") in */"$1") pid=${folder#/proc/}; return;; esac
  done
  echo "no $1 below $PPID" >&2; exit 9
}
"#;

/// A stage on which a real control plane can be had.
struct Stage {
    sandbox: Sandbox,
    /// Folder of the executables.
    executables: PathBuf,
    // Each takes both processors of a small machine for seconds.
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Stage {
    fn new() -> Option<Self> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let sandbox = Sandbox::new();
        let executables = tool::control_plane(&sandbox)?;
        // A scenario that holds for an installer that says that all is well, and not for one that does not.
        sandbox.file(
            "plain.yaml",
            "name: plain\nsummary: An installer that does as it is told.\nsteps:\n  - run: { phase: foundation }\n    \
             expect: { exit: 0 }\ncontrol: { env: { REFUSE: please }, expect: { exit: 1 } }\n",
        );
        Some(Self { sandbox, executables, _alone: alone })
    }

    /// A call that judges an installer of these lines.
    fn judge(&self, installer: &str) -> Command {
        let refuse = "if [ -n \"$REFUSE\" ]; then\n  echo '{\"ok\":false,\"status\":\"error\",\"blockers\":[{\"code\":\"X\",\
                      \"message\":\"x\",\"remediation\":\"x\"}]}'; exit 1\nfi\n";
        let script = self.sandbox.script("installer", &format!("{refuse}{installer}"));
        let scenario = self.sandbox.path("files").join("plain.yaml").display().to_string();
        // What it keeps of a run that went wrong is not what it left behind.
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let out = self.sandbox.path("files").join(format!("out-{}", CALLS.fetch_add(1, Ordering::Relaxed)));
        let mut command = self.sandbox.command(&["scenario", &scenario, "--backend", "control-plane"]);
        command.arg("--installer").arg(script).arg("--out").arg(out);
        command
    }

    /// Exit code and words of judging an installer of these lines; after which nothing is left.
    fn judged(&self, installer: &str) -> (Option<i32>, String) {
        let harness = piped(&mut self.judge(installer));
        let id = harness.id();
        let said = ended(harness);
        assert_eq!(components_of(id), Vec::<String>::new(), "{}", said.1);
        self.sandbox.assert_nothing_left();
        said
    }

    /// A file that the installer makes when it has begun.
    fn begun(&self) -> PathBuf {
        self.sandbox.path("files").join("begun")
    }

    fn prune(&self) -> (Option<i32>, String) {
        ended(piped(&mut self.sandbox.command(&["cluster", "prune"])))
    }
}

fn piped(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

/// The living processes of the control planes of a harness.
fn components_of(harness: u32) -> Vec<String> {
    let prefix = format!("control-plane-{harness}-");
    with_variable_like("SEATRIAL_RUN", |mark| mark.starts_with(&prefix))
}

/// Asks until it is so: a control plane takes longer than most things on a busy machine.
fn patiently(what: &str, mut ask: impl FnMut() -> bool) {
    let began = Instant::now();
    while !ask() {
        assert!(began.elapsed() < Duration::from_secs(240), "not within 240 s: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn an_installer_that_does_nothing_wrong_is_judged_on_a_real_control_plane() {
    let Some(stage) = Stage::new() else { return };
    let (code, said) = stage.judged(CONTENT);
    assert_eq!(code, Some(0), "{said}");
}

#[rstest]
#[case::the_store("etcd")]
#[case::the_api_server("kube-apiserver")]
#[case::the_controllers("kube-controller-manager")]
#[case::the_scheduler("kube-scheduler")]
fn a_component_that_is_killed_under_a_scenario_is_no_verdict_on_the_installer(#[case] component: &str) {
    let Some(stage) = Stage::new() else { return };
    // What the installer says of it would be a mismatch.
    let (code, said) = stage.judged(&format!("{FIND}find {component}\nkill -9 $pid\nexit 7"));
    assert_eq!(code, Some(105), "{said}");
    assert!(
        said.contains(&format!("failed to keep {component} running: it ended (signal: 9 (SIGKILL))")),
        "{said}"
    );
    assert!(!said.contains("exit: expected"), "{said}");
}

/// As a supervisor of somebody's would do it: on the same port, on the same store, before the installer asks again.
#[test]
fn an_api_server_that_somebody_restarts_under_a_scenario_is_no_verdict_on_the_installer_either() {
    let Some(stage) = Stage::new() else { return };
    let restart = format!(
        "{FIND}find kube-apiserver\nexe=$(readlink /proc/$pid/exe)\ncp /proc/$pid/cmdline again\nkill -9 $pid\n\
         while kill -0 $pid 2>/dev/null && ! grep -qs '^State:.Z' /proc/$pid/status; do :; done\n\
         xargs -0 -a again sh -c 'shift; exec \"'$exe'\" \"$@\"' sh >again.log 2>&1 &\n{CONTENT}"
    );
    let (code, said) = stage.judged(&restart);
    assert_eq!(code, Some(105), "{said}");
    assert!(said.contains("failed to keep kube-apiserver running"), "{said}");
}

/// When the harness is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Store,
    ApiServer,
    Scheduler,
    Installer,
}

#[rstest]
#[case::while_the_store_starts(Moment::Store)]
#[case::while_the_api_server_starts(Moment::ApiServer)]
#[case::while_the_scheduler_starts(Moment::Scheduler)]
#[case::while_the_installer_runs(Moment::Installer)]
fn a_killed_harness_takes_its_control_plane_with_it_and_prune_finds_the_rest(#[case] moment: Moment) {
    let Some(stage) = Stage::new() else { return };
    let begun = stage.begun();
    let mut command = stage.judge(&format!("touch '{}'\nexec sleep 600", begun.display()));
    let mut harness = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let log = |name: &str| {
        let plane =
            stage.sandbox.names("tmp").into_iter().find(|it| it.starts_with("seatrial-control-plane-"));
        plane.is_some_and(|it| stage.sandbox.path("tmp").join(it).join(format!("{name}.log")).exists())
    };
    patiently("the moment comes", || match moment {
        Moment::Store => log("etcd"),
        Moment::ApiServer => log("kube-apiserver"),
        Moment::Scheduler => log("kube-scheduler"),
        Moment::Installer => begun.exists(),
    });
    // SIGKILL, which nobody can prepare for.
    harness.kill().unwrap();
    harness.wait().unwrap();
    // Without anybody's doing.
    patiently("the control plane is gone", || components_of(harness.id()).is_empty());
    let (code, said) = stage.prune();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("destroyed folder") && said.contains("seatrial-control-plane-"), "{said}");
    if moment == Moment::Installer {
        assert!(said.contains("sleep 600"), "{said}");
    }
    stage.sandbox.assert_nothing_left();
}

/// Both find nothing prepared and prepare it; a third that was at it is killed in the middle.
#[test]
fn two_harnesses_at_once_on_one_cache_prepare_it_once_and_both_judge() {
    let Some(stage) = Stage::new() else { return };
    let cache = stage.sandbox.path("cache");
    let begin = || {
        let mut command = stage.judge(CONTENT);
        piped(command.env("SEATRIAL_CACHE_DIR", &cache).env("KUBEBUILDER_ASSETS", &stage.executables))
    };
    let prepared = || {
        let folder = cache.join("control-plane");
        if folder.exists() { names(&folder) } else { Vec::new() }
    };
    let mut killed = begin();
    patiently("it is being prepared", || prepared().iter().any(|it| it.ends_with(".new")));
    let both = [begin(), begin()];
    killed.kill().unwrap();
    killed.wait().unwrap();
    for (code, said) in both.map(ended) {
        assert_eq!(code, Some(0), "{said}");
    }
    let made = prepared();
    assert_eq!(made.iter().filter(|it| !it.ends_with(".lock")).count(), 1, "{made:?}");
    patiently("the killed one's control plane is gone", || components_of(killed.id()).is_empty());
    let (code, said) = stage.prune();
    assert_eq!(code, Some(0), "{said}");
    stage.sandbox.assert_nothing_left();
}

/// Scripts that say this version, named as a control plane's executables.
fn bundle(sandbox: &Sandbox, version: &str) -> PathBuf {
    let etcd = sandbox.script("bundle/etcd", "echo 'etcd Version: 3.6.5'");
    sandbox.script("bundle/kube-apiserver", &format!("echo 'Kubernetes {version}'"));
    PathBuf::from(etcd).parent().unwrap().to_owned()
}

#[test]
fn a_wrong_kubebuilder_assets_is_told_of_with_what_to_type_next_before_anything_is_started() {
    let sandbox = Sandbox::new();
    let refused = |assets: &Path, words: &[&str]| {
        let mut command = sandbox.command(&["scenario", "no-nodes", "--backend", "control-plane"]);
        command.env("KUBEBUILDER_ASSETS", assets).env("SEATRIAL_CACHE_DIR", sandbox.path("cache"));
        let (code, said) = ended(piped(command.env("PATH", "/usr/bin:/bin")));
        assert_eq!(code, Some(96), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
        sandbox.assert_nothing_left();
    };
    refused(
        &sandbox.path("nowhere"),
        &["there is no such file", "hint: name a folder with etcd and kube-apiserver"],
    );
    let folder = bundle(&sandbox, "v1.34.0");
    let file = folder.join("kube-apiserver");
    refused(&folder, &["kube-controller-manager", "hint: cargo xtask assets --kubernetes 1.34"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&folder, &["it is not executable", "hint: chmod +x"]);
    // An ELF header of a machine that this one is not: IBM's s390x, big endian.
    let mut foreign =
        vec![0x7f, b'E', b'L', b'F', 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 22, 0, 0, 0, 1];
    foreign.resize(4096, 0);
    std::fs::write(&file, foreign).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    refused(&folder, &["it is built for another system or processor"]);
    refused(&bundle(&sandbox, "of a kind"), &["it does not tell its version"]);
    let other =
        ["KUBEBUILDER_ASSETS has v1.29.4, and 1.34 is wanted", "hint: cargo xtask assets --kubernetes 1.34"];
    refused(&bundle(&sandbox, "v1.29.4"), &other);
}

/// What is named has the version of some scenarios and not of others: these are unsupported, and it is not as if there
/// were no control plane.
#[test]
fn a_version_that_is_there_is_enough_for_the_scenarios_that_ask_for_it() {
    let sandbox = Sandbox::new();
    let folder = bundle(&sandbox, "v1.37.0");
    sandbox.script("bundle/kube-scheduler", "echo 'Kubernetes v1.37.0'");
    sandbox.script("bundle/kube-controller-manager", "echo 'Kubernetes v1.37.0'");
    let newer = sandbox.scenario("newer", "cluster: { kubernetes: \"1.37\" }\n", "{ exit: 0 }");
    let usual = sandbox.scenario("usual", "", "{ exit: 0 }");
    let script = sandbox.script("installer", CONTENT);
    let out = sandbox.text("files/out");
    let mut command =
        sandbox.command(&["scenario", &newer, &usual, "--backend", "control-plane", "--out", &out]);
    command.arg("--installer").arg(script);
    command.env("KUBEBUILDER_ASSETS", folder).env("SEATRIAL_CACHE_DIR", sandbox.path("cache"));
    let (code, said) = ended(piped(command.env("PATH", "/usr/bin:/bin")));
    // The scripts are no control plane; that they were started is enough.
    assert_eq!(code, Some(105), "{said}");
    assert!(said.contains("failed to provision a cluster: keep etcd running"), "{said}");
    assert!(said.contains("KUBEBUILDER_ASSETS has v1.37.0, and 1.34 is wanted"), "{said}");
    sandbox.assert_nothing_left();
}
