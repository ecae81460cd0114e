//! A real control plane for tests: etcd, kube-apiserver, kube-controller-manager and kube-scheduler from the
//! folder that `KUBEBUILDER_ASSETS` names, as children of the test.

#![allow(dead_code, clippy::unwrap_used)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kubesim::kubelet::remote::Remote;
use kubesim::transport::{ClientCertificate, Upstream};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

const TOKEN: &str = "test-admin";

/// A running control plane. Dropping it ends it.
pub struct ControlPlane {
    children: Vec<Child>,
    dir: Arc<tempfile::TempDir>,
    url: String,
    ca_pem: String,
    front_proxy: ClientCertificate,
}

/// The folder with the binaries; `None`, said aloud, when there is none.
pub fn binaries() -> Option<PathBuf> {
    let dir = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let complete = |dir: &PathBuf| {
        ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
            .iter()
            .all(|name| dir.join(name).is_file())
    };
    if let Some(dir) = dir.filter(complete) {
        return Some(dir);
    }
    assert_ne!(
        std::env::var("SEATRIAL_REQUIRE_CONTROL_PLANE").as_deref(),
        Ok("1"),
        "KUBEBUILDER_ASSETS names no control plane, and SEATRIAL_REQUIRE_CONTROL_PLANE wants one"
    );
    // Past the test harness, which would keep a `println!` to itself.
    let line = "SKIPPED: KUBEBUILDER_ASSETS names no folder with a control plane\n";
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    None
}

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Ca {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self, name: &str, hosts: &[&str], usage: ExtendedKeyUsagePurpose) -> ClientCertificate {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        ClientCertificate { certificate, key: key.serialize_pem() }
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl ControlPlane {
    /// Starts one that asks `kubelets` for logs, and waits until it is ready.
    pub async fn start(binaries: &Path, kubelets: &Remote) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (ca, proxies) = (Ca::new("kubernetes"), Ca::new("front-proxy"));
        let serving = ca.sign("kube-apiserver", &["127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth);
        let front_proxy = proxies.sign("front-proxy-client", &[], ExtendedKeyUsagePurpose::ClientAuth);
        let accounts = KeyPair::generate().unwrap();
        let (client, peer, api) = (free_port(), free_port(), free_port());
        let url = format!("https://127.0.0.1:{api}");
        let mut this =
            Self { children: Vec::new(), dir: dir.clone(), url, ca_pem: ca.pem.clone(), front_proxy };
        let run = |this: &mut Self, name: &str, args: Vec<String>| {
            let log = std::fs::File::create(this.dir.path().join(format!("{name}.log"))).unwrap();
            let child = Command::new(binaries.join(name))
                .args(args)
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap();
            this.children.push(child);
        };
        let etcd = format!("http://127.0.0.1:{client}");
        let peers = format!("http://127.0.0.1:{peer}");
        run(
            &mut this,
            "etcd",
            vec![
                format!("--data-dir={}", dir.path().join("etcd").display()),
                "--unsafe-no-fsync".into(),
                format!("--listen-client-urls={etcd}"),
                format!("--advertise-client-urls={etcd}"),
                format!("--listen-peer-urls={peers}"),
                format!("--initial-advertise-peer-urls={peers}"),
                format!("--initial-cluster=default={peers}"),
            ],
        );
        let account_key = file("accounts.key", &accounts.serialize_pem());
        run(
            &mut this,
            "kube-apiserver",
            vec![
                format!("--etcd-servers={etcd}"),
                format!("--secure-port={api}"),
                "--bind-address=127.0.0.1".into(),
                "--advertise-address=127.0.0.1".into(),
                "--endpoint-reconciler-type=none".into(),
                "--authorization-mode=Node,RBAC".into(),
                "--service-cluster-ip-range=10.100.0.0/16".into(),
                "--service-account-issuer=https://kubernetes.default.svc".into(),
                format!("--service-account-key-file={}", file("accounts.pub", &accounts.public_key_pem())),
                format!("--service-account-signing-key-file={account_key}"),
                format!("--tls-cert-file={}", file("api.crt", &serving.certificate)),
                format!("--tls-private-key-file={}", file("api.key", &serving.key)),
                format!("--cert-dir={}", dir.path().join("certs").display()),
                format!(
                    "--token-auth-file={}",
                    file("tokens.csv", &format!("{TOKEN},admin,1,system:masters\n"))
                ),
                format!("--requestheader-client-ca-file={}", file("proxies.crt", &proxies.pem)),
                "--requestheader-username-headers=X-Remote-User".into(),
                "--requestheader-group-headers=X-Remote-Group".into(),
                "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
                "--kubelet-preferred-address-types=Loopback".into(),
                format!("--kubelet-certificate-authority={}", file("kubelets.crt", &kubelets.ca_pem())),
                format!(
                    "--kubelet-client-certificate={}",
                    file("kubelet-client.crt", &kubelets.client().certificate)
                ),
                format!("--kubelet-client-key={}", file("kubelet-client.key", &kubelets.client().key)),
            ],
        );
        let kubeconfig = file("kubeconfig", &this.kubeconfig());
        let root = file("ca.crt", &ca.pem);
        this.wait_ready().await;
        run(
            &mut this,
            "kube-controller-manager",
            vec![
                format!("--kubeconfig={kubeconfig}"),
                "--secure-port=0".into(),
                "--leader-elect=false".into(),
                format!("--service-account-private-key-file={account_key}"),
                format!("--root-ca-file={root}"),
                "--use-service-account-credentials=true".into(),
            ],
        );
        run(
            &mut this,
            "kube-scheduler",
            vec![
                format!("--kubeconfig={kubeconfig}"),
                "--secure-port=0".into(),
                "--leader-elect=false".into(),
            ],
        );
        this
    }

    async fn wait_ready(&mut self) {
        let client = self.client().await;
        let began = Instant::now();
        loop {
            let ready = http::Request::get("/readyz").body(Vec::new()).unwrap();
            match client.request_text(ready).await {
                Ok(_) => return,
                Err(error) => {
                    let dead = self.children.iter_mut().any(|child| child.try_wait().unwrap().is_some());
                    assert!(!dead && began.elapsed() < Duration::from_secs(120), "{error}: {}", self.logs());
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// The last lines of every component.
    pub fn logs(&self) -> String {
        let names = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
        let tail = |name: &&str| {
            let text =
                std::fs::read_to_string(self.dir.path().join(format!("{name}.log"))).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            format!("--- {name}\n{}\n", lines[lines.len().saturating_sub(15)..].join("\n"))
        };
        names.iter().map(tail).collect()
    }

    /// A kubeconfig of its admin.
    pub fn kubeconfig(&self) -> String {
        use base64::Engine as _;
        let ca = base64::engine::general_purpose::STANDARD.encode(&self.ca_pem);
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"{}\", \
             certificate-authority-data: {ca}}}}}]\nusers: [{{name: c, user: {{token: {TOKEN}}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: c}}}}]\n",
            self.url
        )
    }

    /// A client of its admin.
    pub async fn client(&self) -> kube::Client {
        drop(rustls::crypto::ring::default_provider().install_default());
        let kubeconfig = kube::config::Kubeconfig::from_yaml(&self.kubeconfig()).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        config.default_retry = false;
        kube::Client::try_from(config).unwrap()
    }

    /// How a proxy finds it.
    pub fn upstream(&self) -> Upstream {
        Upstream { url: self.url.clone(), ca_pem: self.ca_pem.clone(), front_proxy: self.front_proxy.clone() }
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
