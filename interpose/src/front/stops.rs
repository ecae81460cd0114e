//! The signals by which somebody asks this process to end.

use futures::future::select_all;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens from its making on, so that no signal is lost between two waits.
pub(super) struct Stops {
    streams: Vec<(i32, Signal)>,
}

impl Stops {
    /// Begins to listen. A signal that cannot be listened for keeps its default effect.
    pub(super) fn listen() -> Self {
        let kinds =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit()];
        let streams =
            kinds.into_iter().filter_map(|kind| Some((kind.as_raw_value(), signal(kind).ok()?))).collect();
        Self { streams }
    }

    /// Waits for the next one and gives its number.
    pub(super) async fn next(&mut self) -> i32 {
        if self.streams.is_empty() {
            return std::future::pending().await;
        }
        let waits = self.streams.iter_mut().map(|(number, stream)| {
            Box::pin(async move {
                stream.recv().await;
                *number
            })
        });
        select_all(waits).await.0
    }
}
