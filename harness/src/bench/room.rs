//! An embedded cluster behind TLS, and a client of its API as any other program would be one.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

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
    resident_of("self")
}

/// The processes of a control plane.
const COMPONENTS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/// Resident memory of the components that this process has started, in megabytes.
pub(super) fn memory_of_components() -> BTreeMap<String, f64> {
    let mut memory = BTreeMap::new();
    let own = std::process::id().to_string();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let Ok(status) = std::fs::read_to_string(format!("/proc/{id}/status")) else { continue };
        let field = |name: &str| status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim()));
        if field("PPid:") != Some(own.as_str()) {
            continue;
        }
        // The status has no more than fifteen characters of the name.
        let program = std::fs::read_link(format!("/proc/{id}/exe")).ok();
        let program = program.and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let program = program.filter(|program| COMPONENTS.contains(&program.as_str()));
        if let (Some(program), Some(megabytes)) = (program, resident_of(&id)) {
            *memory.entry(program).or_default() += megabytes;
        }
    }
    memory
}

/// Whether nobody has filled a large cluster in this process before: what another has left to the allocator would be
/// counted as nothing.
pub(super) fn is_first_to_fill() -> bool {
    static FILLED: AtomicBool = AtomicBool::new(false);
    !FILLED.swap(true, Ordering::Relaxed)
}

fn resident_of(process: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}
