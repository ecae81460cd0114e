//! Aggregated discovery: everything in two requests, as `APIGroupDiscoveryList` v2 or v2beta1.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::handlers::{Call, Core, Reply, accepted};

/// The version of the aggregated form that the client prefers; `None` when it wants the legacy form.
pub(super) fn asked(call: &Call) -> Option<&'static str> {
    for media in accepted(&call.headers) {
        match (media.name.as_str(), media.param("as"), media.param("v")) {
            ("application/json", Some("APIGroupDiscoveryList"), Some("v2")) => return Some("v2"),
            ("application/json", Some("APIGroupDiscoveryList"), Some("v2beta1")) => {
                return Some("v2beta1");
            }
            ("application/json" | "*/*", None, _) => return None,
            _ => {}
        }
    }
    None
}

pub(super) fn document(core: &Core, call: &Call, core_group: bool) -> Reply {
    let version = asked(call).unwrap_or("v2");
    let groups = core.registry().groups();
    let items: Vec<Value> = groups
        .iter()
        .filter(|group| group.name.is_empty() == core_group)
        .map(|group| {
            let versions: Vec<Value> = group
                .versions
                .iter()
                .map(|(name, resources)| {
                    let resources: Vec<Value> = resources.iter().map(|resource| describe(resource)).collect();
                    json!({"version": name, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if group.name.is_empty() {
                json!({"creationTimestamp": null})
            } else {
                json!({"name": group.name, "creationTimestamp": null})
            };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    let document = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {}, "items": items,
    });
    let content_type = match version {
        "v2beta1" => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    };
    Reply::Bytes(StatusCode::OK, content_type, Bytes::from(document.to_string()))
}

fn describe(resource: &crate::resources::Resource) -> Value {
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    if !resource.subresources.is_empty() {
        let subresources = resource.subresources.iter().map(|subresource| {
            json!({
                "subresource": subresource.name,
                "responseKind": {"group": subresource.group, "version": subresource.version, "kind": subresource.kind},
                "verbs": subresource.verbs,
            })
        });
        entry["subresources"] = subresources.collect();
    }
    entry
}
