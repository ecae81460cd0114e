//! The tap before another API server: a reverse proxy that records and breaks requests.
//!
//! It authenticates clients itself and speaks for them as a front proxy, in `X-Remote-User` and
//! `X-Remote-Group`, so that a user keeps its name and its rights. kube-apiserver accepts that with
//!
//! ```text
//! --requestheader-client-ca-file=<the CA of Upstream::front_proxy>
//! --requestheader-username-headers=X-Remote-User
//! --requestheader-group-headers=X-Remote-Group
//! --requestheader-extra-headers-prefix=X-Remote-Extra-
//! ```
//!
//! and, if `--requestheader-allowed-names` is given, with the certificate's common name in it. Credentials
//! that this proxy does not know, such as service account tokens, are passed on for the server to judge.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::task::JoinSet;

use super::front::{Answer, Front, Peer, REMOTE, REMOTE_GROUP, REMOTE_USER, identify};
use super::service::collect;
use super::upstream::{Connections, Upstream};
use super::{Authenticator, Body, Broken, ClusterIdentity, Error, Server, User};
use crate::clock::Clock;
use crate::handlers::failure;
use crate::tap::{self, Asked, Tap};

/// A running proxy. Dropping it ends it and every connection.
pub struct Proxy {
    server: Server,
    tap: Tap,
}

impl Proxy {
    /// Stands before `upstream` on `address` (port 0 takes a free one), with a certificate authority of its
    /// own. Requests pass `tap`.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the upstream's URL or certificates cannot be used. That
    /// the upstream does not answer is no error: a client sees its connection break.
    pub async fn start(
        upstream: &Upstream,
        tap: Tap,
        address: SocketAddr,
        identity: ClusterIdentity,
    ) -> Result<Self, Error> {
        let forward = Forward {
            tap: tap.clone(),
            clock: Clock::new(Timestamp::now(), 1.0),
            authenticator: Authenticator::default(),
            known: Arc::new(Connections::new(upstream, true)?),
            unknown: Arc::new(Connections::new(upstream, false)?),
            bridges: Arc::default(),
        };
        let server = Server::over(Arc::new(forward), address, identity).await?;
        Ok(Self { server, tap })
    }

    /// The socket: URL, kubeconfigs, closing and opening it.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What records and breaks its requests.
    #[must_use]
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// The credentials for which it speaks itself.
    #[must_use]
    pub fn authenticator(&self) -> &Authenticator {
        self.server.authenticator()
    }

    /// Ends the proxy.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}

struct Forward {
    tap: Tap,
    clock: Clock,
    authenticator: Authenticator,
    /// For users whom this proxy vouches for.
    known: Arc<Connections>,
    /// For those whom the server has to recognise itself.
    unknown: Arc<Connections>,
    bridges: Bridges,
}

/// Connections that are no longer HTTP: exec, attach, port-forward.
type Bridges = Arc<Mutex<JoinSet<()>>>;

impl Front for Forward {
    fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    fn serve(&self, peer: Option<&Peer>, mut request: Request<hyper::body::Incoming>) -> Answer {
        let user = identify(&self.authenticator, peer, request.headers()).map(Arc::new);
        let upgrade =
            request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
        let connections = if user.is_some() { &self.known } else { &self.unknown };
        let (connections, bridges) = (connections.clone(), self.bridges.clone());
        let (tap, clock) = (self.tap.clone(), self.clock.clone());
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let asked = Asked::new(user, head, collect(body).await, &clock);
            tap::pass(&tap, &clock, asked, |asked| forward(asked, connections, upgrade, bridges)).await
        })
    }

    fn closed(&self) {
        self.bridges.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

async fn forward(
    asked: Asked,
    connections: Arc<Connections>,
    upgrade: Option<OnUpgrade>,
    bridges: Bridges,
) -> Result<Response<Body>, Broken> {
    let Asked { user, head, body, .. } = asked;
    let body = match body {
        Ok(body) => body,
        Err(status) => return Ok(failure(&status)),
    };
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = head.method;
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = path.into();
    *request.headers_mut() = onward(head.headers, user.as_deref(), upgrade.is_some());
    if let Ok(host) = HeaderValue::from_str(connections.authority()) {
        request.headers_mut().insert(header::HOST, host);
    }
    // Who asks a server that is not there sees a connection break, not an answer of ours.
    let mut response = connections.send(request).await.map_err(|_| Broken)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let server = hyper::upgrade::on(&mut response);
        let Some(client) = upgrade else { return Err(Broken) };
        let mut bridges = bridges.lock().unwrap_or_else(PoisonError::into_inner);
        while bridges.try_join_next().is_some() {}
        bridges.spawn(bridge(client, server));
        return Ok(response.map(|_| Body::whole(Bytes::new())));
    }
    *response.version_mut() = Version::default();
    without_hops(response.headers_mut());
    Ok(response.map(Body::passed))
}

async fn bridge(client: OnUpgrade, server: OnUpgrade) {
    let (Ok(client), Ok(server)) = (client.await, server.await) else { return };
    let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
    // Either side may go at any time; then the other is told by its connection's end.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

/// The headers of a request as they go on.
fn onward(mut headers: HeaderMap, user: Option<&User>, upgrade: bool) -> HeaderMap {
    if !upgrade {
        without_hops(&mut headers);
    }
    headers.remove(header::CONTENT_LENGTH);
    // Only a front proxy may say who asks.
    let claimed: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(REMOTE)).cloned().collect();
    for name in claimed {
        headers.remove(name);
    }
    if let Some(user) = user {
        headers.remove(header::AUTHORIZATION);
        if let Ok(name) = HeaderValue::from_str(&user.name) {
            headers.insert(REMOTE_USER, name);
        }
        for group in user.groups.iter().filter_map(|group| HeaderValue::from_str(group).ok()) {
            headers.append(REMOTE_GROUP, group);
        }
    }
    headers
}

/// Takes away what is about one connection only.
fn without_hops(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    for name in named {
        headers.remove(name.as_str());
    }
    for name in [header::CONNECTION, header::TE, header::TRAILER, header::TRANSFER_ENCODING, header::UPGRADE]
    {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "http2-settings"] {
        headers.remove(name);
    }
}
