//! The executable: its list, its refusals, and that a defect is at work in the process too.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::process::{Command, Output};

use kubesim::transport::User;
use kubesim::{Cluster, Config};
use serde_json::Value;

fn known_bad(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_known-bad")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_list_names_every_defect_once_with_a_summary() {
    let listed = known_bad(&["--list"]);
    assert_eq!(listed.status.code(), Some(0));
    let listed: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
    let mut names: Vec<&str> = listed.iter().map(|defect| defect["name"].as_str().unwrap()).collect();
    assert!(listed.iter().all(|defect| !defect["summary"].as_str().unwrap().is_empty()));
    assert_eq!(names.len(), known_bad::defects::ALL.len());
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), listed.len());
}

#[test]
fn a_wrong_name_is_a_usage_error_that_says_what_was_meant() {
    for (args, said) in [
        (
            &["ignore-no-node", "install"][..],
            "there is no defect \"ignore-no-node\"; did you mean ignores-no-nodes?",
        ),
        (&["install", "--phase", "compute"], "there is no defect \"install\"\n"),
        (&[], "which defect? name one"),
    ] {
        let refused = known_bad(args);
        assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
        let stderr = text(&refused.stderr);
        assert!(stderr.contains(said) && stderr.ends_with("hint: known-bad --list\n"), "{stderr}");
    }
}

#[test]
fn the_rest_of_the_command_line_is_the_right_installers() {
    let refused = known_bad(&["silent-pending", "install", "--phase", "computer"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("did you mean compute?"), "{refused:?}");
    let result: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(result["blockers"][0]["code"], "USAGE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_defect_is_at_work_in_a_process_of_its_own() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let cluster = Cluster::start(Config { kubernetes: 34, ..Config::default() }).await.unwrap();
    let server = cluster.serve(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = dir.path().join("kubeconfig");
    std::fs::write(&kubeconfig, server.kubeconfig(&User::admin())).unwrap();
    for (defect, exit, code) in [
        ("always-blocks", 3, "PHASE1_INCOMPLETE"),
        // There is no helm on this PATH: what cannot be found cannot answer.
        ("scorched-repair", 4, "HELM_STATE_UNKNOWN"),
        ("list-failure-is-absent", 1, "KARPENTER_SETUP_FAILED"),
    ] {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_known-bad"));
        command.args([defect, "install", "--phase", "compute"]).env_clear();
        command.env("KUBECONFIG", &kubeconfig).env("PATH", dir.path());
        let ran = command.output().await.unwrap();
        let result: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(
            (ran.status.code(), result["blockers"][0]["code"].as_str()),
            (Some(exit), Some(code)),
            "{defect}: {}",
            text(&ran.stderr)
        );
        assert_eq!(result["evidence"]["phase3"]["platform"]["nodesReady"], 2);
    }
    assert!(!cluster.tap().recordings().iter().any(kubesim::tap::Recording::mutating));
}
