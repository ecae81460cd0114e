//! Waiting for the cluster to come to a state, by watching it.

use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::BodyExt;
use kube::client::Body;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Cluster, Listed, Query, ReadError};
use crate::retry::{Retryable, Target};

/// How a wait ended, and the objects as last seen, by `namespace/name`.
#[derive(Clone, Debug)]
pub struct Watched<T, R> {
    /// What the judge said; `None` when the time ran out first.
    pub found: Option<R>,
    /// The objects as last seen.
    pub objects: BTreeMap<String, T>,
    /// The version at which they were so, to go on from.
    pub resource_version: String,
}

/// Servers end watches after some minutes; asking for less than their limit keeps the end clean.
const WATCH_SECONDS: &str = "290";

impl Cluster<'_> {
    /// Lists, then watches, until `judge` says something or `limit` has passed. The list comes even
    /// when `limit` is zero, so that a verdict is always drawn from what was read.
    ///
    /// # Errors
    /// When the list cannot be read, or the watch fails again and again.
    pub async fn watch_until<T, R>(
        &self,
        what: &str,
        path: &str,
        query: Query<'_>,
        limit: Duration,
        judge: impl FnMut(&BTreeMap<String, T>) -> Option<R>,
    ) -> Result<Watched<T, R>, ReadError>
    where
        T: DeserializeOwned,
    {
        self.watch_on(None, what, path, query, limit, judge).await
    }

    /// The same, going on from what an earlier wait on the same path and query has seen: nothing that
    /// happened in between is missed, and nothing is listed anew.
    ///
    /// # Errors
    /// When the list cannot be read, or the watch fails again and again.
    pub async fn watch_on<T, R>(
        &self,
        mut earlier: Option<Watched<T, R>>,
        what: &str,
        path: &str,
        query: Query<'_>,
        limit: Duration,
        mut judge: impl FnMut(&BTreeMap<String, T>) -> Option<R>,
    ) -> Result<Watched<T, R>, ReadError>
    where
        T: DeserializeOwned,
    {
        let clock = &self.run.ctx.clock;
        let end = clock.elapsed() + limit;
        let mut attempts = self.run.attempts(Target::Api);
        loop {
            let mut seen = match earlier.take() {
                Some(earlier) => earlier,
                None => {
                    let take = |item: Value| Ok((key(&item), typed::<T>(what, item)?));
                    let Listed { items, resource_version } = self.list_by(what, path, query, take).await?;
                    Watched { found: None, objects: items.into_iter().collect(), resource_version }
                }
            };
            seen.found = judge(&seen.objects);
            let remaining = end.saturating_sub(clock.elapsed());
            if seen.found.is_some() || remaining.is_zero() {
                return Ok(seen);
            }
            let opened = clock.elapsed();
            let _waiting = self.run.waiting(what);
            let from = seen.resource_version.clone();
            let watching = self.follow(what, path, query, &from, |event| {
                seen.apply(what, event)?;
                Ok(judge(&seen.objects))
            });
            let followed = tokio::select! {
                biased;
                reason = self.run.ctx.stop.wait() => return Err(ReadError::Stopped(reason)),
                followed = watching => followed,
                () = clock.sleep(remaining) => return Ok(seen),
            };
            match followed {
                Ok(Some(found)) => return Ok(Watched { found: Some(found), ..seen }),
                // The server ended a watch that had lived: that is how watches are.
                Ok(None) if clock.elapsed() > opened + Duration::from_secs(1) => {
                    attempts = self.run.attempts(Target::Api);
                }
                Ok(None) => {
                    let ended = "the watch ended at once";
                    if !self.run.backoff(&mut attempts, what, ended, None).await {
                        return Ok(seen);
                    }
                }
                Err(error) => {
                    let Some(asked) = error.transient() else {
                        return Err(error);
                    };
                    let text = error.to_string();
                    if !self.run.backoff(&mut attempts, what, &text, asked).await {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Follows one watch until `event` says something, or the server ends it.
    async fn follow<R>(
        &self,
        what: &str,
        path: &str,
        query: Query<'_>,
        resource_version: &str,
        mut event: impl FnMut(Value) -> Result<Option<R>, ReadError>,
    ) -> Result<Option<R>, ReadError> {
        let mut query = query.to_vec();
        query.extend([
            ("watch", "1"),
            ("resourceVersion", resource_version),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", WATCH_SECONDS),
        ]);
        let limit = self.run.settings.limits.api_timeout;
        let accept = if self.bare { super::BARE } else { super::JSON };
        let response = self.limited(what, limit, self.open(what, path, &query, accept)).await?;
        let mut body: Body = response.into_body();
        let mut pending = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| ReadError::transport(what, &error))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            pending.extend_from_slice(&data);
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let line: Value = super::parse(what, &line)?;
                match line["type"].as_str() {
                    // 410 Gone, mostly: the list has to be read again, which is what follows.
                    Some("ERROR") => return Ok(None),
                    Some("BOOKMARK") => {}
                    _ => {
                        if let Some(found) = event(line)? {
                            return Ok(Some(found));
                        }
                    }
                }
            }
        }
        Ok(None)
    }
}

impl<T: DeserializeOwned, R> Watched<T, R> {
    fn apply(&mut self, what: &str, mut event: Value) -> Result<(), ReadError> {
        let object = event["object"].take();
        if let Some(version) = object["metadata"]["resourceVersion"].as_str() {
            version.clone_into(&mut self.resource_version);
        }
        let key = key(&object);
        match event["type"].as_str() {
            Some("ADDED" | "MODIFIED") => {
                self.objects.insert(key, typed(what, object)?);
            }
            Some("DELETED") => {
                self.objects.remove(&key);
            }
            _ => return Err(ReadError::garbage(what, &"a watch event of no known type")),
        }
        Ok(())
    }
}

fn key(object: &Value) -> String {
    let part = |name: &str| object["metadata"][name].as_str().unwrap_or("");
    format!("{}/{}", part("namespace"), part("name"))
}

fn typed<T: DeserializeOwned>(what: &str, object: Value) -> Result<T, ReadError> {
    serde_json::from_value(object).map_err(|error| ReadError::garbage(what, &error))
}
