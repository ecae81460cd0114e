//! From the mirror to the API server, and what the mirror lacks from there: status by strategic merge patch, as a kubelet writes it; new objects,
//! leases and events whole; and the delete without grace that ends a pod.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::super::locked;
use super::Problems;
use crate::store::{GroupResource, Meta, Object, Outcome, Store, Work, taints};

/// How many objects are written at once.
const AT_ONCE: usize = 16;
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(2);

const STRATEGIC: &str = "application/strategic-merge-patch+json";
const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json";

/// Pushes for ever; `wake` is told when something that was asked for has been answered.
pub(super) async fn push(client: Client, store: Store, problems: Problems, wake: Arc<Notify>) {
    let mut newest = store.newest();
    let mut writes: JoinSet<()> = JoinSet::new();
    loop {
        newest.borrow_and_update();
        for (resource, key, work) in store.take_work(AT_ONCE.saturating_sub(writes.len())) {
            let (client, store, problems) = (client.clone(), store.clone(), problems.clone());
            let wake = wake.clone();
            writes.spawn(async move {
                let at = Place { resource, namespace: key.0.clone(), name: key.1.clone() };
                let asked = work == Work::Read;
                let outcome = tell(&client, &at, work, &problems).await;
                if asked {
                    // Before it is told, after which nobody waits any more.
                    store.answered(&at.resource, &key);
                }
                store.told(&at.resource, &key, outcome);
                if asked {
                    wake.notify_one();
                }
            });
        }
        tokio::select! {
            biased;
            Some(_) = writes.join_next() => {}
            changed = newest.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

struct Place {
    resource: GroupResource,
    namespace: String,
    name: String,
}

impl Place {
    fn collection(&self) -> String {
        let root = match (self.resource.group.as_str(), self.resource.resource.as_str()) {
            ("", _) => "/api/v1".to_owned(),
            (group, _) => format!("/apis/{group}/v1"),
        };
        let namespace =
            if self.namespace.is_empty() { String::new() } else { format!("/namespaces/{}", self.namespace) };
        format!("{root}{namespace}/{}", self.resource.resource)
    }

    fn object(&self) -> String {
        format!("{}/{}", self.collection(), self.name)
    }
}

/// What one request came to.
enum Answer {
    Object(Value),
    NotFound,
    Conflict,
    Refused(String),
}

/// Asks until there is an answer.
async fn ask(client: &Client, method: Method, path: &str, media: &str, body: &Value) -> Answer {
    let mut wait = SHORTEST;
    loop {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request::builder().method(method.clone()).uri(path).header("content-type", media);
        let request = match request.body(bytes) {
            Ok(request) => request,
            Err(error) => return Answer::Refused(error.to_string()),
        };
        match client.request::<Value>(request).await {
            Ok(object) => return Answer::Object(object),
            Err(kube::Error::Api(status)) => match status.code {
                404 => return Answer::NotFound,
                409 => return Answer::Conflict,
                // Its credentials may be good again, and its load less, a moment later.
                401 | 408 | 429 | 500.. => {}
                _ => return Answer::Refused(status.message.clone()),
            },
            Err(_) => {}
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST);
    }
}

async fn tell(client: &Client, at: &Place, work: Work, problems: &Problems) -> Outcome {
    let answer = match work {
        Work::Write { object, known } => write(client, at, &object, known).await,
        Work::Change { base, patch } => change(client, at, base, &patch).await,
        Work::Delete { uid } => delete(client, at, &uid).await,
        Work::Read => ask(client, Method::GET, &at.object(), JSON, &Value::Null).await,
    };
    match answer {
        Answer::Object(object) => Outcome::Done(Some(object)),
        Answer::NotFound | Answer::Conflict => Outcome::Gone,
        Answer::Refused(why) => {
            // A namespace that is going takes no more events; that is as it should be.
            if at.resource.resource != "events" {
                let place = Some(at.namespace.as_str()).filter(|namespace| !namespace.is_empty());
                let name = place.map_or(at.name.clone(), |namespace| format!("{namespace}/{}", at.name));
                locked(problems).push(format!("{} {name}: {why}", at.resource));
            }
            Outcome::Refused
        }
    }
}

/// Writes an object that is new, or that nobody else writes.
async fn write(client: &Client, at: &Place, object: &Object, known: bool) -> Answer {
    let mut body = (**object).clone();
    if let Some(metadata) = body["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
            metadata.remove(field);
        }
    }
    let shared = at.resource.resource == "nodes";
    let mut exists = known;
    loop {
        let answer = if exists {
            ask(client, Method::PATCH, &at.object(), MERGE, &body).await
        } else {
            ask(client, Method::POST, &at.collection(), JSON, &body).await
        };
        match answer {
            // Somebody registered the node already, or this is the second answer to one request.
            Answer::Conflict if shared => {
                return ask(client, Method::GET, &at.object(), JSON, &Value::Null).await;
            }
            Answer::Conflict if !exists => exists = true,
            // It expired there.
            Answer::NotFound if exists => exists = false,
            answer => return answer,
        }
    }
}

/// Writes what differs.
async fn change(client: &Client, at: &Place, mut base: Object, patch: &Value) -> Answer {
    let uid = base.uid().to_owned();
    let mut last = Answer::NotFound;
    if let Some(own) = patch["spec"].get("taints") {
        loop {
            let body = json!({
                "metadata": {"resourceVersion": base.resource_version()},
                "spec": {"taints": taints(&base["spec"]["taints"], own)},
            });
            last = ask(client, Method::PATCH, &at.object(), MERGE, &body).await;
            if !matches!(last, Answer::Conflict) {
                break;
            }
            // Others change taints too: theirs first.
            match ask(client, Method::GET, &at.object(), JSON, &Value::Null).await {
                Answer::Object(object) if object.uid() == uid => base = object.into(),
                _ => return Answer::NotFound,
            }
        }
    }
    if let Some(status) = patch.get("status") {
        // With the uid, so that it is never said of another of the same name.
        let body = json!({"metadata": {"uid": uid}, "status": status});
        last = ask(client, Method::PATCH, &format!("{}/status", at.object()), STRATEGIC, &body).await;
    }
    last
}

async fn delete(client: &Client, at: &Place, uid: &str) -> Answer {
    let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
    if at.resource.resource == "pods" {
        options["gracePeriodSeconds"] = json!(0);
    }
    if !uid.is_empty() {
        options["preconditions"] = json!({"uid": uid});
    }
    ask(client, Method::DELETE, &at.object(), JSON, &options).await
}
