//! A whole cluster in this process.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::bootstrap;
use crate::clock::Clock;
use crate::controllers::{ControlLoop, LoadBalancers, RootCa};
use crate::discovery;
use crate::kubelet::{COREDNS_LOG, ContainerLogs, Images, Kubelets, NodeShape, Nodes};
use crate::status::Status;
use crate::store::Store;
use crate::tap::Tap;
use crate::transport::{self, ApiConfig, ApiService, ClusterIdentity, Server};

/// What a cluster is to be like.
#[derive(Clone, Debug)]
pub struct Config {
    /// Decides every uid and generated name.
    pub seed: u64,
    /// Minor version of Kubernetes, e.g. 37.
    pub kubernetes: u8,
    /// The nodes that it begins with.
    pub nodes: Vec<NodeShape>,
    /// How many times as fast as tokio time the cluster's clock runs.
    pub factor: f64,
    /// What its clock reads at the start; the time of day when `None`.
    pub origin: Option<Timestamp>,
    /// Whether it begins with what EKS installs: CoreDNS, kube-proxy, the VPC CNI.
    pub default_content: bool,
    /// Whether it has kubelets. Without them nodes and pods are what API clients make of them.
    pub kubelets: bool,
    /// Whether the cloud gives a load balancer to each Service of that type.
    pub load_balancers: bool,
    /// Its AWS identity.
    pub identity: ClusterIdentity,
}

impl Default for Config {
    /// Two ready nodes, EKS's content, real time.
    fn default() -> Self {
        let identity = ClusterIdentity::default();
        let nodes = (0..2).map(|number| NodeShape::numbered(number, &identity.region)).collect();
        Self {
            seed: 0,
            kubernetes: 37,
            nodes,
            factor: 1.0,
            origin: None,
            default_content: true,
            kubelets: true,
            load_balancers: true,
            identity,
        }
    }
}

/// Why a cluster did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A node of the configuration, or the default content, was refused.
    #[error("failed to fill the cluster: {}", .0.message)]
    Content(Status),
    /// It could not be put on a socket.
    #[error(transparent)]
    Serve(#[from] transport::Error),
}

/// A running cluster. Dropping it ends it.
pub struct Cluster {
    store: Store,
    service: ApiService,
    images: Images,
    nodes: Nodes,
    authority: RootCa,
    identity: ClusterIdentity,
    wake: Arc<Notify>,
    pings: mpsc::UnboundedSender<oneshot::Sender<()>>,
    control: JoinHandle<()>,
}

impl Cluster {
    /// Starts a cluster on the current tokio runtime. It is settled: what can be running runs.
    ///
    /// # Errors
    /// [`Error::Content`] for two nodes of one name.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let clock = Clock::new(config.origin.unwrap_or_else(Timestamp::now), config.factor);
        let store = Store::new(clock, config.seed);
        let wake = Arc::new(Notify::new());
        let images = Images::new(wake.clone(), store.clone());
        images.set_log("coredns", COREDNS_LOG);
        let nodes = Nodes::new(store.clone(), config.identity.region.clone(), wake.clone());
        nodes.are_of(discovery::git_version(config.kubernetes));
        let logs = ContainerLogs::new(store.clone());
        let authority = RootCa::default();
        let kubelets = Kubelets::new(nodes.clone(), images.clone(), logs.clone());
        let load_balancers = config.load_balancers.then(|| LoadBalancers::new(&config.identity.region));
        let kubelets = config.kubelets.then_some(kubelets);
        let mut control =
            ControlLoop::new(store.clone(), config.kubernetes, kubelets, authority.clone(), load_balancers);
        bootstrap::apply(&store, config.default_content).map_err(Error::Content)?;
        for shape in config.nodes {
            nodes.add(shape).map_err(Error::Content)?;
        }
        // A cluster that has been there for an hour has lost the events of its beginning.
        control.settle_silently();
        // Nor can anybody have watched it before.
        store.compact();
        let service = ApiService::new(ApiConfig {
            store: store.clone(),
            tap: Tap::new(),
            minor: config.kubernetes,
            logs: Arc::new(logs),
        });
        let (pings, asked) = mpsc::unbounded_channel();
        let control = tokio::spawn(control.run(wake.clone(), asked));
        let identity = config.identity;
        Ok(Self { store, service, images, nodes, authority, identity, wake, pings, control })
    }

    /// The cluster's state, for injecting and judging: what goes this way is not recorded.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The cluster's clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.store.clock()
    }

    /// The API in process, as the cluster's admin, through the tap.
    #[must_use]
    pub fn service(&self) -> ApiService {
        self.service.clone()
    }

    /// What records and breaks requests.
    #[must_use]
    pub fn tap(&self) -> &Tap {
        self.service.tap()
    }

    /// What containers do, by image.
    #[must_use]
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Its AWS identity.
    #[must_use]
    pub fn identity(&self) -> &ClusterIdentity {
        &self.identity
    }

    /// Puts the API on a socket, behind TLS. Port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be listened on, or certificates cannot be made.
    pub async fn serve(&self, address: SocketAddr) -> Result<Server, Error> {
        let server = Server::start(self.service.clone(), address, self.identity.clone()).await?;
        self.authority.set(&server.ca_pem());
        self.wake.notify_one();
        Ok(server)
    }

    /// Waits until controllers, scheduler and kubelets have nothing left to do now. What waits for a time
    /// that is yet to come is not waited for.
    pub async fn settled(&self) {
        let (done, settled) = oneshot::channel();
        // Without a loop there is nothing to wait for.
        if self.pings.send(done).is_ok() {
            let _ = settled.await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.control.abort();
    }
}
