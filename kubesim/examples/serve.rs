//! A bare API server for poking at by hand: no scheduler, controllers or kubelets.
//!
//! `cargo run -p kubesim --example serve -- 6443 > kubeconfig`, then `kubectl --kubeconfig kubeconfig …`.

use std::net::SocketAddr;
use std::sync::Arc;

use kubesim::clock::Clock;
use kubesim::store::{GroupResource, Store};
use kubesim::tap::Tap;
use kubesim::transport::{ApiConfig, ApiService, ClusterIdentity, Server, User};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let store = Store::new(Clock::new(jiff::Timestamp::now(), 1.0), 0);
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        });
        store.create(&GroupResource::new("", "namespaces"), namespace)?;
    }
    let service =
        ApiService::new(ApiConfig { store, tap: Tap::new(), minor: 37, logs: Arc::new(kubesim::NoLogs) });
    let server =
        Server::start(service, SocketAddr::from(([127, 0, 0, 1], port)), ClusterIdentity::default()).await?;
    println!("{}", server.kubeconfig(&User::admin()));
    eprintln!("serving on {}; end with Ctrl-C", server.url());
    tokio::signal::ctrl_c().await?;
    Ok(())
}
