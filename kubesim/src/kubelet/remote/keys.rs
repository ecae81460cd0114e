//! By what kubelets and their API server know each other.

use std::net::{IpAddr, Ipv4Addr};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::transport::{Authority, ClientCertificate, Credentials, Error, User};

/// Certificates of the kubelets and of the API server that asks them. An API server reads them when it starts, so
/// kubelets that come and go while it runs need the same ones.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The certificate authority of both sides, in PEM.
    pub ca_pem: String,
    /// The kubelets' serving certificate for 127.0.0.1, in PEM.
    pub certificate: String,
    /// Its private key, in PEM.
    pub key: String,
    /// The certificate by which the kubelets know the API server.
    pub client: ClientCertificate,
}

impl Keys {
    /// New ones, of an authority that signs nothing else.
    ///
    /// # Errors
    /// When a certificate cannot be made.
    pub fn new() -> Result<Self, Error> {
        let authority = Authority::new()?;
        let serving = authority.leaf(IpAddr::V4(Ipv4Addr::LOCALHOST))?;
        let client = authority.client(&User::new("kube-apiserver-kubelet-client", ["system:masters"]))?;
        Ok(Self {
            ca_pem: authority.pem().to_owned(),
            certificate: serving.certificate,
            key: serving.key,
            client: ClientCertificate { certificate: client.certificate, key: client.key },
        })
    }

    pub(super) fn credentials(&self) -> Result<Credentials, Error> {
        Credentials::from_pem(&self.certificate, &self.key, &self.ca_pem)
    }

    /// The API server's certificate.
    pub(super) fn client_der(&self) -> Result<CertificateDer<'static>, Error> {
        CertificateDer::from_pem_slice(self.client.certificate.as_bytes())
            .map_err(|error| Error::Tls(error.to_string()))
    }
}
