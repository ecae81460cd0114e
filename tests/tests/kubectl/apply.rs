//! `apply` on either side, and `diff`.

use super::stage::{Stage, WEB};

fn map(data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {data}\n")
}

#[tokio::test]
async fn an_applied_file_is_created_then_changed_then_left_alone() {
    let Some(stage) = Stage::new().await else { return };
    assert_eq!(stage.ok_with("apply -f -", WEB).await, "deployment.apps/web created\nservice/web created\n");
    assert_eq!(
        stage.ok_with("apply -f -", WEB).await,
        "deployment.apps/web unchanged\nservice/web unchanged\n"
    );
    let changed = WEB.replace("web:1", "web:2");
    let diff = stage.run_with("diff -f -", &changed, &[]).await;
    assert_eq!(diff.code, 1, "{diff:?}");
    for line in [
        "-  generation: 1",
        "+  generation: 2",
        "-        image: registry.example/web:1",
        "+        image: registry.example/web:2",
    ] {
        assert!(diff.stdout.lines().any(|found| found == line), "{line}\n{diff:?}");
    }
    assert_eq!(
        stage.ok_with("apply -f - --dry-run=server", &changed).await,
        "deployment.apps/web configured (server dry run)\nservice/web unchanged (server dry run)\n"
    );
    assert_eq!(
        stage.ok_with("apply -f -", &changed).await,
        "deployment.apps/web configured\nservice/web unchanged\n"
    );
    assert_eq!(stage.ok_with("diff -f -", &changed).await, "");
}

#[tokio::test]
async fn what_leaves_the_file_leaves_the_object_and_what_others_set_stays() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", &map("{a: one, b: two}")).await;
    stage.ok(r#"patch cm settings -p '{"data":{"c":"three"}}'"#).await;
    let last = stage.ok("apply view-last-applied cm settings").await;
    assert!(last.contains("  a: one\n  b: two\n"), "{last}");
    assert_eq!(stage.ok_with("apply -f -", &map("{a: one}")).await, "configmap/settings configured\n");
    assert_eq!(stage.ok("get cm settings -o jsonpath='{.data}'").await, r#"{"a":"one","c":"three"}"#);
}

#[tokio::test]
async fn lists_in_a_workload_merge_by_their_keys() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", WEB).await;
    stage.ok("set env deploy/web EXTRA=yes").await;
    stage.ok(r#"patch deploy web -p '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"side:1"}]}}}}'"#).await;
    stage.ok_with("apply -f -", &WEB.replace("fast", "slow")).await;
    assert_eq!(
        stage.ok("get deploy web -o jsonpath='{range .spec.template.spec.containers[*]}{.name}={.env[*].name} {end}'").await,
        "main=MODE EXTRA side= "
    );
    assert_eq!(stage.ok("get deploy web -o jsonpath='{..env[0].value}'").await, "slow");
}

#[tokio::test]
async fn an_object_that_was_not_applied_is_taken_over_with_a_warning() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok("create cm settings --from-literal=a=zero").await;
    let said = stage.run_with("apply -f -", &map("{a: one}"), &[]).await;
    assert_eq!(said.stdout, "configmap/settings configured\n");
    assert!(said.stderr.contains("Warning: resource configmaps/settings is missing the kubectl.kubernetes.io/last-applied-configuration annotation"), "{said:?}");
}

#[tokio::test]
async fn the_server_applies_and_names_who_is_in_the_way() {
    let Some(stage) = Stage::new().await else { return };
    assert_eq!(
        stage.ok_with("apply --server-side -f -", &map("{a: one, b: two}")).await,
        "configmap/settings serverside-applied\n"
    );
    let version = stage.ok("get cm settings -o jsonpath='{.metadata.resourceVersion}'").await;
    stage.ok_with("apply --server-side -f -", &map("{a: one, b: two}")).await;
    assert_eq!(
        stage.ok("get cm settings -o jsonpath='{.metadata.resourceVersion}'").await,
        version,
        "nothing changed"
    );
    let conflict =
        stage.refused_with("apply --server-side --field-manager=other -f -", &map("{a: three}")).await;
    assert!(
        conflict.starts_with("error: Apply failed with 1 conflict: conflict with \"kubectl\": .data.a\n"),
        "{conflict}"
    );
    let conflict =
        stage.refused_with("apply --server-side --field-manager=other -f -", &map("{a: five, b: six}")).await;
    assert!(
        conflict.starts_with(
            "error: Apply failed with 2 conflicts: conflicts with \"kubectl\":\n- .data.a\n- .data.b\n"
        ),
        "{conflict}"
    );
    stage
        .ok_with("apply --server-side --field-manager=other --force-conflicts -f -", &map("{a: three}"))
        .await;
    assert_eq!(
        stage.ok("get cm settings --show-managed-fields -o jsonpath='{range .metadata.managedFields[*]}{.manager} {.operation} {.fieldsV1}{\"\\n\"}{end}'").await,
        "kubectl Apply {\"f:data\":{\"f:b\":{}}}\nother Apply {\"f:data\":{\"f:a\":{}}}\n"
    );
    // What its last owner gives up goes.
    stage.ok_with("apply --server-side -f -", &map("{}")).await;
    assert_eq!(stage.ok("get cm settings -o jsonpath='{.data}'").await, r#"{"a":"three"}"#);
}

#[tokio::test]
async fn an_object_moves_from_the_client_side_to_the_server_side() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", WEB).await;
    assert_eq!(
        stage.ok_with("apply --server-side -f -", &WEB.replace("web:1", "web:2")).await,
        "deployment.apps/web serverside-applied\nservice/web serverside-applied\n"
    );
    stage.ok("set image deploy/web main=registry.example/web:3").await;
    let conflict = stage.refused_with("apply --server-side -f -", WEB).await;
    assert!(conflict.starts_with("error: Apply failed with 1 conflict: conflict with \"kubectl-set\" using apps/v1: .spec.template.spec.containers[name=\"main\"].image\n"), "{conflict}");
}

#[tokio::test]
async fn edit_changes_what_the_editor_changed() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok("create cm settings --from-literal=a=one").await;
    let editor = [("KUBE_EDITOR", "sed -i s/one/two/")];
    let said = stage.run_with("edit cm settings", "", &editor).await;
    assert_eq!((said.code, said.stdout.as_str()), (0, "configmap/settings edited\n"), "{said:?}");
    assert_eq!(stage.ok("get cm settings -o jsonpath='{.data.a}'").await, "two");
    let said = stage.run_with("edit cm settings", "", &[("KUBE_EDITOR", "true")]).await;
    assert_eq!(said.stderr, "Edit cancelled, no changes made.\n");
}
