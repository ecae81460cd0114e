//! From a reply to HTTP.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::negotiate::Format;
use super::{Call, present, presentable};
use crate::codec::json;
use crate::resources::Resource;
use crate::status::Status;
use crate::store::Object;
use crate::transport::Body;

/// Answers this large are compressed for who accepts it, as the real server does.
const GZIP_FROM: usize = 128 * 1024;

/// What a handler answers, before it is put into the form that the client asked for.
pub(crate) enum Reply {
    /// One object.
    Object(StatusCode, Arc<Resource>, Object),
    /// A list and its `metadata`.
    List(Arc<Resource>, Vec<Object>, Value),
    /// JSON whatever was asked for.
    Value(StatusCode, Value),
    /// Bytes of a content type.
    Bytes(StatusCode, &'static str, Bytes),
    /// A stream of a content type.
    Stream(&'static str, Body),
}

impl Reply {
    /// What the real server says about a path that it does not know. Not a `Status`: clients then say
    /// "the server could not find the requested resource".
    pub(crate) fn path_not_found() -> Self {
        Self::Bytes(
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            Bytes::from_static(b"404 page not found\n"),
        )
    }

    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        Self::Bytes(StatusCode::OK, "text/plain", text.into())
    }

    pub(crate) fn value(value: Value) -> Self {
        Self::Value(StatusCode::OK, value)
    }
}

/// A refusal.
pub(crate) fn failure(status: &Status) -> Response<Body> {
    let body = Body::whole(to_bytes(&status.to_json()));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let retry = status.details.as_ref().and_then(|details| details["retryAfterSeconds"].as_u64());
    if let Some(seconds) = retry {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// An answer in the form that the client asked for.
pub(crate) fn success(reply: Reply, call: &Call, gzip: bool) -> Response<Body> {
    let (status, content_type, body) = match reply {
        Reply::Object(status, resource, object) => match call.format {
            Format::Table(version) => {
                let table = crate::table::of(&resource, &call.table(version), &[object], None);
                (status, "application/json", Body::whole(to_bytes(&table)))
            }
            Format::Metadata(version) => {
                (status, "application/json", Body::whole(to_bytes(&partial(&resource, &object, version))))
            }
            Format::Yaml => (status, "application/yaml", Body::whole(to_yaml(&present(&resource, &object)))),
            Format::Json if presentable(&resource, &object) => {
                (status, "application/json", Body::whole(to_bytes(&object)))
            }
            Format::Json => (status, "application/json", Body::whole(to_bytes(&present(&resource, &object)))),
        },
        Reply::List(resource, items, metadata) => {
            let (content_type, body) = list(&resource, &items, metadata, call);
            (StatusCode::OK, content_type, body)
        }
        Reply::Value(status, value) if call.format == Format::Yaml => {
            (status, "application/yaml", Body::whole(to_yaml(&value)))
        }
        Reply::Value(status, value) => (status, "application/json", Body::whole(to_bytes(&value))),
        Reply::Bytes(status, content_type, bytes) => (status, content_type, Body::whole(bytes)),
        Reply::Stream(content_type, body) => (StatusCode::OK, content_type, body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    warn(headers, &call.warnings);
    compress(response, gzip)
}

/// What was noticed on the way is said with a refusal too.
pub(crate) fn warn(headers: &mut http::HeaderMap, warnings: &[String]) {
    for warning in warnings {
        let text = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
            headers.append(header::WARNING, value);
        }
    }
}

fn compress(response: Response<Body>, gzip: bool) -> Response<Body> {
    let Some(bytes) = response.body().bytes().filter(|bytes| gzip && bytes.len() >= GZIP_FROM).cloned()
    else {
        return response;
    };
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let Ok(zipped) = encoder.write_all(&bytes).and_then(|()| encoder.finish()) else {
        return response;
    };
    let mut response = response.map(|_| Body::whole(zipped));
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

fn list(resource: &Resource, items: &[Object], metadata: Value, call: &Call) -> (&'static str, Body) {
    match call.format {
        Format::Table(version) => {
            let table = crate::table::of(resource, &call.table(version), items, Some(metadata));
            ("application/json", Body::whole(to_bytes(&table)))
        }
        Format::Metadata(version) => {
            let items: Vec<Value> = items.iter().map(|item| partial(resource, item, version)).collect();
            // The real server gathers them in a list that it makes with the first.
            let items = if items.is_empty() { Value::Null } else { Value::Array(items) };
            let list = json!({
                "kind": "PartialObjectMetadataList", "apiVersion": format!("meta.k8s.io/{version}"),
                "metadata": metadata, "items": items,
            });
            ("application/json", Body::whole(to_bytes(&list)))
        }
        Format::Json | Format::Yaml => {
            // Written item by item: a list of 50,000 pods is never held twice.
            let mut out = Vec::with_capacity(items.len() * 512 + 256);
            out.extend_from_slice(b"{\"kind\":");
            out.extend_from_slice(&to_bytes(&json!(resource.list_kind())));
            out.extend_from_slice(b",\"apiVersion\":");
            out.extend_from_slice(&to_bytes(&json!(resource.api_version())));
            out.extend_from_slice(b",\"metadata\":");
            out.extend_from_slice(&to_bytes(&metadata));
            out.extend_from_slice(b",\"items\":[");
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                // Items of a list of built-in objects do not say again what they are.
                if resource.custom.is_none() && resource.group != "events.k8s.io" {
                    untyped(&mut out, item);
                } else {
                    write_json(&mut out, resource, item);
                }
            }
            out.extend_from_slice(b"]}");
            if call.format == Format::Yaml
                && let Ok(value) = serde_json::from_slice::<Value>(&out)
            {
                return ("application/yaml", Body::whole(to_yaml(&value)));
            }
            ("application/json", Body::whole(out))
        }
    }
}

/// Writes an object without its kind and version.
fn untyped(out: &mut Vec<u8>, object: &Value) {
    out.push(b'{');
    let fields = object.as_object().into_iter().flatten();
    let fields = fields.filter(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind"));
    for (index, (key, value)) in fields.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::string(out, key);
        out.push(b':');
        json::write(out, value);
    }
    out.push(b'}');
}

/// Appends an object as a resource's version presents it.
pub(crate) fn write_json(out: &mut Vec<u8>, resource: &Resource, object: &Object) {
    if presentable(resource, object) {
        json::write(out, object);
    } else {
        json::write(out, &present(resource, object));
    }
}

/// `PartialObjectMetadata` of an object.
pub(crate) fn partial(_: &Resource, object: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object["metadata"],
    })
}

pub(crate) fn to_bytes(value: &Value) -> Vec<u8> {
    json::to_vec(value)
}

fn to_yaml(value: &Value) -> Vec<u8> {
    serde_saphyr::to_string(value).unwrap_or_default().into_bytes()
}
