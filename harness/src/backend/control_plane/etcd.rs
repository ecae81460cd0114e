//! etcd's own API, as far as it is needed to put a store back to an earlier state (v3, through its JSON gateway).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::{AsyncBufReadExt as _, StreamExt as _};
use http::Request;
use kube::{Client, Config};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::backend::ClusterError;

/// All keys of kube-apiserver.
const FIRST: &str = "/registry/";
/// The first key that is none of them any more ('0' follows '/').
const END: &str = "/registry0";

/// A client of one etcd.
#[derive(Clone)]
pub(super) struct Etcd {
    client: Client,
}

/// A value as etcd has it: in base64, so that it is put back with the same bytes.
pub(super) type Encoded = String;

/// A key's entry.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Entry {
    key: String,
    #[serde(deserialize_with = "number")]
    pub(super) mod_revision: u64,
    #[serde(default)]
    pub(super) value: Encoded,
}

#[derive(Deserialize)]
struct Header {
    #[serde(deserialize_with = "number")]
    revision: u64,
}

#[derive(Deserialize)]
struct Ranged {
    header: Header,
    #[serde(default)]
    kvs: Vec<Entry>,
}

#[derive(Deserialize)]
struct Done {
    header: Header,
    #[serde(default)]
    succeeded: bool,
}

/// The gateway writes 64-bit numbers as strings.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// A change of the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// Sets a key.
    Put(String, Encoded),
    /// Removes a key.
    Delete(String),
}

impl Change {
    /// What it changes.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Put(key, _) | Self::Delete(key) => key,
        }
    }
}

/// What a watch has told last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulse {
    /// Revision of the newest change that was not a heartbeat.
    pub(super) revision: u64,
    /// When it was told.
    pub(super) at: Instant,
}

impl Etcd {
    pub(super) fn new(port: u16) -> Result<Self, ClusterError> {
        let url = format!("http://127.0.0.1:{port}");
        let url = url.parse().map_err(|error| ClusterError::new(format!("read {url}: {error}")))?;
        let mut config = Config::new(url);
        config.connect_timeout = Some(std::time::Duration::from_secs(5));
        let client = Client::try_from(config)
            .map_err(|error| ClusterError::new(format!("make a client of etcd: {error}")))?;
        Ok(Self { client })
    }

    /// The name that it was started with.
    pub(super) async fn name(&self) -> Result<String, ClusterError> {
        #[derive(Deserialize)]
        struct Members {
            members: Vec<Member>,
        }
        #[derive(Deserialize)]
        struct Member {
            #[serde(default)]
            name: String,
        }
        let members: Members = self.call("/v3/cluster/member/list", &json!({})).await?;
        Ok(members.members.into_iter().next().map(|it| it.name).unwrap_or_default())
    }

    /// Every key, with its value if `values`, and the revision at which that was so.
    pub(super) async fn all(&self, values: bool) -> Result<(u64, BTreeMap<String, Entry>), ClusterError> {
        let body =
            json!({ "key": BASE64.encode(FIRST), "range_end": BASE64.encode(END), "keys_only": !values });
        self.range(&body).await
    }

    /// Keys that were changed after a revision, with their values.
    pub(super) async fn since(&self, revision: u64) -> Result<BTreeMap<String, Entry>, ClusterError> {
        let body = json!({
            "key": BASE64.encode(FIRST), "range_end": BASE64.encode(END),
            "min_mod_revision": (revision + 1).to_string(),
        });
        Ok(self.range(&body).await?.1)
    }

    async fn range(&self, body: &Value) -> Result<(u64, BTreeMap<String, Entry>), ClusterError> {
        let ranged: Ranged = self.call("/v3/kv/range", body).await?;
        let mut entries = BTreeMap::new();
        for entry in ranged.kvs {
            entries.insert(decoded(&entry.key)?, entry);
        }
        Ok((ranged.header.revision, entries))
    }

    /// Makes changes, all or none; returns the revision of them.
    pub(super) async fn change(&self, changes: &[Change]) -> Result<u64, ClusterError> {
        let operation = |change: &Change| match change {
            Change::Put(key, value) => {
                json!({ "request_put": { "key": BASE64.encode(key), "value": value } })
            }
            Change::Delete(key) => json!({ "request_delete_range": { "key": BASE64.encode(key) } }),
        };
        let operations: Vec<Value> = changes.iter().map(operation).collect();
        let done: Done = self.call("/v3/kv/txn", &json!({ "success": operations })).await?;
        if !done.succeeded {
            return Err(ClusterError::new("change the store: etcd refused the transaction"));
        }
        Ok(done.header.revision)
    }

    /// Tells of every change from now on, heartbeats aside. Ends with etcd.
    pub(super) async fn pulse(
        &self,
        is_heartbeat: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<watch::Receiver<Pulse>, ClusterError> {
        #[derive(Deserialize)]
        struct Line {
            result: Told,
        }
        #[derive(Deserialize)]
        struct Told {
            #[serde(default)]
            events: Vec<Event>,
        }
        #[derive(Deserialize)]
        struct Event {
            kv: Key,
        }
        #[derive(Deserialize)]
        struct Key {
            key: String,
            #[serde(deserialize_with = "number")]
            mod_revision: u64,
        }
        let body = json!({ "create_request": {
            "key": BASE64.encode(FIRST), "range_end": BASE64.encode(END),
        }});
        let stream = self.client.request_stream(request("/v3/watch", &body)?).await.map_err(failed)?;
        let mut lines = Box::pin(stream.lines());
        // The first line says that the watch is there; nothing after it is missed.
        lines.next().await.transpose().map_err(|error| ClusterError::new(format!("watch etcd: {error}")))?;
        let (sender, receiver) = watch::channel(Pulse { revision: 0, at: Instant::now() });
        tokio::spawn(async move {
            while let Some(Ok(line)) = lines.next().await {
                let Ok(line) = serde_json::from_str::<Line>(&line) else { continue };
                let real = line
                    .result
                    .events
                    .iter()
                    .filter(|event| decoded(&event.kv.key).is_ok_and(|key| !is_heartbeat(&key)));
                if let Some(revision) = real.map(|event| event.kv.mod_revision).max() {
                    sender.send_replace(Pulse { revision, at: Instant::now() });
                }
                if sender.is_closed() {
                    return;
                }
            }
        });
        Ok(receiver)
    }

    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, ClusterError> {
        let said = self.client.request_text(request(path, body)?).await.map_err(failed)?;
        serde_json::from_str(&said).map_err(|error| ClusterError::new(format!("read etcd's answer: {error}")))
    }
}

fn request(path: &str, body: &Value) -> Result<Request<Vec<u8>>, ClusterError> {
    Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes())
        .map_err(|error| ClusterError::new(format!("ask etcd: {error}")))
}

fn failed(error: kube::Error) -> ClusterError {
    ClusterError::new(format!("ask etcd: {error}"))
}

fn decoded(key: &str) -> Result<String, ClusterError> {
    let bytes =
        BASE64.decode(key).map_err(|error| ClusterError::new(format!("read a key of etcd: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The object of a value, where that is one: kube-apiserver is told to store JSON.
pub(super) fn object(value: &Encoded) -> Option<Value> {
    serde_json::from_slice(&BASE64.decode(value).ok()?).ok()
}
