//! The same kubelets as clients of another API server.
//!
//! They work on a mirror of its nodes, of the pods that are bound to them and of what pods are configured by
//! ([`crate::store`]): what changes there is put into the mirror ([`follow`]), and what they write is pushed there ([`push`]). Logs
//! are served as a kubelet serves them ([`serve`]), for the API server to ask for.
//!
//! Every node of the cluster is taken to be theirs, also one that somebody else registers, as in the
//! embedded cluster: so this is for clusters that have no kubelets of their own.
//!
//! kube-apiserver finds them and trusts them, and they it, with
//!
//! ```text
//! --kubelet-preferred-address-types=Loopback
//! --kubelet-certificate-authority=<file with Remote::ca_pem()>
//! --kubelet-client-certificate=<file with Remote::client().certificate>
//! --kubelet-client-key=<file with Remote::client().key>
//! ```
//!
//! A node's internal address stays the one that it has in its cloud; that it is reached at 127.0.0.1 is said
//! by an address of a type of its own.

mod follow;
mod keys;
mod push;
mod serve;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;

use super::{ContainerLogs, Images, Kubelets, Nodes, locked};
use crate::clock::Clock;
use crate::controllers::ControlLoop;
use crate::store::Store;
use crate::transport::{self, ClientCertificate, Listener};

pub use keys::Keys;

/// Type of the address at which the API server reaches a kubelet.
pub(super) const LOOPBACK: &str = "Loopback";

/// Why kubelets could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Logs cannot be served.
    #[error(transparent)]
    Serve(#[from] transport::Error),
    /// The API server did not say of what version it is.
    #[error("failed to read the version of the kubelets' API server: {source}")]
    Version {
        /// What came back.
        source: Box<kube::Error>,
    },
    /// The API server did not say what there is.
    #[error("failed to list {resource} for the kubelets: {source}")]
    List {
        /// What was asked for.
        resource: &'static str,
        /// What came back.
        source: Box<kube::Error>,
    },
}

/// Kubelets of another cluster. Dropping them ends them; their nodes then stop renewing their leases.
pub struct Remote {
    store: Store,
    images: Images,
    nodes: Nodes,
    listener: Listener,
    keys: Keys,
    problems: Problems,
    pings: mpsc::UnboundedSender<oneshot::Sender<()>>,
    control: Mutex<Option<Control>>,
    tasks: Mutex<JoinSet<()>>,
}

/// What the API server would not accept, in the order in which it was refused.
type Problems = Arc<Mutex<Vec<String>>>;

/// The control loop, until it runs.
struct Control {
    control: ControlLoop,
    wake: Arc<Notify>,
    asked: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
}

impl Remote {
    /// Kubelets in a region that serve their logs on a free port of 127.0.0.1, and wait for a client.
    ///
    /// # Errors
    /// When the port cannot be listened on, or certificates cannot be made.
    pub async fn listen(region: &str) -> Result<Self, Error> {
        Self::listen_with(region, Keys::new()?).await
    }

    /// The same with keys that an API server knows already.
    ///
    /// # Errors
    /// When the port cannot be listened on, or the keys cannot be used.
    pub async fn listen_with(region: &str, keys: Keys) -> Result<Self, Error> {
        let clock = Clock::new(Timestamp::now(), 1.0);
        let store = Store::mirror(clock);
        let wake = Arc::new(Notify::new());
        let images = Images::new(wake.clone(), store.clone());
        images.set_log("coredns", super::COREDNS_LOG);
        let logs = ContainerLogs::new(store.clone());
        let front = Arc::new(serve::KubeletApi::new(store.clone(), logs.clone(), &keys.client_der()?));
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Listener::start(front, free, |_| keys.credentials()).await?;
        let nodes = Nodes::new(store.clone(), region.to_owned(), wake.clone());
        nodes.reached_at(listener.addr().port());
        let kubelets = Kubelets::new(nodes.clone(), images.clone(), logs).of_a_mirror();
        let control = ControlLoop::of_kubelets(store.clone(), kubelets);
        let (pings, asked) = mpsc::unbounded_channel();
        Ok(Self {
            store,
            images,
            nodes,
            listener,
            keys,
            problems: Problems::default(),
            pings,
            control: Mutex::new(Some(Control { control, wake, asked })),
            tasks: Mutex::default(),
        })
    }

    /// The certificate authority of the kubelets' serving certificate, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.keys.ca_pem.clone()
    }

    /// The certificate by which they know the API server.
    #[must_use]
    pub fn client(&self) -> &ClientCertificate {
        &self.keys.client
    }

    /// The port of all of them.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listener.addr().port()
    }

    /// Begins the work, as whoever `client` is. A second call changes nothing.
    ///
    /// # Errors
    /// When its version cannot be read, or nodes or pods cannot be listed. Later failures are tried again for as long as
    /// it takes.
    pub async fn start(&self, client: kube::Client) -> Result<(), Error> {
        let version = client.apiserver_version().await;
        let version = version.map_err(|error| Error::Version { source: Box::new(error) })?;
        self.nodes.are_of(version.git_version);
        let mut followed = Vec::new();
        for source in &follow::SOURCES {
            let version = follow::list(&client, source, &self.store)
                .await
                .map_err(|error| Error::List { resource: source.plural, source: Box::new(error) })?;
            followed.push((source, version));
        }
        let Some(Control { control, wake, asked }) = locked(&self.control).take() else { return Ok(()) };
        let mut tasks = locked(&self.tasks);
        for (source, version) in followed {
            tasks.spawn(follow::follow(client.clone(), source, self.store.clone(), version));
        }
        tasks.spawn(push::push(client, self.store.clone(), self.problems.clone(), wake.clone()));
        tasks.spawn(control.run(wake, asked));
        Ok(())
    }

    /// The nodes. What is done to them reaches the API server a moment later; see [`Remote::settled`].
    #[must_use]
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// What containers do, by image.
    #[must_use]
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// What the API server would not accept of what the kubelets said: nothing, unless the two disagree
    /// about what is valid.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        locked(&self.problems).clone()
    }

    /// Waits until the kubelets have nothing left to do now, and the API server has been told all of it.
    pub async fn settled(&self) {
        let mut newest = self.store.newest();
        loop {
            newest.borrow_and_update();
            let (done, settled) = oneshot::channel();
            if self.pings.send(done).is_err() || settled.await.is_err() {
                return;
            }
            if !self.store.owes() {
                return;
            }
            if newest.changed().await.is_err() {
                return;
            }
        }
    }
}
