//! `cordon`, `drain`, `taint`.

use super::stage::{Stage, WEB};

const NODE: &str = "ip-192-168-10-10.us-west-2.compute.internal";

#[tokio::test]
async fn a_drained_node_is_empty_and_takes_nothing_new() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", WEB).await;
    stage.ok("rollout status deploy/web --timeout=30s").await;
    assert_eq!(stage.ok(&format!("cordon {NODE}")).await, format!("node/{NODE} cordoned\n"));
    assert_eq!(stage.ok(&format!("cordon {NODE}")).await, format!("node/{NODE} already cordoned\n"));
    assert!(stage.ok(&format!("get node {NODE}")).await.contains("Ready,SchedulingDisabled"));
    let refused = stage.refused(&format!("drain {NODE}")).await;
    assert!(
        refused.contains(
            "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): kube-system/aws-node-"
        ),
        "{refused}"
    );
    let drained = stage.ok(&format!("drain {NODE} --ignore-daemonsets --timeout=60s")).await;
    assert!(drained.ends_with(&format!("node/{NODE} drained\n")), "{drained}");
    stage.ok("rollout status deploy/web --timeout=30s").await;
    let here = stage.ok(&format!("get pods -A --field-selector spec.nodeName={NODE} -o jsonpath='{{.items[*].metadata.ownerReferences[0].kind}}'")).await;
    assert_eq!(here, "DaemonSet DaemonSet");
    assert_eq!(stage.ok(&format!("uncordon {NODE}")).await, format!("node/{NODE} uncordoned\n"));
}

#[tokio::test]
async fn a_budget_holds_up_a_drain() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok("create deploy one --image=m:1").await;
    stage.ok("create pdb one --selector=app=one --min-available=1").await;
    stage.ok("rollout status deploy/one --timeout=30s").await;
    stage.ok("wait pdb/one --for=jsonpath='{.status.currentHealthy}'=1 --timeout=30s").await;
    let node = stage.ok("get pods -l app=one -o jsonpath='{.items[0].spec.nodeName}'").await;
    let said =
        stage.run(&format!("drain {node} --ignore-daemonsets --timeout=1s --pod-selector=app=one")).await;
    assert_eq!(said.code, 1);
    assert!(
        said.stderr.contains("Cannot evict pod as it would violate the pod's disruption budget."),
        "{said:?}"
    );
    stage.ok("delete pdb one").await;
    stage.ok(&format!("drain {node} --ignore-daemonsets --timeout=60s --pod-selector=app=one")).await;
}

#[tokio::test]
async fn taints_come_and_go_and_drive_pods_away() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", WEB).await;
    stage.ok("rollout status deploy/web --timeout=30s").await;
    assert_eq!(
        stage.ok(&format!("taint node {NODE} team=a:NoExecute")).await,
        format!("node/{NODE} tainted\n")
    );
    let again = stage.refused(&format!("taint node {NODE} team=b:NoExecute")).await;
    assert_eq!(
        again,
        format!("error: node {NODE} already has team taint(s) with same effect(s) and --overwrite is false")
    );
    stage.ok("rollout status deploy/web --timeout=30s").await;
    let nodes = stage.ok("get pods -l app=web -o jsonpath='{.items[*].spec.nodeName}'").await;
    assert!(!nodes.contains(NODE), "{nodes}");
    assert_eq!(stage.ok(&format!("taint node {NODE} team-")).await, format!("node/{NODE} untainted\n"));
    assert_eq!(
        stage.refused(&format!("taint node {NODE} team-")).await,
        format!("error: taint \"team\" not found")
    );
}
