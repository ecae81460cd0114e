//! Request bodies in the encodings that clients send: JSON, YAML and protobuf, gzipped or not.

pub(crate) mod events;
pub(crate) mod json;
mod protobuf;
mod syntax;

use std::io::Read as _;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use crate::handlers::header;
use crate::status::Status;
use crate::store::Meta as _;

/// No compressed body may grow beyond this.
const UNPACKED_LIMIT: u64 = 16 * 1024 * 1024;

/// A body as JSON, whatever it was sent as.
pub(crate) fn decode(headers: &HeaderMap, body: &Bytes) -> Result<Value, Status> {
    let body = unpack(headers, body)?;
    let content_type = header(headers, "content-type");
    let media = content_type.split(';').next().unwrap_or_default().trim();
    match media {
        "application/yaml" | "application/x-yaml" | "application/apply-patch+yaml" => from_yaml(&body),
        "" | "application/json" | "text/json" | "*/*" | "application/x-www-form-urlencoded" => {
            from_json(&body)
        }
        "application/vnd.kubernetes.protobuf" => protobuf::decode(&body),
        _ => Err(Status::new(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json, \
             application/yaml, application/vnd.kubernetes.protobuf",
        )),
    }
}

/// How much of a body that is not understood is shown.
const SUMMARY: usize = 30;

/// A body as an object of a kind; what is none is refused in the words of the real server's decoder.
pub(crate) fn decode_as(headers: &HeaderMap, body: &Bytes, kind: &str) -> Result<Value, Status> {
    let unrecognized = |why: &str, body: &[u8]| {
        let start = &body[..body.len().min(SUMMARY)];
        let shown = match body.first() {
            None => "<empty>".to_owned(),
            Some(b'{') => String::from_utf8_lossy(start).into_owned(),
            Some(_) => start.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        let more = if body.len() > SUMMARY { " ..." } else { "" };
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {why} ({shown}{more})"
        ))
    };
    let value = match decode(headers, body) {
        Ok(value) => value,
        Err(status) if status.code != 400 => return Err(status),
        Err(status) => {
            let plain = unpack(headers, body)?;
            return Err(match is_json(headers).then(|| syntax::error(&plain)).flatten() {
                Some(why) => unrecognized(&no_type(&why), &plain),
                None => status,
            });
        }
    };
    match typed(&value) {
        Ok(()) => Ok(value),
        Err(why) => Err(unrecognized(&no_type(&why), &unpack(headers, body)?)),
    }
}

/// A body of options, which needs no kind.
pub(crate) fn decode_options(headers: &HeaderMap, body: &Bytes) -> Result<Value, Status> {
    let value = decode(headers, body).map_err(|status| match unpack(headers, body) {
        Ok(plain) if status.code == 400 && is_json(headers) => {
            syntax::error(&plain).map_or(status, |why| Status::bad_request(no_type(&why)))
        }
        _ => status,
    })?;
    typed(&value).map_err(|why| Status::bad_request(no_type(&why)))?;
    Ok(value)
}

fn no_type(why: &str) -> String {
    format!("couldn't get version/kind; json parse error: {why}")
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = header(headers, "content-type");
    let media = media.split(';').next().unwrap_or_default().trim();
    matches!(media, "" | "application/json" | "text/json" | "*/*" | "application/x-www-form-urlencoded")
}

/// Whether the kind and version of a value can be read.
fn typed(value: &Value) -> Result<(), String> {
    const META: &str = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";
    let Some(fields) = value.as_object() else {
        return Err(format!("json: cannot unmarshal {} into Go value of type {META}", go_name(value)));
    };
    for key in ["apiVersion", "kind"] {
        if let Some(found) = fields.get(key).filter(|found| !found.is_string() && !found.is_null()) {
            let found = go_name(found);
            return Err(format!("json: cannot unmarshal {found} into Go struct field .{key} of type string"));
        }
    }
    Ok(())
}

/// What Go's decoder calls a value.
pub(crate) fn go_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// `metadata.name` of the object in a body; empty when it says none.
pub(crate) fn name_in(headers: &HeaderMap, body: &Bytes) -> String {
    #[derive(serde::Deserialize)]
    struct Named {
        metadata: Metadata,
    }
    #[derive(serde::Deserialize)]
    struct Metadata {
        name: String,
    }
    // The whole object is read again by whoever handles it, so here only as much as is needed.
    if header(headers, "content-type").starts_with("application/json")
        && header(headers, "content-encoding").is_empty()
    {
        return serde_json::from_slice(body).map_or_else(|_| String::new(), |it: Named| it.metadata.name);
    }
    decode(headers, body).map_or_else(|_| String::new(), |object| object.name().to_owned())
}

fn unpack(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, Status> {
    if !header(headers, "content-encoding").eq_ignore_ascii_case("gzip") {
        return Ok(body.clone());
    }
    let mut out = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(body.as_ref()).take(UNPACKED_LIMIT);
    reader
        .read_to_end(&mut out)
        .map_err(|error| Status::bad_request(format!("failed to unpack the gzip body: {error}")))?;
    Ok(out.into())
}

pub(crate) fn from_json(body: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(body).map_err(|error| {
        Status::bad_request(format!("the object provided is unrecognized (must be of type JSON): {error}"))
    })
}

/// YAML, of which JSON is a part.
pub(crate) fn from_yaml(body: &[u8]) -> Result<Value, Status> {
    if body.first() == Some(&b'{')
        && let Ok(value) = serde_json::from_slice(body)
    {
        return Ok(value);
    }
    let text =
        std::str::from_utf8(body).map_err(|_| Status::bad_request("error decoding YAML: it is not UTF-8"))?;
    serde_saphyr::from_str(text).map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))
}
