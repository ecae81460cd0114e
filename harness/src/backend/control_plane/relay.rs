//! A way to a new API server for kube-controller-manager, which is told at once there that all is well.
//!
//! It begins with `GET /healthz` and asks again only a second later (`WaitForAPIServer` of k8s.io/controller-manager).
//! A new API server does not call itself healthy for its first second, because of hooks that see to objects which
//! prepared content has. That one question is answered here; whatever follows passes through untouched, byte by byte.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::pki;
use crate::backend::ClusterError;

/// How long a visitor may take to ask.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of a request is read: its first lines.
const HEAD: u64 = 16 * 1024;

const WELL: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
/// To whoever asks anything else, which is to be asked again.
const LATER: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A port that leads to the API server. Dropping it ends every connection through it.
pub(super) struct Relay {
    port: u16,
    _tasks: JoinSet<()>,
}

impl Relay {
    /// Opens one to the API server on port `api`, whose certificate it shows to the first visitor.
    pub(super) async fn open(keys: &Path, api: u16) -> Result<Self, ClusterError> {
        let failed = |error: io::Error| ClusterError::new(format!("open a way to kube-apiserver: {error}"));
        let acceptor = acceptor(keys).map_err(|error| failed(io::Error::other(error)))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, acceptor, api));
        Ok(Self { port, _tasks: tasks })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

fn acceptor(keys: &Path) -> Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
    let [certificate, key] = pki::SERVER.map(|name| keys.join(name));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(certificate)?],
            PrivateKeyDer::from_pem_file(key)?,
        )?;
    // One request and its answer, which HTTP/2 makes nothing of.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, api: u16) {
    loop {
        // A failed accept is the visitor's, who went away, or a passing lack of descriptors.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        if let Ok(Ok(true)) = timeout(PATIENCE, reassure(&acceptor, stream)).await {
            break;
        }
    }
    let mut passages = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { tokio::task::yield_now().await; continue };
                passages.spawn(pass(stream, api));
            }
            Some(_) = passages.join_next() => {}
        }
    }
}

/// Answers one request. Whether that was the question for which this is here.
async fn reassure(acceptor: &TlsAcceptor, stream: TcpStream) -> io::Result<bool> {
    let mut stream = BufReader::new(acceptor.accept(stream).await?);
    let mut head = (&mut stream).take(HEAD);
    let mut first = String::new();
    head.read_line(&mut first).await?;
    let mut line = String::new();
    while head.read_line(&mut line).await? > 0 && line.trim_end() != "" {
        line.clear();
    }
    let asked = first.starts_with("GET /healthz ");
    stream.write_all(if asked { WELL } else { LATER }).await?;
    stream.shutdown().await?;
    Ok(asked)
}

/// Ends with either end of it; there is nobody to tell why.
async fn pass(mut near: TcpStream, api: u16) {
    if let Ok(mut far) = TcpStream::connect((Ipv4Addr::LOCALHOST, api)).await {
        let _ = (near.set_nodelay(true), far.set_nodelay(true));
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::Request;
    use kube::{Client, Config};

    use super::*;

    /// A client that trusts the keys, of whatever listens on this port.
    fn client(keys: &Path, port: u16) -> Client {
        let mut config = Config::new(format!("https://127.0.0.1:{port}").parse().unwrap());
        config.root_cert = Some(vec![pki::der(keys, pki::CA).unwrap()]);
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    async fn ask(client: &Client, path: &str) -> Result<String, kube::Error> {
        client.request_text(Request::get(path).body(Vec::new()).unwrap()).await
    }

    #[tokio::test]
    async fn the_first_question_is_answered_and_all_else_passes() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path();
        pki::make(keys).unwrap();
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let relay = Relay::open(keys, server.local_addr().unwrap().port()).await.unwrap();
        // Who asks anything else first is sent away, and does not count.
        let refused = ask(&client(keys, relay.port()), "/api").await.unwrap_err();
        assert!(matches!(&refused, kube::Error::Api(status) if status.code == 503), "{refused}");
        assert_eq!(ask(&client(keys, relay.port()), "/healthz").await.unwrap(), "ok");
        // Bytes of no protocol at all, both ways, as far as the end of each.
        let talk = async {
            let mut visitor = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port())).await.unwrap();
            visitor.write_all(&[0, 255, 7]).await.unwrap();
            visitor.shutdown().await.unwrap();
            let mut heard = Vec::new();
            visitor.read_to_end(&mut heard).await.unwrap();
            heard
        };
        let listen = async {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            stream.write_all(b"heard").await.unwrap();
            heard
        };
        let (answer, question) = tokio::join!(talk, listen);
        assert_eq!((answer.as_slice(), question.as_slice()), (b"heard".as_slice(), [0, 255, 7].as_slice()));
        // With nobody behind it, it is as if nobody were here.
        drop(server);
        let mut visitor = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port())).await.unwrap();
        assert_eq!(visitor.read_to_end(&mut Vec::new()).await.unwrap_or(0), 0);
    }
}
