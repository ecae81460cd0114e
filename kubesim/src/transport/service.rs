//! The API as a `tower` service.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;

use super::front::{Answer, Front, Peer, identify};
use super::{Authenticator, Body, Broken, User};
use crate::handlers::{Core, Logs};
use crate::resources::Registry;
use crate::store::Store;
use crate::tap::Tap;

/// What an API is made of.
pub struct ApiConfig {
    /// Where objects live.
    pub store: Store,
    /// What records and breaks its requests.
    pub tap: Tap,
    /// Minor version of Kubernetes that it says it is, e.g. 37.
    pub minor: u8,
    /// Where container logs come from.
    pub logs: Arc<dyn Logs>,
}

/// The API. Cloning shares it. Requests through it run as the cluster's admin; those that come over a
/// [`super::Server`] run as whoever they authenticate as.
#[derive(Clone)]
pub struct ApiService {
    core: Arc<Core>,
    user: Arc<User>,
}

impl ApiService {
    /// An API over a store.
    #[must_use]
    pub fn new(config: ApiConfig) -> Self {
        Self { core: Arc::new(Core::new(config)), user: Arc::new(User::admin()) }
    }

    /// The same API, in process, as somebody else.
    #[must_use]
    pub fn as_user(&self, user: User) -> Self {
        Self { core: self.core.clone(), user: Arc::new(user) }
    }

    /// The credentials that it accepts over a socket.
    #[must_use]
    pub fn authenticator(&self) -> &Authenticator {
        self.core.authenticator()
    }

    /// The kinds that it serves.
    #[must_use]
    pub fn resources(&self) -> &Registry {
        self.core.registry()
    }

    /// The tap that its requests pass.
    #[must_use]
    pub fn tap(&self) -> &Tap {
        self.core.tap()
    }
}

impl Front for ApiService {
    fn authenticator(&self) -> &Authenticator {
        self.core.authenticator()
    }

    fn serve(&self, peer: Option<&Peer>, request: Request<hyper::body::Incoming>) -> Answer {
        let user = identify(self.core.authenticator(), peer, request.headers());
        handle(self.core.clone(), user.map(Arc::new), request)
    }
}

impl<B> tower::Service<Request<B>> for ApiService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<Body>;
    type Error = Broken;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answer {
        handle(self.core.clone(), Some(self.user.clone()), request)
    }
}

fn handle<B>(core: Arc<Core>, user: Option<Arc<User>>, request: Request<B>) -> Answer
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    Box::pin(async move {
        let (head, body) = request.into_parts();
        let body = collect(body).await;
        core.handle(user, head, body).await
    })
}

/// The largest request body that is read: the real server's limit for JSON and protobuf.
const LIMIT: usize = 3 * 1024 * 1024;

/// The whole body, or why not: it is too large, or the client went away in the middle.
pub(super) async fn collect<B>(body: B) -> Result<Bytes, crate::status::Status>
where
    B: http_body::Body + Send,
{
    use bytes::Buf as _;
    let mut body = std::pin::pin!(body);
    let mut collected = bytes::BytesMut::new();
    while let Some(frame) = body.as_mut().frame().await {
        let Ok(frame) = frame else {
            return Err(crate::status::Status::bad_request(
                "unable to read the request body: unexpected EOF",
            ));
        };
        if let Ok(mut data) = frame.into_data() {
            if collected.len() + data.remaining() > LIMIT {
                return Err(crate::status::Status::new(
                    413,
                    "RequestEntityTooLarge",
                    format!("Request entity too large: limit is {LIMIT}"),
                ));
            }
            while data.has_remaining() {
                let chunk = data.chunk();
                collected.extend_from_slice(chunk);
                let taken = chunk.len();
                data.advance(taken);
            }
        }
    }
    Ok(collected.freeze())
}
