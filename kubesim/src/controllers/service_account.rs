//! The `default` service account and the cluster's CA in every namespace.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::{Context, Controller, Key, Seen};
use crate::store::{GroupResource, Meta, Store};

/// The certificate authority (PEM) that pods are told of; empty until the cluster is served over TLS.
#[derive(Clone, Default)]
pub(crate) struct RootCa(Arc<Mutex<String>>);

impl RootCa {
    pub(crate) fn set(&self, pem: &str) {
        pem.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(crate) struct ServiceAccounts {
    authority: RootCa,
}

impl ServiceAccounts {
    pub(crate) fn new(authority: RootCa) -> Self {
        Self { authority }
    }
}

const BUNDLE: &str = "kube-root-ca.crt";

fn namespaces() -> GroupResource {
    GroupResource::new("", "namespaces")
}

impl Controller for ServiceAccounts {
    fn concerns(&mut self, _: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        if !resource.group.is_empty() {
            return Vec::new();
        }
        let name = match resource.resource.as_str() {
            "namespaces" if !change.deleted => change.object.name(),
            "serviceaccounts" if change.deleted && change.object.name() == "default" => {
                change.object.namespace()
            }
            "configmaps" if change.object.name() == BUNDLE => change.object.namespace(),
            _ => return Vec::new(),
        };
        vec![(String::new(), name.to_owned())]
    }

    fn woken(&mut self, store: &Store) -> Vec<Key> {
        store.list(&namespaces(), None).0.iter().map(|ns| (String::new(), ns.name().to_owned())).collect()
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let store = context.store;
        let Some(namespace) = store.get(&namespaces(), "", &key.1) else { return };
        if namespace.is_terminating() {
            return;
        }
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": key.1},
        });
        // It may be there already.
        let _ = store.create(&GroupResource::new("", "serviceaccounts"), account);
        let bundles = GroupResource::new("", "configmaps");
        let data = json!({"ca.crt": self.authority.get()});
        let kept = store.update(&bundles, &key.1, BUNDLE, |bundle| {
            bundle["data"] = data.clone();
            Ok(())
        });
        if kept.is_err() {
            let bundle = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": BUNDLE, "namespace": key.1, "annotations": {
                    "kubernetes.io/description":
                        "The certificate authority of this cluster's API server, for clients inside it.",
                }},
                "data": data,
            });
            let _ = store.create(&bundles, bundle);
        }
    }
}
