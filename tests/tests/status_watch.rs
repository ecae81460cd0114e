//! `eks-installer status --watch` on a cluster that changes: a line for each change and none besides, until
//! it is interrupted.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use kubesim::transport::{Server, User};
use kubesim::{Cluster, Config};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use seatrial_tests::executables;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// A cluster that is served, and an installer that follows it.
struct Watching {
    cluster: Cluster,
    _server: Server,
    _folder: tempfile::TempDir,
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Watching {
    async fn start(more: &[&str]) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let cluster = Cluster::start(Config::default()).await.unwrap();
        cluster.settled().await;
        let server = cluster.serve(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, server.kubeconfig(&User::admin())).unwrap();
        let mut child = Command::new(executables::folder().join("eks-installer"))
            .args(["status", "--watch"])
            .args(more)
            .env_clear()
            .env("KUBECONFIG", &kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { cluster, _server: server, _folder: folder, child, lines }
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(Duration::from_secs(30), self.lines.next_line());
        line.await.expect("a line within 30 s").unwrap().expect("it goes on")
    }

    /// The first four lines, one for each part, in whatever order.
    async fn first(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for _ in 0..4 {
            lines.push(self.line().await);
        }
        lines.sort();
        lines
    }

    fn client(&self) -> kube::Client {
        kube::Client::new(self.cluster.service(), "default")
    }

    async fn patch(&self, path: &str, change: &Value) {
        let request = http::Request::patch(path).header("content-type", "application/merge-patch+json");
        let request = request.body(serde_json::to_vec(change).unwrap()).unwrap();
        self.client().request::<Value>(request).await.unwrap();
    }

    /// Interrupts it: the rest of standard error, the result, the exit code.
    async fn interrupted(mut self) -> (Vec<String>, Value, Option<i32>) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
        let mut rest = Vec::new();
        while let Some(line) = self.lines.next_line().await.unwrap() {
            rest.push(line);
        }
        let output = self.child.wait_with_output().await.unwrap();
        (rest, serde_json::from_slice(&output.stdout).unwrap(), output.status.code())
    }
}

/// The message of a line, without mark, time and step.
fn said(line: &str, step: &str) -> String {
    let (before, message) = line.split_once(&format!(" {step} ")).unwrap_or_else(|| panic!("{step}: {line}"));
    assert!(before.contains('s'), "{line}");
    message.trim().to_owned()
}

#[tokio::test]
async fn each_change_is_one_line_and_nothing_else_is_a_line() {
    let mut watching = Watching::start(&[]).await;
    let first = watching.first().await.join("\n");
    for words in
        ["2 of 2 nodes Ready", "2 of 2 replicas ready", "there is no release", "there is no controller"]
    {
        assert!(first.contains(words), "{first}");
    }

    let nodes = watching.cluster.nodes().names();
    // A label changes nothing that is shown.
    let label = json!({ "metadata": { "labels": { "shelf": "upper" } } });
    watching.patch(&format!("/api/v1/nodes/{}", nodes[0]), &label).await;
    watching.cluster.nodes().set_ready(&nodes[0], false, Some("the disk is full".into())).unwrap();
    let line = watching.line().await;
    assert!(said(&line, "nodes").starts_with("1 of 2 nodes Ready; "), "{line}");
    assert!(line.contains("the disk is full"), "{line}");
    watching.cluster.nodes().set_ready(&nodes[0], true, None).unwrap();
    let line = watching.line().await;
    assert_eq!(said(&line, "nodes"), "2 of 2 nodes Ready");

    let (rest, result, code) = watching.interrupted().await;
    assert_eq!(code, Some(130), "{result:#}");
    assert_eq!(result["status"], "error");
    assert_eq!(result["blockers"][0]["code"], "INTERRUPTED");
    assert_eq!(result["evidence"]["phase3"]["platform"]["nodesReady"], 2);
    assert_eq!(result["evidence"]["phase3"]["karpenter"]["release"]["exists"], false);
    assert!(rest.iter().all(|line| !line.contains("nodes Ready")), "{rest:#?}");
}

#[tokio::test]
async fn for_machines_each_line_is_one_object() {
    let mut watching = Watching::start(&["--log-format", "json"]).await;
    let steps: Vec<Value> =
        watching.first().await.iter().map(|it| serde_json::from_str(it).unwrap()).collect();
    let mut names: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["controller", "coredns", "nodes", "release"]);
    let scale = json!({ "spec": { "replicas": 0 } });
    watching.patch("/apis/apps/v1/namespaces/kube-system/deployments/coredns", &scale).await;
    let line: Value = serde_json::from_str(&watching.line().await).unwrap();
    assert_eq!(line["step"], "coredns");
    assert_eq!(line["level"], "warn");
    let (_, result, code) = watching.interrupted().await;
    assert_eq!(code, Some(130));
    assert_eq!(result["evidence"]["phase3"]["platform"]["platformHealthy"], false);
}

#[tokio::test]
async fn what_helm_keeps_of_a_release_is_followed_by_its_labels_and_never_fetched() {
    let mut watching = Watching::start(&[]).await;
    watching.first().await;
    let secret = |status: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
            "metadata": {
                "name": "sh.helm.release.v1.karpenter.v1", "namespace": "kube-system",
                "labels": { "owner": "helm", "name": "karpenter", "version": "1", "status": status },
            },
            "data": { "release": "SDRzSUFBQUFBQUFDLzIwMFFRcmNNQXg4" },
        })
    };
    let path = "/api/v1/namespaces/kube-system/secrets";
    let create = http::Request::post(path).header("content-type", "application/json");
    let create = create.body(serde_json::to_vec(&secret("pending-install")).unwrap()).unwrap();
    watching.client().request::<Value>(create).await.unwrap();
    let line = watching.line().await;
    assert_eq!(said(&line, "release"), "release is pending-install at revision 1");
    watching.patch(&format!("{path}/sh.helm.release.v1.karpenter.v1"), &secret("deployed")).await;
    let line = watching.line().await;
    assert_eq!(said(&line, "release"), "release is deployed at revision 1");
    let (_, result, _) = watching.interrupted().await;
    assert_eq!(result["evidence"]["phase3"]["karpenter"]["release"]["status"], "deployed");
    assert!(!result.to_string().contains("SDRzSUFBQUFBQUFDLzIwMFFRcmNNQXg4"));
}
