//! `wait`: for conditions, values and ends, and in vain.

use kubesim::kubelet::Behaviour;

use super::stage::{Stage, WEB};

#[tokio::test]
async fn waiting_ends_when_what_is_waited_for_holds() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", WEB).await;
    for (line, said) in [
        ("wait deploy/web --for=condition=Available --timeout=30s", "deployment.apps/web condition met\n"),
        (
            "wait deploy/web --for=jsonpath='{.status.readyReplicas}'=2 --timeout=30s",
            "deployment.apps/web condition met\n",
        ),
        ("wait svc/web --for=create --timeout=30s", "service/web condition met\n"),
        (
            "wait nodes --all --for=condition=Ready --timeout=30s",
            "node/ip-192-168-10-10.us-west-2.compute.internal condition met\nnode/ip-192-168-10-11.us-west-2.compute.internal condition met\n",
        ),
    ] {
        assert_eq!(stage.ok(line).await, said, "{line}");
    }
    stage.ok("delete deploy web --wait=false").await;
    stage.ok("wait --for=delete deploy/web --timeout=30s").await;
}

#[tokio::test]
async fn waiting_for_what_is_made_later_sees_it() {
    let Some(stage) = Stage::new().await else { return };
    let waiting = stage.run("wait cm/late --for=create --timeout=60s");
    let making = async {
        // Not before the other one has begun to look.
        let mut changes = stage.cluster.tap().changes();
        while !stage.cluster.tap().recordings().iter().any(|asked| asked.resource == "configmaps") {
            changes.changed().await.unwrap();
        }
        stage.ok("create cm late").await
    };
    let (waited, _) = tokio::join!(waiting, making);
    assert_eq!((waited.code, waited.stdout.as_str()), (0, "configmap/late condition met\n"), "{waited:?}");
}

#[tokio::test]
async fn waiting_in_vain_says_what_for() {
    let Some(stage) = Stage::new().await else { return };
    stage
        .cluster
        .images()
        .set("never", Behaviour::NeverReady { probe: "HTTP probe failed with statuscode: 503".into() });
    let deployment = WEB.replace("registry.example/web:1", "registry.example/never:1").replace(
        "        ports:",
        "        readinessProbe: {httpGet: {path: /, port: 8080}}\n        ports:",
    );
    stage.ok_with("apply -f -", &deployment).await;
    assert_eq!(
        stage.refused("wait deploy/web --for=condition=Available --timeout=1s").await,
        "error: timed out waiting for the condition on deployments/web"
    );
    let said = stage.run("rollout status deploy/web --timeout=1s").await;
    assert_eq!(
        said.stdout,
        "Waiting for deployment \"web\" rollout to finish: 0 of 2 updated replicas are available...\n"
    );
    assert_eq!(said.stderr, "error: timed out waiting for the condition\n");
    assert_eq!(
        stage.refused("wait deploy/nope --for=condition=Available --timeout=1s").await,
        "Error from server (NotFound): deployments.apps \"nope\" not found"
    );
}
