//! What EKS installs into a new cluster, installed through the API.

use http::Request;
use kube::Client;
use kubesim::bootstrap;
use kubesim::resources::builtins;
use serde_json::Value;

use crate::backend::ClusterError;

/// Creates all of it; what the API server has made by itself (namespaces, roles, priority classes) stays as it is.
/// A field that the real server does not know is an error.
pub(super) async fn install(client: &Client) -> Result<(), ClusterError> {
    let objects =
        bootstrap::content().map_err(|error| ClusterError::new(format!("read EKS's content: {error}")))?;
    for object in &objects {
        create(client, object).await?;
    }
    Ok(())
}

async fn create(client: &Client, object: &Value) -> Result<(), ClusterError> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let (name, namespace) = (text(&object["metadata"]["name"]), text(&object["metadata"]["namespace"]));
    let what = format!("create {kind} {name}");
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let found = builtins().iter().find(|it| it.group == group && it.kind == kind);
    let plural =
        &found.ok_or_else(|| ClusterError::new(format!("{what}: no such kind in {version}")))?.plural;
    let root = if group.is_empty() { "/api" } else { "/apis" };
    let place = if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
    let path = format!("{root}/{version}{place}/{plural}?fieldValidation=Strict");
    let request = Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(object.to_string().into_bytes())
        .map_err(|error| ClusterError::new(format!("{what}: {error}")))?;
    match client.request::<Value>(request).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(()),
        // A Service whose address is taken is the one that the API server has made itself.
        Err(kube::Error::Api(status))
            if kind == "Service" && status.message.contains("already allocated") =>
        {
            Ok(())
        }
        Err(error) => Err(ClusterError::new(format!("{what}: {error}"))),
    }
}
