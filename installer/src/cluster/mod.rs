//! Reading the cluster: every request goes through here, under a timeout, the retry policy and the stop.
//!
//! The client is used at the level of HTTP requests and not through `kube::Api`, because what the
//! installer must know is lost there: the `Retry-After` header, and whether an answer was cut short,
//! was not understood, or was an error of the server. All but [`Cluster::create`] only reads.

mod error;
mod watch;
mod write;

use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use kube::client::Body;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use error::ReadError;
pub use watch::Watched;

use crate::context::Run;
use crate::seams::Connection;

/// A cluster that a run reads.
pub struct Cluster<'a> {
    /// The run.
    pub run: &'a Run<'a>,
    /// The connection.
    pub connection: Connection,
    /// Whether lists and watches leave out all but the objects' metadata.
    bare: bool,
}

/// A list, and the version at which it was true.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// The objects.
    pub items: Vec<T>,
    /// Where a watch goes on from.
    pub resource_version: String,
}

/// Query parameters.
pub type Query<'q> = &'q [(&'q str, &'q str)];

impl<'a> Cluster<'a> {
    /// Connects, without sending anything yet.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read or no client can be built on it.
    pub async fn connect(run: &'a Run<'a>) -> Result<Self, ReadError> {
        let connection = run.ctx.cluster.connect().await.map_err(ReadError::Kubeconfig)?;
        Ok(Self::new(run, connection))
    }

    /// Over a connection that is there.
    #[must_use]
    pub fn new(run: &'a Run<'a>, connection: Connection) -> Self {
        Self { run, connection, bare: false }
    }

    /// The same cluster, of which lists and watches are asked for the objects' metadata only: labels are
    /// enough of Helm's Secrets, each of which holds a whole chart.
    #[must_use]
    pub fn only_metadata(&self) -> Self {
        Self { run: self.run, connection: self.connection.clone(), bare: true }
    }

    /// Reads one object; `None` when the server says that it is not there.
    ///
    /// # Errors
    /// When the server could not be asked, refuses, or cannot be understood.
    pub async fn get<T: DeserializeOwned>(&self, what: &str, path: &str) -> Result<Option<T>, ReadError> {
        let body = self
            .run
            .retrying(what, || async {
                match self.request(what, path, &[], JSON).await {
                    Ok(body) => parse(what, &body).map(Some),
                    Err(ReadError::Missing { .. }) => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .await?;
        body.map(|object: Value| {
            serde_json::from_value(object).map_err(|error| ReadError::garbage(what, &error))
        })
        .transpose()
    }

    /// Reads a list.
    ///
    /// # Errors
    /// As [`Cluster::get`]; also when the answer is no list, or the resource does not exist.
    pub async fn list<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
        query: Query<'_>,
    ) -> Result<Listed<T>, ReadError> {
        let typed =
            |item: Value| serde_json::from_value(item).map_err(|error| ReadError::garbage(what, &error));
        self.list_by(what, path, query, typed).await
    }

    /// Reads a list page by page and keeps of each object what `take` makes of it, so that a large cluster
    /// takes no more memory than what is kept and one page.
    ///
    /// # Errors
    /// As [`Cluster::list`].
    pub async fn list_by<T>(
        &self,
        what: &str,
        path: &str,
        query: Query<'_>,
        take: impl FnMut(Value) -> Result<T, ReadError>,
    ) -> Result<Listed<T>, ReadError> {
        self.pages(what, path, query, PAGE, false, take).await
    }

    /// Reads no more than the first objects of a list, `count` of them, and keeps of each what `take` makes
    /// of it.
    ///
    /// # Errors
    /// As [`Cluster::list`].
    pub async fn first<T>(
        &self,
        what: &str,
        path: &str,
        count: &str,
        mut take: impl FnMut(&Value) -> T,
    ) -> Result<Vec<T>, ReadError> {
        Ok(self.pages(what, path, &[], count, true, |object| Ok(take(&object))).await?.items)
    }

    async fn pages<T>(
        &self,
        what: &str,
        path: &str,
        query: Query<'_>,
        limit: &str,
        first_only: bool,
        mut take: impl FnMut(Value) -> Result<T, ReadError>,
    ) -> Result<Listed<T>, ReadError> {
        let mut list = Listed { items: Vec::new(), resource_version: String::new() };
        let mut next = String::new();
        let mut beginnings = 1;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", limit));
            if !next.is_empty() {
                query.push(("continue", &next));
            }
            let page = self
                .run
                .retrying(what, || async {
                    let accept = if self.bare { BARE_LIST } else { JSON };
                    let body = self.request(what, path, &query, accept).await?;
                    Page::of(what, parse(what, &body)?)
                })
                .await;
            let page = match page {
                // The rest of the list is not kept any more, so what came before is of another time too.
                Err(ReadError::Expired { .. }) if !next.is_empty() && beginnings < BEGINNINGS => {
                    beginnings += 1;
                    list.items.clear();
                    next.clear();
                    continue;
                }
                page => page?,
            };
            for item in page.items {
                list.items.push(take(item)?);
            }
            list.resource_version = page.resource_version;
            next = page.next;
            if next.is_empty() || first_only {
                return Ok(list);
            }
        }
    }

    /// Reads plain text, such as a log.
    ///
    /// # Errors
    /// As [`Cluster::get`].
    pub async fn text(&self, what: &str, path: &str, query: Query<'_>) -> Result<String, ReadError> {
        let body = self.run.retrying(what, || self.request(what, path, query, "text/plain, */*")).await?;
        // Before anybody cuts it into lines.
        Ok(self.run.ctx.redactor.text(&String::from_utf8_lossy(&body)))
    }

    /// One request and its whole body.
    async fn request(
        &self,
        what: &str,
        path: &str,
        query: Query<'_>,
        accept: &str,
    ) -> Result<Vec<u8>, ReadError> {
        let limit = self.run.settings.limits.api_timeout;
        let exchange = async {
            let response = self.open(what, path, query, accept).await?;
            let bytes = response.into_body().collect_bytes().await;
            bytes.map(|bytes| bytes.to_vec()).map_err(|error| ReadError::transport(what, &error))
        };
        self.limited(what, limit, exchange).await
    }

    /// Sends a request and returns the answer once its head is there and says success.
    async fn open(
        &self,
        what: &str,
        path: &str,
        query: Query<'_>,
        accept: &str,
    ) -> Result<http::Response<Body>, ReadError> {
        self.run.count(|telemetry| telemetry.api_requests += 1);
        let request = Request::builder()
            .method(Method::GET)
            .uri(format!("{path}{}", encode(query)))
            .header(header::ACCEPT, accept)
            .body(Body::empty())
            .map_err(|error| ReadError::garbage(what, &error))?;
        let sent = self.run.ctx.clock.now();
        let response =
            self.connection.client.send(request).await.map_err(|error| ReadError::transport(what, &error))?;
        let date = response.headers().get(header::DATE).and_then(|value| value.to_str().ok());
        if let Some(date) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()) {
            self.run.server_shows(date.timestamp(), sent);
        }
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.trim().parse().ok())
            .map(Duration::from_secs);
        let body = response.into_body().collect_bytes().await.unwrap_or_default();
        let said = said(status, &self.run.ctx.redactor.text(&String::from_utf8_lossy(&body)));
        Err(ReadError::status(what, status, &said, retry_after))
    }

    /// A future under a time limit and the run's stop.
    async fn limited<T>(
        &self,
        what: &str,
        limit: Duration,
        work: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        let _waiting = self.run.waiting(what);
        tokio::select! {
            biased;
            reason = self.run.ctx.stop.wait() => Err(ReadError::Stopped(reason)),
            done = work => done,
            () = self.run.ctx.clock.sleep(limit) => {
                Err(ReadError::TimedOut { what: what.to_owned(), after: limit })
            }
        }
    }
}

const JSON: &str = "application/json";
const BARE_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const BARE: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Objects to a page. client-go's pager asks for as many.
const PAGE: &str = "500";

/// How often a list is begun before it is given up because its pages expire one after the other.
const BEGINNINGS: u32 = 3;

/// What an unsuccessful answer says: the `Status` object's message, or the text.
fn said(status: StatusCode, body: &str) -> String {
    let message = serde_json::from_str::<Value>(body)
        .ok()
        .and_then(|status| status["message"].as_str().map(str::to_owned))
        .unwrap_or_else(|| body.trim().chars().take(300).collect());
    if message.is_empty() {
        status.canonical_reason().unwrap_or("no reason given").to_owned()
    } else {
        message
    }
}

fn parse(what: &str, body: &[u8]) -> Result<Value, ReadError> {
    serde_json::from_slice(body).map_err(|error| {
        // An answer that stops in the middle is a broken connection, not a strange server.
        if error.is_eof() {
            ReadError::Transport {
                what: what.to_owned(),
                detail: format!("the answer was cut short after {} bytes", body.len()),
                passing: true,
            }
        } else {
            ReadError::garbage(what, &error)
        }
    })
}

/// One page of a list.
struct Page {
    items: Vec<Value>,
    resource_version: String,
    /// Where the next page begins; empty when this is the last.
    next: String,
}

impl Page {
    fn of(what: &str, mut answer: Value) -> Result<Self, ReadError> {
        let no_list = |detail: &str| ReadError::garbage(what, &detail);
        if !answer["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) {
            return Err(no_list("the answer is not a list"));
        }
        let meta = |name: &str| answer["metadata"][name].as_str().unwrap_or("").to_owned();
        let (resource_version, next) = (meta("resourceVersion"), meta("continue"));
        let items = match answer.get_mut("items").map(Value::take) {
            // A Go server writes an empty list as null.
            Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items,
            _ => return Err(no_list("the list has no items")),
        };
        Ok(Self { items, resource_version, next })
    }
}

fn encode(query: Query<'_>) -> String {
    let mut text = String::new();
    for (index, (name, value)) in query.iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}
