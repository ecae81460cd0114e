//! A proxy that keeps what passes: the requests of a tool, and the answers of a cluster.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::Error;
use crate::operation::{Answer, Operation};

/// A request that passed, and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The request, without its body.
    pub request: Operation,
    /// What was answered, as far as it came.
    pub answer: Answer,
}

type Kept = Arc<Mutex<Vec<Exchange>>>;

/// A proxy on a port of its own. It ends when it is dropped.
pub struct Recorder {
    /// Where tools find it, in plain HTTP.
    pub url: String,
    kept: Kept,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Recorder {
    /// Begins to pass requests on to the cluster of a client.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub async fn start(client: Client) -> Result<Self, Error> {
        let wrong = |error: std::io::Error| Error::Embedded(format!("open a port for the recorder: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(wrong)?;
        let url = format!("http://{}", listener.local_addr().map_err(wrong)?);
        let kept = Kept::default();
        let serving = tokio::spawn(serve(listener, client, kept.clone()));
        Ok(Self { url, kept, serving })
    }

    /// What passed so far, in order of arrival; it is forgotten.
    #[must_use]
    pub fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn serve(listener: TcpListener, client: Client, kept: Kept) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        let (client, kept) = (client.clone(), kept.clone());
        let service = service_fn(move |request| pass(client.clone(), kept.clone(), request));
        connections.spawn(async move {
            // A connection that breaks is the tool's to notice.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

type Passed = Response<UnsyncBoxBody<Bytes, Infallible>>;

async fn pass(client: Client, kept: Kept, request: Request<Incoming>) -> Result<Passed, Infallible> {
    let at = {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = Answer { code: 0, content_type: String::new(), warnings: Vec::new(), body: Value::Null };
        kept.push(Exchange { request: operation(&request), answer });
        kept.len() - 1
    };
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut onward = Request::builder().method(head.method).uri(head.uri);
    if let Some(headers) = onward.headers_mut() {
        *headers = passed_on(&head.headers);
    }
    let answered = match onward.body(kube::client::Body::from(body.to_vec())) {
        Ok(onward) => client.send(onward).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let response = match answered {
        Ok(response) => response,
        Err(error) => return Ok(broken(&error)),
    };
    let (mut head, body) = response.into_parts();
    head.headers.remove(header::TRANSFER_ENCODING);
    keep(&kept, at, |answer| {
        answer.code = head.status.as_u16();
        answer.content_type = media(&head.headers);
        let warnings = head.headers.get_all(header::WARNING).iter();
        answer.warnings = warnings.filter_map(|it| it.to_str().ok()).map(str::to_owned).collect();
    });
    // Every piece is kept as it passes: a watch has no end that could be waited for.
    let mut seen = Vec::new();
    let pieces = body.into_data_stream().map(move |piece| {
        let piece = piece.unwrap_or_default();
        seen.extend_from_slice(&piece);
        keep(&kept, at, |answer| {
            answer.body = serde_json::from_slice(&seen)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&seen).into_owned()));
        });
        Ok(Frame::data(piece))
    });
    Ok(Response::from_parts(head, StreamBody::new(pieces).boxed_unsync()))
}

fn keep(kept: &Kept, at: usize, change: impl FnOnce(&mut Answer)) {
    // What was taken meanwhile is not changed any more.
    if let Some(exchange) = kept.lock().unwrap_or_else(PoisonError::into_inner).get_mut(at) {
        change(&mut exchange.answer);
    }
}

fn broken(why: &str) -> Passed {
    let body = StreamBody::new(futures::stream::iter([Ok(Frame::data(Bytes::from(why.to_owned())))]));
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

fn operation(request: &Request<Incoming>) -> Operation {
    let uri = request.uri();
    let mut operation = Operation::new("", request.method().as_str(), uri.path());
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        operation.query.insert(key.to_owned(), value.to_owned());
    }
    let text = |name| request.headers().get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
    operation.accept = text(header::ACCEPT);
    operation.content_type = text(header::CONTENT_TYPE);
    operation
}

/// A request's headers as they go on. Protobuf is not asked for, so that both sides answer in what can be compared;
/// whoever asks for it takes JSON too.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut passed = headers.clone();
    for name in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        passed.remove(name);
    }
    passed.remove(header::ACCEPT_ENCODING);
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if accept.contains("json") && accept.contains("protobuf") {
        let kept: Vec<&str> = accept.split(',').filter(|part| !part.contains("protobuf")).collect();
        if let Ok(value) = kept.join(",").parse() {
            passed.insert(header::ACCEPT, value);
        }
    }
    passed
}

fn media(headers: &HeaderMap) -> String {
    let text = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_owned()
}
