//! `rollout`: status, history, undo, restart, pause.

use super::stage::{Stage, WEB};

#[tokio::test]
async fn a_deployment_goes_forward_and_back() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", WEB).await;
    let done = "deployment \"web\" successfully rolled out\n";
    assert!(stage.ok("rollout status deploy/web --timeout=30s").await.ends_with(done));
    stage.ok("set image deploy/web main=registry.example/web:2").await;
    stage.ok("annotate deploy/web kubernetes.io/change-cause='second image'").await;
    assert!(stage.ok("rollout status deploy/web --timeout=30s").await.ends_with(done));
    stage.ok("wait rs -l app=web --for=jsonpath='{.metadata.annotations.deployment\\.kubernetes\\.io/revision}' --timeout=30s").await;
    assert_eq!(
        stage.ok("rollout history deploy/web").await,
        "deployment.apps/web \nREVISION  CHANGE-CAUSE\n1         <none>\n2         second image\n\n"
    );
    let first = stage.ok("rollout history deploy/web --revision=1").await;
    assert!(
        first.starts_with("deployment.apps/web with revision #1\nPod Template:\n")
            && first.contains("    Image:\tregistry.example/web:1\n"),
        "{first}"
    );
    assert_eq!(stage.ok("rollout undo deploy/web").await, "deployment.apps/web rolled back\n");
    assert!(stage.ok("rollout status deploy/web --timeout=30s").await.ends_with(done));
    assert_eq!(stage.ok("get deploy web -o jsonpath='{..image}'").await, "registry.example/web:1");
    assert_eq!(
        stage.ok("rollout history deploy/web").await,
        "deployment.apps/web \nREVISION  CHANGE-CAUSE\n2         second image\n3         <none>\n\n"
    );
    let refused = stage.refused("rollout undo deploy/web --to-revision=9").await;
    assert!(refused.ends_with("error: unable to find specified revision 9 in history"), "{refused}");
}

#[tokio::test]
async fn a_restart_replaces_the_pods_and_a_pause_holds_them() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", WEB).await;
    stage.ok("rollout status deploy/web --timeout=30s").await;
    let before = stage.ok("get pods -l app=web -o name").await;
    assert_eq!(stage.ok("rollout restart deploy/web").await, "deployment.apps/web restarted\n");
    stage.ok("rollout status deploy/web --timeout=30s").await;
    let after = stage.ok("get pods -l app=web -o name").await;
    assert!(before.lines().all(|pod| !after.contains(pod)), "{before} {after}");
    assert_eq!(stage.ok("rollout pause deploy/web").await, "deployment.apps/web paused\n");
    assert_eq!(
        stage.refused("rollout pause deploy/web").await,
        "error: deployments.apps \"web\" is already paused"
    );
    stage.ok("set image deploy/web main=registry.example/web:2").await;
    stage.ok("wait deploy/web --for=jsonpath='{.status.conditions[?(@.type==\"Progressing\")].reason}'=DeploymentPaused --timeout=30s").await;
    assert_eq!(stage.ok("get pods -l app=web -o name").await, after);
    assert_eq!(stage.ok("rollout resume deploy/web").await, "deployment.apps/web resumed\n");
    assert!(stage.ok("rollout status deploy/web --timeout=30s").await.ends_with("successfully rolled out\n"));
}

#[tokio::test]
async fn sets_have_a_history_too() {
    let Some(stage) = Stage::new().await else { return };
    let set = |kind: &str, name: &str, more: &str| {
        format!(
            "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n  selector: {{matchLabels: {{app: {name}}}}}\n{more}  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec: {{containers: [{{name: main, image: 'registry.example/{name}:1'}}]}}\n"
        )
    };
    stage.ok_with("apply -f -", &set("StatefulSet", "db", "  replicas: 2\n  serviceName: db\n")).await;
    stage.ok_with("apply -f -", &set("DaemonSet", "agent", "")).await;
    let status = [
        ("sts/db", "statefulset.apps/db", "partitioned roll out complete: 2 new pods have been updated...\n"),
        ("ds/agent", "daemonset.apps/agent", "daemon set \"agent\" successfully rolled out\n"),
    ];
    for (what, name, done) in status {
        assert!(stage.ok(&format!("rollout status {what} --timeout=60s")).await.ends_with(done));
        let set_image = format!("set image {what} main=registry.example/other:2");
        assert_eq!(stage.ok(&set_image).await, format!("{name} image updated\n"));
        assert!(stage.ok(&format!("rollout status {what} --timeout=60s")).await.ends_with(done));
        assert_eq!(
            stage.ok(&format!("rollout history {what}")).await,
            format!("{name} \nREVISION  CHANGE-CAUSE\n1         <none>\n2         <none>\n\n")
        );
        assert_eq!(stage.ok(&format!("rollout undo {what}")).await, format!("{name} rolled back\n"));
        assert!(stage.ok(&format!("rollout status {what} --timeout=60s")).await.ends_with(done));
        let image = stage.ok(&format!("get {what} -o jsonpath='{{..image}}'")).await;
        assert!(image.ends_with(":1"), "{image}");
    }
}
