//! What becomes of a run when its backend cannot carry a fault, cannot make a cluster, or cannot take one down.
//! None of it is ever the installer's failure, and none of it is green.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness::backend::{Backend, Capability, Cluster, ClusterError, Identity, Sim};
use harness::observe::Snapshot;
use harness::report::{Junit, Reporters, Terminal};
use harness::run::{Installer, Outcome, Stop, Suite, ToolChoice};
use harness::scenario::{Catalogue, ClusterShape, Timeouts};
use harness::verdict::{ExitCode, Verdict};
use kubesim::kubelet::{Images, Nodes};
use kubesim::tap::{Recording, Tap};
use seatrial_tests::Sandbox;

/// A backend that makes nothing, or makes embedded clusters that cannot be taken down.
struct Lame {
    offers: BTreeSet<Capability>,
    makes: bool,
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
            if !self.makes {
                return Err(ClusterError::new("no cluster to be had"));
            }
            let up: Box<dyn Cluster> = Box::new(Stuck(Sim::default().provision(shape, seed).await?));
            Ok(up)
        }
        .boxed()
    }
}

/// A cluster that does everything but go away.
struct Stuck(Box<dyn Cluster>);

impl Cluster for Stuck {
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
        self.0.snapshot()
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
            Err(ClusterError::new("remove a node: it does not answer"))
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
    let _ = rustls::crypto::ring::default_provider().install_default();
    let honest = r#"echo '{"ok":false,"status":"error","blockers":[{"code":"X","message":"x","remediation":"x"}]}'; exit 1"#;
    let installer = Installer::parse(&sandbox.script("installer", honest)).unwrap();
    let terminal = sandbox.path("terminal");
    let junit = sandbox.path("junit");
    let file = |path: &PathBuf| std::fs::File::create(path).unwrap();
    let reporters = Reporters::default()
        .with(Terminal::new(anstream::StripStream::new(file(&terminal))))
        .with(Junit::new(file(&junit), "junit"));
    let suite = Suite {
        scenarios: scenarios(sandbox, names).scenarios,
        backends: vec![Box::new(backend)],
        installer,
        tools: ToolChoice { interposer: PathBuf::from("/bin/false"), real: BTreeMap::new() },
        seed: 0,
        jobs: 2,
        controls: true,
        retain: false,
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
    let backend = Lame { offers: [Capability::Objects].into(), makes: false };
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
    let backend = Lame { offers: Sim::default().offers(), makes: false };
    let (outcome, said, junit) = run(&sandbox, backend, &["plain", "throttled"]).await;
    assert!(outcome.verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Errored), "{outcome:?}");
    assert_eq!(outcome.exit, ExitCode::Infrastructure);
    assert!(said.contains("failed to provision a cluster: no cluster to be had"), "{said}");
    assert!(junit.contains("errors=\"2\"") && junit.contains("failures=\"0\""), "{junit}");
}

#[tokio::test]
async fn a_cluster_that_does_not_go_away_is_named_and_outweighs_a_failed_expectation() {
    let sandbox = Sandbox::new();
    let backend = Lame { offers: Sim::default().offers(), makes: true };
    let (outcome, said, _) = run(&sandbox, backend, &["plain"]).await;
    assert_eq!(outcome.verdicts, [("plain".to_owned(), Verdict::Failed)]);
    assert_eq!(outcome.exit, ExitCode::Cleanup);
    assert!(said.contains("left      remove a node: it does not answer"), "{said}");
    assert!(said.contains("not everything could be cleaned up"), "{said}");
}
