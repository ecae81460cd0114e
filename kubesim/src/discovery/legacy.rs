//! Discovery as it always was: `APIVersions`, `APIGroupList`, `APIResourceList`. kube asks for these.

use serde_json::{Value, json};

use crate::handlers::Core;
use crate::resources::{Group, api_version};

pub(super) fn versions() -> Value {
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:443"}],
    })
}

pub(super) fn groups(core: &Core) -> Value {
    let groups: Vec<Value> =
        core.registry().groups().iter().filter(|group| !group.name.is_empty()).map(describe).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

pub(super) fn group(core: &Core, name: &str) -> Option<Value> {
    let groups = core.registry().groups();
    let mut group = describe(groups.iter().find(|group| group.name == name && !name.is_empty())?);
    group["kind"] = json!("APIGroup");
    group["apiVersion"] = json!("v1");
    Some(group)
}

fn describe(group: &Group) -> Value {
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|(version, _)| json!({"groupVersion": api_version(&group.name, version), "version": version}))
        .collect();
    json!({"name": group.name, "preferredVersion": versions.first(), "versions": versions})
}

pub(super) fn resources(core: &Core, group: &str, version: &str) -> Option<Value> {
    let groups = core.registry().groups();
    let group = groups.iter().find(|found| found.name == group)?;
    let (_, resources) = group.versions.iter().find(|(found, _)| found == version)?;
    let mut list = Vec::new();
    for resource in resources {
        let mut entry = json!({
            "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": resource.verbs,
        });
        if !resource.short_names.is_empty() {
            entry["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        list.push(entry);
        for subresource in &resource.subresources {
            let mut entry = json!({
                "name": format!("{}/{}", resource.plural, subresource.name), "singularName": "",
                "namespaced": resource.namespaced, "kind": subresource.kind, "verbs": subresource.verbs,
            });
            if (&subresource.group, &subresource.version) != (&resource.group, &resource.version) {
                entry["group"] = json!(subresource.group);
                entry["version"] = json!(subresource.version);
            }
            list.push(entry);
        }
    }
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version(&group.name, version),
        "resources": list,
    }))
}
