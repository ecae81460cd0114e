//! How long an embedded cluster takes from nothing to its first answer.

use std::time::Instant;

use kubesim::Config;

use super::figure::{Figure, Unit};
use super::room::{BenchError, Room};

/// Starts clusters of two nodes with EKS's content, settled, behind TLS, and asks each for `/readyz`.
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
    Ok(vec![serving, ready, down])
}
