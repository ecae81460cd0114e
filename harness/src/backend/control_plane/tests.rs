//! Real control planes: what a start, a reset and an accident leave.
//!
//! Without executables (`cargo xtask assets`) the tests skip in sight; with `SEATRIAL_REQUIRE_CONTROL_PLANE=1`
//! they fail instead.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use assets::{Minor, Places};
use http::Request;
use serde_json::{Value, json};

use super::ControlPlane;
use super::plane::{Component, Plane};
use super::pool::Pool;
use super::restore;
use crate::backend::{Backend as _, Cluster, ClusterError};
use crate::ledger;
use crate::run::children;
use crate::scenario::ClusterShape;

struct Stage {
    backend: ControlPlane,
    state: tempfile::TempDir,
    /// The version that is there.
    minor: Minor,
}

impl Stage {
    /// `None` where there is no control plane to be had.
    fn new() -> Option<Self> {
        drop(rustls::crypto::ring::default_provider().install_default());
        let state = tempfile::tempdir().unwrap();
        let backend = ControlPlane::new(Places::from_env(), state.path());
        let usual = super::provider::minor(&ClusterShape::default()).unwrap();
        let found = backend.pool().found(None).or_else(|_| backend.pool().found(Some(usual)));
        if let Err(missing) = &found {
            let required = std::env::var("SEATRIAL_REQUIRE_CONTROL_PLANE").as_deref() == Ok("1");
            assert!(!required, "{}; {}", missing.what, missing.hint);
            // Past the test harness, which would keep a `println!` to itself.
            let line = format!("SKIPPED: {}; {}\n", missing.what, missing.hint);
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        }
        let minor = found.unwrap().kubernetes;
        Some(Self { backend, state, minor })
    }

    fn pool(&self) -> &Arc<Pool> {
        self.backend.pool()
    }

    async fn plane(&self) -> Plane {
        let (mut plane, _serving) = self.pool().take(Some(self.minor)).await.unwrap();
        plane.go().await.unwrap();
        plane.prepare_reset().unwrap();
        plane
    }

    /// A cluster with so many nodes, of the version that is there.
    async fn up(&self, nodes: u32) -> Box<dyn Cluster> {
        let kubernetes = Some(self.minor.to_string());
        let shape = ClusterShape { nodes: Some(nodes), kubernetes, ..ClusterShape::default() };
        self.backend.provision(&shape, 0).await.unwrap()
    }

    /// Marks of the processes that its ledgers owe.
    fn marks(&self) -> Vec<String> {
        let mut marks = Vec::new();
        for entry in std::fs::read_dir(self.state.path()).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for line in text.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                if let Some(mark) = line["owed"]["mark"].as_str() {
                    marks.push(mark.to_owned());
                }
            }
        }
        marks
    }
}

async fn post(client: &kube::Client, path: &str, object: Value) -> Value {
    let request = Request::post(path)
        .header("Content-Type", "application/json")
        .body(object.to_string().into_bytes())
        .unwrap();
    client.request(request).await.unwrap_or_else(|error| panic!("POST {path}: {error}"))
}

async fn get(client: &kube::Client, path: &str) -> Result<Value, kube::Error> {
    client.request(Request::get(path).body(Vec::new()).unwrap()).await
}

/// One of everything that a scenario might leave behind.
async fn plant(client: &kube::Client) {
    let meta = |name: &str| json!({"name": name});
    post(client, "/api/v1/namespaces", json!({"metadata": meta("planted")})).await;
    let event = json!({
        "metadata": meta("planted"), "reason": "Planted", "type": "Normal",
        "involvedObject": {"kind": "Namespace", "namespace": "default", "name": "default"},
    });
    post(client, "/api/v1/namespaces/default/events", event).await;
    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
    post(client, leases, json!({"metadata": meta("apiserver-planted"), "spec": {"holderIdentity": "x"}}))
        .await;
    let definition = json!({
        "metadata": meta("plants.seatrial.dev"),
        "spec": {
            "group": "seatrial.dev", "scope": "Namespaced",
            "names": {"kind": "Plant", "plural": "plants"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            }}}],
        },
    });
    post(client, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition).await;
    let plants = "/apis/seatrial.dev/v1/namespaces/default/plants";
    while get(client, plants).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let plant = json!({"apiVersion": "seatrial.dev/v1", "kind": "Plant", "metadata": {
        "name": "planted", "finalizers": ["seatrial.dev/never"],
    }});
    post(client, plants, plant).await;
    let webhook = json!({
        "metadata": meta("planted"),
        "webhooks": [{
            "name": "planted.seatrial.dev", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "failurePolicy": "Fail", "clientConfig": {"url": "https://127.0.0.1:1/never"},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]}],
        }],
    });
    post(client, "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", webhook).await;
    let role = json!({"metadata": meta("planted"), "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
    post(client, "/apis/rbac.authorization.k8s.io/v1/clusterroles", role).await;
    let binding = json!({
        "metadata": meta("planted"),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "planted"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "planted"}],
    });
    post(client, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding).await;
    let map = json!({"metadata": {"name": "held", "finalizers": ["seatrial.dev/never"]}});
    post(client, "/api/v1/namespaces/default/configmaps", map).await;
    let deployment = json!({
        "metadata": meta("planted"),
        "spec": {
            "replicas": 3, "selector": {"matchLabels": {"app": "planted"}},
            "template": {"metadata": {"labels": {"app": "planted"}}, "spec": {"containers": [{"name": "c", "image": "c"}]}},
        },
    });
    post(client, "/apis/apps/v1/namespaces/default/deployments", deployment).await;
    let service = json!({"metadata": meta("planted"), "spec": {"selector": {"app": "planted"}, "ports": [{"port": 80}]}});
    post(client, "/api/v1/namespaces/default/services", service).await;
    // And something of the first state is taken away, something is changed.
    for path in [
        "/apis/apps/v1/namespaces/kube-system/deployments/coredns",
        "/api/v1/namespaces/kube-system/configmaps/coredns",
    ] {
        let request = Request::delete(path).body(Vec::new()).unwrap();
        client.request::<Value>(request).await.unwrap();
    }
    let request = Request::patch("/apis/rbac.authorization.k8s.io/v1/clusterroles/view")
        .header("Content-Type", "application/merge-patch+json")
        .body(json!({"rules": []}).to_string().into_bytes())
        .unwrap();
    client.request::<Value>(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_scenario_left_survives_a_reset() {
    let Some(stage) = Stage::new() else { return };
    let mut plane = stage.plane().await;
    let first = stage.pool().blueprint(Some(stage.minor)).await.unwrap().first;
    let client = plane.admin();
    plant(&client).await;
    // Controllers at work make it harder.
    super::settle::settled(&plane, None, Duration::from_millis(20)).await.unwrap();
    plane.reset().await.unwrap();
    // Controllers are not at work again yet: all is as it was to the letter.
    let (_, now) = plane.etcd().all(true).await.unwrap();
    let now = restore::content(now);
    let differing: Vec<&String> =
        now.keys().chain(first.keys()).filter(|key| now.get(*key) != first.get(*key)).collect();
    assert!(differing.is_empty(), "{differing:?}");
    plane.go().await.unwrap();
    // And the API server has forgotten too: its discovery, its webhooks, its authorizer.
    assert!(get(&client, "/apis/seatrial.dev/v1").await.is_err());
    let secret = json!({"metadata": {"name": "after"}});
    post(&client, "/api/v1/namespaces/default/secrets", secret).await;
    let review = json!({"spec": {"user": "planted", "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}});
    let review = post(&client, "/apis/authorization.k8s.io/v1/subjectaccessreviews", review).await;
    assert_eq!(review["status"]["allowed"], false, "{review}");
    let events = get(&client, "/api/v1/namespaces/default/events").await.unwrap();
    let planted = events["items"].as_array().unwrap().iter().any(|it| it["metadata"]["name"] == "planted");
    assert!(!planted);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_were_to_come_next_are_nobody_to_rely_on() {
    let Some(stage) = Stage::new() else { return };
    let mut plane = stage.plane().await;
    plane.kill(Component::NextControllers).await;
    plane.alive().unwrap();
    plane.reset().await.unwrap();
    plane.go().await.unwrap();
    plane.alive().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_was_given_back_serves_the_next_scenario_as_new() {
    let Some(stage) = Stage::new() else { return };
    let one = stage.up(0).await;
    plant(&one.admin()).await;
    one.down().await.unwrap();
    let marks = stage.marks();
    let other = stage.up(0).await;
    assert_eq!(stage.marks(), marks, "no second control plane was started");
    let snapshot = other.snapshot().await.unwrap();
    assert!(snapshot.get("deployments.apps", "kube-system", "coredns").is_some());
    assert!(snapshot.get("deployments.apps", "default", "planted").is_none());
    assert!(snapshot.get("namespaces", "", "planted").is_none());
    other.down().await.unwrap();
    drop(stage.backend);
    until_gone(&marks).await;
    assert_eq!(std::fs::read_dir(stage.state.path()).unwrap().count(), 0, "no ledger is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_tells_what_the_api_tells() {
    let Some(stage) = Stage::new() else { return };
    let up = stage.up(0).await;
    let snapshot = up.snapshot().await.unwrap();
    let told = get(&up.admin(), "/apis/apps/v1/namespaces/kube-system/daemonsets/aws-node").await.unwrap();
    let mut stored = snapshot.get("daemonsets.apps", "kube-system", "aws-node").unwrap().clone();
    assert_eq!(stored["metadata"]["resourceVersion"], told["metadata"]["resourceVersion"]);
    // Which fields were set by whom is kept in another form.
    stored["metadata"]["managedFields"] = told["metadata"]["managedFields"].clone();
    assert_eq!(stored, told);
    assert!(snapshot.get("services", "kube-system", "kube-dns").is_some());
    assert!(snapshot.get("endpoints", "default", "kubernetes").is_some());
    up.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_installers_requests_pass_the_tap_under_its_own_name() {
    let Some(stage) = Stage::new() else { return };
    let up = stage.up(0).await;
    let config = kube::config::Kubeconfig::from_yaml(&up.kubeconfig()).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await.unwrap();
    let installer = kube::Client::try_from(config).unwrap();
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let review = post(&installer, "/apis/authentication.k8s.io/v1/selfsubjectreviews", review).await;
    assert_eq!(review["status"]["userInfo"]["username"], "seatrial:installer", "{review}");
    assert_eq!(up.requests().len(), 1);
    up.authorized(false).await.unwrap();
    let refused = get(&installer, "/api/v1/nodes").await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 401), "{refused}");
    up.authorized(true).await.unwrap();
    get(&installer, "/api/v1/nodes").await.unwrap();
    up.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_has_the_nodes_that_were_asked_for_and_its_system_pods_run_on_them() {
    let Some(stage) = Stage::new() else { return };
    for nodes in [2, 1] {
        let up = stage.up(nodes).await;
        let snapshot = up.snapshot().await.unwrap();
        let ready = |kind: &str| {
            let is_ready = |object: &&Value| {
                let conditions = object["status"]["conditions"].as_array();
                conditions
                    .is_some_and(|all| all.iter().any(|it| it["type"] == "Ready" && it["status"] == "True"))
            };
            snapshot.of(kind).filter(is_ready).count()
        };
        assert_eq!(ready("nodes"), nodes as usize);
        // CoreDNS twice, kube-proxy and aws-node on each.
        assert_eq!(ready("pods"), 2 + 2 * nodes as usize);
        assert_eq!(snapshot.of("events").count(), 0, "a cluster that is older than its events");
        let pods =
            get(&up.admin(), "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dkube-dns").await;
        let name = pods.unwrap()["items"][0]["metadata"]["name"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/namespaces/kube-system/pods/{name}/log");
        let log = up.admin().request_text(Request::get(path).body(Vec::new()).unwrap()).await.unwrap();
        assert!(log.contains("CoreDNS-1."), "{log}");
        up.health().unwrap();
        up.down().await.unwrap();
    }
}

#[test]
fn a_shape_that_it_cannot_make_is_unsupported_and_never_a_cluster_of_another_shape() {
    let state = tempfile::tempdir().unwrap();
    let backend = ControlPlane::new(Places::from_env(), state.path());
    let unpinned = ClusterShape { kubernetes: Some("1.2".into()), ..ClusterShape::default() };
    assert!(backend.lacks(&unpinned).is_some());
    let ahead = serde_json::from_value(json!({"clock": {"ahead": "1h"}})).unwrap();
    assert!(backend.lacks(&ahead).unwrap().contains("clock"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_component_is_told_of_and_its_control_plane_is_not_used_again() {
    let Some(stage) = Stage::new() else { return };
    for component in [Component::Etcd, Component::ApiServer, Component::Controllers, Component::Scheduler] {
        let plane = stage.plane().await;
        plane.kill(component).await;
        let ClusterError(words) = plane.alive().unwrap_err();
        assert!(words.starts_with("keep ") && words.contains("it ended (signal: 9 (SIGKILL))"), "{words}");
        assert!(words.contains("its last lines") || words.contains("it said nothing"), "{words}");
        let marks = stage.marks();
        stage.pool().give_back(Some(stage.minor), plane);
        let next = stage.plane().await;
        next.alive().unwrap();
        assert_eq!(stage.marks().len(), marks.len() + 1, "a new one was started");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_comes_back_serves_what_was_there_and_can_be_reset() {
    let Some(stage) = Stage::new() else { return };
    let mut plane = stage.plane().await;
    let map = json!({"metadata": {"name": "before"}});
    post(&plane.admin(), "/api/v1/namespaces/default/configmaps", map).await;
    plane.kill(Component::ApiServer).await;
    // Its port stays ours meanwhile.
    let at: std::net::SocketAddr = plane.url().strip_prefix("https://").unwrap().parse().unwrap();
    assert_eq!(TcpListener::bind(at).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    plane.revive_api_server().await.unwrap();
    get(&plane.admin(), "/api/v1/namespaces/default/configmaps/before").await.unwrap();
    plane.reset().await.unwrap();
    let gone = get(&plane.admin(), "/api/v1/namespaces/default/configmaps/before").await;
    assert!(gone.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_prepared_and_is_no_good_on_this_day_is_prepared_anew() {
    let Some(stage) = Stage::new() else { return };
    // A cache of its own, with the executables of the other.
    let cache = tempfile::tempdir().unwrap();
    let (places, binaries) = (Places::from_env(), Arc::new(stage.pool().found(Some(stage.minor)).unwrap()));
    std::os::unix::fs::symlink(places.cache.join("assets"), cache.path().join("assets")).unwrap();
    let ledger = stage.pool().ledger().await.unwrap();
    let prepared = || super::prepared::blueprint(cache.path(), (*binaries).clone(), ledger);
    let first = prepared().await.unwrap();
    let read = |name: &str| std::fs::read(first.keys.join(name)).unwrap();
    let (authority, file) = (read("ca.crt"), first.keys.parent().unwrap().join("first.json"));
    prepared().await.unwrap();
    assert_eq!(read("ca.crt"), authority, "what is good is kept");
    // A certificate that has expired, and a clock that was a day ahead when all of it was made.
    super::pki::make_of_the_day(&first.keys, -10).unwrap();
    let expired = read("ca.crt");
    let mut plane = Plane::start(&prepared().await.unwrap(), ledger).await.unwrap();
    plane.go().await.unwrap();
    drop(plane);
    assert_ne!(read("ca.crt"), expired);
    let authority = read("ca.crt");
    let ahead = std::time::SystemTime::now() + Duration::from_secs(24 * 3600);
    std::fs::File::options().append(true).open(&file).unwrap().set_modified(ahead).unwrap();
    prepared().await.unwrap();
    assert_ne!(read("ca.crt"), authority);
    // And what was cut off by a power cut.
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    assert!(!prepared().await.unwrap().first.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_harness_leaves_is_found_by_prune() {
    let Some(stage) = Stage::new() else { return };
    let plane = stage.plane().await;
    let marks = stage.marks();
    assert!(children::marked(marks.last().unwrap()).len() >= 4);
    // As if this process had been killed: nobody drops anything, and the lock of the ledger falls.
    std::mem::forget(plane);
    let state = stage.state.path().to_owned();
    let copies: Vec<PathBuf> = std::fs::read_dir(&state).unwrap().map(|it| it.unwrap().path()).collect();
    let dead = tempfile::tempdir().unwrap();
    for path in copies {
        std::fs::copy(&path, dead.path().join(path.file_name().unwrap())).unwrap();
    }
    let pruned = ledger::prune(dead.path()).unwrap();
    assert!(pruned.failed.is_empty(), "{:?}", pruned.failed);
    assert!(pruned.destroyed.iter().any(|words| words.contains("kube-apiserver")), "{:?}", pruned.destroyed);
    assert!(pruned.destroyed.iter().any(|words| words.starts_with("folder ")), "{:?}", pruned.destroyed);
    until_gone(&marks).await;
}

/// A killed process takes a moment to be gone.
async fn until_gone(marks: &[String]) {
    let gone = async {
        while !marks.iter().all(|mark| children::marked(mark).is_empty()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
}
