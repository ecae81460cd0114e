//! Keys and certificates of a control plane, made once per prepared state and read from files ever after.

use std::io;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};

use kubesim::kubelet::remote::Keys;
use kubesim::transport::ClientCertificate;

use crate::backend::ClusterError;

/// The cluster's certificate authority.
pub(super) const CA: &str = "ca.crt";
/// Serving certificate of every component, and its key.
pub(super) const SERVER: [&str; 2] = ["server.crt", "server.key"];
/// Client certificate of whom nothing is forbidden, and its key.
pub(super) const ADMIN: [&str; 2] = ["admin.crt", "admin.key"];
/// The authority of the kubelets' certificate and of that by which kube-apiserver asks them.
pub(super) const KUBELETS_CA: &str = "kubelets-ca.crt";
/// Serving certificate of every kubelet, and its key.
pub(super) const KUBELET: [&str; 2] = ["kubelet.crt", "kubelet.key"];
/// Client certificate by which kube-apiserver asks a kubelet, and its key.
pub(super) const KUBELET_CLIENT: [&str; 2] = ["kubelet-client.crt", "kubelet-client.key"];
/// The authority by which kube-apiserver knows a front proxy.
pub(super) const FRONT_CA: &str = "front-proxy-ca.crt";
/// The front proxy's client certificate, and its key.
pub(super) const FRONT: [&str; 2] = ["front-proxy.crt", "front-proxy.key"];
/// The key that service account tokens are signed with, and its public half.
pub(super) const ACCOUNTS: [&str; 2] = ["sa.key", "sa.pub"];

/// The controllers.
pub(super) const CONTROLLERS: [&str; 2] = ["controllers.crt", "controllers.key"];
/// The scheduler.
pub(super) const SCHEDULER: [&str; 2] = ["scheduler.crt", "scheduler.key"];

/// Makes all of it in a folder that only we can read.
pub(super) fn make(folder: &Path) -> Result<(), ClusterError> {
    made(folder)
        .map_err(|error| ClusterError::new(format!("make certificates in {}: {error}", folder.display())))
}

fn made(folder: &Path) -> io::Result<()> {
    let authority = Authority::new("kubernetes")?;
    write(folder, CA, &authority.pem)?;
    pair(folder, SERVER, authority.server()?)?;
    pair(folder, ADMIN, authority.client("kubernetes-admin", Some("system:masters"))?)?;
    // Without credentials of its own for each controller (see `components`) the one it has must be for all.
    pair(folder, CONTROLLERS, authority.client("system:kube-controller-manager", Some("system:masters"))?)?;
    pair(folder, SCHEDULER, authority.client("system:kube-scheduler", None)?)?;
    let kubelets = Keys::new().map_err(io::Error::other)?;
    write(folder, KUBELETS_CA, &kubelets.ca_pem)?;
    pair(folder, KUBELET, (kubelets.certificate, kubelets.key))?;
    pair(folder, KUBELET_CLIENT, (kubelets.client.certificate, kubelets.client.key))?;
    let front = Authority::new("front-proxy")?;
    write(folder, FRONT_CA, &front.pem)?;
    pair(folder, FRONT, front.client("front-proxy-client", None)?)?;
    let accounts = KeyPair::generate().map_err(io::Error::other)?;
    write(folder, ACCOUNTS[0], &accounts.serialize_pem())?;
    write(folder, ACCOUNTS[1], &accounts.public_key_pem())
}

/// A file's text.
pub(super) fn read(folder: &Path, name: &str) -> Result<String, ClusterError> {
    let path = folder.join(name);
    std::fs::read_to_string(&path)
        .map_err(|error| ClusterError::new(format!("read {}: {error}", path.display())))
}

/// A certificate and its key.
pub(super) fn read_pair(folder: &Path, names: [&str; 2]) -> Result<ClientCertificate, ClusterError> {
    Ok(ClientCertificate { certificate: read(folder, names[0])?, key: read(folder, names[1])? })
}

/// By what kubelets and kube-apiserver know each other.
pub(super) fn kubelets(folder: &Path) -> Result<Keys, ClusterError> {
    let ClientCertificate { certificate, key } = read_pair(folder, KUBELET)?;
    let client = read_pair(folder, KUBELET_CLIENT)?;
    Ok(Keys { ca_pem: read(folder, KUBELETS_CA)?, certificate, key, client })
}

/// A certificate's bytes.
pub(super) fn der(folder: &Path, name: &str) -> Result<Vec<u8>, ClusterError> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let path = folder.join(name);
    let read = CertificateDer::from_pem_file(&path);
    let der = read.map_err(|error| ClusterError::new(format!("read {}: {error}", path.display())))?;
    Ok(der.to_vec())
}

fn pair(folder: &Path, names: [&str; 2], made: (String, String)) -> io::Result<()> {
    write(folder, names[0], &made.0)?;
    write(folder, names[1], &made.1)
}

fn write(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(name))?;
    file.write_all(text.as_bytes())
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let pem = params.self_signed(&key).map_err(io::Error::other)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    fn server(&self) -> io::Result<(String, String)> {
        let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let mut params =
            CertificateParams::new(names.map(str::to_owned).to_vec()).map_err(io::Error::other)?;
        let addresses = [[127, 0, 0, 1], [10, 100, 0, 1]];
        params.subject_alt_names.extend(addresses.map(|it| SanType::IpAddress(it.into())));
        params.distinguished_name = subject("kube-apiserver", None);
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    fn client(&self, user: &str, group: Option<&str>) -> io::Result<(String, String)> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(user, group);
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
    ) -> io::Result<(String, String)> {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

fn subject(name: &str, group: Option<&str>) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    if let Some(group) = group {
        subject.push(DnType::OrganizationName, group);
    }
    subject
}
