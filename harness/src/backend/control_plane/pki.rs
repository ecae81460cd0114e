//! Keys and certificates of a control plane, made once per prepared state and read from files ever after.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};

use kubesim::kubelet::remote::Keys;
use kubesim::transport::ClientCertificate;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;

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

/// Whether all of it is there, belongs together and is good now. A cache is kept for months, copied between machines
/// and cut off by full disks, and a clock may be wrong on the day when it is filled, or on the day when it is used.
///
/// # Errors
/// What is wrong with the first file that is.
pub(super) fn check(folder: &Path) -> Result<(), ClusterError> {
    let now = UnixTime::now();
    let wrong = |name: &str, why: &dyn std::fmt::Display| {
        ClusterError::new(format!("use {}: {why}", folder.join(name).display()))
    };
    for (ca, pair, of) in [
        (CA, SERVER, Some("localhost")),
        (CA, ADMIN, None),
        (CA, CONTROLLERS, None),
        (CA, SCHEDULER, None),
        (KUBELETS_CA, KUBELET, Some("127.0.0.1")),
        (KUBELETS_CA, KUBELET_CLIENT, None),
        (FRONT_CA, FRONT, None),
    ] {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(der(folder, ca)?.into()).map_err(|error| wrong(ca, &error))?;
        let roots = Arc::new(roots);
        let certificate = CertificateDer::from(der(folder, pair[0])?);
        let key = private_key(folder, pair[1])?;
        let key = provider.key_provider.load_private_key(key).map_err(|error| wrong(pair[1], &error))?;
        let both = CertifiedKey::new(vec![certificate.clone()], key);
        both.keys_match().map_err(|error| wrong(pair[1], &error))?;
        match of {
            Some(name) => {
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
                let name = ServerName::try_from(name).map_err(|error| wrong(pair[0], &error))?;
                let verifier = verifier.map_err(|error| wrong(ca, &error))?;
                verifier.verify_server_cert(&certificate, &[], &name, &[], now).map(drop)
            }
            None => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                let verifier = verifier.map_err(|error| wrong(ca, &error))?;
                verifier.verify_client_cert(&certificate, &[], now).map(drop)
            }
        }
        .map_err(|error| wrong(pair[0], &error))?;
    }
    private_key(folder, ACCOUNTS[0])?;
    read(folder, ACCOUNTS[1]).map(drop)
}

fn private_key(folder: &Path, name: &str) -> Result<PrivateKeyDer<'static>, ClusterError> {
    let path = folder.join(name);
    let read = PrivateKeyDer::from_pem_file(&path);
    read.map_err(|error| ClusterError::new(format!("read {}: {error}", path.display())))
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

    /// Signs what was valid for a day, so many days from now.
    #[cfg(test)]
    fn server_of_the_day(&self, days: i64) -> io::Result<(String, String)> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).map_err(io::Error::other)?;
        let day = |days: i64| {
            let day =
                jiff::Zoned::now().checked_add(jiff::Span::new().days(days)).map_err(io::Error::other)?;
            let part = |number: i8| u8::try_from(number).map_err(io::Error::other);
            Ok::<_, io::Error>(rcgen::date_time_ymd(day.year().into(), part(day.month())?, part(day.day())?))
        };
        (params.not_before, params.not_after) = (day(days)?, day(days + 1)?);
        params.distinguished_name = subject("kube-apiserver", None);
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth)
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

/// Puts a serving certificate into a folder that was valid for a day, so many days from now, and all that belongs to it.
#[cfg(test)]
pub(super) fn make_of_the_day(folder: &Path, days: i64) -> io::Result<()> {
    let authority = Authority::new("kubernetes")?;
    let files = [CA, SERVER[0], SERVER[1], ADMIN[0], ADMIN[1]];
    for name in files {
        std::fs::remove_file(folder.join(name))?;
    }
    write(folder, CA, &authority.pem)?;
    pair(folder, SERVER, authority.server_of_the_day(days)?)?;
    pair(folder, ADMIN, authority.client("kubernetes-admin", Some("system:masters"))?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn made() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path()).unwrap();
        folder
    }

    fn refused(folder: &tempfile::TempDir) -> String {
        check(folder.path()).unwrap_err().to_string()
    }

    #[test]
    fn what_was_just_made_is_good() {
        check(made().path()).unwrap();
    }

    #[test]
    fn what_has_expired_or_is_not_valid_yet_is_not_good() {
        for (days, why) in [(-10, "certificate expired"), (10, "certificate not valid yet")] {
            let folder = made();
            make_of_the_day(folder.path(), days).unwrap();
            let words = refused(&folder);
            assert!(words.contains(SERVER[0]) && words.contains(why), "{words}");
        }
    }

    #[test]
    fn what_is_missing_cut_off_or_of_another_authority_is_not_good() {
        let folder = made();
        std::fs::remove_file(folder.path().join(FRONT_CA)).unwrap();
        assert!(refused(&folder).contains(FRONT_CA));
        let folder = made();
        std::fs::write(folder.path().join(SCHEDULER[1]), "-----BEGIN PRIVATE KEY-----\nMIG").unwrap();
        assert!(refused(&folder).contains(SCHEDULER[1]));
        let (folder, other) = (made(), made());
        for name in KUBELET {
            std::fs::copy(other.path().join(name), folder.path().join(name)).unwrap();
        }
        assert!(refused(&folder).contains(KUBELET[0]));
        let folder = made();
        std::fs::copy(other.path().join(ADMIN[1]), folder.path().join(ADMIN[1])).unwrap();
        assert!(refused(&folder).contains(ADMIN[1]));
        std::fs::remove_file(other.path().join(ACCOUNTS[0])).unwrap();
        assert!(refused(&other).contains(ACCOUNTS[0]));
    }
}
