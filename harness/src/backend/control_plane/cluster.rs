//! A control plane as a cluster under test: with kubelets, behind a tap of its own, its store read for snapshots.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use assets::Minor;
use futures::future::BoxFuture;
use kubesim::kubelet::remote::Remote;
use kubesim::kubelet::{Images, Nodes};
use kubesim::tap::{Recording, Tap};
use kubesim::transport::{ClusterIdentity, Proxy, Upstream, User};
use serde_json::json;
use tokio::sync::{Mutex, OwnedSemaphorePermit, watch};

use super::driver::Drivers;
use super::etcd::{self, Pulse};
use super::plane::Plane;
use super::pool::{Pool, Taken};
use super::{pki, restore, settle};
use crate::backend::shape::nodes;
use crate::backend::{Cluster, ClusterError, Identity, SUBJECT};
use crate::observe::Snapshot;
use crate::parity::{self, Told};
use crate::scenario::ClusterShape;

/// A control plane that serves one scenario.
pub(super) struct Up {
    pool: Arc<Pool>,
    minor: Option<Minor>,
    // Dropped before the plane: nobody talks to an API server that is gone.
    proxy: Proxy,
    kubelets: Remote,
    drivers: Drivers,
    plane: Plane,
    _serving: OwnedSemaphorePermit,
    subject: User,
    token: String,
    owner: String,
    changes: Mutex<(watch::Receiver<Pulse>, watch::Receiver<u64>)>,
    warned: Told,
}

impl Up {
    /// Gives a control plane nodes, and puts a tap before it. What can be running runs.
    pub(super) async fn new(
        pool: Arc<Pool>,
        minor: Option<Minor>,
        (mut plane, serving): Taken,
        shape: &ClusterShape,
    ) -> Result<Self, ClusterError> {
        let identity = ClusterIdentity::default();
        // Before the scheduler looks: pods for which there is no node at all are tried again only seconds later.
        let kubelets = kubelets(&plane, shape, &identity.region).await?;
        kubelets.settled().await;
        plane.go().await?;
        let drivers = Drivers::start(&plane.admin());
        // What died explains why nothing comes to rest.
        settle::rested(&plane, &kubelets, settle::QUIET)
            .await
            .map_err(|error| plane.alive().err().unwrap_or(error))?;
        plane.prepare_reset()?;
        let warned = parity::warnings(&snapshot(&plane).await?);
        restore::forget_events(plane.etcd()).await?;
        let keys = plane.keys();
        let upstream = Upstream {
            url: plane.url(),
            ca_pem: pki::read(keys, pki::CA)?,
            front_proxy: pki::read_pair(keys, pki::FRONT)?,
        };
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let proxy = Proxy::start(&upstream, Tap::new(), free, identity)
            .await
            .map_err(|error| ClusterError::new(format!("start the tap: {error}")))?;
        let subject = User::new(SUBJECT, ["system:masters"]);
        let token = proxy.authenticator().issue_token(&subject);
        let owner = proxy.server().kubeconfig(&User::admin());
        let changes = Mutex::new((plane.pulse(), proxy.tap().changes()));
        Ok(Self {
            pool,
            minor,
            proxy,
            kubelets,
            drivers,
            plane,
            _serving: serving,
            subject,
            token,
            owner,
            changes,
            warned,
        })
    }
}

/// Kubelets that the API server knows, and a node of each.
async fn kubelets(plane: &Plane, shape: &ClusterShape, region: &str) -> Result<Remote, ClusterError> {
    let failed = |error: &dyn std::fmt::Display| ClusterError::new(format!("start kubelets: {error}"));
    let keys = pki::kubelets(plane.keys())?;
    let kubelets = Remote::listen_with(region, keys).await.map_err(|error| failed(&error))?;
    kubelets.start(plane.admin()).await.map_err(|error| failed(&error))?;
    for node in nodes(shape, region) {
        kubelets.nodes().add(node).map_err(|status| failed(&status.message))?;
    }
    Ok(kubelets)
}

/// Every object, read from the store, so that it is of one moment, whatever kinds there are.
async fn snapshot(plane: &Plane) -> Result<Snapshot, ClusterError> {
    let (_, entries) = plane.etcd().all(true).await?;
    let mut snapshot = Snapshot::default();
    for (key, entry) in &entries {
        let Some(plural) = restore::resource(key) else { continue };
        let Some(mut object) = etcd::object(&entry.value) else { continue };
        let version = object["apiVersion"].as_str().unwrap_or_default();
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let resource = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
        // The store knows an object's version by its own revision and does not write it into it.
        object["metadata"]["resourceVersion"] = json!(entry.mod_revision.to_string());
        snapshot.insert(&resource, Arc::new(object));
    }
    Ok(snapshot)
}

impl Cluster for Up {
    fn admin(&self) -> kube::Client {
        self.plane.admin()
    }

    fn identity(&self) -> Identity {
        let identity = self.proxy.server().identity().clone();
        Identity {
            name: identity.name,
            region: identity.region,
            account: identity.account,
            endpoint: self.proxy.server().url(),
        }
    }

    fn kubeconfig(&self) -> String {
        self.proxy.server().kubeconfig_with_token(&self.token)
    }

    fn owner_kubeconfig(&self) -> String {
        self.owner.clone()
    }

    fn requests(&self) -> Vec<Recording> {
        let all = self.proxy.tap().recordings();
        // A request whose credentials were refused has no user; nobody but the installer sends such.
        all.into_iter().filter(|it| it.user == SUBJECT || it.user.is_empty()).collect()
    }

    fn nodes(&self) -> Option<&Nodes> {
        Some(self.kubelets.nodes())
    }

    fn images(&self) -> Option<&Images> {
        Some(self.kubelets.images())
    }

    fn tap(&self) -> Option<&Tap> {
        Some(self.proxy.tap())
    }

    fn reachable(&self, open: bool) -> BoxFuture<'_, Result<(), ClusterError>> {
        Box::pin(async move {
            if open {
                return self.proxy.server().open().await.map_err(ClusterError::new);
            }
            self.proxy.server().close().await;
            Ok(())
        })
    }

    fn authorized(&self, valid: bool) -> BoxFuture<'_, Result<(), ClusterError>> {
        Box::pin(async move {
            if valid {
                self.proxy.authenticator().accept_token(&self.token, &self.subject);
            } else {
                self.proxy.authenticator().revoke(SUBJECT);
            }
            Ok(())
        })
    }

    fn health(&self) -> Result<(), ClusterError> {
        self.plane.alive()?;
        match self.kubelets.problems().as_slice() {
            [] => Ok(()),
            // A kubelet model that says what the API server calls invalid is ours to mend.
            refused => {
                Err(ClusterError::new(format!("run kubelets: the API server refused {}", refused.join("; "))))
            }
        }
    }

    fn warned_before(&self) -> BoxFuture<'_, Result<Told, ClusterError>> {
        Box::pin(async move { Ok(self.warned.clone()) })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, ClusterError>> {
        Box::pin(snapshot(&self.plane))
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut changes = self.changes.lock().await;
            let (store, requests) = &mut *changes;
            // A sender that is gone means that the cluster is; then there is nothing to wait for.
            tokio::select! {
                biased;
                _ = store.changed() => {}
                _ = requests.changed() => {}
            }
        })
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Whether it is alive at all shows at the next thing that is asked of it.
            let _ = settle::settled(&self.plane, Some(&self.kubelets), settle::QUIET).await;
        })
    }

    fn down(self: Box<Self>) -> BoxFuture<'static, Result<(), ClusterError>> {
        Box::pin(async move {
            let Self { pool, minor, plane, proxy, kubelets, drivers, .. } = *self;
            proxy.shutdown().await;
            drop((kubelets, drivers));
            pool.give_back(minor, plane);
            Ok(())
        })
    }
}
