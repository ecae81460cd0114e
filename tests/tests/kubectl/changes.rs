//! `patch` in its four forms, `label`, `annotate`, `scale`, `set`, `replace`.

use super::stage::{Stage, WEB};

#[tokio::test]
async fn a_patch_of_each_type_changes_the_object() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", WEB).await;
    let replicas = async || stage.ok("get deploy web -o jsonpath='{.spec.replicas}'").await;
    for (patch, count) in [
        (r#"patch deploy web -p '{"spec":{"replicas":1}}'"#, "1"),
        (r#"patch deploy web --type=merge -p '{"spec":{"replicas":2}}'"#, "2"),
        (r#"patch deploy web --type=json -p '[{"op":"replace","path":"/spec/replicas","value":3}]'"#, "3"),
    ] {
        assert_eq!(stage.ok(patch).await, "deployment.apps/web patched\n");
        assert_eq!(replicas().await, count);
    }
    assert_eq!(
        stage.ok(r#"patch deploy web -p '{"spec":{"replicas":3}}'"#).await,
        "deployment.apps/web patched (no change)\n"
    );
    assert_eq!(
        stage.ok(r#"patch deploy web --subresource=scale --type=merge -p '{"spec":{"replicas":4}}'"#).await,
        "scale.autoscaling/web patched\n"
    );
    assert_eq!(replicas().await, "4");
    assert_eq!(
        stage.ok(r#"patch node ip-192-168-10-10.us-west-2.compute.internal --subresource=status -p '{"status":{"capacity":{"example.com/gpu":"1"}}}'"#).await,
        "node/ip-192-168-10-10.us-west-2.compute.internal patched\n"
    );
}

#[tokio::test]
async fn a_patch_that_does_not_fit_is_refused() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", WEB).await;
    let rejected = "The request is invalid: the server rejected our request due to an error in our request";
    for patch in
        [r#"[{"op":"remove","path":"/spec/nope"}]"#, r#"[{"op":"test","path":"/spec/replicas","value":7}]"#]
    {
        assert_eq!(stage.refused(&format!("patch deploy web --type=json -p '{patch}'")).await, rejected);
    }
    assert_eq!(
        stage.refused(r#"patch deploy web -p '{"spec":{"replicas":"x"}}'"#).await,
        "The request is invalid: patch: Invalid value: \"map[spec:map[replicas:x]]\": unrecognized type: int32"
    );
    let said = stage.run(r#"patch deploy web -p '{"spec":{"nope":1}}'"#).await;
    assert_eq!(said.stderr, "Warning: unknown field \"spec.nope\"\n");
    assert_eq!(said.stdout, "deployment.apps/web patched (no change)\n");
}

#[tokio::test]
async fn labels_and_annotations_come_and_go() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok("create cm settings").await;
    for (line, said) in [
        ("label cm settings tier=front", "configmap/settings labeled\n"),
        ("label cm settings tier=front", "configmap/settings not labeled\n"),
        ("label cm settings tier=back --overwrite", "configmap/settings labeled\n"),
        ("label cm settings tier-", "configmap/settings unlabeled\n"),
        ("annotate cm settings note='a b'", "configmap/settings annotated\n"),
        ("annotate cm settings note-", "configmap/settings annotated\n"),
    ] {
        assert_eq!(stage.ok(line).await, said, "{line}");
    }
    stage.ok("label cm settings tier=front").await;
    assert_eq!(
        stage.refused("label cm settings tier=back").await,
        "error: 'tier' already has a value (front), and --overwrite is false"
    );
}

#[tokio::test]
async fn workloads_are_scaled_and_set() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", WEB).await;
    assert_eq!(stage.ok("scale deploy/web --replicas=3").await, "deployment.apps/web scaled\n");
    assert_eq!(
        stage.refused("scale deploy/web --replicas=5 --current-replicas=1").await,
        "error: Expected replicas to be 1, was 3"
    );
    assert_eq!(
        stage.ok("set image deploy/web main=registry.example/web:9").await,
        "deployment.apps/web image updated\n"
    );
    assert_eq!(
        stage.ok("set resources deploy/web --limits=cpu=200m").await,
        "deployment.apps/web resource requirements updated\n"
    );
    assert_eq!(stage.ok("set sa deploy/web default").await, "deployment.apps/web serviceaccount updated\n");
    stage.ok("rollout status deploy/web --timeout=30s").await;
    assert_eq!(
        stage.ok("get deploy web -o jsonpath='{.status.readyReplicas} {..limits.cpu} {..image}'").await,
        "3 200m registry.example/web:9"
    );
}

#[tokio::test]
async fn replacing_needs_the_object_and_forcing_makes_a_new_one() {
    let Some(stage) = Stage::new().await else { return };
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: one}\n";
    assert_eq!(
        stage.refused_with("replace -f -", map).await,
        "Error from server (NotFound): error when replacing \"STDIN\": configmaps \"settings\" not found"
    );
    stage.ok_with("create -f -", map).await;
    assert_eq!(stage.ok_with("replace -f -", map).await, "configmap/settings replaced\n");
    let stale = format!("{}{}", map.replace("name: settings", "name: settings, resourceVersion: '1'"), "");
    assert_eq!(
        stage.refused_with("replace -f -", &stale).await,
        "Error from server (Conflict): error when replacing \"STDIN\": Operation cannot be fulfilled on configmaps \"settings\": \
         the object has been modified; please apply your changes to the latest version and try again"
    );
    assert_eq!(
        stage.ok_with("replace --force -f -", map).await,
        "configmap \"settings\" deleted from default namespace\nconfigmap/settings replaced\n"
    );
}
