//! A socket behind TLS, and what answers on it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::front::Front;
use super::server::Error;

/// How long a client may take over the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// By what a listener is known, and who may come with a certificate.
pub(crate) struct Credentials {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    /// The authority of its own certificate and of its clients'.
    authority: CertificateDer<'static>,
}

impl Credentials {
    /// Those of a certificate, its key, and the authority that has signed it and signs clients' certificates.
    pub(crate) fn from_pem(certificate: &str, key: &str, authority: &str) -> Result<Self, Error> {
        let tls = |error: &dyn std::fmt::Display| Error::Tls(error.to_string());
        Ok(Self {
            certificate: CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|e| tls(&e))?,
            key: PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| tls(&e))?,
            authority: CertificateDer::from_pem_slice(authority.as_bytes()).map_err(|e| tls(&e))?,
        })
    }
}

/// A listening socket. Dropping it ends it and every connection.
pub(crate) struct Listener {
    address: SocketAddr,
    front: Arc<dyn Front>,
    acceptor: TlsAcceptor,
    state: Mutex<State>,
}

enum State {
    Open(JoinHandle<()>),
    /// Bound and not listening: connections are refused, and nobody else can take the port.
    Closed(Option<TcpSocket>),
}

impl Listener {
    /// Listens on `address`, with the credentials that are made for where it came to be; port 0 takes a free one.
    pub(crate) async fn start(
        front: Arc<dyn Front>,
        address: SocketAddr,
        credentials: impl FnOnce(SocketAddr) -> Result<Credentials, Error>,
    ) -> Result<Self, Error> {
        let listen = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let bound = listener.local_addr().map_err(listen)?;
        let acceptor = acceptor(credentials(bound)?)?;
        let task = tokio::spawn(accept(listener, acceptor.clone(), front.clone()));
        Ok(Self { address: bound, front, acceptor, state: Mutex::new(State::Open(task)) })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.address
    }

    /// What answers.
    pub(crate) fn front(&self) -> &dyn Front {
        &*self.front
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops listening and breaks every connection. Closing a closed one does nothing.
    pub(crate) async fn close(&self) {
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

    /// Listens again on the same port. Opening an open one does nothing.
    pub(crate) async fn open(&self) -> Result<(), Error> {
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
}

impl Drop for Listener {
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

fn acceptor(credentials: Credentials) -> Result<TlsAcceptor, Error> {
    let tls = |error: &dyn std::fmt::Display| Error::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(credentials.authority.clone()).map_err(|e| tls(&e))?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|e| tls(&e))?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| tls(&e))?
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![credentials.certificate, credentials.authority], credentials.key)
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
