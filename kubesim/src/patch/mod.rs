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
            "application/json-patch+json" => serde_json::from_value(value)
                .map(Self::Json)
                .map_err(|error| Status::bad_request(format!("error decoding patch: {error}"))),
            "application/merge-patch+json" if value.is_object() => Ok(Self::Merge(value)),
            "application/strategic-merge-patch+json" if resource.custom.is_none() && value.is_object() => {
                Ok(Self::Strategic(value))
            }
            "application/merge-patch+json" | "application/strategic-merge-patch+json"
                if resource.custom.is_none() =>
            {
                Err(Status::bad_request("error decoding patch: a patch must be an object"))
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
            Self::Json(patch) => json_patch::patch(object, patch).map_err(|error| {
                Status::new(
                    422,
                    "Invalid",
                    format!("the server rejected our request due to an error in our request: {error}"),
                )
            }),
            Self::Merge(patch) | Self::Strategic(patch) => {
                merge(object, patch);
                Ok(())
            }
        }
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
