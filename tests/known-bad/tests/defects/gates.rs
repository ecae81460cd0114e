//! Defects in what is made of nodes, CoreDNS, the controller and its pods.

use std::time::Duration;

use eks_installer::phases::Phase;
use eks_installer::settings::Force;
use kubesim::kubelet::Behaviour;
use kubesim::store::{GroupResource, Preconditions};
use kubesim::tap::{Action, Rule};
use serde_json::json;

use crate::stage::{Ran, Stage};

const IMAGE: &str = "karpenter/controller";

/// One replica that never becomes ready: with Helm 3's arithmetic that is good enough for `--wait`.
async fn never_ready() -> Stage {
    let mut stage = Stage::new().await;
    stage.settings.karpenter.replicas = Some(1);
    let probe = "HTTP probe failed with statuscode: 503".to_owned();
    stage.cluster.images().set(IMAGE, Behaviour::NeverReady { probe });
    stage
}

/// The controller asks for more CPU than any node has.
async fn unschedulable(replicas: u32) -> Stage {
    let mut stage = Stage::new().await;
    stage.settings.karpenter.replicas = Some(replicas);
    stage.settings.karpenter.set = vec!["controller.resources.requests.cpu=64".to_owned()];
    stage
}

fn untouched(ran: &Ran) {
    assert_eq!((ran.changes.len(), ran.upgrades()), (0, 0), "{:?}", ran.changes);
}

#[tokio::test(start_paused = true)]
async fn without_nodes_karpenter_is_installed_and_called_complete() {
    let stage = Stage::with(|config| config.nodes.clear()).await;
    let right = stage.right().await;
    assert_eq!((right.exit, right.codes()), (3, vec!["NO_NODES_AVAILABLE"]));
    untouched(&right);
    let wrong = stage.wrong("ignores-no-nodes").await;
    wrong.claims_completion();
    assert_eq!(
        (&wrong.platform()["nodesTotal"], &wrong.platform()["platformHealthy"]),
        (&json!(2), &json!(true))
    );
    assert_eq!((wrong.upgrades(), stage.available()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn pending_pods_are_passed_over_in_silence() {
    let right = unschedulable(2).await.right().await;
    assert_eq!((right.exit, right.codes()), (1, vec!["KARPENTER_SETUP_FAILED"]));
    let message = right.result["blockers"][0]["message"].as_str().unwrap();
    assert!(message.contains("Insufficient cpu"), "{message}");
    let stage = unschedulable(2).await;
    let wrong = stage.wrong("silent-pending").await;
    wrong.claims_completion();
    assert!(!wrong.result.to_string().contains("Insufficient"), "{:#}", wrong.result);
    assert_eq!((wrong.requests, stage.available()), (right.requests, 0));
}

#[tokio::test(start_paused = true)]
async fn an_unready_controller_is_called_complete() {
    let right = never_ready().await.right().await;
    assert_eq!((right.exit, right.codes()), (1, vec!["KARPENTER_CONTROLLER_NOT_READY"]));
    let stage = never_ready().await;
    let wrong = stage.wrong("unready-controller-is-complete").await;
    wrong.claims_completion();
    assert_eq!((wrong.requests, stage.available()), (right.requests, 0));
}

#[tokio::test(start_paused = true)]
async fn only_its_own_gate_is_passed_by_each_of_the_two_that_call_it_complete() {
    let crashing = |stage: &Stage| {
        let after = Duration::from_secs(1);
        stage
            .cluster
            .images()
            .set(IMAGE, Behaviour::CrashLoop { log: "panic: no".into(), exit_code: 1, after });
    };
    // Running, not Pending.
    assert_eq!(never_ready().await.wrong("silent-pending").await.exit, 1);
    // Helm itself says that it failed.
    let stage = Stage::new().await;
    crashing(&stage);
    let wrong = stage.wrong("unready-controller-is-complete").await;
    assert_eq!((wrong.exit, wrong.codes()), (1, vec!["KARPENTER_SETUP_FAILED"]));
}

#[tokio::test(start_paused = true)]
async fn an_api_that_fails_at_the_gate_means_a_healthy_platform() {
    let broken = || async {
        let stage = Stage::new().await;
        let action = Action::Respond {
            code: 500,
            reason: "InternalError".into(),
            message: "etcdserver: no leader".into(),
            retry_after: None,
        };
        stage.cluster.tap().add(Rule { resources: vec!["nodes".into()], ..Rule::new("nodes fail", action) });
        stage
    };
    let right = broken().await.right().await;
    assert_eq!((right.exit, right.codes()), (4, vec!["CLUSTER_UNREACHABLE"]));
    untouched(&right);
    let wrong = broken().await.wrong("garbage-is-healthy").await;
    wrong.claims_completion();
    assert_eq!((&wrong.platform()["nodesReady"], wrong.upgrades()), (&json!(2), 1));
}

#[tokio::test(start_paused = true)]
async fn an_api_that_answers_garbage_or_breaks_off_means_a_healthy_platform() {
    let mut stage = Stage::with(|config| config.nodes.clear()).await;
    stage.garbage = true;
    let right = stage.right().await;
    assert_eq!((right.exit, right.codes()), (4, vec!["CLUSTER_STATE_UNKNOWN"]));
    untouched(&right);
    assert_eq!(stage.wrong("garbage-is-healthy").await.upgrades(), 1);
    let stage = Stage::new().await;
    for resources in ["nodes", "deployments"] {
        let rule = Rule {
            resources: vec![resources.into()],
            verbs: vec!["get".into(), "list".into()],
            names: if resources == "nodes" { Vec::new() } else { vec!["coredns".into()] },
            ..Rule::new("broken off", Action::Truncate)
        };
        stage.cluster.tap().add(rule);
    }
    let right = stage.right().await;
    assert_eq!((right.exit, right.codes()), (4, vec!["CLUSTER_UNREACHABLE"]));
    stage.wrong("garbage-is-healthy").await.claims_completion();
}

#[tokio::test(start_paused = true)]
async fn what_the_api_says_clearly_is_believed_by_garbage_is_healthy() {
    let empty = || Stage::with(|config| config.nodes.clear());
    assert_eq!(empty().await.wrong("garbage-is-healthy").await, empty().await.right().await);
    let bare = || Stage::with(|config| config.default_content = false);
    assert_eq!(bare().await.wrong("garbage-is-healthy").await, bare().await.right().await);
}

#[tokio::test(start_paused = true)]
async fn a_missing_coredns_is_no_blocker() {
    let stage = Stage::new().await;
    let deployments = GroupResource::new("apps", "deployments");
    stage
        .cluster
        .store()
        .delete(&deployments, "kube-system", "coredns", &Preconditions::default(), 0)
        .unwrap();
    stage.cluster.settled().await;
    let right = stage.right().await;
    assert_eq!((right.exit, right.codes()), (3, vec!["COREDNS_NOT_READY", "PHASE1_INCOMPLETE"]));
    untouched(&right);
    let wrong = stage.wrong("missing-coredns-passes").await;
    wrong.claims_completion();
    assert_eq!((&wrong.platform()["corednsReady"], stage.deployment("coredns")), (&json!(true), None));
    assert_eq!(wrong.upgrades(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_forced_gate_is_not_spoken_of() {
    let forced = || async {
        let mut stage = never_ready().await;
        stage.settings.force = Some(Force { phase: Phase::Compute, reason: "a drill".to_owned() });
        stage
    };
    let right = forced().await.right().await;
    assert_eq!((right.exit, &right.result["ok"]), (0, &json!(true)));
    assert_eq!(right.result["forced"]["blockers"][0]["code"], "KARPENTER_CONTROLLER_NOT_READY");
    let stage = forced().await;
    let wrong = stage.wrong("forces-silently").await;
    assert_eq!((wrong.exit, &wrong.result["ok"], stage.available()), (0, &json!(true), 0));
    for (what, right, wrong) in [
        ("result", right.result.to_string(), wrong.result.to_string()),
        ("log", right.log.join("\n"), wrong.log.join("\n")),
    ] {
        assert!(right.contains("forced") && !wrong.contains("forced"), "{what}: {wrong}");
    }
    // The gate is not passed for those who do not ask.
    assert_eq!(never_ready().await.wrong("forces-silently").await.exit, 1);
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_not_seen_by_who_looks_at_pending_pods_only() {
    let crashing = || async {
        let stage = Stage::new().await;
        let log = "panic: failed to resolve cluster endpoint, AccessDeniedException".to_owned();
        let after = Duration::from_secs(1);
        stage.cluster.images().set(IMAGE, Behaviour::CrashLoop { log, exit_code: 1, after });
        stage
    };
    let right = crashing().await.right().await;
    assert_eq!(right.karpenter()["pendingPods"].as_array().unwrap().len(), 2);
    assert!(right.result["blockers"].to_string().contains("AccessDeniedException"));
    let wrong = crashing().await.wrong("first-two-pending-only").await;
    assert_eq!((wrong.exit, wrong.codes()), (right.exit, vec!["KARPENTER_SETUP_FAILED"]));
    assert_eq!(wrong.karpenter()["pendingPods"], json!([]));
    assert!(!wrong.result.to_string().contains("AccessDeniedException"), "{:#}", wrong.result);
}

#[tokio::test(start_paused = true)]
async fn of_three_pending_pods_the_third_is_not_seen() {
    let seen = |ran: &Ran| ran.karpenter()["pendingPods"].as_array().unwrap().len();
    assert_eq!(seen(&unschedulable(3).await.right().await), 3);
    let wrong = unschedulable(3).await.wrong("first-two-pending-only").await;
    assert_eq!((seen(&wrong), wrong.exit), (2, 1));
}
