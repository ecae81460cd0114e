//! What the installer asks a large cluster for: every list in pages, and of what there can be many only what
//! is selected. So a run takes as much memory on five thousand nodes as the nodes' states take, and no more.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use eks_installer::identity::Identity;
use eks_installer::log::Silent;
use eks_installer::phases::Phase;
use eks_installer::redact::Redactor;
use eks_installer::seams::{
    Connection, FixedConnection, TokioClock, ToolCall, ToolError, ToolOutput, ToolRunner,
};
use eks_installer::settings::{CoreSettings, ReleaseSettings};
use eks_installer::stop::Stop;
use eks_installer::{Context, Outcome, Scope, Settings, cleanup, install, preflight, status};
use futures::future::BoxFuture;
use interpose::Invocation;
use interpose::helm::{self, Seed, Status, World, karpenter_release};
use jiff::Timestamp;
use kubesim::kubelet::NodeShape;
use kubesim::store::GroupResource;
use kubesim::{Cluster, Config};
use rstest::rstest;
use serde_json::json;

/// Two pages of nodes.
const NODES: u32 = 501;

/// A large cluster, and what was asked of it.
struct Stage {
    cluster: Cluster,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A request for a collection.
#[derive(Clone, Debug)]
struct Asked {
    resource: String,
    query: BTreeMap<String, String>,
}

impl Asked {
    /// `None` of what is no collection.
    fn of(uri: &http::Uri) -> Option<Self> {
        let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
        let rest = match parts.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            _ => return None,
        };
        let resource = match rest {
            [resource] | ["namespaces", _, resource] => (*resource).to_owned(),
            _ => return None,
        };
        let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        let mut query = BTreeMap::new();
        for (name, value) in pairs {
            assert!(query.insert(name.to_owned(), value.to_owned()).is_none(), "{name} twice: {uri}");
        }
        Some(Self { resource, query })
    }

    fn watches(&self) -> bool {
        self.query.contains_key("watch")
    }

    fn selects(&self) -> bool {
        self.query.contains_key("labelSelector") || self.query.contains_key("fieldSelector")
    }
}

impl Stage {
    async fn new(nodes: u32, release: Option<Status>) -> Self {
        let mut config = Config { kubernetes: 34, ..Config::default() };
        let region = config.identity.region.clone();
        config.nodes = (0..nodes).map(|number| NodeShape::numbered(number, &region)).collect();
        let names: Vec<String> = config.nodes.iter().map(|node| node.name.clone()).collect();
        let cluster = Cluster::start(config).await.unwrap();
        for (number, node) in names.iter().enumerate() {
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": format!("web-{number}"), "namespace": "kube-system" },
                "spec": { "nodeName": node, "containers": [{ "name": "web", "image": "registry.k8s.io/pause:3.10" }] },
            });
            cluster.store().create(&GroupResource::new("", "pods"), pod).unwrap();
        }
        if let Some(status) = release {
            let seed = Seed { status, revision: 1, ..Seed::default() };
            let seeded = karpenter_release(&seed, cluster.clock().now()).unwrap();
            seeded.plant(kube::Client::new(cluster.service(), "default")).await.unwrap();
        }
        cluster.settled().await;
        Self { cluster, asked: Arc::default() }
    }

    /// A client whose requests for collections are written down.
    fn client(&self) -> kube::Client {
        let (truth, asked) = (kube::Client::new(self.cluster.service(), "default"), self.asked.clone());
        let service = move |request: http::Request<kube::client::Body>| {
            let truth = truth.clone();
            if request.method() == http::Method::GET {
                asked.lock().unwrap().extend(Asked::of(request.uri()));
            }
            async move { truth.send(request).await }
        };
        kube::Client::new(tower::service_fn(service), "default")
    }

    fn context(&self) -> Context {
        let clock = self.cluster.clock();
        let world = World::of(kube::Client::new(self.cluster.service(), "default"), move || clock.now());
        let identity = self.cluster.identity();
        let connection = Connection {
            client: self.client(),
            kubeconfig: None,
            context: None,
            server: "https://cluster.local".to_owned(),
            identity: Identity { name: Some(identity.name.clone()), ..Identity::default() },
        };
        Context {
            cluster: Arc::new(FixedConnection(connection)),
            tools: Arc::new(Helm(world)),
            clock: Arc::new(TokioClock::new(Timestamp::now())),
            log: Arc::new(Silent),
            stop: Stop::default(),
            redactor: Redactor::default(),
        }
    }

    /// How often each resource was listed; every list was paged, and every one of many things selected.
    fn lists(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        // Of these there is a page, or what the run is about.
        let few: BTreeSet<&str> =
            ["nodes", "nodeclaims", "nodepools", "ec2nodeclasses", "customresourcedefinitions"].into();
        for asked in self.asked.lock().unwrap().iter() {
            assert!(asked.watches() || asked.query.contains_key("limit"), "not paged: {asked:?}");
            assert!(asked.selects() || few.contains(asked.resource.as_str()), "not selected: {asked:?}");
            if !asked.watches() {
                *counts.entry(asked.resource.clone()).or_default() += 1;
            }
        }
        counts
    }
}

struct Helm(World);

impl ToolRunner for Helm {
    fn run(&self, call: ToolCall) -> BoxFuture<'_, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            if call.program != "helm" {
                return Err(ToolError::NotFound { program: call.program });
            }
            let stdin = call.stdin.unwrap_or_default();
            let invocation = Invocation { args: call.args, env: BTreeMap::new(), stdin };
            let output = helm::run(&invocation, &self.0).await;
            let interpose::Output { code, stdout, stderr, .. } = output;
            Ok(ToolOutput { code: Some(code), signal: None, stdout, stderr })
        })
    }
}

/// What is run.
#[derive(Clone, Copy, Debug)]
enum Command {
    Install(Phase),
    Status,
    Preflight,
    Cleanup,
}

async fn run(context: &Context, settings: &Settings, command: Command) -> Outcome {
    match command {
        Command::Install(phase) => install(context, settings, Scope::Only(phase)).await,
        Command::Status => status(context, settings).await,
        Command::Preflight => preflight::run(context, settings).await,
        Command::Cleanup => cleanup::run(context, settings, Scope::Only(Phase::Compute)).await,
    }
}

fn settings() -> Settings {
    let web = ReleaseSettings {
        name: "web".into(),
        chart: "oci://registry.example.com/stack/web".into(),
        version: Some("2.1.0".into()),
        namespace: "stack".into(),
        ..ReleaseSettings::default()
    };
    Settings { core: CoreSettings { releases: vec![web] }, ..Settings::default() }
}

#[tokio::test(start_paused = true)]
async fn on_a_large_cluster_every_list_is_paged_and_selected() {
    let stage = Stage::new(NODES, Some(Status::Deployed)).await;
    for (command, exit) in [
        (Command::Status, 0),
        (Command::Install(Phase::Compute), 0),
        (Command::Install(Phase::Core), 0),
        (Command::Preflight, 1),
        (Command::Cleanup, 0),
    ] {
        stage.asked.lock().unwrap().clear();
        let outcome = run(&stage.context(), &settings(), command).await;
        assert_eq!(outcome.exit, exit, "{command:?}: {:#?}", outcome.result.blockers);
        let lists = stage.lists();
        if matches!(command, Command::Install(_) | Command::Status) {
            // Twice for the last phase, which looks whether the one before it is done.
            let pages = if matches!(command, Command::Install(Phase::Core)) { 4 } else { 2 };
            assert_eq!(lists["nodes"], pages, "{command:?}: {lists:?}");
        }
    }
}

#[rstest]
#[case::a_fresh_installation(None)]
#[case::a_repair(Some(Status::Failed))]
#[tokio::test(start_paused = true)]
async fn what_changes_something_asks_no_other_way(#[case] release: Option<Status>) {
    let stage = Stage::new(2, release).await;
    let outcome = run(&stage.context(), &settings(), Command::Install(Phase::Compute)).await;
    assert_eq!(outcome.exit, 0, "{:#?}", outcome.result.blockers);
    assert!(!stage.lists().is_empty());
}

#[test]
fn a_list_that_takes_everything_is_noticed() {
    let asked = |uri: &str| Asked::of(&uri.parse().unwrap()).unwrap();
    assert!(!asked("/api/v1/namespaces/kube-system/pods").selects());
    assert!(!asked("/api/v1/pods?limit=500").selects());
    assert!(asked("/api/v1/pods?limit=500&labelSelector=a%3Db").selects());
    assert!(Asked::of(&"/api/v1/namespaces/kube-system/pods/web-1".parse().unwrap()).is_none());
    assert!(Asked::of(&"/version".parse().unwrap()).is_none());
}
