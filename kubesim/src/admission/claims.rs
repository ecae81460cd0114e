//! Validation of claims of volumes.

use serde_json::Value;

use super::causes::Causes;
use super::quantity;
use crate::store::drop_fields;

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// What is wrong with a claim; `before` is its state so far when it is an update.
pub(super) fn validate(object: &Value, before: Option<&Value>, causes: &mut Causes) {
    let spec = &object["spec"];
    if spec["accessModes"].as_array().is_none_or(Vec::is_empty) {
        causes.required("spec.accessModes", "at least 1 access mode is required");
    }
    let modes: &[Value] = spec["accessModes"].as_array().map_or(&[], Vec::as_slice);
    for mode in modes {
        if !mode.as_str().is_some_and(|mode| MODES.contains(&mode)) {
            causes.unsupported("spec.accessModes", mode, &MODES);
        }
    }
    let alone = |mode: &Value| mode == "ReadWriteOncePod";
    let shared = |mode: &Value| !alone(mode) && mode.as_str().is_some_and(|mode| MODES.contains(&mode));
    if modes.iter().any(alone) && modes.iter().any(shared) {
        causes.forbidden("spec.accessModes", "may not use ReadWriteOncePod with other access modes");
    }
    let asked = &spec["resources"]["requests"]["storage"];
    match asked.as_str().map(quantity::parse) {
        None => causes.required("spec.resources[storage]", ""),
        Some(Some(amount)) if amount <= 0 => {
            causes.invalid("spec.resources[storage]", asked, "must be greater than zero");
        }
        Some(_) => {}
    }
    if let Some(mode) = spec["volumeMode"].as_str().filter(|mode| !matches!(*mode, "Block" | "Filesystem")) {
        causes.unsupported("spec.volumeMode", &Value::from(mode), &["Block", "Filesystem"]);
    }
    if let Some(before) = before {
        changes(object, before, causes);
    }
}

/// A claim is bound once, a bound one may ask for more, and nothing else of it changes.
fn changes(object: &Value, before: &Value, causes: &mut Causes) {
    let bound = object["status"]["phase"] == "Bound";
    let (old, new) = (&before["spec"], &object["spec"]);
    let fixed = |spec: &Value| {
        let mut spec = spec.clone();
        if old["volumeName"].as_str().is_none_or(str::is_empty) {
            drop_fields(&mut spec, &["volumeName"]);
        }
        if old["storageClassName"].is_null() && !new["storageClassName"].is_null() {
            drop_fields(&mut spec, &["storageClassName"]);
        }
        if bound {
            drop_fields(&mut spec, &["volumeAttributesClassName"]);
            drop_fields(&mut spec["resources"]["requests"], &["storage"]);
        }
        spec
    };
    if fixed(old) != fixed(new) {
        causes.forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        );
    }
    let storage = |value: &Value| value.as_str().and_then(quantity::parse).unwrap_or(0);
    let size = |spec: &Value| storage(&spec["resources"]["requests"]["storage"]);
    // A claim whose volume could not grow may ask for less, but for no less than it has.
    if size(new) < size(old) && size(new) <= storage(&before["status"]["capacity"]["storage"]) {
        let why = "field can not be less than status.capacity";
        causes.forbidden("spec.resources.requests.storage", why);
    }
    if new["volumeMode"] != old["volumeMode"] {
        causes.invalid("volumeMode", &new["volumeMode"], "field is immutable");
    }
}
