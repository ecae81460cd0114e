//! `delete`: who goes with an object, what holds it, and what may not go.

use super::stage::{Stage, WEB};

#[tokio::test]
async fn in_the_background_and_in_the_foreground_everything_below_goes() {
    let Some(stage) = Stage::new().await else { return };
    for cascade in ["background", "foreground"] {
        stage.ok_with("apply -f -", WEB).await;
        stage.ok("rollout status deploy/web --timeout=30s").await;
        assert_eq!(
            stage.ok(&format!("delete deploy web --cascade={cascade}")).await,
            "deployment.apps \"web\" deleted from default namespace\n"
        );
        stage.ok("wait --for=delete rs,pods -l app=web --timeout=30s").await;
        assert_eq!(stage.ok("get deploy,rs,pods -l app=web -o name").await, "", "{cascade}");
    }
}

#[tokio::test]
async fn orphans_stay_and_find_a_new_owner() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", WEB).await;
    stage.ok("rollout status deploy/web --timeout=30s").await;
    stage.ok("delete deploy web --cascade=orphan").await;
    let set = stage
        .ok("get rs -l app=web -o jsonpath='{.items[0].metadata.name} {.items[0].metadata.ownerReferences}'")
        .await;
    assert!(set.ends_with(' '), "without an owner: {set}");
    stage.ok_with("apply -f -", WEB).await;
    stage.ok("rollout status deploy/web --timeout=30s").await;
    assert_eq!(stage.ok("get rs -l app=web -o jsonpath='{.items[*].metadata.name} '").await, set, "adopted");
    assert_eq!(
        stage.ok("get rs -l app=web -o jsonpath='{.items[0].metadata.ownerReferences[0].kind}'").await,
        "Deployment"
    );
}

#[tokio::test]
async fn a_finalizer_holds_an_object_until_it_is_taken_away() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok("create cm held").await;
    stage.ok(r#"patch cm held -p '{"metadata":{"finalizers":["example.com/hold"]}}'"#).await;
    assert_eq!(
        stage.ok("delete cm held --wait=false").await,
        "configmap \"held\" deleted from default namespace\n"
    );
    assert!(stage.ok("get cm held -o jsonpath='{.metadata.deletionTimestamp}'").await.ends_with('Z'));
    assert_eq!(
        stage.refused(r#"patch cm held -p '{"metadata":{"finalizers":["example.com/more"]}}'"#).await,
        "The ConfigMap \"held\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"example.com/more\"}"
    );
    assert_eq!(
        stage.refused("wait --for=delete cm/held --timeout=1s").await,
        "error: timed out waiting for the condition on configmaps/held"
    );
    stage.ok(r#"patch cm held --type=merge -p '{"metadata":{"finalizers":null}}'"#).await;
    assert_eq!(
        stage.refused("get cm held").await,
        "Error from server (NotFound): configmaps \"held\" not found"
    );
}

#[tokio::test]
async fn a_namespace_takes_its_content_with_it_and_says_what_holds_it() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok("create ns team").await;
    stage.ok_with("apply -n team -f -", WEB).await;
    stage.ok("create cm held -n team").await;
    stage.ok(r#"patch cm held -n team -p '{"metadata":{"finalizers":["example.com/hold"]}}'"#).await;
    stage.ok("delete ns team --wait=false").await;
    stage.ok("wait ns/team --for=condition=NamespaceFinalizersRemaining --timeout=30s").await;
    assert!(stage.ok("get ns team").await.contains("team   Terminating"));
    assert_eq!(
        stage.ok("get ns team -o jsonpath='{.status.conditions[?(@.type==\"NamespaceFinalizersRemaining\")].message}'").await,
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    );
    let refused = stage.refused("create cm late -n team").await;
    assert_eq!(
        refused,
        "error: failed to create configmap: configmaps \"late\" is forbidden: unable to create new content in namespace team because it is being terminated"
    );
    stage.ok(r#"patch cm held -n team --type=merge -p '{"metadata":{"finalizers":null}}'"#).await;
    stage.ok("wait ns/team --for=delete --timeout=30s").await;
    for name in ["default", "kube-system"] {
        assert_eq!(
            stage.refused(&format!("delete ns {name}")).await,
            format!(
                "Error from server (Forbidden): namespaces \"{name}\" is forbidden: this namespace may not be deleted"
            )
        );
    }
}

#[tokio::test]
async fn deleting_by_label_everything_or_nothing() {
    let Some(stage) = Stage::new().await else { return };
    for name in ["one", "two", "three"] {
        stage.ok(&format!("run {name} --image=m:1 --labels=app={name}")).await;
    }
    assert_eq!(
        stage.ok("delete pod one --dry-run=server").await,
        "pod \"one\" deleted from default namespace (server dry run)\n"
    );
    assert_eq!(stage.ok("delete pods -l app=one").await, "pod \"one\" deleted from default namespace\n");
    assert_eq!(
        stage.ok("delete pods --all --now").await,
        "pod \"three\" deleted from default namespace\npod \"two\" deleted from default namespace\n"
    );
    assert_eq!(stage.ok("delete pods --all").await, "No resources found\n");
    assert_eq!(stage.refused("delete pod one").await, "Error from server (NotFound): pods \"one\" not found");
    assert_eq!(stage.ok("delete pod one --ignore-not-found").await, "");
}
