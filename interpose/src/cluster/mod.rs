//! Requests to the cluster, and their errors in client-go's words.
//!
//! Helm speaks through client-go; installers read what it says on standard error. So the words for
//! a refused connection, an unauthorised client or a busy server are those of client-go, and so is
//! its one habit of trying again: an answer with `Retry-After` is retried, up to ten times.

mod changes;
mod kinds;
mod kubeconfig;
mod place;

use std::time::Duration;

use http::{Method, Request, StatusCode};
use kube::client::Body;
use serde_json::Value;

pub(crate) use changes::Changes;
pub(crate) use kinds::rank;
pub(crate) use kubeconfig::{client, merged};
pub(crate) use place::Place;

/// Times that client-go repeats a request whose answer carries `Retry-After`.
const RETRIES: u32 = 10;

/// A cluster, as Helm reaches it.
pub(crate) struct Api {
    client: kube::Client,
    /// URL of the server, for error texts.
    server: String,
    /// Who asks.
    agent: &'static str,
}

/// A request that failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ApiError {
    /// The server answered with an error.
    #[error("{message}")]
    Status { code: u16, reason: String, message: String },
    /// There was no answer.
    #[error("{0}")]
    NoAnswer(String),
}

impl ApiError {
    /// HTTP status of the answer, if there was one.
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            Self::NoAnswer(_) => None,
        }
    }

    /// Whether the server said that the object is there already.
    pub(crate) fn already_exists(&self) -> bool {
        matches!(self, Self::Status { reason, .. } if reason == "AlreadyExists")
    }

    /// Whether Helm's wait carries on after it.
    pub(crate) fn passing(&self) -> bool {
        self.code().is_none_or(|code| code == 429 || (code >= 500 && code != 501))
    }
}

impl Api {
    /// Requests go through this client; the URL only appears in error texts.
    pub(crate) fn new(client: kube::Client, server: impl Into<String>, agent: &'static str) -> Self {
        Self { client, server: server.into(), agent }
    }

    /// `/version`, by which Helm sees whether the cluster can be reached.
    pub(crate) async fn version(&self) -> Result<(), ApiError> {
        self.raw(Method::GET, "/version", None, None, None).await.map(drop)
    }

    /// One object.
    pub(crate) async fn get(
        &self,
        api_version: &str,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Value, ApiError> {
        let path = path(api_version, resource, namespace, Some(name));
        self.raw(Method::GET, &path, None, None, Some((resource, name))).await
    }

    /// The objects of a kind, of one namespace or of all.
    pub(crate) async fn list(
        &self,
        api_version: &str,
        resource: &str,
        namespace: Option<&str>,
        labels: Option<&str>,
    ) -> Result<Vec<Value>, ApiError> {
        let mut path = path(api_version, resource, namespace, None);
        if let Some(labels) = labels {
            path += &format!("?labelSelector={}", labels.replace('=', "%3D").replace(',', "%2C"));
        }
        let mut list = self.raw(Method::GET, &path, None, None, Some((resource, ""))).await?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }

    /// Makes an object.
    pub(crate) async fn create(
        &self,
        api_version: &str,
        resource: &str,
        namespace: Option<&str>,
        object: &Value,
    ) -> Result<Value, ApiError> {
        let path = path(api_version, resource, namespace, None) + "?fieldManager=helm";
        self.raw(Method::POST, &path, Some(object), None, Some((resource, ""))).await
    }

    /// Replaces an object.
    pub(crate) async fn replace(
        &self,
        api_version: &str,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
        object: &Value,
    ) -> Result<Value, ApiError> {
        let path = path(api_version, resource, namespace, Some(name));
        self.raw(Method::PUT, &path, Some(object), None, Some((resource, name))).await
    }

    /// Merges a patch into an object.
    pub(crate) async fn merge(
        &self,
        api_version: &str,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
        patch: &Value,
    ) -> Result<Value, ApiError> {
        let path = path(api_version, resource, namespace, Some(name)) + "?fieldManager=helm";
        let kind = Some("application/merge-patch+json");
        self.raw(Method::PATCH, &path, Some(patch), kind, Some((resource, name))).await
    }

    /// Deletes an object, with this propagation policy if one is given.
    pub(crate) async fn delete(
        &self,
        api_version: &str,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
        policy: Option<&str>,
    ) -> Result<(), ApiError> {
        let path = path(api_version, resource, namespace, Some(name));
        let mut options = serde_json::json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
        if let Some(policy) = policy {
            options["propagationPolicy"] = policy.into();
        }
        self.raw(Method::DELETE, &path, Some(&options), None, Some((resource, name))).await.map(drop)
    }

    /// Discovery of one group and version: plural and scope by kind.
    pub(crate) async fn discover(&self, api_version: &str) -> Result<Vec<Value>, ApiError> {
        let path = format!("{}/{api_version}", root(api_version));
        let mut list = self.raw(Method::GET, &path, None, None, None).await?;
        match list["resources"].take() {
            Value::Array(resources) => Ok(resources),
            _ => Ok(Vec::new()),
        }
    }

    /// A watch of a collection from now on, as bytes that say that something happened.
    pub(crate) async fn watch(
        &self,
        api_version: &str,
        resource: &str,
        namespace: Option<&str>,
    ) -> Option<Body> {
        let path = path(api_version, resource, namespace, None) + "?watch=true&timeoutSeconds=3600";
        let request = request(self.agent, Method::GET, &path, None, None)?;
        let response = self.client.send(request).await.ok()?;
        response.status().is_success().then(|| response.into_body())
    }

    async fn raw(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        content: Option<&str>,
        subject: Option<(&str, &str)>,
    ) -> Result<Value, ApiError> {
        let mut tries = 0;
        loop {
            let lost = |error: &dyn std::error::Error| ApiError::NoAnswer(self.words(&method, path, error));
            let request = request(self.agent, method.clone(), path, body, content)
                .ok_or_else(|| ApiError::NoAnswer(format!("invalid request path {path}")))?;
            let response = self.client.send(request).await.map_err(|error| lost(&error))?;
            let status = response.status();
            let after =
                response.headers().get("retry-after").and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
            if let Some(after) = after
                && (status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error())
                && tries < RETRIES
            {
                tries += 1;
                tokio::time::sleep(Duration::from_secs(after)).await;
                continue;
            }
            let bytes = response.into_body().collect_bytes().await.map_err(|error| lost(&error))?;
            if status.is_success() {
                return serde_json::from_slice(&bytes)
                    .map_err(|error| ApiError::NoAnswer(go_json(&bytes, &error)));
            }
            return Err(refusal(status, &method, &bytes, subject));
        }
    }

    /// What client-go would say of a request that got no answer.
    fn words(&self, method: &Method, path: &str, error: &dyn std::error::Error) -> String {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            chain = format!("{chain}: {cause}");
            source = cause.source();
        }
        let host = self.server.split("//").nth(1).unwrap_or(&self.server).trim_end_matches('/');
        let lower = chain.to_lowercase();
        let cause = if lower.contains("connection refused") {
            format!("dial tcp {host}: connect: connection refused")
        } else if lower.contains("connection reset") || lower.contains("broken pipe") {
            format!("read tcp {host}: read: connection reset by peer")
        } else if lower.contains("dns error") || lower.contains("failed to lookup") {
            format!("dial tcp: lookup {}: no such host", host.split(':').next().unwrap_or(host))
        } else if lower.contains("timed out") || lower.contains("deadline") {
            format!("dial tcp {host}: i/o timeout")
        } else if lower.contains("unknownissuer") || lower.contains("unknown issuer") {
            "tls: failed to verify certificate: x509: certificate signed by unknown authority".to_owned()
        } else if ["incomplete", "closed", "eof", "canceled"].iter().any(|word| lower.contains(word)) {
            "EOF".to_owned()
        } else {
            chain
        };
        let verb = method.as_str();
        let verb = format!("{}{}", &verb[..1], verb[1..].to_lowercase());
        format!("{verb} \"{}{path}\": {cause}", self.server.trim_end_matches('/'))
    }
}

fn request(
    agent: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
    content: Option<&str>,
) -> Option<Request<Body>> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("accept", "application/json")
        .header("user-agent", agent);
    let bytes = match body {
        Some(value) => {
            request = request.header("content-type", content.unwrap_or("application/json"));
            serde_json::to_vec(value).ok()?
        }
        None => Vec::new(),
    };
    request.body(Body::from(bytes)).ok()
}

fn root(api_version: &str) -> &'static str {
    if api_version.contains('/') { "/apis" } else { "/api" }
}

fn path(api_version: &str, resource: &str, namespace: Option<&str>, name: Option<&str>) -> String {
    let mut path = format!("{}/{api_version}", root(api_version));
    if let Some(namespace) = namespace {
        path += &format!("/namespaces/{namespace}");
    }
    path = format!("{path}/{resource}");
    if let Some(name) = name {
        path = format!("{path}/{name}");
    }
    path
}

/// The `Status` that the server sent, or client-go's own words for the code.
fn refusal(status: StatusCode, method: &Method, bytes: &[u8], subject: Option<(&str, &str)>) -> ApiError {
    let code = status.as_u16();
    let body: Option<Value> = serde_json::from_slice(bytes).ok();
    // Without a subject (discovery, /version) client-go does not look into the body.
    if let (Some(body), Some(_)) = (&body, subject)
        && body["kind"] == "Status"
        && let Some(message) = body["message"].as_str()
    {
        let reason = body["reason"].as_str().unwrap_or("").to_owned();
        return ApiError::Status { code, reason, message: message.to_owned() };
    }
    let said = || String::from_utf8_lossy(bytes).trim().chars().take(2048).collect::<String>();
    let generic = match code {
        400 => "the server rejected our request for an unknown reason".to_owned(),
        401 => "the server has asked for the client to provide credentials".to_owned(),
        403 => said(),
        404 => "the server could not find the requested resource".to_owned(),
        405 => "the server does not allow this method on the requested resource".to_owned(),
        409 => "the server reported a conflict".to_owned(),
        429 => "the server has received too many requests and has asked us to try again later".to_owned(),
        503 => "the server is currently unable to handle the request".to_owned(),
        504 => "the server was unable to return a response in the time allotted, but may still be processing the request".to_owned(),
        500.. => format!("an error on the server (\"{}\") has prevented the request from succeeding", said()),
        _ => format!("the server responded with the status code {code} but did not return more information"),
    };
    let verb = match *method {
        Method::GET => "get",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        _ => "delete",
    };
    let message = match subject {
        None => generic,
        Some((resource, "")) => format!("{generic} ({verb} {resource})"),
        Some((resource, name)) => format!("{generic} ({verb} {resource} {name})"),
    };
    ApiError::Status { code, reason: String::new(), message }
}

/// Go's words for an answer that is no JSON.
fn go_json(bytes: &[u8], error: &serde_json::Error) -> String {
    match bytes.first() {
        None => "unexpected end of JSON input".into(),
        Some(byte) if !matches!(byte, b'{' | b'[') => {
            format!("invalid character '{}' looking for beginning of value", char::from(*byte))
        }
        Some(_) if error.is_eof() => "unexpected end of JSON input".into(),
        Some(_) => error.to_string(),
    }
}
