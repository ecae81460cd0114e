//! A bare API for tests: four namespaces, no controllers.

#![allow(dead_code, clippy::unwrap_used)]

pub mod control_plane;
pub mod wire;

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kubesim::clock::Clock;
use kubesim::store::{GroupResource, Store};
use kubesim::tap::Tap;
use kubesim::transport::{ApiConfig, ApiService};
use serde_json::{Value, json};

/// An API over an empty store with the namespaces that every cluster has.
pub struct Sim {
    /// Direct access.
    pub store: Store,
    /// What its requests pass.
    pub tap: Tap,
    /// The API.
    pub service: ApiService,
}

impl Sim {
    /// Its clock begins at a fixed time and follows tokio's.
    pub fn new() -> Self {
        let origin = "2026-01-02T03:04:05Z".parse().unwrap();
        let store = Store::new(Clock::new(origin, 1.0), 7);
        for name in ["default", "kube-system"] {
            let namespace = json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
            });
            store.create(&GroupResource::new("", "namespaces"), namespace).unwrap();
        }
        let tap = Tap::new();
        let service = ApiService::new(ApiConfig {
            store: store.clone(),
            tap: tap.clone(),
            minor: 37,
            logs: Arc::new(kubesim::NoLogs),
        });
        Self { store, tap, service }
    }

    /// A client of it, as the cluster's admin.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.service.clone(), "default")
    }

    /// Stores an object as it is, past the API.
    pub fn put(&self, group: &str, resource: &str, object: Value) {
        self.store.create(&GroupResource::new(group, resource), object).unwrap();
    }
}

/// A ConfigMap with one key.
pub fn config_map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"key": value}})).unwrap()
}
