//! Definitions of custom resources, and resources of them.

use super::stage::Stage;

const WIDGETS: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wd], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Color, type: string, jsonPath: .spec.color, priority: 1}
    schema:
      openAPIV3Schema:
        type: object
        description: A widget.
        required: [spec]
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1, maximum: 10, description: How big.}
              replicas: {type: integer, default: 1}
              color: {type: string, enum: [red, blue]}
              name: {type: string, pattern: '^[a-z]+$', maxLength: 5}
              list: {type: array, maxItems: 2, items: {type: string}}
          status:
            type: object
            x-kubernetes-preserve-unknown-fields: true
";

fn widget(spec: &str) -> String {
    format!("apiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: one}}\nspec: {spec}\n")
}

async fn with_widgets() -> Option<Stage> {
    let stage = Stage::new().await?;
    assert_eq!(
        stage.ok_with("apply -f -", WIDGETS).await,
        "customresourcedefinition.apiextensions.k8s.io/widgets.example.com created\n"
    );
    stage.ok("wait --for=condition=established crd/widgets.example.com --timeout=10s").await;
    Some(stage)
}

#[tokio::test]
async fn a_defined_kind_is_served_like_any_other() {
    let Some(stage) = with_widgets().await else { return };
    assert_eq!(
        stage.ok("api-resources --api-group=example.com --no-headers").await,
        "widgets   wd    example.com/v1   true   Widget\n"
    );
    assert_eq!(
        stage.ok_with("apply -f -", &widget("{size: 3, color: red}")).await,
        "widget.example.com/one created\n"
    );
    assert_eq!(
        stage.ok_with("apply -f -", &widget("{size: 3, color: red}")).await,
        "widget.example.com/one unchanged\n"
    );
    assert_eq!(stage.ok("get widgets").await, "NAME   SIZE\none    3\n");
    assert_eq!(stage.ok("get wd/one -o wide").await, "NAME   SIZE   COLOR\none    3      red\n");
    assert_eq!(stage.ok("get wd one -o jsonpath='{.spec.replicas}'").await, "1", "defaulted");
    assert_eq!(stage.ok("scale wd one --replicas=4").await, "widget.example.com/one scaled\n");
    assert_eq!(
        stage.ok(r#"patch wd one --type=merge -p '{"spec":{"size":4}}'"#).await,
        "widget.example.com/one patched\n"
    );
    assert_eq!(
        stage.ok(r#"patch wd one --subresource=status --type=merge -p '{"status":{"phase":"Up"}}'"#).await,
        "widget.example.com/one patched\n"
    );
    stage.ok("wait wd/one --for=jsonpath='{.status.phase}'=Up --timeout=10s").await;
    let explained = stage.ok("explain widget.spec").await;
    for line in ["KIND:       Widget", "size\t<integer> -required-", "How big.", "enum: red, blue"] {
        assert!(explained.contains(line), "{explained}");
    }
    assert!(stage.ok("get all").await.contains("widget.example.com/one"));
    assert!(stage.ok("describe wd one").await.contains("  Size:      4"));
}

#[tokio::test]
async fn a_resource_is_held_against_its_schema() {
    let Some(stage) = with_widgets().await else { return };
    for (spec, why) in [
        (
            "{size: 3, nope: 1}",
            "Error from server (BadRequest): error when creating \"STDIN\": Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"spec.nope\"",
        ),
        (
            "{size: 11}",
            "The Widget \"one\" is invalid: spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10",
        ),
        (
            "{size: x}",
            "The Widget \"one\" is invalid: spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\"",
        ),
        ("{}", "The Widget \"one\" is invalid: spec.size: Required value"),
        (
            "{size: 2, color: green}",
            "The Widget \"one\" is invalid: spec.color: Unsupported value: \"green\": supported values: \"red\", \"blue\"",
        ),
        (
            "{size: 2, name: abcdef}",
            "The Widget \"one\" is invalid: spec.name: Too long: may not be more than 5 bytes",
        ),
        (
            "{size: 2, list: [a, b, c]}",
            "The Widget \"one\" is invalid: spec.list: Too many: 3: must have at most 2 items",
        ),
        (
            "{size: 2, name: A}",
            "The Widget \"one\" is invalid: spec.name: Invalid value: \"A\": spec.name in body should match '^[a-z]+$'",
        ),
    ] {
        assert_eq!(stage.refused_with("create -f -", &widget(spec)).await, why);
    }
    let said = stage.run_with("create --validate=warn -f -", &widget("{size: 3, nope: 1}"), &[]).await;
    assert_eq!((said.stderr.as_str(), said.code), ("Warning: unknown field \"spec.nope\"\n", 0));
    assert_eq!(stage.ok("get wd one -o jsonpath='{.spec}'").await, r#"{"replicas":1,"size":3}"#, "pruned");
    let strategic = stage.refused(r#"patch wd one -p '{"spec":{"size":5}}'"#).await;
    assert!(
        strategic.starts_with(
            "error: application/strategic-merge-patch+json is not supported by example.com/v1, Kind=Widget: "
        ),
        "{strategic}"
    );
}

#[tokio::test]
async fn a_definition_takes_its_resources_with_it() {
    let Some(stage) = with_widgets().await else { return };
    stage.ok_with("create -f -", &widget("{size: 3}")).await;
    assert_eq!(
        stage.ok_with("delete -f -", WIDGETS).await,
        "customresourcedefinition.apiextensions.k8s.io \"widgets.example.com\" deleted\n"
    );
    // kubectl still knows of the kind from before.
    assert_eq!(
        stage.refused("get widgets").await,
        "Error from server (NotFound): Unable to list \"example.com/v1, Resource=widgets\": the server could not find the requested resource (get widgets.example.com)"
    );
    let unknown = stage.refused_with("apply -f -", &widget("{size: 3}")).await;
    assert_eq!(
        unknown,
        "Error from server (NotFound): error when creating \"STDIN\": the server could not find the requested resource (post widgets.example.com)"
    );
    stage.ok_with("apply -f -", WIDGETS).await;
    assert_eq!(stage.run("get widgets -A").await.stderr, "No resources found\n");
}

#[tokio::test]
async fn a_definition_that_is_wrong_is_refused() {
    let Some(stage) = Stage::new().await else { return };
    let refused = stage
        .refused_with(
            "apply -f -",
            &WIDGETS.replace("name: widgets.example.com", "name: gadgets.example.com"),
        )
        .await;
    assert!(refused.contains("metadata.name: Invalid value: \"gadgets.example.com\": must be spec.names.plural+\".\"+spec.group"), "{refused}");
}
