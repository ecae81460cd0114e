//! `kubectl logs -f`: a log as it grows, until its container has ended.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::logs::{LogRequest, Logs};
use crate::store::{GroupResource, Meta, Object, Store};
use crate::transport::Body;

/// A log that is followed.
pub(crate) struct Follower {
    pub(crate) store: Store,
    pub(crate) logs: Arc<dyn Logs>,
    pub(crate) pod: Object,
    pub(crate) request: LogRequest,
}

impl Follower {
    /// What there is of the log, and then what is written.
    pub(crate) fn stream(self, first: String) -> Body {
        let newest = self.store.newest();
        let restarts = restarts(&self.pod, &self.request);
        // What comes later is found past what was there, whatever part of that was asked for.
        let sent = self.whole().len();
        let first = (!first.is_empty()).then(|| Bytes::from(first));
        let state = (self, newest, restarts, sent, first);
        Body::stream(futures::stream::unfold(
            state,
            |(me, mut newest, restarts, mut sent, first)| async move {
                if let Some(first) = first {
                    return Some((first, (me, newest, restarts, sent, None)));
                }
                loop {
                    newest.borrow_and_update();
                    let pod =
                        me.store.get(&GroupResource::new("", "pods"), me.pod.namespace(), me.pod.name());
                    let pod = pod.filter(|pod| pod.uid() == me.pod.uid())?;
                    if self::restarts(&pod, &me.request) != restarts {
                        return None;
                    }
                    let text = me.whole();
                    if text.len() > sent {
                        let more = Bytes::from(text[sent..].to_owned());
                        sent = text.len();
                        return Some((more, (me, newest, restarts, sent, None)));
                    }
                    if has_ended(&pod, &me.request) || newest.changed().await.is_err() {
                        return None;
                    }
                }
            },
        ))
    }

    fn whole(&self) -> String {
        let whole = LogRequest { tail: None, since: None, limit_bytes: None, ..self.request.clone() };
        self.logs.log(self.pod.namespace(), self.pod.name(), &whole).unwrap_or_default()
    }
}

/// The status of the container that is followed.
fn status<'a>(pod: &'a Value, request: &LogRequest) -> Option<&'a Value> {
    let lists = ["containerStatuses", "initContainerStatuses"];
    let mut statuses = lists.iter().flat_map(|list| pod["status"][*list].as_array().into_iter().flatten());
    match &request.container {
        Some(name) => statuses.find(|status| status["name"] == name.as_str()),
        None => statuses.next(),
    }
}

fn restarts(pod: &Value, request: &LogRequest) -> Option<u64> {
    status(pod, request).and_then(|status| status["restartCount"].as_u64())
}

fn has_ended(pod: &Value, request: &LogRequest) -> bool {
    status(pod, request).is_some_and(|status| !status["state"]["running"].is_object())
}
