//! Request bodies in the encodings that clients send: JSON, YAML and protobuf, gzipped or not.

pub(crate) mod events;
mod protobuf;

use std::io::Read as _;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use crate::handlers::header;
use crate::status::Status;

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
        other => Err(Status::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: application/json, \
                 application/yaml, application/vnd.kubernetes.protobuf (got {other})"
            ),
        )),
    }
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
