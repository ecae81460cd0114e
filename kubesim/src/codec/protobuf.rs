//! Protobuf request bodies, decoded into JSON by the table of types.
//!
//! client-go sends typed writes this way: the magic `k8s\0`, then a `runtime.Unknown` that names the kind
//! and carries its message. Answers are JSON, which every client accepts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::resources::split_api_version;
use crate::schema::{self, Field, Shape, Type};
use crate::status::Status;

/// No message of the API nests deeper than this.
const DEPTH: u32 = 64;

fn broken(why: &str) -> Status {
    Status::bad_request(format!("the body of the request is not Kubernetes protobuf: {why}"))
}

/// A body that begins with the magic, as JSON.
pub(super) fn decode(body: &[u8]) -> Result<Value, Status> {
    let body = body.strip_prefix(b"k8s\0").ok_or_else(|| broken("it does not begin with k8s\\0"))?;
    let (mut api_version, mut kind, mut raw, mut content_type) =
        (String::new(), String::new(), &[][..], String::new());
    let mut reader = Reader(body);
    while let Some((tag, value)) = reader.field()? {
        match (tag, value) {
            (1, Wire::Bytes(meta)) => {
                let mut meta = Reader(meta);
                while let Some((tag, value)) = meta.field()? {
                    match (tag, value) {
                        (1, Wire::Bytes(text)) => api_version = text_of(text)?,
                        (2, Wire::Bytes(text)) => kind = text_of(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            (4, Wire::Bytes(text)) => content_type = text_of(text)?,
            _ => {}
        }
    }
    if content_type.starts_with("application/json") {
        return super::from_json(raw);
    }
    let (group, version) = split_api_version(&api_version);
    // Options go with a kind of any group: DeleteOptions of apps/v1 is that of meta/v1.
    let found = schema::of_kind(group, version, &kind)
        .or_else(|| schema::named(&format!("apimachinery.pkg.apis.meta.v1.{kind}")))
        .ok_or_else(|| broken(&format!("no kind \"{kind}\" is registered for version \"{api_version}\"")))?;
    let mut object = message(found, raw, DEPTH)?;
    object.insert("apiVersion".into(), json!(api_version));
    object.insert("kind".into(), json!(kind));
    Ok(Value::Object(object))
}

fn message(found: &Type, bytes: &[u8], depth: u32) -> Result<Map<String, Value>, Status> {
    let depth = depth.checked_sub(1).ok_or_else(|| broken("it nests too deeply"))?;
    let mut object = Map::new();
    let mut reader = Reader(bytes);
    while let Some((tag, value)) = reader.field()? {
        let Some(field) = found.fields.iter().find(|field| field.tag == tag) else { continue };
        if field.inline {
            if let (Shape::Type(name), Wire::Bytes(bytes)) = (&field.shape, value)
                && let Some(inner) = schema::named(name)
            {
                object.extend(message(inner, bytes, depth)?);
            }
            continue;
        }
        match &field.shape {
            Shape::List(item) => {
                let list = object.entry(field.name).or_insert_with(|| json!([]));
                let Some(list) = list.as_array_mut() else { continue };
                match (&**item, value) {
                    // Packed numbers.
                    (Shape::Int32 | Shape::Int64 | Shape::Bool, Wire::Bytes(packed)) => {
                        let mut packed = Reader(packed);
                        while !packed.0.is_empty() {
                            let number = Wire::Number(packed.varint()?);
                            list.push(scalar(item, number, depth)?);
                        }
                    }
                    (item, value) => list.push(scalar(item, value, depth)?),
                }
            }
            Shape::Map(inner) => {
                let Wire::Bytes(entry) = value else { continue };
                let (mut key, mut content) = (String::new(), None);
                let mut entry = Reader(entry);
                while let Some((tag, value)) = entry.field()? {
                    match (tag, value) {
                        (1, Wire::Bytes(text)) => key = text_of(text)?,
                        (2, value) => content = Some(scalar(inner, value, depth)?),
                        _ => {}
                    }
                }
                let content = content.unwrap_or_else(|| empty(inner));
                let map = object.entry(field.name).or_insert_with(|| json!({}));
                if let Some(map) = map.as_object_mut() {
                    map.insert(key, content);
                }
            }
            shape => {
                let value = scalar(shape, value, depth)?;
                if !dropped(field, &value) {
                    object.insert(field.name.to_owned(), value);
                }
            }
        }
    }
    Ok(object)
}

/// Go's encoder writes plain fields even when they are zero; `omitempty` then drops them in JSON.
fn dropped(field: &Field, value: &Value) -> bool {
    let zero = match value {
        Value::Null => true,
        Value::Bool(set) => !set && !field.keeps_zero,
        Value::Number(number) => number.as_f64() == Some(0.0) && !field.keeps_zero,
        Value::String(text) => text.is_empty() && !field.keeps_zero,
        _ => false,
    };
    zero && field.shape != Shape::IntOrString
}

fn empty(shape: &Shape) -> Value {
    match shape {
        Shape::Type(_) | Shape::FreeObject => json!({}),
        Shape::Bool => json!(false),
        Shape::Int32 | Shape::Int64 => json!(0),
        Shape::Quantity => json!("0"),
        _ => json!(""),
    }
}

fn scalar(shape: &Shape, value: Wire<'_>, depth: u32) -> Result<Value, Status> {
    let wrong = || broken("a field has the wrong wire type");
    Ok(match (shape, value) {
        (Shape::Text, Wire::Bytes(text)) => json!(text_of(text)?),
        (Shape::Bool, Wire::Number(number)) => json!(number != 0),
        // int32 is sign-extended to 64 bits on the wire, so both read alike.
        (Shape::Int32 | Shape::Int64, Wire::Number(number)) => json!(number.cast_signed()),
        (Shape::Double, Wire::Fixed64(bits)) => json!(f64::from_bits(bits)),
        (Shape::Bytes, Wire::Bytes(bytes)) => json!(STANDARD.encode(bytes)),
        (Shape::Quantity, Wire::Bytes(bytes)) => first_text(bytes)?.map_or(json!("0"), Value::String),
        (Shape::IntOrString, Wire::Bytes(bytes)) => {
            let (mut kind, mut number, mut text) = (0, 0_i64, String::new());
            let mut reader = Reader(bytes);
            while let Some((tag, value)) = reader.field()? {
                match (tag, value) {
                    (1, Wire::Number(found)) => kind = found,
                    (2, Wire::Number(found)) => number = found.cast_signed(),
                    (3, Wire::Bytes(found)) => text = text_of(found)?,
                    _ => {}
                }
            }
            if kind == 0 { json!(number) } else { json!(text) }
        }
        (Shape::Time | Shape::MicroTime, Wire::Bytes(bytes)) => time(bytes, *shape == Shape::MicroTime)?,
        (Shape::Duration, Wire::Bytes(bytes)) => {
            let nanos = match (Reader(bytes)).field()? {
                Some((1, Wire::Number(nanos))) => nanos.cast_signed(),
                _ => 0,
            };
            json!(format!("{}s", nanos / 1_000_000_000))
        }
        (Shape::FreeObject | Shape::FieldSet | Shape::Anything, Wire::Bytes(bytes)) => {
            match Reader(bytes).field()? {
                Some((1, Wire::Bytes(raw))) if !raw.is_empty() => super::from_json(raw)?,
                _ => Value::Null,
            }
        }
        (Shape::Type(name), Wire::Bytes(bytes)) => match schema::named(name) {
            Some(inner) => Value::Object(message(inner, bytes, depth)?),
            None => Value::Null,
        },
        // A map's value that is a list travels as a message with one repeated field.
        (Shape::List(item), Wire::Bytes(bytes)) => {
            let mut list = Vec::new();
            let mut reader = Reader(bytes);
            while let Some((tag, value)) = reader.field()? {
                if tag == 1 {
                    list.push(scalar(item, value, depth)?);
                }
            }
            Value::Array(list)
        }
        _ => return Err(wrong()),
    })
}

fn first_text(bytes: &[u8]) -> Result<Option<String>, Status> {
    match Reader(bytes).field()? {
        Some((1, Wire::Bytes(text))) => text_of(text).map(Some),
        _ => Ok(None),
    }
}

/// The zero time of Go is an absent one.
fn time(bytes: &[u8], micro: bool) -> Result<Value, Status> {
    let (mut seconds, mut nanos) = (None, 0_i64);
    let mut reader = Reader(bytes);
    while let Some((tag, value)) = reader.field()? {
        match (tag, value) {
            (1, Wire::Number(number)) => seconds = Some(number.cast_signed()),
            (2, Wire::Number(number)) => nanos = number.cast_signed(),
            _ => {}
        }
    }
    let Some(seconds) = seconds.filter(|seconds| *seconds > -62_135_596_800) else { return Ok(Value::Null) };
    let Ok(time) = Timestamp::new(seconds, i32::try_from(nanos).unwrap_or(0)) else { return Ok(Value::Null) };
    let format = if micro { "%Y-%m-%dT%H:%M:%S%.6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    Ok(json!(time.strftime(format).to_string()))
}

fn text_of(bytes: &[u8]) -> Result<String, Status> {
    String::from_utf8(bytes.to_vec()).map_err(|_| broken("a string is not UTF-8"))
}

/// A field's content.
enum Wire<'a> {
    Number(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Result<u64, Status> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or_else(|| broken("it ends within a number"))?;
            self.0 = rest;
            if shift < 64 {
                value |= u64::from(byte & 0x7f) << shift;
            }
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(broken("a number is too long"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Status> {
        if length > self.0.len() {
            return Err(broken("it ends within a field"));
        }
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        Ok(taken)
    }

    /// The next field: its tag and content; `None` at the end.
    fn field(&mut self) -> Result<Option<(u32, Wire<'a>)>, Status> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let tag = u32::try_from(key >> 3).map_err(|_| broken("a tag is too large"))?;
        let wire = match key & 7 {
            0 => Wire::Number(self.varint()?),
            1 => {
                let mut bits = [0; 8];
                bits.copy_from_slice(self.take(8)?);
                Wire::Fixed64(u64::from_le_bytes(bits))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| broken("a field is too long"))?;
                Wire::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Wire::Fixed32
            }
            _ => return Err(broken("it has an unknown wire type")),
        };
        Ok(Some((tag, wire)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn bytes(tag: u32, content: &[u8]) -> Vec<u8> {
        let mut out = vec![u8::try_from(tag << 3 | 2).unwrap(), u8::try_from(content.len()).unwrap()];
        out.extend_from_slice(content);
        out
    }

    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [b"k8s\0".to_vec(), bytes(1, &meta), bytes(2, raw)].concat()
    }

    #[test]
    fn a_secret_keeps_its_bytes_and_loses_what_is_zero() {
        let metadata = [bytes(1, b"x"), bytes(2, b""), bytes(3, b"default"), bytes(8, b"")].concat();
        let entry = [bytes(1, b"release"), bytes(2, &[0xff, 0x00])].concat();
        let raw = [bytes(1, &metadata), bytes(2, &entry), bytes(3, b"helm.sh/release.v1")].concat();
        assert_eq!(
            decode(&body("v1", "Secret", &raw)).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "default"},
                "data": {"release": "/wA="}, "type": "helm.sh/release.v1",
            })
        );
    }

    #[test]
    fn zero_replicas_are_kept_because_they_mean_something() {
        // spec { replicas: 0 }
        let raw = bytes(2, &[0x08, 0x00]);
        assert_eq!(decode(&body("apps/v1", "Deployment", &raw)).unwrap()["spec"], json!({"replicas": 0}));
    }

    #[test]
    fn what_is_cut_or_unknown_is_refused_and_never_panics() {
        let whole = body("v1", "Secret", &bytes(1, &bytes(1, b"x")));
        for length in 0..whole.len() {
            let _ = decode(&whole[..length]);
        }
        assert_eq!(decode(b"{}").unwrap_err().code, 400);
        assert_eq!(decode(&body("v9", "Nothing", b"")).unwrap_err().code, 400);
    }
}
