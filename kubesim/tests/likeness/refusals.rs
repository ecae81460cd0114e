//! What is refused, and in which words: each as kube-apiserver 1.37.2 was seen to answer.

use http::Method;
use kubesim::transport::User;
use serde_json::{Value, json};

use super::stage::{ask, bare, post};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
}

/// A request, and the code, reason and message of its refusal.
type Refusal = (Method, String, Value, u16, &'static str, &'static str);

async fn refused(refusals: Vec<Refusal>) {
    let cluster = bare(0).await;
    post(&cluster, MAPS, map("a")).await;
    for (method, path, body, code, reason, message) in refusals {
        let shown = format!("{method} {path} {body}");
        let (found, status) = ask(&cluster, &User::admin(), method, &path, body).await;
        assert_eq!(status["message"], message, "{shown}");
        assert_eq!((found, status["reason"].as_str().unwrap_or_default()), (code, reason), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_router_refuses_what_leads_nowhere() {
    let nowhere = "the server could not find the requested resource";
    let not_allowed = "the server does not allow this method on the requested resource";
    refused(vec![
        (Method::GET, format!("{MAPS}s"), Value::Null, 404, "NotFound", nowhere),
        (Method::GET, format!("{MAPS}/a/nothing"), Value::Null, 404, "NotFound", nowhere),
        (Method::GET, "/apis/apps/v7/deployments".into(), Value::Null, 404, "NotFound", nowhere),
        (Method::PUT, MAPS.into(), map("a"), 405, "MethodNotAllowed", not_allowed),
        (Method::POST, format!("{MAPS}/a"), map("a"), 405, "MethodNotAllowed", not_allowed),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn wrong_options_are_refused_before_anything_else() {
    refused(vec![
        (
            Method::PUT,
            format!("{MAPS}/missing?fieldValidation=Loose"),
            map("missing"),
            422,
            "Invalid",
            "UpdateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"Loose\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
        ),
        (
            Method::PATCH,
            format!("{MAPS}/missing?dryRun=Some"),
            json!({}),
            422,
            "Invalid",
            "PatchOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"",
        ),
        (
            Method::PATCH,
            format!("{MAPS}/a?force=true"),
            json!({}),
            422,
            "Invalid",
            "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch",
        ),
        (
            Method::GET,
            format!("{MAPS}?limit=x"),
            Value::Null,
            400,
            "BadRequest",
            "strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_body_must_be_of_the_kind_name_and_namespace_that_the_path_says() {
    let elsewhere = "the namespace of the provided object does not match the namespace sent on the request";
    let mut stranger = map("a");
    stranger["metadata"]["namespace"] = json!("elsewhere");
    refused(vec![
        (Method::PUT, format!("{MAPS}/a"), stranger, 400, "BadRequest", elsewhere),
        (
            Method::PATCH,
            format!("{MAPS}/a"),
            json!({"metadata": {"name": "b"}}),
            400,
            "BadRequest",
            "the name of the object (b) does not match the name on the URL (a)",
        ),
        (
            Method::POST,
            MAPS.into(),
            json!([1]),
            400,
            "BadRequest",
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" } (5b315d)",
        ),
        (
            Method::POST,
            MAPS.into(),
            json!({"apiVersion": "wrong/v9", "kind": "ConfigMap", "metadata": {"name": "b"}}),
            400,
            "BadRequest",
            "ConfigMap in version \"v9\" cannot be handled as a ConfigMap: no kind \"ConfigMap\" is registered for version \"wrong/v9\" in scheme \"pkg/runtime/scheme.go:111\"",
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn wrong_objects_are_refused_with_every_cause() {
    let meta = json!({"name": "x"});
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
    refused(vec![
        (
            Method::POST,
            rbac.into(),
            json!({"metadata": meta, "rules": [{"apiGroups": [""], "resources": [], "verbs": []}]}),
            422,
            "Invalid",
            "Role.rbac.authorization.k8s.io \"x\" is invalid: [rules[0].resources: Required value: resource rules must supply at least one resource, rules[0].verbs: Required value]",
        ),
        (
            Method::POST,
            "/apis/policy/v1/namespaces/default/poddisruptionbudgets".into(),
            json!({"metadata": meta, "spec": {"maxUnavailable": -1}}),
            422,
            "Invalid",
            "PodDisruptionBudget.policy \"x\" is invalid: spec.maxUnavailable: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            Method::POST,
            "/api/v1/namespaces/default/resourcequotas".into(),
            json!({"metadata": meta, "spec": {"hard": {"pods": "-1"}}}),
            422,
            "Invalid",
            "ResourceQuota \"x\" is invalid: spec.hard[pods]: Invalid value: \"-1\": must be greater than or equal to 0",
        ),
        (
            Method::POST,
            "/apis/coordination.k8s.io/v1/namespaces/default/leases".into(),
            json!({"metadata": meta, "spec": {"leaseDurationSeconds": 0}}),
            422,
            "Invalid",
            "Lease.coordination.k8s.io \"x\" is invalid: spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        ),
        (
            Method::POST,
            "/apis/networking.k8s.io/v1/namespaces/default/ingresses".into(),
            json!({"metadata": meta, "spec": {}}),
            422,
            "Invalid",
            "Ingress.networking.k8s.io \"x\" is invalid: spec: Invalid value: null: either `defaultBackend` or `rules` must be specified",
        ),
        (
            Method::POST,
            MAPS.into(),
            json!({"metadata": {"name": "x", "finalizers": ["nodomain"], "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": ""}]}}),
            422,
            "Invalid",
            "ConfigMap \"x\" is invalid: [metadata.ownerReferences[0].uid: Required value: must not be empty, metadata.finalizers[0]: Invalid value: \"nodomain\": name is neither a standard finalizer name nor is it fully qualified]",
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_list_does_not_say_of_each_item_what_it_is() {
    let cluster = bare(0).await;
    post(&cluster, MAPS, map("a")).await;
    let (code, list) = ask(&cluster, &User::admin(), Method::GET, MAPS, Value::Null).await;
    assert_eq!((code, &list["kind"]), (200, &json!("ConfigMapList")));
    let item = list["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == "a").unwrap();
    assert_eq!((&item["kind"], &item["apiVersion"]), (&Value::Null, &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_made_by_replacing_it_and_a_config_map_is_not() {
    let cluster = bare(0).await;
    let admin = User::admin();
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l";
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}});
    assert_eq!(ask(&cluster, &admin, Method::PUT, leases, lease).await.0, 201);
    assert_eq!(ask(&cluster, &admin, Method::PUT, &format!("{MAPS}/new"), map("new")).await.0, 404);
}
