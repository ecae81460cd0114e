//! A request's way through the tap: recorded, broken if a rule says so, and otherwise answered by what
//! stands behind: the embedded API, or a real API server on the other end of a connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Response, Uri};
use jiff::Timestamp;
use serde_json::json;

use super::{Action, Fault, Recording, Tap, When, stream};
use crate::clock::Clock;
use crate::handlers::{RequestInfo, failure, header};
use crate::status::Status;
use crate::transport::{Body, Broken, User};

/// One request on its way through.
pub(crate) struct Asked {
    /// What it asks for.
    pub(crate) info: RequestInfo,
    /// Who asks; `None` when nobody was recognised.
    pub(crate) user: Option<Arc<User>>,
    /// Its head.
    pub(crate) head: Parts,
    /// Its body, or why there is none.
    pub(crate) body: Result<Bytes, Status>,
    /// When it arrived, by the clock's steady time.
    pub(crate) at: Timestamp,
}

impl Asked {
    pub(crate) fn new(
        user: Option<Arc<User>>,
        head: Parts,
        body: Result<Bytes, Status>,
        clock: &Clock,
    ) -> Self {
        Self { info: RequestInfo::parse(&head.method, &head.uri), user, head, body, at: clock.steady() }
    }

    fn recording(&self) -> Recording {
        let info = &self.info;
        let mut name = info.name.clone();
        if let (true, "create", Ok(body)) = (name.is_empty(), info.verb.as_str(), &self.body) {
            name = crate::codec::name_in(&self.head.headers, body);
        }
        Recording {
            seq: 0,
            at: self.at,
            verb: info.verb.clone(),
            group: info.group.clone(),
            version: info.version.clone(),
            resource: info.resource.clone(),
            subresource: info.subresource.clone(),
            namespace: info.namespace.clone(),
            name,
            path: info.path.clone(),
            user: self.user.as_ref().map(|user| user.name.clone()).unwrap_or_default(),
            user_agent: header(&self.head.headers, "user-agent").to_owned(),
            dry_run: info.dry_run(),
            status: 0,
            latency: Duration::ZERO,
            fault: None,
            retry_after: None,
        }
    }

    /// Asks for the list as it was at a resource version.
    fn turn_back(&mut self, revision: &str) {
        let kept = self.head.uri.query().unwrap_or_default().split('&').filter(|pair| {
            let key = pair.split('=').next().unwrap_or_default();
            !pair.is_empty() && !matches!(key, "resourceVersion" | "resourceVersionMatch")
        });
        let mut query: Vec<String> = kept.map(str::to_owned).collect();
        // A later page of a list is as old as its first.
        if self.info.query.get("continue").is_none() {
            query.push(format!("resourceVersion={revision}"));
            query.push("resourceVersionMatch=Exact".to_owned());
        }
        let mut parts = self.head.uri.clone().into_parts();
        let path = format!("{}?{}", self.head.uri.path(), query.join("&"));
        let Ok(path) = path.parse() else { return };
        parts.path_and_query = Some(path);
        if let Ok(uri) = Uri::from_parts(parts) {
            self.head.uri = uri;
            self.info = RequestInfo::parse(&self.head.method, &self.head.uri);
        }
    }
}

/// Takes a request through `tap` to `behind`, and the answer back.
///
/// # Errors
/// [`Broken`] when the connection is to be broken instead of answered.
pub(crate) async fn pass<F>(
    tap: &Tap,
    clock: &Clock,
    mut asked: Asked,
    behind: impl FnOnce(Asked) -> F,
) -> Result<Response<Body>, Broken>
where
    F: Future<Output = Result<Response<Body>, Broken>>,
{
    let (seq, fault) = tap.arrive(asked.recording());
    let at = asked.at;
    let streams = asked.info.verb == "watch" || asked.info.query.is_true("follow");
    let (mut before, mut after) = (None, None);
    let rule = fault.as_ref().map(|fault| fault.rule);
    if let Some(Fault { when, action, .. }) = fault {
        let early = when == When::Before && !action.is_of_the_answer();
        *(if early { &mut before } else { &mut after }) = Some(action);
    }
    if let Some(Action::StaleList { revision }) = &after
        && asked.info.verb == "list"
    {
        asked.turn_back(revision);
    }
    let watch = asked.info.verb == "watch";
    if watch && matches!(after, Some(Action::DropWatch { .. } | Action::LateWatch(_))) {
        // Compressed events cannot be told apart.
        asked.head.headers.remove(ACCEPT_ENCODING);
    }
    let mut response = match strike(before, clock, watch).await? {
        Some(answer) => answer,
        None => behind(asked).await?,
    };
    if let (Some(rule), Some(Action::Hang)) = (rule, &after) {
        tap.hold(rule);
    }
    response = match after {
        Some(Action::Truncate) if streams => response.map(|_| Body::whole(Bytes::new()).truncated()),
        Some(Action::Truncate) => {
            let (head, body) = response.into_parts();
            Response::from_parts(head, body.collected().await?.truncated())
        }
        Some(Action::DropWatch { events }) if watch => {
            let framing = stream::Framing::of(response.headers());
            response.map(|body| stream::dropped(body, framing, events))
        }
        Some(Action::LateWatch(late)) if watch => {
            let framing = stream::Framing::of(response.headers());
            response.map(|body| stream::late(body, framing, clock.clone(), late))
        }
        Some(Action::StaleList { .. } | Action::DropWatch { .. } | Action::LateWatch(_)) => response,
        after => strike(after, clock, watch).await?.unwrap_or(response),
    };
    let latency = Duration::try_from(clock.steady().duration_since(at)).unwrap_or_default();
    tap.answered(seq, response.status().as_u16(), latency);
    Ok(response)
}

/// Carries out a fault that needs no answer to work on; the answer to give instead, if that is the fault.
async fn strike(
    action: Option<Action>,
    clock: &Clock,
    watch: bool,
) -> Result<Option<Response<Body>>, Broken> {
    match action {
        Some(Action::Reset) => Err(Broken),
        Some(Action::Hang) => std::future::pending().await,
        Some(Action::Delay(duration)) => {
            clock.sleep(duration).await;
            Ok(None)
        }
        Some(Action::Respond { code, reason, message, retry_after }) => {
            let mut status = Status::new(code, &reason, message);
            if let Some(seconds) = retry_after {
                status = status.retry_after(seconds);
            }
            Ok(Some(failure(&status)))
        }
        Some(Action::Expire) => Ok(Some(expired(watch))),
        _ => Ok(None),
    }
}

/// A list is refused with 410; a watch begins well, and its first event is the refusal.
fn expired(watch: bool) -> Response<Body> {
    let status = Status::new(410, "Expired", "The resourceVersion for the provided watch is too old.");
    if !watch {
        let message = "The resourceVersion for the provided list is too old.";
        return failure(&Status { message: message.to_owned(), ..status });
    }
    let mut event = json!({"type": "ERROR", "object": status.to_json()}).to_string();
    event.push('\n');
    let mut response = Response::new(Body::whole(event));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
