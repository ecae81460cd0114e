//! The forms of PATCH.

mod fields;
pub(crate) mod managed;
mod strategic;

use serde_json::{Map, Value};

use crate::resources::Resource;
use crate::schema::Node;
use crate::status::Status;

/// A patch as it was sent.
#[derive(Clone, Debug)]
pub(crate) enum Patch {
    Json(json_patch::Patch),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    /// Reads a patch of this media type.
    pub(crate) fn parse(media: &str, body: &[u8], resource: &Resource) -> Result<Self, Status> {
        let value: Value = crate::codec::from_json(body)?;
        match media {
            "application/json-patch+json" => steps(value).map(Self::Json),
            "application/merge-patch+json" if value.is_object() => Ok(Self::Merge(value)),
            "application/strategic-merge-patch+json" if resource.custom.is_none() && value.is_object() => {
                Ok(Self::Strategic(value))
            }
            "application/merge-patch+json" | "application/strategic-merge-patch+json"
                if resource.custom.is_none() || media == "application/merge-patch+json" =>
            {
                let found = crate::codec::go_name(&value);
                let what = if media.contains("strategic") { "" } else { "error decoding patch: " };
                Err(Status::bad_request(format!(
                    "{what}json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
                )))
            }
            _ => Err(Status::new(
                415,
                "UnsupportedMediaType",
                format!(
                    "the body of the request was in an unknown format - accepted media types include: \
                     application/json-patch+json, application/merge-patch+json, {}application/apply-patch+yaml",
                    if resource.custom.is_some() { "" } else { "application/strategic-merge-patch+json, " }
                ),
            )),
        }
    }

    /// What a refusal shows of it: a strategic merge patch as Go prints a map, else the patched object.
    pub(crate) fn shown(&self, patched: &Value) -> String {
        match self {
            Self::Strategic(patch) => go_map(patch),
            _ => patched.to_string(),
        }
    }

    /// A wrong type, in the words of the converter that takes in this form of patch.
    pub(crate) fn type_error(&self, why: String) -> String {
        let Self::Strategic(_) = self else { return why };
        let wanted = why.rsplit(" of type ").next().unwrap_or_default();
        let found = why.split_whitespace().nth(3).unwrap_or_default();
        match wanted {
            _ if wanted.starts_with("[]") => format!("cannot restore slice from {found}"),
            _ if wanted.starts_with("map[") => format!("cannot restore map from {found}"),
            _ if wanted.contains('.') => format!("cannot restore struct from: {found}"),
            _ => format!("unrecognized type: {wanted}"),
        }
    }

    /// Changes an object of `resource`.
    pub(crate) fn apply(&self, object: &mut Value, resource: &Resource) -> Result<(), Status> {
        match self {
            Self::Strategic(patch) => {
                strategic::merge(object, patch, Node::of(resource));
                Ok(())
            }
            _ => self.apply_untyped(object),
        }
    }

    /// Changes an object whose lists have no merge keys.
    pub(crate) fn apply_untyped(&self, object: &mut Value) -> Result<(), Status> {
        match self {
            Self::Json(patch) => json_patch::patch(object, patch).map_err(|_| rejected()),
            Self::Merge(patch) | Self::Strategic(patch) => {
                merge(object, patch);
                Ok(())
            }
        }
    }
}

/// The steps of a JSON patch. What has the form of steps and is none is refused as one that fails.
fn steps(value: Value) -> Result<json_patch::Patch, Status> {
    let wrong = |found: &Value, wanted: &str| {
        let found = crate::codec::go_name(found);
        Status::bad_request(format!(
            "error decoding patch: json: cannot unmarshal {found} into Go value of type {wanted}handlers.jsonPatchOp"
        ))
    };
    let Some(items) = value.as_array() else { return Err(wrong(&value, "[]")) };
    if let Some(item) = items.iter().find(|item| !item.is_object()) {
        return Err(wrong(item, ""));
    }
    serde_json::from_value(value).map_err(|_| rejected())
}

/// What the real server says of a step that fails; it keeps to itself which.
fn rejected() -> Status {
    Status::of_router(422, "Invalid", "the server rejected our request due to an error in our request")
}

/// A value as Go's `%+v` prints it.
fn go_map(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key}:{}", go_map(value))).collect();
            format!("map[{}]", fields.join(" "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(go_map).collect::<Vec<_>>().join(" ")),
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        value => value.to_string(),
    }
}

/// RFC 7386.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
