//! From a request to its answer: routing, and one file for each family of verbs.

mod answer;
mod delete;
mod follow;
mod impersonate;
mod info;
mod logs;
mod negotiate;
mod options;
mod read;
mod review;
mod subresource;
mod update;
mod watch;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response};
use serde_json::Value;

pub use logs::{LogRequest, Logs, NoLogs};

use crate::resources::{Registry, Resource};
use crate::status::Status;
use crate::store::Store;
use crate::tap::{self, Asked, Tap};
use crate::transport::{ApiConfig, Authenticator, Body, Broken, User};
pub(crate) use answer::{Reply, failure};
pub(crate) use follow::Follower;
pub(crate) use info::{Query, RequestInfo};
use negotiate::Format;
pub(crate) use negotiate::accepted;
pub(crate) use write::drop_nulls;

/// The API behind every way in.
pub(crate) struct Core {
    pub(crate) store: Store,
    registry: Registry,
    tap: Tap,
    pub(crate) minor: u8,
    pub(crate) logs: Arc<dyn Logs>,
    authenticator: Authenticator,
}

/// One request, while it is handled.
pub(crate) struct Call {
    pub(crate) info: RequestInfo,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) user: Arc<User>,
    pub(crate) format: Format,
    /// When it arrived.
    pub(crate) now: jiff::Timestamp,
    /// Sentences for the client's `Warning` headers.
    pub(crate) warnings: Vec<String>,
}

impl Call {
    /// The table that it asks for.
    fn table(&self, version: &'static str) -> crate::table::Form {
        let include = self.info.query.get("includeObject").unwrap_or("Metadata").to_owned();
        crate::table::Form { version, include, headings: true, now: self.now }
    }

    /// Who writes, for `managedFields`: the `fieldManager` parameter, else the user agent up to its `/`.
    pub(crate) fn manager(&self) -> String {
        if let Some(manager) = self.info.query.get("fieldManager") {
            return manager.to_owned();
        }
        let agent = header(&self.headers, http::header::USER_AGENT.as_str());
        let manager = agent.split('/').next().unwrap_or_default();
        if manager.is_empty() { "unknown".to_owned() } else { manager.chars().take(128).collect() }
    }
}

/// A header's text, or the empty string.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

impl Core {
    pub(crate) fn new(config: ApiConfig) -> Self {
        Self {
            registry: Registry::new(config.store.clone()),
            store: config.store,
            tap: config.tap,
            minor: config.minor,
            logs: config.logs,
            authenticator: Authenticator::default(),
        }
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn tap(&self) -> &Tap {
        &self.tap
    }

    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// Answers one request, through the tap. `user` is `None` when nobody was recognised.
    pub(crate) async fn handle(
        &self,
        user: Option<Arc<User>>,
        head: Parts,
        body: Result<Bytes, Status>,
    ) -> Result<Response<Body>, Broken> {
        let clock = self.store.clock();
        let asked = Asked::new(user, head, body, &clock);
        let mut response =
            tap::pass(&self.tap, &clock, asked, |asked| std::future::ready(Ok(self.answer(asked)))).await?;
        // As any server does; one whose clock is set apart shows it here.
        let date = crate::clock::http_date(clock.now());
        if let Ok(date) = http::HeaderValue::from_str(&date) {
            response.headers_mut().insert(http::header::DATE, date);
        }
        Ok(response)
    }

    fn answer(&self, asked: Asked) -> Response<Body> {
        let Asked { info, user, head, body, at } = asked;
        let format = Format::of(&head.headers);
        let accept_gzip = header(&head.headers, "accept-encoding").contains("gzip");
        let response = match (user, body) {
            (None, _) => answer::failure(&Status::unauthorized()),
            (Some(_), Err(status)) => answer::failure(&status),
            (Some(sender), Ok(body)) => match impersonate::user(self, sender, &head.headers) {
                Err(status) => answer::failure(&status),
                Ok(user) => {
                    let warnings = Vec::new();
                    let call = Call { info, headers: head.headers, body, user, format, now: at, warnings };
                    self.respond(call, accept_gzip)
                }
            },
        };
        if head.method == http::Method::HEAD {
            return response.map(|_| Body::whole(Bytes::new()));
        }
        response
    }

    fn respond(&self, mut call: Call, gzip: bool) -> Response<Body> {
        match self.route(&mut call) {
            Ok(reply) => answer::success(reply, &call, gzip),
            Err(status) => {
                let mut response = answer::failure(&status);
                answer::warn(response.headers_mut(), &call.warnings);
                response
            }
        }
    }

    fn route(&self, call: &mut Call) -> Result<Reply, Status> {
        if !call.info.is_resource {
            crate::admission::authorize(self, call)?;
            return crate::discovery::answer(self, call);
        }
        let info = &call.info;
        let Some(resource) = self.registry.find(&info.group, &info.version, &info.resource) else {
            return self.no_route(call);
        };
        if !resource.namespaced && !info.namespace.is_empty() && info.resource != "namespaces" {
            return self.no_route(call);
        }
        crate::admission::authorize(self, call)?;
        if call.info.subresource.is_empty() || resource.subresource(&call.info.subresource).is_some() {
            options::route(call, &resource)?;
        }
        if !call.info.subresource.is_empty() {
            return self.subresource(call, &resource);
        }
        if !resource.verbs.contains(&call.info.verb) {
            return Err(Status::method_not_allowed());
        }
        match call.info.verb.as_str() {
            "get" => self.get(call, &resource),
            "list" => self.list(call, &resource),
            "watch" => self.watch(call, &resource),
            "create" => match resource.group.as_str() {
                "authorization.k8s.io" | "authentication.k8s.io" => self.review(call, &resource),
                _ if resource.plural == "bindings" => self.bind(call),
                _ => self.create(call, &resource),
            },
            "update" => self.replace(call, &resource, None),
            "patch" => self.patch(call, &resource, None),
            "delete" => self.delete(call, &resource),
            "deletecollection" => self.delete_collection(call, &resource),
            _ => Err(Status::method_not_allowed()),
        }
    }

    /// What is said of a path that leads nowhere: of a group that is served as its router says it.
    fn no_route(&self, call: &Call) -> Result<Reply, Status> {
        if self.registry.groups().iter().any(|group| group.name == call.info.group) {
            return Err(Status::no_route());
        }
        Ok(Reply::path_not_found())
    }

    /// The object that a call names.
    pub(crate) fn object(&self, call: &Call, resource: &Resource) -> Result<crate::store::Object, Status> {
        let name = &call.info.name;
        self.store
            .get(&resource.storage(), storage_namespace(call, resource), name)
            .ok_or_else(|| Status::not_found(&resource.group, &resource.plural, name))
    }
}

/// The namespace under which a call's object is stored.
pub(crate) fn storage_namespace<'a>(call: &'a Call, resource: &Resource) -> &'a str {
    if resource.namespaced { &call.info.namespace } else { "" }
}

/// An object as a resource's version presents it.
pub(crate) fn present(resource: &Resource, object: &Value) -> Value {
    let mut value = object.clone();
    present_in_place(resource, &mut value);
    value
}

/// Turns an object into what a resource's version presents.
pub(crate) fn present_in_place(resource: &Resource, value: &mut Value) {
    if resource.group == "events.k8s.io" {
        crate::codec::events::to_events_v1(value);
    }
    value["apiVersion"] = Value::String(resource.api_version());
    value["kind"] = Value::String(resource.kind.clone());
}

/// Whether an object can be sent as it is stored.
pub(crate) fn presentable(resource: &Resource, object: &Value) -> bool {
    resource.group != "events.k8s.io"
        && object["kind"] == resource.kind.as_str()
        && object["apiVersion"].as_str().is_some_and(|found| {
            crate::resources::split_api_version(found) == (resource.group.as_str(), resource.version.as_str())
        })
}
