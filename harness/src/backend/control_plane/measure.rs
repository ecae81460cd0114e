//! Control planes for the benchmarks: ours, and beside them the plain recipe for the same executables that others
//! follow (envtest's: etcd, then kube-apiserver with its default flags, until it says that it is ready).

use std::path::Path;

use assets::{Minor, Places, Tool};
use kube::Client;

use super::blueprint::Blueprint;
use super::plane::Plane;
use super::pool::Pool;
use super::processes::{Group, Port};
use super::ready::{answers, until};
use super::{components, etcd::Etcd, pki, provider};
use crate::backend::{ClusterError, Missing};
use crate::ledger;
use crate::scenario::ClusterShape;

/// What control planes are made of, prepared.
pub(crate) struct Workshop {
    pool: Pool,
    blueprint: Blueprint,
}

/// One of ours.
pub(crate) struct Ours(Plane);

/// One by the plain recipe. Dropping it kills it.
pub(crate) struct Plain {
    // Dropped before the folder: whoever writes into it is dead when it is removed.
    _group: Group,
    _folder: tempfile::TempDir,
    _held: [Port; 2],
    admin: Client,
}

/// The version that scenarios get which do not ask for one.
fn usual() -> Result<Minor, ClusterError> {
    provider::minor(&ClusterShape::default())
}

impl Workshop {
    /// Why there can be none on this machine.
    pub(crate) fn missing() -> Option<Missing> {
        match usual() {
            Ok(minor) => Pool::new(Places::from_env(), &ledger::folder()).found(Some(minor)).err(),
            Err(_) => None,
        }
    }

    /// Prepares what every start makes use of, which is kept and not part of a start.
    pub(crate) async fn open() -> Result<Self, ClusterError> {
        let pool = Pool::new(Places::from_env(), &ledger::folder());
        let blueprint = pool.blueprint(Some(usual()?)).await?;
        Ok(Self { pool, blueprint })
    }

    /// Starts one of ours: every component says that it is ready.
    pub(crate) async fn start(&self) -> Result<Ours, ClusterError> {
        let mut plane = Plane::start(&self.blueprint, self.pool.ledger().await?).await?;
        plane.go().await?;
        plane.prepare_reset()?;
        Ok(Ours(plane))
    }

    /// Starts one by the plain recipe: the API server says that it is ready. It is asked twenty times as often as envtest
    /// asks, which favours it.
    pub(crate) async fn start_plain(&self) -> Result<Plain, ClusterError> {
        let failed = |error: std::io::Error| ClusterError::new(format!("start a plain API server: {error}"));
        let program = |tool: Tool| self.blueprint.program(tool);
        let folder = tempfile::Builder::new().prefix("seatrial-plain-").tempdir().map_err(failed)?;
        let held = [Port::take().map_err(failed)?, Port::take().map_err(failed)?];
        let [etcd, api] = held.each_ref().map(Port::number);
        let name = folder.path().file_name().map(|name| name.to_string_lossy().into_owned());
        let group = Group::start(&name.unwrap_or_default(), &[]).map_err(failed)?;
        let log = |name: &str| folder.path().join(format!("{name}.log"));
        let flags = etcd_flags(etcd, folder.path());
        let store = group.spawn("etcd", program(Tool::Etcd)?, &flags, log("etcd")).map_err(failed)?;
        let client = Etcd::new(etcd)?;
        until(&store, || async { client.name().await.map(drop).map_err(|error| error.to_string()) }).await?;
        let flags = api_server_flags(etcd, api, &self.blueprint.keys);
        let server = group
            .spawn("kube-apiserver", program(Tool::ApiServer)?, &flags, log("kube-apiserver"))
            .map_err(failed)?;
        let admin = self.blueprint.client(api, pki::ADMIN)?;
        until(&server, || answers(&admin, "/readyz")).await?;
        Ok(Plain { _group: group, _folder: folder, _held: held, admin })
    }
}

impl Ours {
    /// The API as its administrator.
    pub(crate) fn admin(&self) -> Client {
        self.0.admin()
    }

    /// Brings it back to its first state, in which controllers and scheduler are at work again.
    pub(crate) async fn reset(&mut self) -> Result<(), ClusterError> {
        self.0.reset().await?;
        self.0.go().await?;
        self.0.prepare_reset()
    }
}

impl Plain {
    /// The API as its administrator.
    pub(crate) fn admin(&self) -> Client {
        self.admin.clone()
    }
}

/// envtest's flags, and that the port is held.
fn etcd_flags(port: u16, folder: &Path) -> Vec<String> {
    vec![
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls=http://127.0.0.1:{port}"),
        format!("--advertise-client-urls=http://127.0.0.1:{port}"),
        "--listen-peer-urls=http://127.0.0.1:0".into(),
        "--unsafe-no-fsync".into(),
        "--socket-reuse-port".into(),
    ]
}

/// envtest's flags, and that the port is held; what else is not envtest's leaves out work, which favours it.
fn api_server_flags(etcd: u16, port: u16, keys: &Path) -> Vec<String> {
    let key = |name: &str| keys.join(name).display().to_string();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1".into(),
        // Without a network it knows no address to advertise, and one of this machine alone it does not publish.
        "--advertise-address=127.0.0.1".into(),
        "--endpoint-reconciler-type=none".into(),
        format!("--secure-port={port}"),
        components::SHARE.into(),
        format!("--tls-cert-file={}", key(pki::SERVER[0])),
        format!("--tls-private-key-file={}", key(pki::SERVER[1])),
        format!("--client-ca-file={}", key(pki::CA)),
        "--authorization-mode=RBAC".into(),
        "--allow-privileged=true".into(),
        "--disable-admission-plugins=ServiceAccount".into(),
        "--service-cluster-ip-range=10.0.0.0/24".into(),
        format!("--service-account-issuer=https://127.0.0.1:{port}/"),
        format!("--service-account-signing-key-file={}", key(pki::ACCOUNTS[0])),
        format!("--service-account-key-file={}", key(pki::ACCOUNTS[1])),
    ]
}
