//! Secrets that are planted wherever an installer comes across them show nowhere in what it writes, whatever
//! they look like: not in the result, not in the progress, not in the metrics.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use kubesim::transport::{Server, User};
use kubesim::{Cluster, Config};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use seatrial_tests::executables;
use serde_json::{Value, json};

/// A Helm whose release is superseded, and that shouts what it was given when it is told to install it: what
/// `SHOUT` names, last, where the last lines of a tool are what is shown of it.
const HELM: &str = r#"#!/bin/sh
case "$1" in
  status) echo '{"name":"karpenter","version":2,"namespace":"kube-system","info":{"status":"superseded","description":"no"}}' ;;
  get) /bin/cat "$FOLDER/values.json" ;;
  history) echo '[]' ;;
  list) echo '[]' ;;
  *)
    for argument in "$@"; do
      case "$argument" in webhook.token=*) token=${argument#webhook.token=} ;; esac
    done
    {
      echo "Error: UPGRADE FAILED: this is what I was given:"
      case "$SHOUT" in
        variable) printf '%s' "$SHOP_API_TOKEN" ;;
        input) /bin/cat ;;
        argument) printf '%s' "$token" ;;
        file) /bin/cat "$FOLDER/more-values.yaml" ;;
        kubeconfig) /usr/bin/tail -c 500 "$KUBECONFIG" ;;
      esac
    } >&2
    exit 1 ;;
esac
"#;

/// What it can shout.
const SHOUTS: [&str; 5] = ["variable", "input", "argument", "file", "kubeconfig"];

/// Where secrets are planted.
const PLACES: [&str; 8] = [
    "variable",
    "token of the kubeconfig",
    "variable of the kubeconfig's helper",
    "value in the configuration",
    "value in a values file",
    "value of the release",
    "value of the release that is a variable",
    "argument",
];

struct Stage {
    server: Server,
    _cluster: Cluster,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let cluster = Cluster::start(Config { kubernetes: 34, ..Config::default() }).await.unwrap();
        cluster.settled().await;
        let server = cluster.serve(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::fs::write(bin.join("helm"), HELM).unwrap();
        std::fs::set_permissions(bin.join("helm"), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { server, _cluster: cluster, folder }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs the compute phase with these secrets, one for each place.
    fn run(&self, secrets: &BTreeMap<&str, String>, shout: &str, format: &str) -> (Output, String) {
        // The server's own kubeconfig, with more users in it.
        let text = self.server.kubeconfig(&User::admin());
        let mut kubeconfig: Value = serde_saphyr::from_str(&text).unwrap();
        let helper = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "command": "aws", "interactiveMode": "Never",
            "env": [{ "name": "VAULT_TOKEN", "value": secrets["variable of the kubeconfig's helper"] }],
        });
        kubeconfig["users"].as_array_mut().unwrap().extend([
            json!({ "name": "other", "user": { "token": secrets["token of the kubeconfig"] } }),
            json!({ "name": "another", "user": { "exec": helper } }),
        ]);
        let kubeconfig = self.write("kubeconfig", &kubeconfig.to_string());
        let file = json!({ "database": { "password": secrets["value in a values file"] } });
        let file = self.write("more-values.yaml", &file.to_string());
        let inline = json!({ "auth": { "apiKey": secrets["value in the configuration"] }, "mode": "blue" });
        let config = json!({ "karpenter": { "values": inline, "valuesFile": file } });
        let config = self.write("config.yaml", &config.to_string());
        let variable = secrets["value of the release that is a variable"].as_str();
        let kept = json!({
            "auth": { "secrets": [secrets["value of the release"]] },
            "env": [{ "name": "DB_PASSWORD", "value": variable }],
        });
        self.write("values.json", &kept.to_string());
        let metrics = self.folder.path().join("metrics.prom");
        let output = Command::new(executables::folder().join("eks-installer"))
            .args(["install", "--phase", "compute", "--log-format", format])
            .arg("--metrics-file")
            .arg(&metrics)
            .arg("--set")
            .arg(format!("webhook.token={}", secrets["argument"]))
            .env_clear()
            .envs([("KUBECONFIG", kubeconfig.as_str()), ("EKS_INSTALLER_CONFIG", &config)])
            .envs([("CLUSTER_NAME", "seatrial"), ("SHOP_API_TOKEN", &secrets["variable"])])
            .env("PATH", self.folder.path().join("bin"))
            .env("FOLDER", self.folder.path())
            .env("SHOUT", shout)
            .output()
            .unwrap();
        (output, std::fs::read_to_string(metrics).unwrap())
    }
}

/// Every text in a document, its names included.
fn texts(document: &Value, into: &mut Vec<String>) {
    match document {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            into.push(name.clone());
            texts(field, into);
        }),
        _ => {}
    }
}

/// Everything that was written, as text in which nothing is escaped.
fn written(output: &Output, metrics: &str, format: &str) -> String {
    let mut all = Vec::new();
    texts(&serde_json::from_slice(&output.stdout).unwrap(), &mut all);
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    if format == "json" {
        stderr.lines().for_each(|line| texts(&serde_json::from_str(line).unwrap(), &mut all));
    }
    all.extend([stderr, metrics.to_owned(), String::from_utf8(output.stdout.clone()).unwrap()]);
    all.join("\n")
}

/// Passwords of any printable characters, and keys of several lines.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[!-~]{8,60}",
        1 => "[a-zA-Z0-9+/]{24}\n[a-zA-Z0-9+/]{24}\n[a-zA-Z0-9+/]{12}==",
        1 => "[0-9]{9,18}",
        1 => "[a-zäöüßéλж€]{8,30}",
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_shows_in_anything_that_is_written() {
    let stage = Stage::new().await;
    tokio::task::spawn_blocking(move || {
        let mut runner = TestRunner::new(Cases { cases: 40, max_shrink_iters: 40, ..Cases::default() });
        let secrets = prop::collection::vec(secret(), PLACES.len());
        let cases = (secrets, prop::sample::select(&SHOUTS[..]), any::<bool>());
        let outcome = runner.run(&cases, |(secrets, shout, human)| {
            let planted: BTreeMap<&str, String> = PLACES.into_iter().zip(secrets).collect();
            let format = if human { "human" } else { "json" };
            let (output, metrics) = stage.run(&planted, shout, format);
            let all = written(&output, &metrics, format);
            // Helm was reached, and what it shouted was heard.
            prop_assert_eq!(output.status.code(), Some(1), "{}", all);
            prop_assert!(all.contains("KARPENTER_SETUP_FAILED"), "{}", all);
            prop_assert!(all.contains("[redacted]"), "{shout}: {}", all);
            prop_assert!(metrics.ends_with("# EOF\n"));
            for (place, secret) in &planted {
                for line in secret.lines() {
                    prop_assert!(!all.contains(line), "{place} {line:?} in {}", all);
                }
            }
            Ok(())
        });
        outcome.unwrap();
    })
    .await
    .unwrap();
}
