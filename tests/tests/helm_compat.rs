//! The stand-in for Helm beside real Helms, on one embedded cluster over TLS.
//!
//! `SEATRIAL_HELM3` and `SEATRIAL_HELM4` name the real ones (see tools/). Without them the tests skip
//! in sight; with `SEATRIAL_REQUIRE_TOOLS=1` they fail instead.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use interpose::Invocation;
use interpose::helm::{self, Access, Credentials, World};
use kubesim::transport::{Server, User};
use kubesim::{Cluster, Config};
use seatrial_tests::tool;
use serde_json::Value;
use tokio::process::Command;

const INSTALL: &str = "upgrade --install karpenter oci://public.ecr.aws/karpenter/karpenter --namespace kube-system --set settings.clusterName=seatrial --wait --timeout 1m";

/// What a Helm said.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

struct Stage {
    _cluster: Cluster,
    server: Server,
    dir: tempfile::TempDir,
    real: PathBuf,
}

impl Stage {
    /// A cluster, a kubeconfig and a chart on disk; `None` when there is no real Helm.
    async fn new(variable: &str) -> Option<Self> {
        let real = tool::real(variable)?;
        // Whoever is first installs it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let cluster = Cluster::start(Config::default()).await.unwrap();
        let server = cluster.serve(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("kubeconfig"), server.kubeconfig(&User::admin())).unwrap();
        let templates = dir.path().join("demo/templates");
        std::fs::create_dir_all(&templates).unwrap();
        std::fs::write(
            dir.path().join("demo/Chart.yaml"),
            "apiVersion: v2\nname: demo\nversion: 0.1.0\nappVersion: one\n",
        )
        .unwrap();
        std::fs::write(dir.path().join("demo/values.yaml"), "word: hello\n").unwrap();
        let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  word: {{ .Values.word }}\n";
        std::fs::write(templates.join("cm.yaml"), template).unwrap();
        Some(Self { _cluster: cluster, server, dir, real })
    }

    fn env(&self) -> BTreeMap<String, String> {
        let path = |it: &Path| it.to_str().unwrap().to_owned();
        BTreeMap::from([
            ("HOME".to_owned(), path(self.dir.path())),
            ("KUBECONFIG".to_owned(), path(&self.dir.path().join("kubeconfig"))),
        ])
    }

    async fn real(&self, line: &str) -> Said {
        let output = Command::new(&self.real)
            .args(line.split_whitespace())
            .env_clear()
            .envs(self.env())
            .current_dir(self.dir.path())
            .output()
            .await
            .unwrap();
        Said {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    async fn ours(&self, line: &str) -> Said {
        let args = line.split_whitespace().map(Into::into).collect();
        let invocation = Invocation { args, env: self.env(), stdin: String::new() };
        let world = World {
            access: Access::Kubeconfig,
            now: Arc::new(jiff::Timestamp::now),
            stop: None,
            credentials: Credentials::default(),
        };
        let output = helm::run(&invocation, &world).await;
        Said { code: output.code, stdout: output.stdout, stderr: output.stderr }
    }

    async fn both_say_the_same(&self, line: &str) {
        assert_eq!(self.ours(line).await, self.real(line).await, "helm {line}");
    }

    async fn json(&self, said: Said) -> Value {
        assert_eq!(said.code, 0, "{said:?}");
        serde_json::from_str(&said.stdout).unwrap()
    }
}

fn succeeded(said: &Said) {
    assert_eq!(said.code, 0, "{said:?}");
}

#[tokio::test]
async fn helm_3_and_the_stand_in_read_each_others_releases_word_for_word() {
    let Some(stage) = Stage::new("SEATRIAL_HELM3").await else { return };
    succeeded(&stage.ours(INSTALL).await);
    succeeded(&stage.ours(&format!("{INSTALL} --set logLevel=debug")).await);
    succeeded(&stage.real("install demo ./demo").await);
    succeeded(&stage.real("upgrade demo ./demo --set word=bye").await);
    for line in [
        "list",
        "list -A -o json",
        "list -A -q",
        "list -A --superseded",
        "list -A --filter ^karp -o json",
        "status demo",
        "status demo -o json",
        "status demo --revision 1 -o yaml",
        "status karpenter -n kube-system",
        "status karpenter -n kube-system -o json",
        "status karpenter -n kube-system --show-desc",
        "history demo",
        "history karpenter -n kube-system -o json",
        "history karpenter -n kube-system --max 1",
        "get values demo",
        "get values demo -a",
        "get values karpenter -n kube-system -o json",
        "get values karpenter -n kube-system --revision 1 -o yaml",
        "get manifest demo",
        "get manifest karpenter -n kube-system",
    ] {
        stage.both_say_the_same(line).await;
    }
}

#[tokio::test]
async fn helm_3_and_the_stand_in_refuse_in_the_same_words() {
    let Some(stage) = Stage::new("SEATRIAL_HELM3").await else { return };
    succeeded(&stage.real("install demo ./demo").await);
    for line in [
        "status",
        "status nope",
        "status nope -o json",
        "status demo --frob",
        "status demo -z",
        "status demo -o xml",
        "status demo --revision 9",
        "status demo --revision x",
        "frob",
        "history nope",
        "list extra",
        "rollback",
        "rollback nope",
        "rollback demo",
        "rollback demo 7",
        "rollback demo x",
        "uninstall",
        "uninstall nope",
        "uninstall demo --cascade x",
        "install a",
        "upgrade a",
        "upgrade a b --timeout 10",
        "upgrade a b --timeout",
        "upgrade a ./nowhere",
        "upgrade a repo/chart",
        "list --kube-context nowhere",
        "list --kubeconfig /nowhere",
        "registry logout public.ecr.aws",
    ] {
        stage.both_say_the_same(line).await;
    }
}

#[tokio::test]
async fn helm_3_and_the_stand_in_say_the_same_of_a_cluster_that_is_gone() {
    let Some(stage) = Stage::new("SEATRIAL_HELM3").await else { return };
    stage.server.close().await;
    for line in [
        "status karpenter",
        "list -A -o json",
        "history karpenter",
        "uninstall karpenter",
        "rollback karpenter 1",
    ] {
        stage.both_say_the_same(line).await;
    }
}

#[tokio::test]
async fn each_goes_on_with_what_the_other_began() {
    for variable in ["SEATRIAL_HELM3", "SEATRIAL_HELM4"] {
        let Some(stage) = Stage::new(variable).await else { continue };
        succeeded(&stage.ours(INSTALL).await);
        succeeded(&stage.ours(&format!("{INSTALL} --set replicas=1")).await);
        // The real one rolls ours back, and ours upgrades what the real one made of it.
        succeeded(&stage.real("rollback karpenter 1 -n kube-system --wait --timeout 1m").await);
        let status = stage.json(stage.ours("status karpenter -n kube-system -o json").await).await;
        assert_eq!((&status["version"], &status["info"]["status"]), (&3.into(), &"deployed".into()));
        succeeded(&stage.ours(&format!("{INSTALL} --set replicas=2")).await);
        let history = stage.json(stage.real("history karpenter -n kube-system -o json").await).await;
        let states: Vec<&str> =
            history.as_array().unwrap().iter().map(|it| it["status"].as_str().unwrap()).collect();
        assert_eq!(states, ["superseded", "superseded", "superseded", "deployed"], "{variable}");
        // The real one removes ours altogether; ours finds nothing left.
        succeeded(&stage.real("uninstall karpenter -n kube-system --wait --timeout 1m").await);
        assert_eq!(stage.ours("status karpenter -n kube-system").await.stderr, "Error: release: not found\n");
        // And the other way round, with a chart that only the real one can render.
        succeeded(&stage.real("install demo ./demo").await);
        succeeded(&stage.real("upgrade demo ./demo --set word=bye").await);
        succeeded(&stage.ours("rollback demo 1").await);
        let values = stage.real("get manifest demo").await;
        assert!(values.stdout.contains("word: hello"), "{values:?}");
        succeeded(&stage.ours("uninstall demo").await);
        assert_eq!(stage.real("list -A -q").await.stdout, "");
    }
}
