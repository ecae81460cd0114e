//! What a CustomResourceDefinition serves.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::Value;

use super::{Resource, Subresource};
use crate::store::GroupResource;

/// Where the definitions are stored.
pub(super) fn definitions() -> GroupResource {
    GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

/// The resources that one definition serves: one for each served version.
pub(super) fn served(definition: &Value) -> Vec<Resource> {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let group = text(&spec["group"]);
    let kind = text(&names["kind"]);
    let plural = text(&names["plural"]);
    if group.is_empty() || kind.is_empty() || plural.is_empty() {
        return Vec::new();
    }
    let singular = match names["singular"].as_str() {
        Some(singular) if !singular.is_empty() => singular.to_owned(),
        _ => kind.to_lowercase(),
    };
    let versions = spec["versions"].as_array().into_iter().flatten();
    versions
        .filter(|version| version["served"].as_bool().unwrap_or(false))
        .map(|version| {
            let name = text(&version["name"]);
            let mut subresources = Vec::new();
            if version["subresources"]["scale"].is_object() {
                subresources.push(subresource("scale", "Scale", "autoscaling", "v1"));
            }
            if version["subresources"]["status"].is_object() {
                subresources.push(subresource("status", &kind, &group, &name));
            }
            Resource {
                group: group.clone(),
                version: name,
                plural: plural.clone(),
                singular: singular.clone(),
                kind: kind.clone(),
                namespaced: spec["scope"] == "Namespaced",
                short_names: list(&names["shortNames"]),
                categories: list(&names["categories"]),
                verbs: super::parse_verbs("cdDglpuw"),
                subresources,
                custom: Some(Arc::new(version.clone())),
            }
        })
        .collect()
}

fn subresource(name: &str, kind: &str, group: &str, version: &str) -> Subresource {
    Subresource {
        name: name.to_owned(),
        kind: kind.to_owned(),
        group: group.to_owned(),
        version: version.to_owned(),
        verbs: super::parse_verbs("gpu"),
    }
}

/// Versions as the API server orders them: stable before beta before alpha, newer first, and names
/// that are no Kubernetes versions last, by name.
pub(super) fn by_priority(a: &str, b: &str) -> Ordering {
    match (priority(a), priority(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

fn priority(version: &str) -> Option<(u8, u32, u32)> {
    let rest = version.strip_prefix('v')?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let major = rest[..digits].parse().ok()?;
    let (stability, minor) = match &rest[digits..] {
        "" => (2, "0"),
        beta if beta.starts_with("beta") => (1, &beta[4..]),
        alpha if alpha.starts_with("alpha") => (0, &alpha[5..]),
        _ => return None,
    };
    Some((stability, major, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::by_priority;

    #[test]
    fn stable_versions_come_first_and_newer_before_older() {
        let mut versions = vec!["foo1", "v1alpha1", "v2", "v1", "v11beta2", "v10beta3", "v3beta1"];
        versions.sort_by(|a, b| by_priority(a, b));
        assert_eq!(versions, ["v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v1alpha1", "foo1"]);
    }
}
