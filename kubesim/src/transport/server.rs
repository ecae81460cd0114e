//! The API behind TLS on a socket.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::front::{Front, Peer};
use super::issuer::Authority;
use super::kubeconfig::{self, Credential};
use super::upstream::ClientCertificate;
use super::{ApiService, Authenticator, ClusterIdentity, User};

/// How long a client may take over the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why the API could not be put on a socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken, or not ours.
    #[error("failed to listen on {address}: {source}; free the port or ask for port 0")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// A certificate could not be made.
    #[error("failed to make the cluster's certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The certificates were not accepted by the TLS library.
    #[error("failed to set up TLS: {0}")]
    Tls(String),
    /// There is no standing before this server.
    #[error(
        "failed to stand before {url}: {why}; give the URL of an API server, as in https://127.0.0.1:6443"
    )]
    Upstream {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
}

/// A running server. Dropping it ends it and every connection.
pub struct Server {
    address: SocketAddr,
    identity: ClusterIdentity,
    authority: Authority,
    front: Arc<dyn Front>,
    acceptor: TlsAcceptor,
    state: Mutex<State>,
}

enum State {
    Open(JoinHandle<()>),
    /// Bound and not listening: connections are refused, and nobody else can take the port.
    Closed(Option<TcpSocket>),
}

impl Server {
    /// Serves `service` on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the certificates cannot be made.
    pub async fn start(
        service: ApiService,
        address: SocketAddr,
        identity: ClusterIdentity,
    ) -> Result<Self, Error> {
        Self::over(Arc::new(service), address, identity).await
    }

    /// Serves whatever stands behind.
    pub(crate) async fn over(
        front: Arc<dyn Front>,
        address: SocketAddr,
        identity: ClusterIdentity,
    ) -> Result<Self, Error> {
        let listen = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let bound = listener.local_addr().map_err(listen)?;
        let authority = Authority::new()?;
        let acceptor = acceptor(&authority, bound)?;
        let task = tokio::spawn(accept(listener, acceptor.clone(), front.clone()));
        Ok(Self {
            address: bound,
            identity,
            authority,
            front,
            acceptor,
            state: Mutex::new(State::Open(task)),
        })
    }

    /// `https://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The certificate authority, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.authority.pem().to_owned()
    }

    /// The AWS identity that kubeconfigs carry.
    #[must_use]
    pub fn identity(&self) -> &ClusterIdentity {
        &self.identity
    }

    /// The credentials that it accepts.
    #[must_use]
    pub fn authenticator(&self) -> &Authenticator {
        self.front.authenticator()
    }

    /// A certificate by which this server knows a front proxy, such as a [`super::Proxy`] before it.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn front_proxy(&self) -> Result<ClientCertificate, Error> {
        let pair = self.authority.client(&User { name: "front-proxy-client".into(), groups: Vec::new() })?;
        self.authenticator().accept_certificate(&pair.der, Peer::FrontProxy);
        Ok(ClientCertificate { certificate: pair.certificate, key: pair.key })
    }

    /// A kubeconfig (YAML) with a new bearer token for `user`.
    #[must_use]
    pub fn kubeconfig(&self, user: &User) -> String {
        self.kubeconfig_with_token(&self.authenticator().issue_token(user))
    }

    /// A kubeconfig (YAML) with this token, which the server may or may not know.
    #[must_use]
    pub fn kubeconfig_with_token(&self, token: &str) -> String {
        self.render(&Credential::Token(token.to_owned()))
    }

    /// A kubeconfig (YAML) with a new client certificate for `user`.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn kubeconfig_with_certificate(&self, user: &User) -> Result<String, Error> {
        let ClientCertificate { certificate, key } = self.client_certificate(user)?;
        Ok(self.render(&Credential::Certificate { certificate, key }))
    }

    /// A certificate by which this server knows `user`.
    pub(crate) fn client_certificate(&self, user: &User) -> Result<ClientCertificate, Error> {
        let pair = self.authority.client(user)?;
        self.authenticator().accept_certificate(&pair.der, Peer::User(user.clone()));
        Ok(ClientCertificate { certificate: pair.certificate, key: pair.key })
    }

    fn render(&self, credential: &Credential) -> String {
        kubeconfig::render(&self.identity.arn(), &self.url(), self.authority.pem(), credential)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops listening and breaks every connection: the API is unreachable, connections are refused.
    /// Closing a closed server does nothing.
    pub async fn close(&self) {
        let State::Open(task) = std::mem::replace(&mut *self.state(), State::Closed(None)) else {
            return;
        };
        task.abort();
        self.front.closed();
        // Only once the task has ended is its listener closed and the port free to be held.
        let _ = task.await;
        let held = hold(self.address).ok();
        let mut state = self.state();
        if let State::Closed(socket @ None) = &mut *state {
            *socket = held;
        }
    }

    /// Listens again on the same port. Opening an open server does nothing.
    ///
    /// # Errors
    /// When somebody else took the port meanwhile.
    pub async fn open(&self) -> Result<(), Error> {
        let listen = |source| Error::Listen { address: self.address, source };
        let mut state = self.state();
        let State::Closed(socket) = &mut *state else {
            return Ok(());
        };
        let socket = match socket.take() {
            Some(socket) => socket,
            None => hold(self.address).map_err(listen)?,
        };
        let listener = socket.listen(1024).map_err(listen)?;
        *state = State::Open(tokio::spawn(accept(listener, self.acceptor.clone(), self.front.clone())));
        Ok(())
    }

    /// Ends the server.
    pub async fn shutdown(self) {
        self.close().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let State::Open(task) = &*self.state() {
            task.abort();
            self.front.closed();
        }
    }
}

fn hold(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn acceptor(authority: &Authority, address: SocketAddr) -> Result<TlsAcceptor, Error> {
    let tls = |error: &dyn std::fmt::Display| Error::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.certificate().clone()).map_err(|e| tls(&e))?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|e| tls(&e))?;
    let (leaf, key) = authority.leaf(address.ip())?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| tls(&e))?
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![leaf, authority.certificate().clone()], key)
        .map_err(|e| tls(&e))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, front: Arc<dyn Front>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            accepted = listener.accept() => {
                // A failed accept is the client's (it went away) or a passing lack of descriptors.
                let Ok((stream, _)) = accepted else { tokio::task::yield_now().await; continue };
                connections.spawn(connection(stream, acceptor.clone(), front.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, front: Arc<dyn Front>) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else {
        return;
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).cloned();
    let peer = certificate.and_then(|certificate| front.authenticator().peer(&certificate));
    let breaker = Arc::new(Breaker::default());
    let tripped = breaker.clone();
    let service = hyper::service::service_fn(move |request| {
        let answer = front.serve(peer.as_ref(), request);
        let breaker = breaker.clone();
        async move {
            match answer.await {
                Ok(response) => Ok(response.map(|body| Watched { body, breaker })),
                Err(broken) => {
                    breaker.trip();
                    Err(broken)
                }
            }
        }
    });
    let io = TokioIo::new(Wire { stream, breaker: tripped.clone() });
    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    let serving = builder.serve_connection_with_upgrades(io, service);
    tokio::pin!(serving);
    tokio::select! {
        biased;
        () = tripped.wait() => {}
        _ = &mut serving => {}
    }
}

/// Breaks a connection for good: what is in flight is lost, and the peer gets a reset, not an end.
#[derive(Default)]
struct Breaker {
    broken: AtomicBool,
    notify: Notify,
}

impl Breaker {
    fn trip(&self) {
        self.broken.store(true, Ordering::SeqCst);
        self.notify.notify_one();
    }

    async fn wait(&self) {
        self.notify.notified().await;
    }
}

/// The connection, which resets instead of ending when its breaker has tripped.
struct Wire {
    stream: TlsStream<TcpStream>,
    breaker: Arc<Breaker>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.breaker.broken.load(Ordering::SeqCst) {
            let _ = self.stream.get_ref().0.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A body that trips the breaker when it breaks.
struct Watched {
    body: super::Body,
    breaker: Arc<Breaker>,
}

impl http_body::Body for Watched {
    type Data = bytes::Bytes;
    type Error = super::Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Err(_))) = &polled {
            self.breaker.trip();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
