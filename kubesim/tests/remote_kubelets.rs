//! The kubelets as clients of an API server: of an embedded one without kubelets of its own, and of a real
//! one where there is one. The same story on both.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use crate::support::control_plane::{ControlPlane, binaries};
use crate::support::wire::{FREE, dial};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Node, Pod, Secret};
use kube::api::{Api, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams};
use kubesim::kubelet::remote::Remote;
use kubesim::kubelet::{Behaviour, NodeShape};
use kubesim::transport::{Server, User};
use kubesim::{Cluster, Config};
use rstest::rstest;
use serde_json::{Value, json};

/// Long enough for a real control plane on a busy machine.
const SOON: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Embedded,
    Real,
}

/// An API server, and kubelets that are its clients.
struct Stage {
    remote: Remote,
    client: kube::Client,
    _embedded: Option<(Cluster, Server)>,
    real: Option<ControlPlane>,
}

impl Stage {
    /// `None` when there is no real control plane.
    async fn new(kind: Kind) -> Option<Self> {
        drop(rustls::crypto::ring::default_provider().install_default());
        let remote = Remote::listen("us-west-2").await.unwrap();
        let stage = match kind {
            Kind::Embedded => {
                let config = Config {
                    nodes: Vec::new(),
                    kubelets: false,
                    default_content: false,
                    ..Config::default()
                };
                let cluster = Cluster::start(config).await.unwrap();
                let server = cluster.serve(FREE).await.unwrap();
                let kubeconfig = kube::config::Kubeconfig::from_yaml(&server.kubeconfig(&User::admin()));
                let options = kube::config::KubeConfigOptions::default();
                let config =
                    kube::Config::from_custom_kubeconfig(kubeconfig.unwrap(), &options).await.unwrap();
                let client = kube::Client::try_from(config).unwrap();
                Self { remote, client, _embedded: Some((cluster, server)), real: None }
            }
            Kind::Real => {
                let real = ControlPlane::start(&binaries()?, &remote).await;
                let client = real.client().await;
                Self { remote, client, _embedded: None, real: Some(real) }
            }
        };
        stage.remote.start(stage.client.clone()).await.unwrap();
        Some(stage)
    }

    fn add_node(&self, number: u32) -> String {
        let shape = NodeShape::numbered(number, "us-west-2");
        let name = shape.name.clone();
        self.remote.nodes().add(shape).unwrap();
        name
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    /// Asks until the answer is as it should be.
    async fn until<T, F: Future<Output = Result<T, String>>>(&self, what: impl Fn() -> F) -> T {
        let began = Instant::now();
        loop {
            match what().await {
                Ok(seen) => return seen,
                Err(not_yet) if began.elapsed() > SOON => {
                    let logs = self.real.as_ref().map(ControlPlane::logs).unwrap_or_default();
                    panic!("not within {SOON:?}: {not_yet}\nrefused: {:?}\n{logs}", self.remote.problems());
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn pod_is(&self, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let pods = self.pods();
        self.until(|| async {
            let pod = pods.get(name).await.map_err(|error| error.to_string())?;
            let pod = serde_json::to_value(pod).unwrap();
            if holds(&pod) { Ok(pod) } else { Err(format!("{}", pod["status"])) }
        })
        .await
    }

    async fn node_is(&self, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let nodes = self.nodes();
        self.until(|| async {
            let node = nodes.get(name).await.map_err(|error| error.to_string())?;
            let node = serde_json::to_value(node).unwrap();
            if holds(&node) { Ok(node) } else { Err(node.to_string()) }
        })
        .await
    }

    async fn ready_node(&self, number: u32) -> String {
        let name = self.add_node(number);
        // Without its first taint nothing is scheduled; the controllers take it away once it is ready.
        self.node_is(&name, |node| {
            condition(node, "Ready")["status"] == "True" && node["spec"]["taints"].is_null()
        })
        .await;
        name
    }

    async fn run(&self, name: &str, image: &str) {
        // A real API server refuses pods until it has made the service account.
        let pods = self.pods();
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"containers": [{
                "name": "main", "image": image,
                "readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1},
            }]},
        }))
        .unwrap();
        self.until(|| async {
            pods.create(&PostParams::default(), &pod).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
    }

    async fn events(&self, pod: &str) -> Vec<String> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), "default");
        let about = ListParams::default().fields(&format!("involvedObject.name={pod}"));
        let events = events.list(&about).await.unwrap();
        let of_kubelet = events.items.into_iter().filter(|event| {
            event.source.as_ref().and_then(|source| source.component.as_deref()) == Some("kubelet")
        });
        of_kubelet.filter_map(|event| event.reason).collect()
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

fn is_ready(object: &Value) -> bool {
    condition(object, "Ready")["status"] == "True"
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubelets_run_a_cluster_from_outside(#[values(Kind::Embedded, Kind::Real)] kind: Kind) {
    let Some(stage) = Stage::new(kind).await else { return };

    // A node registers, becomes ready, and renews a lease that belongs to it.
    let node = stage.ready_node(0).await;
    let object = stage.node_is(&node, is_ready).await;
    assert_eq!(object["status"]["capacity"]["cpu"], "2");
    assert_eq!(object["metadata"]["labels"]["eks.amazonaws.com/nodegroup"], "default");
    let version = stage.client.apiserver_version().await.unwrap().git_version;
    assert_eq!(object["status"]["nodeInfo"]["kubeletVersion"], version);
    stage.remote.settled().await;
    let leases: Api<Lease> = Api::namespaced(stage.client.clone(), "kube-node-lease");
    let lease = serde_json::to_value(leases.get(&node).await.unwrap()).unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], node);
    assert_eq!(lease["metadata"]["ownerReferences"][0]["uid"], object["metadata"]["uid"]);

    // A pod is scheduled, pulled, started, becomes ready; the events are the kubelet's.
    stage.run("web", "web:1").await;
    let web = stage.pod_is("web", is_ready).await;
    assert_eq!(web["status"]["phase"], "Running");
    assert_eq!(web["status"]["containerStatuses"][0]["ready"], true);
    assert_eq!(condition(&web, "PodScheduled")["status"], "True");
    stage.remote.settled().await;
    let mut reasons = stage.events("web").await;
    reasons.sort();
    assert_eq!(reasons, ["Created", "Pulled", "Pulling", "Started"]);

    // An image that crashes, one that cannot be pulled, one that never becomes ready.
    let log = "panic: no region".to_owned();
    let crash = Behaviour::CrashLoop { log: log.clone(), exit_code: 2, after: Duration::ZERO };
    stage.remote.images().set("crash", crash);
    stage.remote.images().set("absent", Behaviour::CannotPull { error: "not found".into() });
    stage
        .remote
        .images()
        .set("never", Behaviour::NeverReady { probe: "HTTP probe failed with statuscode: 503".into() });
    for name in ["crash", "absent", "never"] {
        stage.run(name, &format!("{name}:1")).await;
    }
    let waiting = |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].clone();
    let crashed = stage.pod_is("crash", |pod| waiting(pod) == "CrashLoopBackOff").await;
    assert_eq!(crashed["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"], 2);
    stage.pod_is("absent", |pod| waiting(pod) == "ImagePullBackOff").await;
    let never = stage.pod_is("never", |pod| pod["status"]["phase"] == "Running").await;
    assert!(!is_ready(&never));

    // What is healed recovers without a new pod.
    stage.remote.images().unset("never");
    let healed = stage.pod_is("never", is_ready).await;
    assert_eq!(healed["metadata"]["uid"], never["metadata"]["uid"]);

    // Logs come over the kubelet's port.
    if kind == Kind::Real {
        let text = stage.pods().logs("crash", &LogParams::default()).await.unwrap();
        assert_eq!(text, format!("{log}\n"));
        let refused = stage.pods().logs("absent", &LogParams::default()).await.unwrap_err().to_string();
        assert!(refused.contains("container \"main\" in pod \"absent\" is waiting to start"), "{refused}");
    }

    // A pod is deleted with its grace, and gone once its containers have stopped.
    stage.pods().delete("web", &DeleteParams::default()).await.unwrap();
    stage
        .until(|| async {
            match stage.pods().get_opt("web").await.unwrap() {
                None => Ok(()),
                Some(pod) => Err(format!("{:?}", pod.metadata)),
            }
        })
        .await;
    stage.remote.settled().await;
    assert!(stage.events("web").await.contains(&"Killing".to_owned()));
    assert_eq!(stage.remote.problems(), Vec::<String>::new());
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_nodes_go_through_the_api(#[values(Kind::Embedded, Kind::Real)] kind: Kind) {
    let Some(stage) = Stage::new(kind).await else { return };
    for number in 0..2 {
        stage.ready_node(number).await;
    }
    stage.run("web", "web:1").await;
    let web = stage.pod_is("web", is_ready).await;
    let first = web["spec"]["nodeName"].as_str().unwrap().to_owned();

    // Not ready: the condition says why and the taint follows; the pod stays what its kubelet says it is.
    let why = "container runtime is down";
    stage.remote.nodes().set_ready(&first, false, Some(why.into())).unwrap();
    let tainted = |node: &Value| {
        node["spec"]["taints"].as_array().is_some_and(|taints| {
            taints
                .iter()
                .any(|taint| taint["key"] == "node.kubernetes.io/not-ready" && taint["effect"] == "NoExecute")
        })
    };
    let node =
        stage.node_is(&first, |node| condition(node, "Ready")["status"] == "False" && tainted(node)).await;
    assert_eq!(condition(&node, "Ready")["message"], why);
    stage.pod_is("web", is_ready).await;

    // Every node not ready: the controllers take themselves to be at fault, and drive no pod away.
    let other = stage.remote.nodes().names().into_iter().find(|name| *name != first).unwrap();
    stage.remote.nodes().set_ready(&other, false, None).unwrap();
    stage.node_is(&first, |node| !tainted(node)).await;
    stage.remote.nodes().set_ready(&other, true, None).unwrap();
    stage.node_is(&first, |node| tainted(node)).await;

    // Ready again: the taints go.
    stage.remote.nodes().set_ready(&first, true, None).unwrap();
    stage.node_is(&first, |node| is_ready(node) && !tainted(node)).await;
    stage.pod_is("web", is_ready).await;

    // Taints of its own come and go beside those.
    stage
        .remote
        .nodes()
        .set_taints(&first, &[json!({"key": "team", "value": "a", "effect": "NoSchedule"})])
        .unwrap();
    stage.node_is(&first, |node| node["spec"]["taints"][0]["key"] == "team").await;
    stage.remote.nodes().set_taints(&first, &[]).unwrap();
    stage.node_is(&first, |node| node["spec"]["taints"].is_null()).await;

    // A node that is taken away takes its lease with it.
    stage.remote.nodes().remove(&first).unwrap();
    let leases: Api<Lease> = Api::namespaced(stage.client.clone(), "kube-node-lease");
    stage
        .until(|| async {
            let left = (stage.nodes().get_opt(&first).await.unwrap(), leases.get_opt(&first).await.unwrap());
            if left.0.is_none() && left.1.is_none() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    assert_eq!(stage.remote.nodes().names().len(), 1);
    assert_eq!(stage.remote.problems(), Vec::<String>::new());
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_rolls_out_over_kubelets_from_outside(#[values(Kind::Embedded, Kind::Real)] kind: Kind) {
    let Some(stage) = Stage::new(kind).await else { return };
    for number in 0..2 {
        stage.ready_node(number).await;
    }
    let deployments: Api<Deployment> = Api::namespaced(stage.client.clone(), "default");
    let deployment = |image: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {
                "replicas": 3, "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "main", "image": image}]},
                },
            },
        })
    };
    for image in ["web:1", "web:2"] {
        let applied = Patch::Apply(deployment(image));
        deployments.patch("web", &PatchParams::apply("test").force(), &applied).await.unwrap();
        stage
            .until(|| async {
                let web = deployments.get("web").await.unwrap();
                let status = web.status.clone().unwrap_or_default();
                let current = status.observed_generation == web.metadata.generation;
                let counts = [status.replicas, status.updated_replicas, status.available_replicas];
                if current && counts == [Some(3); 3] { Ok(()) } else { Err(format!("{status:?}")) }
            })
            .await;
    }
    // The last of the old ones may still be stopping.
    stage
        .until(|| async {
            let pods = stage.pods().list(&ListParams::default().labels("app=web")).await.unwrap();
            let specs = pods.items.into_iter().filter_map(|pod| pod.spec);
            let images: Vec<_> = specs.filter_map(|spec| spec.containers[0].image.clone()).collect();
            if images == ["web:2"; 3] { Ok(()) } else { Err(format!("{images:?}")) }
        })
        .await;
    assert_eq!(stage.remote.problems(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubelets_outlive_an_api_server_that_is_away() {
    let stage = Stage::new(Kind::Embedded).await.unwrap();
    let node = stage.ready_node(0).await;
    stage.run("web", "web:1").await;
    stage.pod_is("web", is_ready).await;
    let (_, server) = stage._embedded.as_ref().unwrap();
    server.close().await;
    stage.remote.nodes().set_ready(&node, false, Some("away".into())).unwrap();
    stage.add_node(1);
    server.open().await.unwrap();
    stage.node_is(&node, |node| condition(node, "Ready")["message"] == "away").await;
    stage
        .until(|| async {
            let nodes =
                stage.nodes().list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            if nodes.items.len() == 2 { Ok(()) } else { Err(format!("{} nodes", nodes.items.len())) }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_a_finalizer_holds_is_stopped_and_goes_when_it_is_let_go() {
    let stage = Stage::new(Kind::Embedded).await.unwrap();
    stage.ready_node(0).await;
    stage.run("web", "web:1").await;
    stage.pod_is("web", is_ready).await;
    let held = Patch::Merge(json!({"metadata": {"finalizers": ["example.com/hold"]}}));
    stage.pods().patch("web", &PatchParams::default(), &held).await.unwrap();
    stage.pods().delete("web", &DeleteParams::default()).await.unwrap();
    stage.pod_is("web", |pod| pod["metadata"]["deletionGracePeriodSeconds"] == 0).await;
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    stage.pods().patch("web", &PatchParams::default(), &free).await.unwrap();
    assert!(stage.pods().get_opt("web").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_only_for_the_api_server() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let stage = Stage::new(Kind::Embedded).await.unwrap();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], stage.remote.port()));
    let mut stream = dial(address, &stage.remote.ca_pem(), None, "http/1.1").await;
    let get = b"GET /containerLogs/default/web/main HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n";
    stream.write_all(get).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");

    stage.ready_node(0).await;
    stage.remote.images().set_log("web", "listening\n");
    stage.run("web", "web:1").await;
    stage.pod_is("web", is_ready).await;
    let mut stream = dial(address, &stage.remote.ca_pem(), Some(stage.remote.client()), "http/1.1").await;
    stream.write_all(get).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("listening\n"), "{answer}");
}

/// A pod of one container, and how it is configured.
fn configured(name: &str, spec: Value, volumes: Value) -> Pod {
    let mut container = json!({"name": "main", "image": "web:1"});
    for (field, value) in spec.as_object().into_iter().flatten() {
        container[field] = value.clone();
    }
    let spec = json!({"containers": [container], "volumes": volumes});
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_pods_are_configured_by_is_read_and_missed(#[values(Kind::Embedded, Kind::Real)] kind: Kind) {
    let Some(stage) = Stage::new(kind).await else { return };
    stage.ready_node(0).await;
    stage.run("first", "web:1").await;
    let post = PostParams::default();
    let maps: Api<ConfigMap> = Api::namespaced(stage.client.clone(), "default");
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), "default");
    let map = |name: &str| -> ConfigMap {
        serde_json::from_value(json!({"metadata": {"name": name}, "data": {"region": "us-west-2"}})).unwrap()
    };

    // Missing, and in the kubelet's words.
    let from = json!({"envFrom": [{"configMapRef": {"name": "settings"}}]});
    let key = json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "zone"}}}]});
    let volume = json!([{"name": "v", "secret": {"secretName": "keys"}}]);
    for pod in [
        configured("unset", from.clone(), json!([])),
        configured("unkeyed", key, json!([])),
        configured("unmounted", json!({}), volume),
    ] {
        stage.pods().create(&post, &pod).await.unwrap();
    }
    let waiting = |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["waiting"].clone();
    let refused = |pod: &Value| waiting(pod)["reason"] == "CreateContainerConfigError";
    let unset = stage.pod_is("unset", refused).await;
    assert_eq!(waiting(&unset)["message"], "configmap \"settings\" not found");
    let unmounted = stage.pod_is("unmounted", |pod| waiting(pod)["reason"] == "ContainerCreating").await;
    assert_eq!(unmounted["status"]["phase"], "Pending");
    stage
        .until(|| async {
            let events = stage.events("unmounted").await;
            if events.contains(&"FailedMount".to_owned()) { Ok(()) } else { Err(format!("{events:?}")) }
        })
        .await;

    // There later.
    maps.create(&post, &map("settings")).await.unwrap();
    stage.pod_is("unset", is_ready).await;
    let unkeyed = "couldn't find key zone in ConfigMap default/settings";
    stage.pod_is("unkeyed", |pod| refused(pod) && waiting(pod)["message"] == unkeyed).await;
    let keys: Secret = serde_json::from_value(json!({"metadata": {"name": "keys"}})).unwrap();
    secrets.create(&post, &keys).await.unwrap();
    stage.pod_is("unmounted", is_ready).await;

    // There first, however late it is seen: nothing is ever said to be missing.
    for number in 0..12 {
        let name = format!("late-{number}");
        maps.create(&post, &map(&name)).await.unwrap();
        let from = json!({"envFrom": [{"configMapRef": {"name": name}}]});
        let volume = json!([{"name": "v", "configMap": {"name": name}}]);
        stage.pods().create(&post, &configured(&name, from, volume)).await.unwrap();
    }
    for number in 0..12 {
        let name = format!("late-{number}");
        stage.pod_is(&name, is_ready).await;
        stage.remote.settled().await;
        let mut reasons = stage.events(&name).await;
        reasons.retain(|reason| reason != "Pulling");
        reasons.sort();
        assert_eq!(reasons, ["Created", "Pulled", "Started"], "{name}");
    }
    assert_eq!(stage.remote.problems(), Vec::<String>::new());
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_followed_over_the_kubelets_port_until_its_container_ends(
    #[values(Kind::Embedded, Kind::Real)] kind: Kind,
) {
    use futures::AsyncReadExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let Some(stage) = Stage::new(kind).await else { return };
    stage.ready_node(0).await;
    stage.remote.images().set_log("web", "listening\n");
    stage.run("web", "web:1").await;
    stage.pod_is("web", is_ready).await;
    // What is read comes piece by piece, from the port itself or through the API server.
    let (sender, mut pieces) = tokio::sync::mpsc::unbounded_channel();
    if kind == Kind::Real {
        let follow = LogParams { follow: true, ..LogParams::default() };
        let mut stream = Box::pin(stage.pods().log_stream("web", &follow).await.unwrap());
        tokio::spawn(async move {
            let mut piece = [0; 256];
            while let Ok(length @ 1..) = stream.read(&mut piece).await {
                sender.send(piece[..length].to_vec()).unwrap();
            }
        });
    } else {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], stage.remote.port()));
        let mut stream = dial(address, &stage.remote.ca_pem(), Some(stage.remote.client()), "http/1.1").await;
        let get = b"GET /containerLogs/default/web/main?follow=true HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n";
        stream.write_all(get).await.unwrap();
        tokio::spawn(async move {
            let mut piece = [0; 256];
            while let Ok(length @ 1..) = stream.read(&mut piece).await {
                sender.send(piece[..length].to_vec()).unwrap();
            }
        });
    }
    let mut read = String::new();
    while !read.contains("listening\n") {
        let piece = tokio::time::timeout(SOON, pieces.recv()).await.unwrap();
        read.push_str(&String::from_utf8(piece.expect("it goes on")).unwrap());
    }
    // It is still open: nobody has closed it, and the container runs.
    assert!(!pieces.is_closed() && stage.pods().get("web").await.is_ok());
    stage.pods().delete("web", &DeleteParams::default()).await.unwrap();
    let ended = async { while pieces.recv().await.is_some() {} };
    tokio::time::timeout(SOON, ended).await.expect("it ends with its container");
}
