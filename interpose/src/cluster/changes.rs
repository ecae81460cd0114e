//! Noticing that something may have changed.

use std::time::Duration;

use http_body_util::BodyExt as _;
use kube::client::Body;

use super::Api;

/// Watches of some collections, used only as a bell: whoever waits looks again when it rings.
pub(crate) struct Changes {
    watches: Vec<Body>,
}

impl Changes {
    /// Watches collections: API version, plural, namespace. One that cannot be watched rings never.
    pub(crate) async fn of(api: &Api, collections: &[(&str, &str, Option<&str>)]) -> Self {
        let mut watches = Vec::new();
        for (api_version, resource, namespace) in collections {
            watches.extend(api.watch(api_version, resource, *namespace).await);
        }
        Self { watches }
    }

    /// Waits until a watch has news, and no longer than this.
    pub(crate) async fn next(&mut self, longest: Duration) {
        if self.watches.is_empty() {
            return tokio::time::sleep(longest).await;
        }
        let news = futures::future::select_all(self.watches.iter_mut().map(|body| Box::pin(body.frame())));
        let ended = tokio::select! {
            biased;
            (frame, index, _) = news => (!matches!(frame, Some(Ok(_)))).then_some(index),
            () = tokio::time::sleep(longest) => None,
        };
        if let Some(index) = ended {
            // A watch that has ended rings no more; the longest wait remains.
            drop(self.watches.remove(index));
        }
    }
}
