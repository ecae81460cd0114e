//! get and list.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::Reply;
use super::{Call, Core, options};
use crate::resources::Resource;
use crate::selector::{FieldSelector, LabelSelector};
use crate::status::Status;
use crate::store::{Meta, Object};

/// The selectors of a list, watch or deletecollection.
#[derive(Clone, Default)]
pub(super) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    pub(super) fn of(call: &Call, resource: &Resource) -> Result<Self, Status> {
        let text = |key| call.info.query.get(key).unwrap_or_default();
        Ok(Self {
            labels: LabelSelector::parse(text("labelSelector"))?,
            fields: FieldSelector::parse(text("fieldSelector"), resource)?,
        })
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(object.labels()) && self.fields.matches(object)
    }

    fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

/// A place in a list that was cut by `limit`.
struct Continue {
    revision: u64,
    namespace: String,
    name: String,
}

impl Continue {
    fn encode(&self) -> String {
        let json = json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": [self.namespace, self.name]});
        URL_SAFE_NO_PAD.encode(json.to_string())
    }

    fn decode(token: &str) -> Result<Self, Status> {
        let bad = || {
            Status::bad_request(
                "invalid continue token: continue key is not valid: the continue token is not one of this server's",
            )
        };
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| bad())?;
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(bad);
        Ok(Self {
            revision: value["rv"].as_u64().ok_or_else(bad)?,
            namespace: text(&value["start"][0])?,
            name: text(&value["start"][1])?,
        })
    }
}

/// The `resourceVersion` parameter as a number.
pub(super) fn revision_of(call: &Call) -> Result<Option<u64>, Status> {
    call.info.query.get("resourceVersion").map_or(Ok(None), |text| {
        text.parse().map(Some).map_err(|_| {
            Status::bad_request(format!("resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax"))
        })
    })
}

impl Core {
    pub(super) fn get(&self, call: &Call, resource: &Arc<Resource>) -> Result<Reply, Status> {
        revision_of(call).map_err(|status| Status::new(500, "", status.message))?;
        let object = self.object(call, resource)?;
        Ok(Reply::Object(StatusCode::OK, resource.clone(), object))
    }

    pub(super) fn list(&self, call: &Call, resource: &Arc<Resource>) -> Result<Reply, Status> {
        options::listing(call)?;
        let selection = Selection::of(call, resource)?;
        let asked = revision_of(call).map_err(|status| Status {
            message: format!("invalid resource version: {}", status.message),
            ..status
        })?;
        let exact = asked.is_some() && call.info.query.get("resourceVersionMatch") == Some("Exact");
        let namespace = namespace_filter(call, resource);
        let token = call.info.query.get("continue").map(Continue::decode).transpose()?;
        let (mut items, mut revision) = match (&token, selection.fields.node()) {
            // Only pods have a node to be selected by.
            (None, Some(node)) => {
                let (mut pods, revision) = self.store.pods_on_at(node);
                pods.retain(|pod| namespace.is_none_or(|namespace| pod.namespace() == namespace));
                (pods, revision)
            }
            (None, None) => self.store.list(&resource.storage(), namespace),
            (Some(from), _) => {
                self.store.list_from(&resource.storage(), namespace, (&from.namespace, &from.name))
            }
        };
        if let Some(asked) = asked.filter(|asked| *asked > revision) {
            return Err(Status::too_large_resource_version(asked, revision));
        }
        // A page belongs to the state that the first page showed.
        let at = token.as_ref().map(|token| token.revision).or(asked.filter(|_| exact));
        // What has not changed since is as it was.
        let changed = at.is_some_and(|at| self.store.has_changed(&resource.storage(), at));
        if let Some(at) = at.filter(|_| changed) {
            items = self.store.list_at(&resource.storage(), namespace, at).map_err(|expired| {
                let message = if token.is_some() {
                    STALE_PAGE
                } else {
                    "The resourceVersion for the provided list is too old."
                };
                Status { message: message.to_owned(), ..expired }
            })?;
        }
        revision = at.unwrap_or(revision);
        items.retain(|item| selection.matches(item));
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".into(), json!(revision.to_string()));
        if let Some(from) = token.filter(|_| changed) {
            items.retain(|item| {
                (item.namespace(), item.name()) >= (from.namespace.as_str(), from.name.as_str())
            });
        }
        if let Some(limit) = call.info.query.number("limit").and_then(|limit| usize::try_from(limit).ok())
            && limit > 0
            && items.len() > limit
        {
            let rest = items.split_off(limit);
            let next: &Object = &rest[0];
            let token =
                Continue { revision, namespace: next.namespace().to_owned(), name: next.name().to_owned() };
            metadata.insert("continue".into(), json!(token.encode()));
            if selection.is_everything() {
                metadata.insert("remainingItemCount".into(), json!(rest.len()));
            }
        }
        Ok(Reply::List(resource.clone(), items, Value::Object(metadata)))
    }
}

const STALE_PAGE: &str = "The provided continue parameter is too old to display a consistent list result. You can \
    start a new list without the continue parameter.";

/// The namespace that a list or watch is about; `None` for all.
pub(super) fn namespace_filter<'a>(call: &'a Call, resource: &Resource) -> Option<&'a str> {
    Some(call.info.namespace.as_str()).filter(|namespace| resource.namespaced && !namespace.is_empty())
}
