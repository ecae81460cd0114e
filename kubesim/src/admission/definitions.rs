//! CustomResourceDefinitions: names accepted, established.

use serde_json::{Value, json};

use super::causes::Causes;
use crate::store::Meta;

/// Sets the status that the real server's controllers set a moment later.
pub(super) fn establish(definition: &mut Value, now: &str) {
    let names = definition["spec"]["names"].clone();
    let mut stored: Vec<Value> =
        definition["status"]["storedVersions"].as_array().cloned().unwrap_or_default();
    for version in definition["spec"]["versions"].as_array().into_iter().flatten() {
        if version["storage"] == true && !stored.contains(&version["name"]) {
            stored.push(version["name"].clone());
        }
    }
    let condition = |kind: &str, reason: &str, message: &str| {
        let found =
            definition["status"]["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == kind);
        let since = found.map_or_else(|| json!(now), |found| found["lastTransitionTime"].clone());
        json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": since})
    };
    let mut conditions = vec![
        condition("NamesAccepted", "NoConflicts", "no conflicts found"),
        condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ];
    let said = definition["status"]["conditions"].as_array().into_iter().flatten();
    conditions.extend(said.filter(|found| found["type"] == "Terminating").cloned());
    definition["status"] =
        json!({"conditions": conditions, "acceptedNames": names, "storedVersions": stored});
}

pub(super) fn validate(definition: &Value, causes: &mut Causes) {
    let spec = &definition["spec"];
    let (group, plural) =
        (spec["group"].as_str().unwrap_or_default(), spec["names"]["plural"].as_str().unwrap_or_default());
    for (field, value) in [("spec.group", group), ("spec.names.plural", plural)] {
        if value.is_empty() {
            causes.required(field, "");
        }
    }
    if spec["names"]["kind"].as_str().is_none_or(str::is_empty) {
        causes.required("spec.names.kind", "");
    }
    let expected = format!("{plural}.{group}");
    if definition.name() != expected {
        causes.invalid(
            "metadata.name",
            &json!(definition.name()),
            "must be spec.names.plural+\".\"+spec.group",
        );
    }
    if !matches!(spec["scope"].as_str(), Some("Cluster" | "Namespaced")) {
        causes.required("spec.scope", "");
    }
    let versions: &[Value] = spec["versions"].as_array().map_or(&[], Vec::as_slice);
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        causes.invalid(
            "spec.versions",
            &json!(versions.iter().map(|version| &version["name"]).collect::<Vec<_>>()),
            "must have exactly one version marked as storage version",
        );
    }
    for (index, version) in versions.iter().enumerate() {
        if !version["schema"]["openAPIV3Schema"].is_object() {
            causes.required(format!("spec.versions[{index}].schema.openAPIV3Schema"), "schemas are required");
        }
    }
}
