//! A cluster, and its API spoken to in plain HTTP.

use http::{Method, Request};
use kubesim::kubelet::NodeShape;
use kubesim::store::{GroupResource, Object};
use kubesim::transport::User;
use kubesim::{Cluster, Config};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// A cluster of this many nodes and nothing that EKS installs.
pub async fn bare(nodes: u32) -> Cluster {
    let nodes = (0..nodes).map(|number| NodeShape::numbered(number, "us-west-2")).collect();
    let origin = Some("2026-01-02T03:04:05Z".parse().unwrap());
    let config = Config { seed: 7, nodes, origin, default_content: false, ..Config::default() };
    Cluster::start(config).await.unwrap()
}

/// One request as `user`; its status code and its body.
pub async fn ask(cluster: &Cluster, user: &User, method: Method, path: &str, body: Value) -> (u16, Value) {
    ask_with(cluster, user, method, path, body, &[]).await
}

/// [`ask`] with headers.
pub async fn ask_with(
    cluster: &Cluster,
    user: &User,
    method: Method,
    path: &str,
    body: Value,
    headers: &[(&str, &str)],
) -> (u16, Value) {
    use http_body_util::BodyExt as _;
    let content_type =
        if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let mut request = Request::builder().method(method).uri(path).header("content-type", content_type);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = request.body(http_body_util::Full::new(bytes::Bytes::from(body))).unwrap();
    let response = cluster.service().as_user(user.clone()).oneshot(request).await.unwrap();
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let value = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
    (code, value)
}

/// Creates an object through the API, as the admin.
pub async fn post(cluster: &Cluster, path: &str, object: Value) -> Value {
    let (code, body) = ask(cluster, &User::admin(), Method::POST, path, object).await;
    assert_eq!(code, 201, "{path}: {body}");
    body
}

/// An object of the namespace `default`, or of the cluster.
pub fn get(cluster: &Cluster, group: &str, resource: &str, name: &str) -> Option<Object> {
    let resource = GroupResource::new(group, resource);
    cluster.store().get(&resource, "default", name).or_else(|| cluster.store().get(&resource, "", name))
}

/// Every object of a resource.
pub fn all(cluster: &Cluster, group: &str, resource: &str) -> Vec<Object> {
    cluster.store().list(&GroupResource::new(group, resource), None).0
}

/// The messages of the events of a reason.
pub fn said(cluster: &Cluster, reason: &str) -> Vec<String> {
    let events = all(cluster, "", "events");
    let wanted = events.iter().filter(|event| event["reason"] == reason);
    wanted.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

/// A pod with one container.
pub fn pod(name: &str, more: Value) -> Value {
    let mut spec = json!({"containers": [{"name": "main", "image": "registry.example/main:1"}]});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec})
}
