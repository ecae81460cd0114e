//! A whole cluster for poking at by hand, with two nodes and what EKS installs.
//!
//! `cargo run -p kubesim --example cluster -- 6443 > kubeconfig`, then `kubectl --kubeconfig kubeconfig …`.

use std::net::SocketAddr;

use kubesim::transport::User;
use kubesim::{Cluster, Config};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let begun = std::time::Instant::now();
    let cluster = Cluster::start(Config::default()).await?;
    let settled = begun.elapsed();
    let server = cluster.serve(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    println!("{}", server.kubeconfig(&User::admin()));
    eprintln!("ready after {settled:?}, serving on {} after {:?}", server.url(), begun.elapsed());
    eprintln!("end with Ctrl-C");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
