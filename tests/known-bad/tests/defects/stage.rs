//! An installer, right or wrong, in one process with a cluster on a paused clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use eks_installer::cli::Hooks;
use eks_installer::identity::Identity;
use eks_installer::log::{Event, Log};
use eks_installer::phases::Phase;
use eks_installer::redact::Redactor;
use eks_installer::seams::{
    Connection, FixedConnection, TokioClock, ToolCall, ToolError, ToolOutput, ToolRunner,
};
use eks_installer::stop::Stop;
use eks_installer::{Context, Scope, Settings};
use futures::future::BoxFuture;
use interpose::Invocation;
use interpose::helm::{self, Seed, Status, World, karpenter_release, storage};
use kubesim::store::GroupResource;
use kubesim::{Cluster, Config};
use serde_json::Value;

/// A cluster, what breaks Helm, and what the installer is told.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) settings: Settings,
    /// Subcommands of Helm that fail, and how often; in these words.
    pub(crate) helm_fails: Option<(&'static [&'static str], u32, &'static str)>,
    /// Whether the read of the nodes is answered with a web page.
    pub(crate) garbage: bool,
}

/// What a run said and did.
#[derive(Debug, PartialEq)]
pub(crate) struct Ran {
    pub(crate) result: Value,
    pub(crate) exit: u8,
    /// Calls of Helm, a line each.
    pub(crate) helm: Vec<String>,
    /// Every request to the API, Helm's among them.
    pub(crate) requests: Vec<String>,
    /// The requests that asked for a change.
    pub(crate) changes: Vec<String>,
    /// Step and message of what was logged.
    pub(crate) log: Vec<String>,
}

impl Ran {
    pub(crate) fn codes(&self) -> Vec<&str> {
        let blockers = self.result["blockers"].as_array().unwrap();
        blockers.iter().map(|blocker| blocker["code"].as_str().unwrap()).collect()
    }

    /// Asserts that the result says "complete" in every place in which it says anything.
    pub(crate) fn claims_completion(&self) -> &Self {
        let Self { result, exit, .. } = self;
        assert_eq!(*exit, 0, "{result:#}");
        assert_eq!(result["ok"], true);
        assert_eq!(result["status"], "completed_phase");
        assert_eq!(result["next"], serde_json::json!({ "action": "install", "phase": "core" }));
        assert_eq!(self.codes(), Vec::<&str>::new());
        let karpenter = self.karpenter();
        assert_eq!(karpenter["controllerReady"], true, "{karpenter:#}");
        assert_eq!(karpenter["release"]["status"], "deployed", "{karpenter:#}");
        assert_eq!(karpenter["pendingPods"], serde_json::json!([]), "{karpenter:#}");
        let Value::Object(controller) = &karpenter["controller"] else { panic!("{karpenter:#}") };
        assert_eq!(controller["available"], controller["desired"]);
        self
    }

    pub(crate) fn karpenter(&self) -> &Value {
        &self.result["evidence"]["phase3"]["karpenter"]
    }

    pub(crate) fn platform(&self) -> &Value {
        &self.result["evidence"]["phase3"]["platform"]
    }

    pub(crate) fn upgrades(&self) -> usize {
        self.helm.iter().filter(|line| line.starts_with("upgrade ")).count()
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(shape: impl FnOnce(&mut Config)) -> Self {
        let origin = "2026-01-02T03:04:05Z".parse().unwrap();
        let mut config = Config { origin: Some(origin), kubernetes: 34, ..Config::default() };
        shape(&mut config);
        let cluster = Cluster::start(config).await.unwrap();
        Self { cluster, settings: Settings::default(), helm_fails: None, garbage: false }
    }

    /// Plants what an earlier installation left.
    pub(crate) async fn seed(&self, status: Status, revision: i64) {
        let seed = Seed { status, revision, ..Seed::default() };
        let seeded = karpenter_release(&seed, self.cluster.clock().now()).unwrap();
        seeded.plant(self.client()).await.unwrap();
        self.cluster.settled().await;
    }

    pub(crate) fn client(&self) -> kube::Client {
        kube::Client::new(self.cluster.service(), "default")
    }

    /// Runs the compute phase as the right installer does.
    pub(crate) async fn right(&self) -> Ran {
        self.run(Hooks::default()).await
    }

    /// Runs the compute phase as the installer with this defect does.
    pub(crate) async fn wrong(&self, defect: &str) -> Ran {
        self.run((known_bad::defects::find(defect).unwrap().hooks)()).await
    }

    async fn run(&self, hooks: Hooks) -> Ran {
        let before = self.cluster.tap().recordings().len();
        let clock = self.cluster.clock();
        let world = World::of(self.client(), move || clock.now());
        let tools = Arc::new(Tools { world, fails: Mutex::new(self.helm_fails), calls: Mutex::default() });
        let log = Arc::new(Lines::default());
        let identity = self.cluster.identity();
        let connection = Connection {
            client: if self.garbage { garbling(self.client()) } else { self.client() },
            kubeconfig: None,
            context: None,
            server: "https://cluster.local".to_owned(),
            identity: Identity {
                name: Some(identity.name.clone()),
                region: Some(identity.region.clone()),
                account: Some(identity.account.clone()),
            },
        };
        let context = (hooks.wrap)(Context {
            cluster: Arc::new(FixedConnection(connection)),
            tools: tools.clone(),
            clock: Arc::new(TokioClock::new(self.cluster.clock().now())),
            log: log.clone(),
            stop: Stop::default(),
            redactor: Redactor::default(),
        });
        let outcome = eks_installer::install(&context, &self.settings, Scope::Only(Phase::Compute)).await;
        let outcome = (hooks.edit)(outcome);
        let recordings = self.cluster.tap().recordings().split_off(before);
        let line = |it: &kubesim::tap::Recording| format!("{} {} {}", it.verb, it.path, it.status);
        Ran {
            result: serde_json::to_value(&outcome.result).unwrap(),
            exit: outcome.exit,
            helm: tools.calls.lock().unwrap().clone(),
            requests: recordings.iter().map(line).collect(),
            changes: recordings.iter().filter(|it| it.mutating()).map(line).collect(),
            log: log.0.lock().unwrap().clone(),
        }
    }

    /// Helm's revisions as they lie in the cluster.
    pub(crate) fn revisions(&self) -> Vec<(i64, Status)> {
        let (secrets, _) = self.cluster.store().list(&GroupResource::new("", "secrets"), Some("kube-system"));
        let releases = secrets.iter().filter(|it| it["type"] == storage::SECRET_TYPE);
        let mut all: Vec<(i64, Status)> = releases
            .map(|it| storage::decode(it).unwrap())
            .map(|release| (release.version, release.info.status))
            .collect();
        all.sort_by_key(|(version, _)| *version);
        all
    }

    /// A Deployment of kube-system as it lies in the cluster.
    pub(crate) fn deployment(&self, name: &str) -> Option<Value> {
        let deployments = GroupResource::new("apps", "deployments");
        let found = self.cluster.store().get(&deployments, "kube-system", name)?;
        Some(serde_json::to_value(&*found).unwrap())
    }

    /// How many replicas of the controller are available, says the cluster.
    pub(crate) fn available(&self) -> i64 {
        let deployment = self.deployment("karpenter").unwrap_or_default();
        deployment["status"]["availableReplicas"].as_i64().unwrap_or(0)
    }
}

/// A client that is answered with a web page when it asks for the nodes.
fn garbling(truth: kube::Client) -> kube::Client {
    let answer = move |request: http::Request<kube::client::Body>| {
        let truth = truth.clone();
        async move {
            if request.uri().path() == "/api/v1/nodes" {
                let page = "<html><body>Sign in to continue</body></html>".as_bytes().to_vec();
                return Ok(http::Response::new(kube::client::Body::from(page)));
            }
            truth.send(request).await
        }
    };
    kube::Client::new(tower::service_fn(answer), "default")
}

struct Tools {
    world: World,
    fails: Mutex<Option<(&'static [&'static str], u32, &'static str)>>,
    calls: Mutex<Vec<String>>,
}

impl ToolRunner for Tools {
    fn run(&self, call: ToolCall) -> BoxFuture<'_, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            // Without an AWS CLI the kubeconfig's context has to do for the right cluster.
            if call.program == "aws" {
                return Err(ToolError::NotFound { program: call.program });
            }
            assert_eq!(call.program, "helm", "the compute phase needs no other tool");
            self.calls.lock().unwrap().push(call.args.join(" "));
            if let Some((commands, times, words)) = self.fails.lock().unwrap().as_mut()
                && commands.contains(&call.args[0].as_str())
                && *times > 0
            {
                *times -= 1;
                let stderr = format!("{words}\n");
                return Ok(ToolOutput { code: Some(1), stderr, ..ToolOutput::default() });
            }
            let stdin = call.stdin.unwrap_or_default();
            let invocation = Invocation { args: call.args, env: BTreeMap::new(), stdin };
            let output = helm::run(&invocation, &self.world).await;
            Ok(ToolOutput {
                code: Some(output.code),
                signal: None,
                stdout: output.stdout,
                stderr: output.stderr,
            })
        })
    }
}

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Log for Lines {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push(format!("{}: {}", event.step, event.message));
    }
}
