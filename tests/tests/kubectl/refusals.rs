//! The mistakes that people make, and what they are told.

use super::stage::{Stage, WEB};

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

#[tokio::test]
async fn what_is_not_there() {
    let Some(stage) = Stage::new().await else { return };
    for (line, said) in [
        ("get pods nope", "Error from server (NotFound): pods \"nope\" not found"),
        ("get deploy nope", "Error from server (NotFound): deployments.apps \"nope\" not found"),
        ("get foo", "error: the server doesn't have a resource type \"foo\""),
        ("get --raw /nope", "Error from server (NotFound): the server could not find the requested resource"),
        ("create cm a -n nowhere", "error: failed to create configmap: namespaces \"nowhere\" not found"),
        ("create ns default", "Error from server (AlreadyExists): namespaces \"default\" already exists"),
        (
            "scale deploy nope --replicas=1",
            "Error from server (NotFound): deployments.apps \"nope\" not found",
        ),
    ] {
        assert_eq!(stage.refused(line).await, said, "{line}");
    }
    assert_eq!(
        stage.refused_with("apply -f -", "apiVersion: v1\nkind: Foo\nmetadata: {name: x}\n").await,
        "error: resource mapping not found for name: \"x\" namespace: \"\" from \"STDIN\": no matches for kind \"Foo\" in version \"v1\"\nensure CRDs are installed first"
    );
}

#[tokio::test]
async fn selectors_that_are_none() {
    let Some(stage) = Stage::new().await else { return };
    assert_eq!(
        stage.refused("get pods --field-selector=spec.foo=bar").await,
        "Error from server (BadRequest): Unable to find \"/v1, Resource=pods\" that match label selector \"\", field selector \"spec.foo=bar\": field label not supported: spec.foo"
    );
    assert_eq!(
        stage.refused("get deploy --field-selector=spec.foo=bar").await,
        "Error from server (BadRequest): Unable to find \"apps/v1, Resource=deployments\" that match label selector \"\", field selector \"spec.foo=bar\": \"spec.foo\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
    );
    assert_eq!(
        stage.refused("get pods -l 'a in (b'").await,
        "Error from server (BadRequest): Unable to find \"/v1, Resource=pods\" that match label selector \"a in (b\", field selector \"\": unable to parse requirement: found '', expected: ',' or ')'"
    );
}

#[tokio::test]
async fn names_and_labels_that_are_none() {
    let Some(stage) = Stage::new().await else { return };
    assert_eq!(
        stage.refused("create ns Team_1").await,
        format!("The Namespace \"Team_1\" is invalid: metadata.name: Invalid value: \"Team_1\": {LABEL}")
    );
    // From 1.36 on the name of a Service may begin with a digit.
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: 1x_}\nspec: {ports: [{port: 0}]}\n";
    assert_eq!(
        stage.refused_with("apply -f -", service).await,
        format!(
            "The Service \"1x_\" is invalid: \n* metadata.name: Invalid value: \"1x_\": {LABEL}\n* spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive\n* spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive"
        )
    );
    let labelled = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, labels: {\"a b\": c}}\n";
    let refused = stage.refused_with("apply -f -", labelled).await;
    assert!(refused.starts_with("The ConfigMap \"x\" is invalid: metadata.labels: Invalid value: \"a b\": name part must consist of alphanumeric characters"), "{refused}");
}

#[tokio::test]
async fn fields_that_are_unknown_or_of_the_wrong_type() {
    let Some(stage) = Stage::new().await else { return };
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {contaners: [], containers: [{name: a, image: b}]}\n";
    assert_eq!(
        stage.refused_with("apply -f -", pod).await,
        "Error from server (BadRequest): error when creating \"STDIN\": Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"spec.contaners\""
    );
    let said = stage.run_with("apply --validate=warn -f -", pod, &[]).await;
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str()),
        ("pod/x created\n", "Warning: unknown field \"spec.contaners\"\n")
    );
    for (object, why) in [
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: other}\nspec: {containers: [{name: a, image: b, env: [{name: A, value: 1}]}]}\n",
            "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {a: 1}\n",
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: other}\ndata: {a: \"%%\"}\n",
            "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 0",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: other}\nspec: {containers: [{name: a, image: b, resources: {requests: {cpu: lots}}}]}\n",
            "Pod in version \"v1\" cannot be handled as a Pod: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
    ] {
        assert_eq!(
            stage.refused_with("apply -f -", object).await,
            format!("Error from server (BadRequest): error when creating \"STDIN\": {why}")
        );
    }
    assert_eq!(
        stage.refused_with("apply -f -", "kind: ConfigMap\nmetadata: {name: x}\n").await,
        "error: error validating \"STDIN\": error validating data: apiVersion not set; if you choose to ignore these errors, turn validation off with --validate=false"
    );
}

#[tokio::test]
async fn a_pod_with_everything_wrong_hears_all_of_it() {
    let Some(stage) = Stage::new().await else { return };
    let pod = "\
apiVersion: v1
kind: Pod
metadata: {name: bad}
spec:
  containers:
  - name: A_b
    imagePullPolicy: Sometimes
    ports: [{containerPort: 99999}]
    volumeMounts: [{name: x, mountPath: /x}]
    resources: {requests: {cpu: 2}, limits: {cpu: 1}}
";
    let said = stage.refused_with("apply -f -", pod).await;
    assert!(said.starts_with("The Pod \"bad\" is invalid: \n"), "{said}");
    let mut found: Vec<&str> = said.lines().skip(1).collect();
    found.sort_unstable();
    let name = format!("* spec.containers[0].name: Invalid value: \"A_b\": {LABEL}");
    assert_eq!(
        found,
        [
            "* spec.containers[0].image: Required value",
            "* spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
            &name,
            "* spec.containers[0].ports[0].containerPort: Invalid value: 99999: must be between 1 and 65535, inclusive",
            "* spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            "* spec.containers[0].volumeMounts[0].name: Not found: \"x\"",
        ]
    );
}

#[tokio::test]
async fn what_may_not_change() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", WEB).await;
    let changed = WEB.replace(
        "{app: web}}\n  template:\n    metadata: {labels: {app: web}}",
        "{app: new}}\n  template:\n    metadata: {labels: {app: new}}",
    );
    assert_eq!(
        stage.refused_with("apply -f -", &changed).await,
        "The Deployment \"web\" is invalid: spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"new\"}}: field is immutable"
    );
    stage.ok("run main --image=m:1").await;
    let refused = stage
        .refused(r#"patch pod main -p '{"spec":{"containers":[{"name":"main","command":["x"]}]}}'"#)
        .await;
    assert!(refused.starts_with("The Pod \"main\" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`"), "{refused}");
    stage.ok("create secret generic s --type=a").await;
    assert_eq!(
        stage.refused(r#"patch secret s -p '{"type":"b"}'"#).await,
        "The Secret \"s\" is invalid: type: Invalid value: \"b\": field is immutable"
    );
    let frozen = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: f}\nimmutable: true\ndata: {a: b}\n";
    stage.ok_with("apply -f -", frozen).await;
    assert_eq!(
        stage.refused(r#"patch cm f -p '{"data":{"a":"c"}}'"#).await,
        "The ConfigMap \"f\" is invalid: data: Forbidden: field is immutable when `immutable` is set"
    );
    stage.ok("create job j --image=m:1").await;
    let refused = stage.refused(r#"patch job j -p '{"spec":{"completionMode":"Indexed"}}'"#).await;
    assert!(
        refused.contains("spec.completionMode: Invalid value: \"Indexed\": field is immutable"),
        "{refused}"
    );
    stage.ok("create rolebinding rb --clusterrole=view --user=bob").await;
    let binding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: rb}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}\n";
    let refused = stage.refused_with("apply -f -", binding).await;
    assert!(
        refused.contains("roleRef: Invalid value: ") && refused.ends_with("field is immutable"),
        "{refused}"
    );
}
