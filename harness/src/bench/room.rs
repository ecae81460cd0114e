//! An embedded cluster behind TLS, and a client of its API as any other program would be one.

use std::net::{Ipv4Addr, SocketAddr};

use kube::api::{Api, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kubesim::transport::{Server, User};
use kubesim::{Cluster, Config};
use thiserror::Error;

/// Why something could not be measured: a lowercase fragment that fits after "failed to".
#[derive(Debug, Error)]
#[error("{0}")]
pub struct BenchError(String);

impl BenchError {
    pub(super) fn new(what: &str, why: impl std::fmt::Display) -> Self {
        Self(format!("{what}: {why}"))
    }
}

pub(super) struct Room {
    pub(super) cluster: Cluster,
    pub(super) server: Server,
}

impl Room {
    pub(super) async fn start(config: Config) -> Result<Self, BenchError> {
        let failed = |error| BenchError::new("start a cluster", error);
        let cluster = Cluster::start(config).await.map_err(failed)?;
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = cluster.serve(free).await.map_err(failed)?;
        Ok(Self { cluster, server })
    }

    /// A client over HTTPS, with connections of its own.
    pub(super) async fn client(&self) -> Result<kube::Client, BenchError> {
        let failed = |error: &dyn std::fmt::Display| BenchError::new("make a client", error);
        let text = self.server.kubeconfig(&User::admin());
        let kubeconfig = Kubeconfig::from_yaml(&text).map_err(|error| failed(&error))?;
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
        kube::Client::try_from(config.map_err(|error| failed(&error))?).map_err(|error| failed(&error))
    }

    pub(super) async fn down(self) {
        self.server.shutdown().await;
    }
}

/// Objects of a core kind, in a namespace or in all.
pub(super) fn core(client: kube::Client, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}

/// Resident memory of this process in megabytes; `None` where the system does not tell.
pub(super) fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}
