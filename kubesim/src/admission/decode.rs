//! Decoding into the types: unknown fields are dropped and said, wrong types refused.

use serde_json::{Value, json};

use super::causes::Causes;
use super::quantity;
use crate::handlers::Call;
use crate::resources::Resource;
use crate::schema::{self, Node, Shape};
use crate::status::Status;

/// What does not decode into a kind.
pub(crate) enum Wrong {
    /// A value of the wrong type, in Go's words.
    Type(String),
    /// `strict decoding error: …`.
    Strict(String),
}

/// Unknown fields, as `fieldValidation` has them treated: refused (`Strict`), warned of (`Warn`, the
/// default) or dropped (`Ignore`).
pub(crate) fn check_fields(call: &mut Call, resource: &Resource, object: &mut Value) -> Result<(), Status> {
    let kind = (resource.group.as_str(), resource.version.as_str(), resource.kind.as_str());
    decode(call, resource, object).map_err(|wrong| refused(kind, wrong))
}

/// [`check_fields`] for the body of a subresource, which is of a type of its own.
pub(crate) fn check_body(call: &mut Call, kind: Gvk<'_>, body: &mut Value) -> Result<(), Status> {
    decode_as(call, kind, body).map_err(|wrong| refused(kind, wrong))
}

fn refused((_, version, kind): Gvk<'_>, wrong: Wrong) -> Status {
    let (Wrong::Type(why) | Wrong::Strict(why)) = wrong;
    Status::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"))
}

/// [`check_fields`] for what a patch made: `patch` is the value that the refusal shows.
pub(crate) fn check_patched(
    call: &mut Call,
    resource: &Resource,
    object: &mut Value,
    patch: &crate::patch::Patch,
) -> Result<(), Status> {
    let shown = patch.shown(object);
    decode(call, resource, object).map_err(|wrong| {
        let why = match wrong {
            Wrong::Type(why) => patch.type_error(why),
            Wrong::Strict(why) => why,
        };
        let mut causes = Causes::default();
        causes.invalid("patch", &json!(shown), &why);
        causes.finish("", "", "").err().unwrap_or_else(|| Status::bad_request(why))
    })
}

/// Group, version and kind.
type Gvk<'a> = (&'a str, &'a str, &'a str);

fn decode(call: &mut Call, resource: &Resource, object: &mut Value) -> Result<(), Wrong> {
    let Some(version) = &resource.custom else {
        return decode_as(call, (&resource.group, &resource.version, &resource.kind), object);
    };
    let mut unknown = Vec::new();
    super::structural::prune(&version["schema"]["openAPIV3Schema"], object, &mut unknown);
    said(call, &unknown)
}

fn decode_as(call: &mut Call, (group, version, kind): Gvk<'_>, object: &mut Value) -> Result<(), Wrong> {
    let Some(found) = schema::of_kind(group, version, kind) else { return Ok(()) };
    let mut unknown = Vec::new();
    walk(object, &Shape::Type(found.name), &mut Place::default(), &mut unknown).map_err(Wrong::Type)?;
    said(call, &unknown)
}

/// Says what is unknown, as the call wants it treated.
fn said(call: &mut Call, unknown: &[String]) -> Result<(), Wrong> {
    if unknown.is_empty() {
        return Ok(());
    }
    let sentences: Vec<String> = unknown.iter().map(|field| format!("unknown field \"{field}\"")).collect();
    match call.info.query.get("fieldValidation") {
        Some("Ignore") => Ok(()),
        Some("Strict") => Err(Wrong::Strict(format!("strict decoding error: {}", sentences.join(", ")))),
        _ => {
            for sentence in sentences {
                if !call.warnings.contains(&sentence) {
                    call.warnings.push(sentence);
                }
            }
            Ok(())
        }
    }
}

const MICRO_TIME: &str = "2006-01-02T15:04:05.000000Z07:00";

#[derive(Default)]
struct Place {
    path: String,
    /// The type that holds the field, for Go's words.
    holder: &'static str,
}

impl Place {
    fn within<T>(&mut self, step: &str, f: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if !step.starts_with(['[', '{']) && !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(step);
        let result = f(self);
        self.path.truncate(length);
        result
    }

    /// Go names the fields on the way, not the items of lists and maps.
    fn wrong(&self, found: &Value, wanted: &str) -> String {
        let found = crate::codec::go_name(found);
        if self.path.is_empty() {
            return format!("json: cannot unmarshal {found} into Go value of type {wanted}");
        }
        let mut path = String::new();
        let mut depth = 0_usize;
        for c in self.path.chars() {
            match c {
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                c if depth == 0 => path.push(c),
                _ => {}
            }
        }
        format!("json: cannot unmarshal {found} into Go struct field {}.{path} of type {wanted}", self.holder)
    }
}

/// Whether Go leaves a value out when it writes it again: zeros, empty lists and empty maps.
fn is_left_out(value: &Value, shape: &Shape) -> bool {
    match (shape, value) {
        (Shape::Text | Shape::Duration, Value::String(text)) => text.is_empty(),
        (Shape::Bool, Value::Bool(set)) => !set,
        (Shape::Int32 | Shape::Int64, Value::Number(number)) => number.as_i64() == Some(0),
        (Shape::List(_), Value::Array(items)) => items.is_empty(),
        (Shape::Map(_), Value::Object(fields)) => fields.is_empty(),
        _ => false,
    }
}

/// A type as Go names it.
fn go_type(shape: &Shape) -> String {
    match shape {
        Shape::Text | Shape::Duration => "string".to_owned(),
        Shape::Bool => "bool".to_owned(),
        Shape::Int32 => "int32".to_owned(),
        Shape::Int64 => "int64".to_owned(),
        Shape::Double => "float64".to_owned(),
        Shape::Bytes => "[]uint8".to_owned(),
        Shape::Time => "v1.Time".to_owned(),
        Shape::MicroTime => "v1.MicroTime".to_owned(),
        Shape::IntOrString => "intstr.IntOrString".to_owned(),
        Shape::Quantity => "resource.Quantity".to_owned(),
        Shape::Type(name) => {
            let mut parts = name.rsplitn(3, '.');
            let (kind, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            format!("{version}.{kind}")
        }
        Shape::List(inner) => format!("[]{}", go_type(inner)),
        Shape::Map(inner) => format!("map[string]{}", go_type(inner)),
        Shape::FreeObject | Shape::FieldSet | Shape::Anything => "runtime.RawExtension".to_owned(),
    }
}

fn walk(
    value: &mut Value,
    shape: &Shape,
    place: &mut Place,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    match (shape, &mut *value) {
        (Shape::Type(name), Value::Object(fields)) => {
            let Some(found) = schema::named(name) else { return Ok(()) };
            let holder = std::mem::replace(&mut place.holder, name.rsplit('.').next().unwrap_or(name));
            let mut gone = Vec::new();
            for (key, child) in fields.iter_mut() {
                match found.field(key) {
                    Some(field) => place.within(key, |place| walk(child, &field.shape, place, unknown))?,
                    // Messages without fields here are wrappers of what JSON has plain.
                    None if found.fields.is_empty() => {}
                    None => gone.push(key.clone()),
                }
            }
            for key in gone {
                fields.remove(&key);
                place.within(&key, |place| unknown.push(place.path.replace('{', ".").replace('}', "")));
            }
            // Structs that Go always has. An object's own status comes later.
            let own = place.path.is_empty();
            for field in found.fields.iter().filter(|field| field.is_value && !field.inline) {
                if !(fields.contains_key(field.name) || own && matches!(field.name, "metadata" | "status")) {
                    fields.insert(field.name.to_owned(), Node::Builtin(shape, None).fresh(field.name));
                }
            }
            fields.retain(|key, child| {
                found.field(key).is_none_or(|field| field.keeps_zero || !is_left_out(child, &field.shape))
            });
            place.holder = holder;
            Ok(())
        }
        (Shape::Type(_), found) => Err(place.wrong(found, &go_type(shape))),
        (Shape::Map(inner), Value::Object(fields)) => {
            for (key, child) in fields.iter_mut() {
                place.within(&format!("{{{key}}}"), |place| walk(child, inner, place, unknown))?;
            }
            Ok(())
        }
        (Shape::Map(_), found) => Err(place.wrong(found, &go_type(shape))),
        (Shape::List(inner), Value::Array(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                place.within(&format!("[{index}]"), |place| walk(item, inner, place, unknown))?;
            }
            Ok(())
        }
        (Shape::List(_), found) => Err(place.wrong(found, &go_type(shape))),
        (Shape::Time | Shape::MicroTime, Value::String(text)) if text.parse::<jiff::Timestamp>().is_err() => {
            let layout = if *shape == Shape::Time { "2006-01-02T15:04:05Z07:00" } else { MICRO_TIME };
            Err(format!("parsing time \"{text}\" as \"{layout}\": cannot parse \"{text}\" as \"2006\""))
        }
        (Shape::Text | Shape::Time | Shape::MicroTime | Shape::Duration, Value::String(_)) => Ok(()),
        (Shape::Bool, Value::Bool(_)) => Ok(()),
        (Shape::Int32, Value::Number(number))
            if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) =>
        {
            Ok(())
        }
        (Shape::Int64, Value::Number(number)) if number.is_i64() => Ok(()),
        (Shape::Int32 | Shape::Int64, Value::Number(number))
            if number.as_f64().is_some_and(|n| n.fract() == 0.0 && n.abs() < 2e9) =>
        {
            #[allow(clippy::cast_possible_truncation)]
            let whole = number.as_f64().unwrap_or_default() as i64;
            *value = json!(whole);
            Ok(())
        }
        (Shape::Double, Value::Number(_)) => Ok(()),
        (Shape::IntOrString, Value::Number(_) | Value::String(_)) => Ok(()),
        (Shape::Quantity, Value::String(text)) => match quantity::parse(text) {
            Some(_) => Ok(()),
            None => Err(format!("quantities must match the regular expression '{}'", quantity::PATTERN)),
        },
        (Shape::Quantity, Value::Number(number)) => {
            *value = json!(number.to_string());
            Ok(())
        }
        (Shape::Bytes, Value::String(text)) => {
            use base64::Engine as _;
            let text: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
            match base64::engine::general_purpose::STANDARD.decode(&text) {
                Ok(_) => {
                    *value = json!(text);
                    Ok(())
                }
                Err(
                    base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _),
                ) => Err(format!("illegal base64 data at input byte {at}")),
                Err(_) => Err(format!("illegal base64 data at input byte {}", text.len().saturating_sub(1))),
            }
        }
        (Shape::FreeObject, Value::Object(_)) | (Shape::FieldSet | Shape::Anything, _) => Ok(()),
        (shape, found) => Err(place.wrong(found, &go_type(shape))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(kind: &str, mut object: Value) -> String {
        let Some(found) = schema::of_kind("", "v1", kind) else { return String::new() };
        walk(&mut object, &Shape::Type(found.name), &mut Place::default(), &mut Vec::new())
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn wrong_types_are_told_in_the_words_of_go() {
        for (kind, object, words) in [
            (
                "Pod",
                json!({"spec": {"containers": [{"name": "a", "env": [{"name": "A", "value": 1}]}]}}),
                "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string",
            ),
            (
                "ConfigMap",
                json!({"data": {"a.b": true}}),
                "json: cannot unmarshal bool into Go struct field ConfigMap.data of type string",
            ),
            (
                "Pod",
                json!({"spec": {"containers": "none"}}),
                "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container",
            ),
        ] {
            assert_eq!(wrong(kind, object), words);
        }
    }
}
