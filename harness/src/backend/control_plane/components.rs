//! How each component is started: its flags, and why those.

use std::path::Path;

use super::pki;
use crate::backend::ClusterError;

/// The network of Services, as on EKS.
const SERVICES: &str = "10.100.0.0/16";

/// Paths of health and figures, which components answer without asking the API server who asks.
const OPEN_PATHS: &str = "/healthz,/readyz,/livez,/metrics";

/// So that a component can listen beside the socket that holds its port.
pub(super) const SHARE: &str = "--permit-port-sharing";

/// Requests a second that controllers and scheduler may make. Their own defaults (20 and 50) keep large clusters
/// alive; here they would only make small ones slow.
const RATE: u16 = 1000;

/// How Go's collector is set: a component that starts makes garbage for a second and little after that, and collecting
/// it takes a sixth of the start. Of a large cluster it is to keep no more than this much.
pub(super) const ENVIRONMENT: [(&str, &str); 2] = [("GOGC", "400"), ("GOMEMLIMIT", "4GiB")];

/// A file that comes when somebody writes it into the pipe. Each component is given it for one that it reads once, when
/// it has made all that it makes without its server, and before it asks that server anything (`ApplyTo` of the options
/// of each).
const LATE: &str = "/dev/stdin";

/// What the API server is given through it: nothing else than what it does without such a file.
pub(super) const NO_EGRESS_SELECTOR: &str =
    r#"{"apiVersion": "apiserver.k8s.io/v1beta1", "kind": "EgressSelectorConfiguration"}"#;

/// Ports of one control plane, all on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) etcd: u16,
    pub(super) api: u16,
}

/// Where an API server on this port is.
pub(super) fn url(api: u16) -> String {
    format!("https://127.0.0.1:{api}")
}

/// A store that nobody needs after a power cut.
pub(super) fn etcd(ports: Ports, folder: &Path, name: &str) -> Vec<String> {
    let url = format!("http://127.0.0.1:{}", ports.etcd);
    // The only member never asks a peer; port 0 keeps it from taking a port that is known.
    let peer = "http://127.0.0.1:2380";
    vec![
        format!("--name={name}"),
        format!("--data-dir={}", folder.join("etcd").display()),
        "--unsafe-no-fsync".into(),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        "--listen-peer-urls=http://127.0.0.1:0".into(),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster={name}={peer}"),
        // A whole cluster's content is put back in one transaction.
        "--max-txn-ops=1000000".into(),
        "--max-request-bytes=268435456".into(),
        // The only member need not wait for the others' votes: it leads after this, and writes only then.
        "--heartbeat-interval=10".into(),
        "--election-timeout=50".into(),
        // Beside the socket that holds its port.
        "--socket-reuse-port".into(),
        "--log-level=warn".into(),
    ]
}

/// As on EKS: its authorizers, its admission plugins as far as they are built in, no anonymous requests.
pub(super) fn api_server(ports: Ports, keys: &Path) -> Vec<String> {
    let key = |name: &str| keys.join(name).display().to_string();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        // So that the harness can read what is stored.
        "--storage-media-type=application/json".into(),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        format!("--secure-port={}", ports.api),
        SHARE.into(),
        format!("--tls-cert-file={}", key(pki::SERVER[0])),
        format!("--tls-private-key-file={}", key(pki::SERVER[1])),
        format!("--client-ca-file={}", key(pki::CA)),
        "--anonymous-auth=false".into(),
        "--authorization-mode=Node,RBAC".into(),
        "--enable-admission-plugins=NodeRestriction,ExtendedResourceToleration".into(),
        "--allow-privileged=true".into(),
        // The `kubernetes` endpoints are part of the content, as EKS has them: addresses of the VPC.
        "--endpoint-reconciler-type=none".into(),
        format!("--service-cluster-ip-range={SERVICES}"),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-signing-key-file={}", key(pki::ACCOUNTS[0])),
        format!("--service-account-key-file={}", key(pki::ACCOUNTS[1])),
        format!("--requestheader-client-ca-file={}", key(pki::FRONT_CA)),
        "--requestheader-allowed-names=front-proxy-client".into(),
        "--requestheader-username-headers=X-Remote-User".into(),
        "--requestheader-group-headers=X-Remote-Group".into(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
        format!("--kubelet-client-certificate={}", key(pki::KUBELET_CLIENT[0])),
        format!("--kubelet-client-key={}", key(pki::KUBELET_CLIENT[1])),
        format!("--kubelet-certificate-authority={}", key(pki::KUBELETS_CA)),
        // A node's internal address is one of its cloud; all kubelets are on this machine.
        "--kubelet-preferred-address-types=Loopback".into(),
        format!("--egress-selector-config-file={LATE}"),
        "--profiling=false".into(),
    ]
}

/// All controllers but those for bootstrap tokens, with one credential for all: a token for each would be asked
/// for at every start, and who changes what is not judged by it.
pub(super) fn controllers(port: u16, keys: &Path, kubeconfig: &Path) -> Vec<String> {
    let key = |name: &str| keys.join(name).display().to_string();
    let mut flags = served(port, keys, kubeconfig);
    flags.extend([
        "--use-service-account-credentials=false".into(),
        format!("--service-account-private-key-file={}", key(pki::ACCOUNTS[0])),
        format!("--root-ca-file={}", key(pki::CA)),
    ]);
    flags
}

/// The scheduler as it comes.
pub(super) fn scheduler(port: u16, keys: &Path, kubeconfig: &Path) -> Vec<String> {
    served(port, keys, kubeconfig)
}

fn served(port: u16, keys: &Path, kubeconfig: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        // Whose tokens nobody shows.
        format!("--authentication-kubeconfig={LATE}"),
        "--leader-elect=false".into(),
        "--bind-address=127.0.0.1".into(),
        format!("--secure-port={port}"),
        SHARE.into(),
        format!("--tls-cert-file={}", keys.join(pki::SERVER[0]).display()),
        format!("--tls-private-key-file={}", keys.join(pki::SERVER[1]).display()),
        format!("--authorization-always-allow-paths={OPEN_PATHS}"),
        "--authentication-skip-lookup=true".into(),
        format!("--kube-api-qps={RATE}"),
        format!("--kube-api-burst={RATE}"),
        "--profiling=false".into(),
    ]
}

/// A kubeconfig by which a component reaches the API server on this port; keys stay in their files.
pub(super) fn kubeconfig(api: u16, keys: &Path, pair: [&str; 2]) -> Result<String, ClusterError> {
    let path = |name: &str| keys.join(name).display().to_string();
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "seatrial",
        "clusters": [{"name": "seatrial", "cluster": {
            "server": url(api), "certificate-authority": path(pki::CA),
        }}],
        "users": [{"name": "component", "user": {
            "client-certificate": path(pair[0]), "client-key": path(pair[1]),
        }}],
        "contexts": [{"name": "seatrial", "context": {"cluster": "seatrial", "user": "component"}}],
    });
    // JSON is YAML.
    serde_json::to_string(&config).map_err(ClusterError::new)
}
