//! From the API server into the mirror: list, then watch, and again from where the watch ended.

use std::time::Duration;

use futures::TryStreamExt as _;
use http::Request;
use http::header::ACCEPT;
use kube::Client;
use kube::core::WatchEvent;
use serde_json::{Value, json};

use crate::store::{GroupResource, Meta, Store};

/// The first wait after a failure; it doubles with each, up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);
/// How many objects come at once.
const PAGE: u32 = 500;

/// What is followed.
pub(super) struct Source {
    group: &'static str,
    pub(super) plural: &'static str,
    api_version: &'static str,
    kind: &'static str,
    /// Whether nothing but the metadata matters.
    partial: bool,
    path: &'static str,
    selector: &'static str,
}

/// Every node; every pod that has a node; what pods are configured by; and which custom resources are defined, for programs that need
/// their definitions.
pub(super) const SOURCES: [Source; 5] = [
    Source {
        group: "",
        plural: "nodes",
        api_version: "v1",
        kind: "Node",
        partial: false,
        path: "/api/v1/nodes",
        selector: "",
    },
    Source {
        group: "",
        plural: "pods",
        api_version: "v1",
        kind: "Pod",
        partial: false,
        path: "/api/v1/pods",
        selector: "&fieldSelector=spec.nodeName%21%3D",
    },
    Source {
        group: "",
        plural: "configmaps",
        api_version: "v1",
        kind: "ConfigMap",
        partial: false,
        path: "/api/v1/configmaps",
        selector: "",
    },
    Source {
        group: "",
        plural: "secrets",
        api_version: "v1",
        kind: "Secret",
        partial: false,
        path: "/api/v1/secrets",
        selector: "",
    },
    Source {
        group: "apiextensions.k8s.io",
        plural: "customresourcedefinitions",
        api_version: "apiextensions.k8s.io/v1",
        kind: "CustomResourceDefinition",
        partial: true,
        path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        selector: "",
    },
];

impl Source {
    fn resource(&self) -> GroupResource {
        GroupResource::new(self.group, self.plural)
    }

    fn request(&self, query: &str) -> Result<Request<Vec<u8>>, kube::Error> {
        let uri = format!("{}?{query}{}", self.path, self.selector);
        let list = if query.starts_with("watch") { "" } else { "List" };
        let media = match self.partial {
            true => format!("application/json;as=PartialObjectMetadata{list};g=meta.k8s.io;v=v1"),
            false => "application/json".to_owned(),
        };
        Request::get(uri).header(ACCEPT, media).body(Vec::new()).map_err(kube::Error::HttpError)
    }
}

/// Puts all of a source into the mirror; answers with the version to watch from.
pub(super) async fn list(client: &Client, source: &Source, store: &Store) -> Result<String, kube::Error> {
    let (mut objects, mut next) = (Vec::new(), String::new());
    let version = loop {
        let mut page: Value = client.request(source.request(&format!("limit={PAGE}{next}"))?).await?;
        if let Value::Array(items) = page["items"].take() {
            // The items of a list do not say what they are.
            objects.extend(items.into_iter().map(|mut item| {
                item["apiVersion"] = json!(source.api_version);
                item["kind"] = json!(source.kind);
                item
            }));
        }
        match page["metadata"]["continue"].as_str() {
            Some(token) if !token.is_empty() => next = format!("&continue={token}"),
            _ => break page.resource_version().to_owned(),
        }
    };
    store.listed(&source.resource(), objects);
    Ok(version)
}

/// Follows a source for ever.
pub(super) async fn follow(client: Client, source: &'static Source, store: Store, mut version: String) {
    let mut wait = SHORTEST;
    loop {
        match watch(&client, source, &store, &mut version).await {
            Ok(()) => {
                wait = SHORTEST;
                continue;
            }
            // Too old to be watched from: list again at once.
            Err(kube::Error::Api(status)) if status.code == 410 => {}
            Err(_) => {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST);
            }
        }
        if let Ok(newest) = list(&client, source, &store).await {
            version = newest;
        }
    }
}

async fn watch(
    client: &Client,
    source: &Source,
    store: &Store,
    version: &mut String,
) -> Result<(), kube::Error> {
    let query = format!("watch=1&allowWatchBookmarks=true&timeoutSeconds=290&resourceVersion={version}");
    let mut events = std::pin::pin!(client.request_events::<Value>(source.request(&query)?).await?);
    let resource = source.resource();
    while let Some(event) = events.try_next().await? {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                object.resource_version().clone_into(version);
                store.seen(&resource, object);
            }
            WatchEvent::Deleted(object) => {
                object.resource_version().clone_into(version);
                store.gone(&resource, &(object.namespace().to_owned(), object.name().to_owned()));
            }
            WatchEvent::Bookmark(bookmark) => version.clone_from(&bookmark.metadata.resource_version),
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        }
    }
    Ok(())
}
