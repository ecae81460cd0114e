//! Custom resources whose definition has gone: they go too.

use super::{Context, Controller, Key, Seen};
use crate::store::{GroupResource, Meta, Preconditions, Store};

/// Keys are a group and a plural name.
pub(crate) struct Definitions;

impl Controller for Definitions {
    fn concerns(&mut self, _: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        if !change.deleted || resource.resource != "customresourcedefinitions" {
            return Vec::new();
        }
        let spec = &change.object["spec"];
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        vec![(text(&spec["group"]), text(&spec["names"]["plural"]))]
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let definitions = GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions");
        // It may be there again.
        if context.store.get(&definitions, "", &format!("{}.{}", key.1, key.0)).is_some() {
            return;
        }
        let resource = GroupResource::new(key.0.as_str(), key.1.as_str());
        for object in context.store.list(&resource, None).0 {
            let same = Preconditions { uid: Some(object.uid().to_owned()), resource_version: None };
            let _ = context.store.delete(&resource, object.namespace(), object.name(), &same, 0);
        }
    }
}
