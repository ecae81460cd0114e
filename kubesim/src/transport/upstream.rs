//! Connections to another API server.
//!
//! HTTP/1.1 only, whatever the client speaks: then a request that is broken on purpose, or a watch that is
//! given up, costs its own connection and no other's.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::server::Error;

/// A client certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// An API server to stand before.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// `https://<host>:<port>`.
    pub url: String,
    /// The certificate authority of its serving certificate, in PEM.
    pub ca_pem: String,
    /// The certificate by which it knows a front proxy.
    pub front_proxy: ClientCertificate,
}

/// Connections of one kind to one server, kept while nobody uses them.
pub(super) struct Connections {
    address: String,
    name: ServerName<'static>,
    tls: TlsConnector,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Connections {
    /// Connections to `upstream`, with the front proxy's certificate or with none.
    pub(super) fn new(upstream: &Upstream, with_certificate: bool) -> Result<Self, Error> {
        let wrong = |why: String| Error::Upstream { url: upstream.url.clone(), why };
        let uri: http::Uri = upstream.url.parse().map_err(|error| wrong(format!("{error}")))?;
        if uri.scheme_str() != Some("https") {
            return Err(wrong("it does not begin with https://".to_owned()));
        }
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(|error| wrong(error.to_string()))?;
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        let address = if uri.port().is_some() { authority } else { format!("{authority}:443") };
        let tls = |error: &dyn std::fmt::Display| Error::Tls(error.to_string());
        let mut roots = rustls::RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(upstream.ca_pem.as_bytes()) {
            roots.add(authority.map_err(|e| tls(&e))?).map_err(|e| tls(&e))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| tls(&e))?
            .with_root_certificates(roots);
        let mut config = if with_certificate {
            let pair = &upstream.front_proxy;
            let chain: Result<Vec<_>, _> =
                CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect();
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).map_err(|e| tls(&e))?;
            config.with_client_auth_cert(chain.map_err(|e| tls(&e))?, key).map_err(|e| tls(&e))?
        } else {
            config.with_no_client_auth()
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { address, name, tls: TlsConnector::from(Arc::new(config)), idle: Mutex::default() })
    }

    /// Host and port.
    pub(super) fn authority(&self) -> &str {
        &self.address
    }

    fn take(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(SendRequest::is_ready)
    }

    async fn dial(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect(self.name.clone(), stream).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // It ends when its sender and its answer are dropped; an error of it is seen by who awaits those.
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// When the server cannot be reached, or goes away before it answers.
    pub(super) async fn send(
        self: &Arc<Self>,
        mut request: Request<Full<Bytes>>,
    ) -> io::Result<Response<Incoming>> {
        // A kept connection may have been closed by the other side just now. What was not sent, and what
        // may be sent twice, goes over a new one.
        if let Some(mut kept) = self.take() {
            let again = request.method().is_safe().then(|| request.clone());
            match kept.try_send_request(request).await {
                Ok(response) => return Ok(self.keep(kept, response)),
                Err(mut error) => match error.take_message().or(again) {
                    Some(unsent) => request = unsent,
                    None => return Err(io::Error::other(error.into_error())),
                },
            }
        }
        let mut sender = self.dial().await?;
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        Ok(self.keep(sender, response))
    }

    /// Keeps a connection once its answer has been read to the end.
    fn keep(
        self: &Arc<Self>,
        mut sender: SendRequest<Full<Bytes>>,
        response: Response<Incoming>,
    ) -> Response<Incoming> {
        let connections = Arc::downgrade(self);
        tokio::spawn(async move {
            if sender.ready().await.is_ok()
                && let Some(connections) = connections.upgrade()
            {
                connections.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
            }
        });
        response
    }
}
