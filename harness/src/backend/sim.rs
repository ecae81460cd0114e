//! The embedded cluster as a backend: in this process, in real time, behind TLS on a free port.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use futures::future::BoxFuture;
use kubesim::clock::Clock;
use kubesim::kubelet::{Images, Nodes};
use kubesim::store::GroupResource;
use kubesim::tap::{Recording, Tap};
use kubesim::transport::{Server, User};
use kubesim::{Cluster as Embedded, Config};
use tokio::sync::Mutex;

use super::shape::{KUBERNETES, nodes};
use super::{Backend, Capability, Cluster, ClusterError, Identity, SUBJECT};
use crate::duration::Span;
use crate::observe::Snapshot;
use crate::scenario::{ClusterShape, Timeouts};

pub(super) const NAME: &str = "sim";

/// How many times as long things may take where a control plane is at work beside it, which leaves it what it leaves.
const PACE_BESIDE_OTHERS: u32 = 2;

/// The embedded cluster.
#[derive(Clone, Copy, Debug)]
pub struct Sim {
    port: u16,
    pace: u32,
}

impl Default for Sim {
    fn default() -> Self {
        Self { port: 0, pace: 1 }
    }
}

impl Sim {
    /// Whose API server is on this port; on any that is free when 0.
    #[must_use]
    pub fn on(port: u16) -> Self {
        Self { port, ..Self::default() }
    }

    /// On a machine that is busy with other backends.
    pub(super) fn beside_others() -> Self {
        Self { pace: PACE_BESIDE_OTHERS, ..Self::default() }
    }
}

impl Backend for Sim {
    fn name(&self) -> &'static str {
        NAME
    }

    fn offers(&self) -> BTreeSet<Capability> {
        use Capability::{Clock, Credentials, Endpoint, Images, Nodes, Objects, Tap, Tools};
        [Objects, Nodes, Images, Tap, Endpoint, Credentials, Tools, Clock].into()
    }

    fn pace(&self) -> u32 {
        self.pace
    }

    /// The embedded cluster settles in milliseconds, so what has not happened within seconds never will.
    fn timeouts(&self) -> Timeouts {
        let seconds = |seconds| Some(Span::secs(seconds).times(self.pace));
        Timeouts {
            node_wait: seconds(1),
            helm: None,
            ready: seconds(3),
            api: seconds(5),
            retry_budget: seconds(4),
            deadline: seconds(60),
        }
    }

    fn provision<'a>(
        &'a self,
        shape: &'a ClusterShape,
        seed: u64,
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, ClusterError>> {
        Box::pin(async move {
            let cluster = Embedded::start(config(shape, seed)).await.map_err(ClusterError::new)?;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let server = cluster.serve(address).await.map_err(ClusterError::new)?;
            let subject = User::new(SUBJECT, ["system:masters"]);
            let token = cluster.service().authenticator().issue_token(&subject);
            let owner = server.kubeconfig(&User::admin());
            let newest = Mutex::new((cluster.store().newest(), cluster.tap().changes()));
            let up: Box<dyn Cluster> = Box::new(Up { cluster, server, subject, token, owner, newest });
            Ok(up)
        })
    }
}

fn config(shape: &ClusterShape, seed: u64) -> Config {
    let defaults = Config::default();
    let version = shape.kubernetes.as_deref().and_then(crate::scenario::minor);
    Config {
        seed,
        nodes: nodes(shape, &defaults.identity.region),
        kubernetes: version.unwrap_or(KUBERNETES),
        origin: shape.clock.map(|shift| shift.of(jiff::Timestamp::now())),
        ..defaults
    }
}

struct Up {
    cluster: Embedded,
    server: Server,
    subject: User,
    token: String,
    owner: String,
    newest: Mutex<(tokio::sync::watch::Receiver<u64>, tokio::sync::watch::Receiver<u64>)>,
}

impl Cluster for Up {
    fn now(&self) -> jiff::Timestamp {
        self.cluster.clock().now()
    }

    fn clock(&self) -> Option<Clock> {
        Some(self.cluster.clock())
    }

    fn admin(&self) -> kube::Client {
        kube::Client::new(self.cluster.service(), "default")
    }

    fn identity(&self) -> Identity {
        let identity = self.cluster.identity().clone();
        Identity {
            name: identity.name,
            region: identity.region,
            account: identity.account,
            endpoint: self.server.url(),
        }
    }

    fn kubeconfig(&self) -> String {
        self.server.kubeconfig_with_token(&self.token)
    }

    fn owner_kubeconfig(&self) -> String {
        self.owner.clone()
    }

    fn requests(&self) -> Vec<Recording> {
        let all = self.cluster.tap().recordings();
        // A request whose credentials were refused has no user; nobody but the installer sends such.
        all.into_iter().filter(|it| it.user == SUBJECT || it.user.is_empty()).collect()
    }

    fn nodes(&self) -> Option<&Nodes> {
        Some(self.cluster.nodes())
    }

    fn images(&self) -> Option<&Images> {
        Some(self.cluster.images())
    }

    fn tap(&self) -> Option<&Tap> {
        Some(self.cluster.tap())
    }

    fn reachable(&self, open: bool) -> BoxFuture<'_, Result<(), ClusterError>> {
        Box::pin(async move {
            if open {
                return self.server.open().await.map_err(ClusterError::new);
            }
            self.server.close().await;
            Ok(())
        })
    }

    fn authorized(&self, valid: bool) -> BoxFuture<'_, Result<(), ClusterError>> {
        Box::pin(async move {
            let authenticator = self.cluster.service().authenticator().clone();
            if valid {
                authenticator.accept_token(&self.token, &self.subject);
            } else {
                authenticator.revoke(SUBJECT);
            }
            Ok(())
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, ClusterError>> {
        Box::pin(async move {
            let store = self.cluster.store();
            let mut snapshot = Snapshot::default();
            for resource in store.resources() {
                for object in store.list(&resource, None).0 {
                    snapshot.insert(&resource.to_string(), object);
                }
            }
            Ok(snapshot)
        })
    }

    fn snapshot_of<'a>(&'a self, resource: &'a str) -> BoxFuture<'a, Result<Snapshot, ClusterError>> {
        Box::pin(async move {
            let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
            let mut snapshot = Snapshot::default();
            for object in self.cluster.store().list(&GroupResource::new(group, plural), None).0 {
                snapshot.insert(resource, object);
            }
            Ok(snapshot)
        })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut newest = self.newest.lock().await;
            let (store, requests) = &mut *newest;
            // A sender that is gone means that the cluster is; then there is nothing to wait for.
            tokio::select! {
                biased;
                _ = store.changed() => {}
                _ = requests.changed() => {}
            }
        })
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.cluster.settled())
    }

    fn down(self: Box<Self>) -> BoxFuture<'static, Result<(), ClusterError>> {
        Box::pin(async move {
            self.server.shutdown().await;
            Ok(())
        })
    }
}
