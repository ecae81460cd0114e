//! The API over TLS, with its tap in the server itself or in a proxy before it.

#![allow(dead_code, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kubesim::tap::Tap;
use kubesim::transport::{ClientCertificate, ClusterIdentity, Proxy, Server, Upstream, User};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Sim;

/// A port that nobody has.
pub const FREE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// An API on a socket.
pub struct Wire {
    /// What stands behind.
    pub sim: Sim,
    /// The server of `sim`.
    pub origin: Server,
    proxy: Option<Proxy>,
}

impl Wire {
    /// Served as it is, or with a proxy before it.
    pub async fn new(proxied: bool) -> Self {
        // Whoever is first installs it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let sim = Sim::new();
        let origin = Server::start(sim.service.clone(), FREE, ClusterIdentity::default()).await.unwrap();
        let mut proxy = None;
        if proxied {
            let upstream = upstream(&origin);
            let identity = ClusterIdentity::default();
            proxy = Some(Proxy::start(&upstream, Tap::new(), FREE, identity).await.unwrap());
        }
        Self { sim, origin, proxy }
    }

    /// What the client sees.
    pub fn server(&self) -> &Server {
        self.proxy.as_ref().map_or(&self.origin, Proxy::server)
    }

    /// What its requests pass.
    pub fn tap(&self) -> &Tap {
        self.proxy.as_ref().map_or(&self.sim.tap, Proxy::tap)
    }

    /// A client that asks once: no retries of its own.
    pub async fn client(&self, kubeconfig: &str) -> kube::Client {
        let kubeconfig = kube::config::Kubeconfig::from_yaml(kubeconfig).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        config.default_retry = false;
        kube::Client::try_from(config).unwrap()
    }

    /// A client of its admin.
    pub async fn admin(&self) -> kube::Client {
        self.client(&self.server().kubeconfig(&User::admin())).await
    }
}

/// How a proxy finds a server of ours.
pub fn upstream(server: &Server) -> Upstream {
    Upstream { url: server.url(), ca_pem: server.ca_pem(), front_proxy: server.front_proxy().unwrap() }
}

/// A TLS connection that speaks `protocol`.
pub async fn dial(
    address: SocketAddr,
    ca_pem: &str,
    certificate: Option<&ClientCertificate>,
    protocol: &str,
) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match certificate {
        None => config.with_no_client_auth(),
        Some(pair) => {
            let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

/// A GET with this token.
pub fn get(path: &str, token: &str) -> http::request::Builder {
    Request::get(path).header("host", "127.0.0.1").header("authorization", format!("Bearer {token}"))
}

/// Sends one request over HTTP/1.1.
pub async fn send(server: &Server, request: http::request::Builder) -> hyper::Result<Response<Incoming>> {
    let io = TokioIo::new(dial(server.addr(), &server.ca_pem(), None, "http/1.1").await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    tokio::spawn(connection.with_upgrades());
    sender.send_request(request.body(Full::new(Bytes::new())).unwrap()).await
}

/// Sends requests over one HTTP/2 connection, all at once.
pub async fn send_h2(server: &Server, requests: Vec<http::request::Builder>) -> Vec<Response<Incoming>> {
    let io = TokioIo::new(dial(server.addr(), &server.ca_pem(), None, "h2").await);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let answers = requests.into_iter().map(|request| {
        let mut sender = sender.clone();
        async move { sender.send_request(request.body(Full::new(Bytes::new())).unwrap()).await.unwrap() }
    });
    futures::future::join_all(answers).await
}

/// A body's text.
pub async fn text(response: Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}
