//! ResourceQuotas: what is used of each.

use super::{Context, Controller, Key, Seen, key_of};
use crate::store::{GroupResource, Meta, Store};

pub(crate) struct Quotas;

fn quotas() -> GroupResource {
    GroupResource::new("", "resourcequotas")
}

impl Controller for Quotas {
    fn concerns(&mut self, store: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        if *resource == quotas() {
            return if change.deleted { Vec::new() } else { vec![key_of(change.object)] };
        }
        // Events are many, and no quota counts them.
        if change.object.namespace().is_empty() || resource.resource == "events" {
            return Vec::new();
        }
        store.list(&quotas(), Some(change.object.namespace())).0.iter().map(|quota| key_of(quota)).collect()
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let Some(quota) = context.store.get(&quotas(), &key.0, &key.1) else { return };
        let status = crate::admission::quota_status(context.store, &quota);
        context.set_status(&quotas(), key, &status);
    }
}
