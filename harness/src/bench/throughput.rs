//! How many objects and events a second pass through HTTPS to a `kube` client.

use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{DynamicObject, ListParams, PostParams, WatchEvent, WatchParams};
use kubesim::Config;
use kubesim::store::GroupResource;
use serde_json::{Value, json};

use super::figure::{Figure, Unit};
use super::room::{BenchError, Room, core};

/// Objects that are listed.
const OBJECTS: usize = 5_000;

/// Events that are watched.
const EVENTS: usize = 5_000;

/// Objects that are written, one after the other.
const WRITES: usize = 200;

/// Objects that are written at the same time.
const AT_ONCE: usize = 16;

fn config_map(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": "default", "labels": { "app": "bench" } },
        "data": { "text": "x".repeat(800) },
    })
}

fn failed(what: &'static str) -> impl Fn(kube::Error) -> BenchError {
    move |error| BenchError::new(what, error)
}

/// Lists, watches and writes ConfigMaps of about 1 kB.
///
/// # Errors
/// A cluster does not start, or a request fails.
pub async fn throughput(runs: u16) -> Result<Vec<Figure>, BenchError> {
    let rate = |name: &str| Figure::new(name, Unit::PerSecond);
    let mut list = rate("list: objects, 5,000 in one answer");
    let mut paged = rate("list: objects, 5,000 in pages of 500");
    let mut watch = rate("watch: events, 5,000 in a row");
    let mut write = rate("write: creates, one after the other");
    let mut writes = rate("write: creates, 16 at once");
    for _ in 0..runs {
        let room = Room::start(Config::default()).await?;
        let resource = GroupResource::new("", "configmaps");
        let fill = |prefix: &str, count: usize| {
            (0..count).try_for_each(|number| {
                let made = room.cluster.store().create(&resource, config_map(&format!("{prefix}-{number}")));
                made.map(drop).map_err(|status| BenchError::new("fill the cluster", status.message))
            })
        };
        fill("listed", OBJECTS)?;
        let client = room.client().await?;
        let api = core(client, "ConfigMap", Some("default"));
        let labelled = ListParams::default().labels("app=bench");

        let began = Instant::now();
        let all = api.list(&labelled).await.map_err(failed("list"))?;
        list.rate(all.items.len(), began.elapsed());
        let newest = all.metadata.resource_version.clone().unwrap_or_default();
        drop(all);

        let began = Instant::now();
        let mut seen = 0;
        let mut page = labelled.clone().limit(500);
        loop {
            let part = api.list(&page).await.map_err(failed("list"))?;
            seen += part.items.len();
            match part.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => break,
            }
        }
        paged.rate(seen, began.elapsed());

        let stream = api.watch(&WatchParams::default(), &newest).await.map_err(failed("watch"))?;
        let began = Instant::now();
        fill("watched", EVENTS)?;
        let added = stream.try_filter(|event| std::future::ready(matches!(event, WatchEvent::Added(_))));
        let added = Box::pin(added).take(EVENTS);
        let counted = added.try_fold(0, |count, _| std::future::ready(Ok(count + 1)));
        watch.rate(counted.await.map_err(failed("watch"))?, began.elapsed());

        let object = |name: String| serde_json::from_value::<DynamicObject>(config_map(&name));
        let create = async |name: String| {
            let object = object(name).map_err(|error| BenchError::new("make an object", error))?;
            api.create(&PostParams::default(), &object).await.map_err(failed("create"))
        };
        let began = Instant::now();
        for number in 0..WRITES {
            create(format!("written-{number}")).await?;
        }
        write.rate(WRITES, began.elapsed());

        let began = Instant::now();
        let many = futures::stream::iter(0..WRITES).map(|number| create(format!("at-once-{number}")));
        let mut many = many.buffer_unordered(AT_ONCE);
        while let Some(made) = many.next().await {
            made?;
        }
        writes.rate(WRITES, began.elapsed());
        drop(many);
        room.down().await;
    }
    Ok(vec![list, paged, watch, write, writes])
}
