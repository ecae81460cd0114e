//! The Kubernetes API, seen through a lie about some of its answers.

use std::sync::Arc;

use eks_installer::Context;
use eks_installer::seams::{Connect, ConnectError, Connection};
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode, Uri, header};
use kube::client::Body;
use serde_json::Value;

/// An answer of the API with its whole body, or why there was none.
pub(crate) type Answer = Result<Response<Vec<u8>>, kube::Error>;

/// What is made of some of the answers.
pub(crate) trait Lie: Send + Sync + 'static {
    /// Whether the answer to a GET of this path and query is lied about. Watches are never asked for:
    /// their answers have no end.
    fn concerns(&self, uri: &Uri) -> bool;

    /// What the installer is to hear instead of the truth.
    fn tell(&self, uri: &Uri, truth: Answer) -> Answer;
}

/// Puts a lie between the installer and the API; everything else passes as it is.
pub(crate) fn lying(context: Context, lie: impl Lie) -> Context {
    Context { cluster: Arc::new(Lying { truth: context.cluster, lie: Arc::new(lie) }), ..context }
}

struct Lying<L> {
    truth: Arc<dyn Connect>,
    lie: Arc<L>,
}

impl<L: Lie> Connect for Lying<L> {
    fn connect(&self) -> BoxFuture<'_, Result<Connection, ConnectError>> {
        Box::pin(async {
            let mut connection = self.truth.connect().await?;
            let (truth, lie) = (connection.client.clone(), self.lie.clone());
            let namespace = truth.default_namespace().to_owned();
            let service = tower::service_fn(move |request| exchange(truth.clone(), lie.clone(), request));
            connection.client = kube::Client::new(service, namespace);
            Ok(connection)
        })
    }

    fn kubeconfig_path(&self) -> Option<String> {
        self.truth.kubeconfig_path()
    }
}

async fn exchange<L: Lie>(
    truth: kube::Client,
    lie: Arc<L>,
    request: Request<Body>,
) -> Result<Response<Body>, kube::Error> {
    let uri = request.uri().clone();
    if request.method() != http::Method::GET || watches(&uri) || !lie.concerns(&uri) {
        return truth.send(request).await;
    }
    let answer = whole(truth.send(request).await).await;
    lie.tell(&uri, answer).map(|told| told.map(Body::from))
}

async fn whole(answer: Result<Response<Body>, kube::Error>) -> Answer {
    let (head, body) = answer?.into_parts();
    Ok(Response::from_parts(head, body.collect_bytes().await?.to_vec()))
}

fn watches(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|it| matches!(it, "watch=1" | "watch=true")))
}

/// The JSON of a successful answer; `None` when there is no such thing.
pub(crate) fn document(answer: &Answer) -> Option<Value> {
    let answer = answer.as_ref().ok().filter(|answer| answer.status().is_success())?;
    serde_json::from_slice(answer.body()).ok()
}

/// A successful answer with this JSON.
pub(crate) fn says(document: &Value) -> Answer {
    let mut answer = Response::new(document.to_string().into_bytes());
    *answer.status_mut() = StatusCode::OK;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    Ok(answer)
}
