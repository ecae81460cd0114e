//! The API behind TLS on a socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::front::{Front, Peer};
use super::issuer::Authority;
use super::kubeconfig::{self, Credential};
use super::listener::{Credentials, Listener};
use super::upstream::ClientCertificate;
use super::{ApiService, Authenticator, ClusterIdentity, User};

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
    identity: ClusterIdentity,
    authority: Authority,
    listener: Listener,
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
        let authority = Authority::new()?;
        let listener = Listener::start(front, address, |bound| {
            let leaf = authority.leaf(bound.ip())?;
            Credentials::from_pem(&leaf.certificate, &leaf.key, authority.pem())
        })
        .await?;
        Ok(Self { identity, authority, listener })
    }

    /// `https://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.addr())
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.listener.addr()
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
        self.listener.front().authenticator()
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

    /// Stops listening and breaks every connection: the API is unreachable, connections are refused.
    /// Closing a closed server does nothing.
    pub async fn close(&self) {
        self.listener.close().await;
    }

    /// Listens again on the same port. Opening an open server does nothing.
    ///
    /// # Errors
    /// When somebody else took the port meanwhile.
    pub async fn open(&self) -> Result<(), Error> {
        self.listener.open().await
    }

    /// Ends the server.
    pub async fn shutdown(self) {
        self.close().await;
    }
}
