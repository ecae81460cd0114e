//! What becomes of a run when its backend cannot carry a fault, cannot make a cluster, or cannot take one down, and
//! when two backends do not agree. None of it is ever the installer's failure, and none of it is green.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness::backend::{Backend, Capability, Cluster, ClusterError, Identity, Sim};
use harness::observe::Snapshot;
use harness::report::{Json, Junit, Reporters, Terminal};
use harness::run::{Installer, Keep, Outcome, Stop, Suite, ToolChoice};
use harness::scenario::{Catalogue, ClusterShape, Timeouts};
use harness::verdict::{ExitCode, Verdict};
use kubesim::kubelet::{Images, Nodes};
use kubesim::tap::{Recording, Tap};
use seatrial_tests::Sandbox;

/// A backend that makes nothing, or makes embedded clusters that have something wrong with them.
struct Lame {
    offers: BTreeSet<Capability>,
    makes: Option<Wrong>,
}

/// What is wrong with a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    /// It does not go away.
    Stuck,
    /// It has an event that no other cluster has.
    Planted,
    /// Nothing.
    Nothing,
}

impl Backend for Lame {
    fn name(&self) -> &'static str {
        "lame"
    }

    fn offers(&self) -> BTreeSet<Capability> {
        self.offers.clone()
    }

    fn timeouts(&self) -> Timeouts {
        Sim::default().timeouts()
    }

    fn provision<'a>(
        &'a self,
        shape: &'a ClusterShape,
        seed: u64,
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, ClusterError>> {
        async move {
            let Some(wrong) = self.makes else { return Err(ClusterError::new("no cluster to be had")) };
            let up: Box<dyn Cluster> = Box::new(Odd(Sim::default().provision(shape, seed).await?, wrong));
            Ok(up)
        }
        .boxed()
    }
}

/// A cluster with something wrong with it.
struct Odd(Box<dyn Cluster>, Wrong);

impl Cluster for Odd {
    fn admin(&self) -> kube::Client {
        self.0.admin()
    }

    fn identity(&self) -> Identity {
        self.0.identity()
    }

    fn kubeconfig(&self) -> String {
        self.0.kubeconfig()
    }

    fn owner_kubeconfig(&self) -> String {
        self.0.owner_kubeconfig()
    }

    fn requests(&self) -> Vec<Recording> {
        self.0.requests()
    }

    fn nodes(&self) -> Option<&Nodes> {
        self.0.nodes()
    }

    fn images(&self) -> Option<&Images> {
        self.0.images()
    }

    fn tap(&self) -> Option<&Tap> {
        self.0.tap()
    }

    fn reachable(&self, open: bool) -> BoxFuture<'_, Result<(), ClusterError>> {
        self.0.reachable(open)
    }

    fn authorized(&self, valid: bool) -> BoxFuture<'_, Result<(), ClusterError>> {
        self.0.authorized(valid)
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, ClusterError>> {
        async move {
            let mut snapshot = self.0.snapshot().await?;
            if self.1 == Wrong::Planted {
                let event = serde_json::json!({
                    "metadata": {"namespace": "default", "name": "planted"}, "reason": "Planted",
                    "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
                });
                snapshot.insert("events", event.into());
            }
            Ok(snapshot)
        }
        .boxed()
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        self.0.changed()
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        self.0.settled()
    }

    fn down(self: Box<Self>) -> BoxFuture<'static, Result<(), ClusterError>> {
        async move {
            self.0.down().await?;
            match self.1 {
                Wrong::Stuck => Err(ClusterError::new("remove a node: it does not answer")),
                _ => Ok(()),
            }
        }
        .boxed()
    }
}

/// Some of two scenarios: one without faults, and one with a fault that needs the tap.
fn scenarios(sandbox: &Sandbox, names: &[&str]) -> Catalogue {
    let plain = "{ exit: 0 }";
    let throttled = "faults:\n  - api: { times: 1, action: { respond: { status: 429 } } }\n";
    sandbox.scenario("plain", "", plain);
    sandbox.scenario("throttled", throttled, plain);
    let mut catalogue = Catalogue::read(&sandbox.path("files")).unwrap();
    catalogue.scenarios.retain(|found| names.contains(&found.name()));
    assert_eq!(catalogue.scenarios.len(), names.len());
    catalogue
}

/// Runs scenarios with an installer that keeps the contract and does nothing; returns the outcome and what a
/// person and a CI system are told.
async fn run(sandbox: &Sandbox, backend: Lame, names: &[&str]) -> (Outcome, String, String) {
    let honest = r#"echo '{"ok":false,"status":"error","blockers":[{"code":"X","message":"x","remediation":"x"}]}'; exit 1"#;
    run_on(sandbox, vec![Box::new(backend)], names, honest).await
}

/// The same on several backends, with an installer of this script.
async fn run_on(
    sandbox: &Sandbox,
    backends: Vec<Box<dyn Backend>>,
    names: &[&str],
    script: &str,
) -> (Outcome, String, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let installer = Installer::parse(&sandbox.script("installer", script)).unwrap();
    let terminal = sandbox.path("terminal");
    let junit = sandbox.path("junit");
    let file = |path: &PathBuf| std::fs::File::create(path).unwrap();
    let reporters = Reporters::default()
        .with(Terminal::new(anstream::StripStream::new(file(&terminal))))
        .with(Json::new(file(&sandbox.path("report.json")), "report"))
        .with(Junit::new(file(&junit), "junit"));
    let suite = Suite {
        scenarios: scenarios(sandbox, names).scenarios,
        backends,
        installer,
        tools: ToolChoice { interposer: PathBuf::from("/bin/false"), real: BTreeMap::new() },
        seed: 0,
        jobs: 2,
        thorough: true,
        keep: Keep::Telling,
        out: Some(sandbox.path("out")),
        state: sandbox.path("state"),
        again: String::new(),
        stop: Stop::default(),
    };
    let outcome = suite.run(reporters).await.unwrap();
    let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
    assert_eq!(sandbox.names("state"), Vec::<String>::new());
    (outcome, read(&terminal), read(&junit))
}

#[tokio::test]
async fn a_fault_that_the_backend_cannot_carry_is_unsupported_and_alone_it_is_not_green() {
    let sandbox = Sandbox::new();
    let backend = Lame { offers: [Capability::Objects].into(), makes: None };
    let (outcome, said, junit) = run(&sandbox, backend, &["throttled"]).await;
    assert_eq!(outcome.verdicts, [("throttled".to_owned(), Verdict::Unsupported)]);
    assert_eq!(outcome.exit, ExitCode::NothingSelected);
    let why = "backend lame cannot carry fault api: it cannot break requests";
    assert!(said.contains(why) && said.contains("nothing was judged"), "{said}");
    assert!(junit.contains("<skipped") && junit.contains(why), "{junit}");
}

#[tokio::test]
async fn a_cluster_that_cannot_be_had_is_no_verdict_on_the_installer() {
    let sandbox = Sandbox::new();
    let backend = Lame { offers: Sim::default().offers(), makes: None };
    let (outcome, said, junit) = run(&sandbox, backend, &["plain", "throttled"]).await;
    assert!(outcome.verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Errored), "{outcome:?}");
    assert_eq!(outcome.exit, ExitCode::Infrastructure);
    assert!(said.contains("failed to provision a cluster: no cluster to be had"), "{said}");
    assert!(junit.contains("errors=\"2\"") && junit.contains("failures=\"0\""), "{junit}");
}

#[tokio::test]
async fn a_cluster_that_does_not_go_away_is_named_and_outweighs_a_failed_expectation() {
    let sandbox = Sandbox::new();
    let backend = Lame { offers: Sim::default().offers(), makes: Some(Wrong::Stuck) };
    let (outcome, said, _) = run(&sandbox, backend, &["plain"]).await;
    assert_eq!(outcome.verdicts, [("plain".to_owned(), Verdict::Failed)]);
    assert_eq!(outcome.exit, ExitCode::Cleanup);
    assert!(said.contains("left      remove a node: it does not answer"), "{said}");
    assert!(said.contains("not everything could be cleaned up"), "{said}");
}

/// A scenario that passes wherever it is run.
const COMPARED: &str = "\
name: compared
summary: An installer that does as it is told.
steps:
  - run: { phase: foundation }
    expect: { exit: 0 }
control: { env: { REFUSE: please }, expect: { exit: 1 } }
";

/// What becomes of it on the embedded cluster, and on one like it that is wrong in this way.
async fn compared(wrong: Wrong) -> (Outcome, String, String, serde_json::Value) {
    let sandbox = Sandbox::new();
    sandbox.file("compared.yaml", COMPARED);
    let other = Lame { offers: Sim::default().offers(), makes: Some(wrong) };
    let script = r#"if [ -n "$REFUSE" ]; then
        echo '{"ok":false,"status":"error","blockers":[{"code":"X","message":"x","remediation":"x"}]}'; exit 1
    fi
    echo '{"ok":true,"status":"completed_phase","blockers":[]}'"#;
    let backends: Vec<Box<dyn Backend>> = vec![Box::new(Sim::default()), Box::new(other)];
    let (outcome, said, junit) = run_on(&sandbox, backends, &["compared"], script).await;
    let report = std::fs::read_to_string(sandbox.path("report.json")).unwrap();
    (outcome, said, junit, serde_json::from_str(&report).unwrap())
}

#[tokio::test]
async fn two_backends_that_agree_are_told_side_by_side_and_differ_in_nothing() {
    let (outcome, said, _, report) = compared(Wrong::Nothing).await;
    let passed = |backend: &str| (format!("compared@{backend}"), Verdict::Passed);
    assert_eq!(outcome.verdicts, [passed("sim"), passed("lame")], "{said}");
    assert_eq!(outcome.exit, ExitCode::Ok);
    assert!(!said.contains("parity"), "{said}");
    assert_eq!(report["backend"], "sim,lame");
    assert_eq!(report["scenarios"][1]["parity"]["differences"], serde_json::json!([]));
}

#[tokio::test]
async fn a_planted_difference_is_a_parity_failure_with_both_sides_in_every_report() {
    let (outcome, said, junit, report) = compared(Wrong::Planted).await;
    let verdicts: Vec<Verdict> = outcome.verdicts.iter().map(|(_, verdict)| *verdict).collect();
    assert_eq!(verdicts, [Verdict::Passed, Verdict::Differs], "{said}");
    assert_eq!(outcome.exit, ExitCode::Failed);
    assert!(junit.contains("parity failure"), "{junit}");
    for words in ["event Pod Planted", "of 0 objects", "of 1 objects"] {
        assert!(said.contains(words), "{words}: {said}");
        assert!(junit.contains(words), "{words}: {junit}");
    }
    let difference = &report["scenarios"][1]["parity"]["differences"][0];
    assert_eq!(difference["what"], "event Pod Planted");
    assert_eq!(difference["seen"], serde_json::json!(["of 0 objects", "of 1 objects"]));
}
