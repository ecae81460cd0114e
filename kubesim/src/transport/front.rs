//! What stands behind a socket, and whom it takes a request to come from.

use std::pin::Pin;

use http::{HeaderMap, Request, Response, header};

use super::{Authenticator, Body, Broken, User};

/// A request's answer, to come.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Broken>> + Send>>;

/// Whom a connection's client certificate stands for.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// A user.
    User(User),
    /// A proxy that says in headers for whom it asks.
    FrontProxy,
}

/// The headers in which a front proxy names the user, as kube-apiserver's
/// `--requestheader-username-headers` and `--requestheader-group-headers` are usually set.
pub(super) const REMOTE_USER: &str = "x-remote-user";
/// Once for each group.
pub(super) const REMOTE_GROUP: &str = "x-remote-group";
/// What may follow.
pub(super) const REMOTE: &str = "x-remote-";

/// What answers the requests of a [`super::Server`].
pub(crate) trait Front: Send + Sync + 'static {
    /// The credentials that it accepts.
    fn authenticator(&self) -> &Authenticator;

    /// Answers a request over a connection with this client certificate.
    fn serve(&self, peer: Option<&Peer>, request: Request<hyper::body::Incoming>) -> Answer;

    /// The socket is closed: what is still connected through it ends.
    fn closed(&self) {}
}

/// The user of a request: as a front proxy says, else that of the client certificate, else of the bearer
/// token.
pub(super) fn identify(
    authenticator: &Authenticator,
    peer: Option<&Peer>,
    headers: &HeaderMap,
) -> Option<User> {
    let text = |value: &http::HeaderValue| value.to_str().ok().map(str::to_owned);
    match peer {
        Some(Peer::User(user)) => return Some(user.clone()),
        Some(Peer::FrontProxy) => {
            if let Some(name) = headers.get(REMOTE_USER).and_then(text) {
                let groups = headers.get_all(REMOTE_GROUP).iter().filter_map(text).collect();
                return Some(User { name, groups });
            }
        }
        None => {}
    }
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| authenticator.token_user(token.trim()))?
}
