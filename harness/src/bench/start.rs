//! How long an embedded cluster takes from nothing to its first answer.

use std::time::Instant;

use kubesim::Config;
use kubesim::kubelet::NodeShape;

use super::figure::{Figure, Unit};
use super::room::{BenchError, Room};

/// Nodes of a cluster that is no small one.
const MANY: u32 = 500;

/// How often that is started at most.
const MANY_RUNS: u16 = 3;

/// Starts clusters of two nodes with EKS's content, settled, behind TLS, and asks each for `/readyz`; and some of many
/// nodes.
///
/// # Errors
/// A cluster does not start, or does not answer.
pub async fn start(runs: u16) -> Result<Vec<Figure>, BenchError> {
    let mut serving = Figure::new("kubesim: start to serving", Unit::Milliseconds);
    let mut ready =
        Figure::new("kubesim: start to the first answer over HTTPS", Unit::Milliseconds).at_most(10.0);
    let mut down = Figure::new("kubesim: taken down", Unit::Milliseconds);
    for _ in 0..runs {
        let began = Instant::now();
        let room = Room::start(Config::default()).await?;
        serving.took(began.elapsed());
        let client = room.client().await?;
        let ask = http::Request::get("/readyz").body(Vec::new());
        let ask = ask.map_err(|error| BenchError::new("ask for /readyz", error))?;
        let said =
            client.request_text(ask).await.map_err(|error| BenchError::new("ask for /readyz", error))?;
        ready.took(began.elapsed());
        if said != "ok" {
            return Err(BenchError::new("be ready", format!("/readyz says {said:?}")));
        }
        drop(client);
        let began = Instant::now();
        room.down().await;
        down.took(began.elapsed());
    }
    let mut many = Figure::new("kubesim: start of 500 nodes, all ready", Unit::Seconds).at_most(1.0);
    for _ in 0..runs.min(MANY_RUNS) {
        let region = Config::default().identity.region;
        let nodes = (0..MANY).map(|number| NodeShape::numbered(number, &region)).collect();
        let began = Instant::now();
        let room = Room::start(Config { nodes, ..Config::default() }).await?;
        many.took(began.elapsed());
        room.down().await;
    }
    Ok(vec![serving, ready, down, many])
}
