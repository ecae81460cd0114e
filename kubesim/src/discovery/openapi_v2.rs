//! OpenAPI v2, for clients older than v3: the same kinds and fields, as JSON and as gnostic's protobuf.
//!
//! Made from the v3 documents, so that the two never disagree. Field numbers are those of gnostic's
//! `OpenAPIv2.proto`.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::openapi;
use crate::handlers::{Call, Core, Reply, accepted};

/// `/openapi/v2`.
pub(super) fn answer(core: &Core, call: &Call) -> Reply {
    let document = document(core);
    let wants_protobuf =
        accepted(&call.headers).iter().any(|media| media.name.contains("proto-openapi.spec.v2"));
    if !wants_protobuf {
        return Reply::value(document);
    }
    // Go's MIME parser rejects the `@` of the type that clients ask for; the dotted one is what is sent.
    Reply::Bytes(
        StatusCode::OK,
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
        Bytes::from(encode_document(&document)),
    )
}

fn document(core: &Core) -> Value {
    let mut definitions = Map::new();
    let mut paths = Map::new();
    for group in core.registry().groups() {
        for (version, _) in &group.versions {
            let Some(mut found) = openapi::document(core, &group.name, version) else { continue };
            if let Some(Value::Object(schemas)) = found["components"].get_mut("schemas").map(Value::take) {
                definitions.extend(schemas.into_iter().map(|(name, schema)| (name, plain(schema))));
            }
            if let Some(Value::Object(found)) = found.get_mut("paths").map(Value::take) {
                paths.extend(found.into_iter().map(|(path, item)| (path, path_item(item))));
            }
        }
    }
    json!({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": format!("v1.{}.2", core.minor)},
        "paths": paths, "definitions": definitions,
    })
}

/// A schema in the words of v2, which knows no alternatives and no null.
fn plain(schema: Value) -> Value {
    let Value::Object(fields) = schema else { return schema };
    // A reference beside other words had to be wrapped in v3.
    if let Some([Value::Object(only)]) = fields.get("allOf").and_then(Value::as_array).map(Vec::as_slice)
        && let Some(reference) = only.get("$ref")
    {
        return json!({"$ref": local(reference)});
    }
    let alternatives = fields.contains_key("oneOf") && !fields.contains_key("type");
    let mut out = Map::new();
    for (key, value) in fields {
        match key.as_str() {
            "$ref" => drop(out.insert(key, json!(local(&value)))),
            "oneOf" | "anyOf" | "not" | "nullable" | "default" | "allOf" => {}
            "properties" => {
                let Value::Object(properties) = value else { continue };
                let properties: Map<String, Value> =
                    properties.into_iter().map(|(name, schema)| (name, plain(schema))).collect();
                out.insert(key, Value::Object(properties));
            }
            "items" | "additionalProperties" => drop(out.insert(key, plain(value))),
            _ => drop(out.insert(key, value)),
        }
    }
    // What v3 has as alternatives v2 has as a string.
    if alternatives {
        out.insert("type".into(), json!("string"));
    }
    Value::Object(out)
}

fn local(reference: &Value) -> String {
    let text = reference.as_str().unwrap_or_default();
    format!("#/definitions/{}", text.rsplit('/').next().unwrap_or(text))
}

fn path_item(item: Value) -> Value {
    let Value::Object(operations) = item else { return item };
    operations.into_iter().map(|(method, operation)| (method, operation_of(operation))).collect()
}

fn operation_of(mut operation: Value) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    if let Some(Value::Object(content)) = operation["requestBody"].get_mut("content").map(Value::take) {
        let schema = content.values().next().map(|media| plain(media["schema"].clone())).unwrap_or_default();
        let consumes: Vec<String> = content.into_iter().map(|(media, _)| media).collect();
        operation["consumes"] = json!(consumes);
        parameters.push(json!({"name": "body", "in": "body", "required": true, "schema": schema}));
    }
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        parameters.push(json!({
            "name": parameter["name"], "in": parameter["in"], "type": parameter["schema"]["type"], "uniqueItems": true,
        }));
    }
    operation["parameters"] = json!(parameters);
    operation["produces"] = json!(["application/json", "application/yaml"]);
    let schema = plain(operation["responses"]["200"]["content"]["application/json"]["schema"].take());
    operation["responses"] = json!({"200": {"description": "OK", "schema": schema}});
    if let Some(fields) = operation.as_object_mut() {
        fields.remove("requestBody");
    }
    operation
}

/// A protobuf message in the making.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) -> &mut Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, field: u32, value: &Value) -> &mut Self {
        match value.as_str() {
            Some(text) if !text.is_empty() => self.bytes(field, text.as_bytes()),
            _ => self,
        }
    }

    fn texts(&mut self, field: u32, list: &Value) -> &mut Self {
        for item in list.as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.bytes(field, item.as_bytes());
        }
        self
    }

    fn message(&mut self, field: u32, inner: &Message) -> &mut Self {
        self.bytes(field, &inner.0)
    }

    fn flag(&mut self, field: u32, value: &Value) -> &mut Self {
        if value == &json!(true) {
            self.varint(u64::from(field) << 3);
            self.0.push(1);
        }
        self
    }

    /// Every `x-…` member, as YAML, of which JSON is a part.
    fn extensions(&mut self, field: u32, object: &Value) -> &mut Self {
        for (name, value) in
            object.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("x-"))
        {
            let mut any = Message::default();
            any.bytes(2, value.to_string().as_bytes());
            let mut named = Message::default();
            named.bytes(1, name.as_bytes()).message(2, &any);
            self.message(field, &named);
        }
        self
    }
}

/// A message of one field that holds another.
fn wrapped(field: u32, inner: &Message) -> Message {
    let mut message = Message::default();
    message.message(field, inner);
    message
}

fn named(name: &str, value: &Message) -> Message {
    let mut message = Message::default();
    message.bytes(1, name.as_bytes()).message(2, value);
    message
}

fn encode_document(document: &Value) -> Vec<u8> {
    let mut info = Message::default();
    info.text(1, &document["info"]["title"]).text(2, &document["info"]["version"]);
    let mut paths = Message::default();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        paths.message(2, &named(path, &encode_path(item)));
    }
    let definitions = encode_schemas(&document["definitions"]);
    let mut out = Message::default();
    out.text(1, &document["swagger"]).message(2, &info).message(8, &paths).message(9, &definitions);
    out.0
}

fn encode_path(item: &Value) -> Message {
    let mut message = Message::default();
    for (method, field) in [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8)] {
        let operation = &item[method];
        if operation.is_object() {
            message.message(field, &encode_operation(operation));
        }
    }
    message
}

fn encode_operation(operation: &Value) -> Message {
    let mut message = Message::default();
    message.text(5, &operation["operationId"]);
    message.texts(6, &operation["produces"]).texts(7, &operation["consumes"]);
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        message.message(8, &wrapped(1, &encode_parameter(parameter)));
    }
    let mut response = Message::default();
    let answer = &operation["responses"]["200"];
    response.text(1, &answer["description"]);
    if answer["schema"].is_object() {
        response.message(2, &wrapped(1, &encode_schema(&answer["schema"])));
    }
    message.message(9, &wrapped(1, &named("200", &wrapped(1, &response))));
    message.extensions(13, operation);
    message
}

fn encode_parameter(parameter: &Value) -> Message {
    let mut inner = Message::default();
    if parameter["in"] == "body" {
        inner.text(2, &parameter["name"]).text(3, &parameter["in"]).flag(4, &parameter["required"]);
        inner.message(5, &encode_schema(&parameter["schema"]));
        return wrapped(1, &inner);
    }
    inner.text(2, &parameter["in"]).text(4, &parameter["name"]).text(6, &parameter["type"]);
    inner.flag(20, &parameter["uniqueItems"]);
    wrapped(2, &wrapped(3, &inner))
}

fn encode_schemas(schemas: &Value) -> Message {
    let mut message = Message::default();
    for (name, schema) in schemas.as_object().into_iter().flatten() {
        message.message(1, &named(name, &encode_schema(schema)));
    }
    message
}

fn encode_schema(schema: &Value) -> Message {
    let mut message = Message::default();
    message.text(1, &schema["$ref"]).text(2, &schema["format"]).text(4, &schema["description"]);
    message.text(13, &schema["pattern"]).texts(19, &schema["required"]);
    match &schema["additionalProperties"] {
        inner @ Value::Object(_) => drop(message.message(21, &wrapped(1, &encode_schema(inner)))),
        Value::Bool(true) => drop(message.message(21, Message::default().flag(2, &json!(true)))),
        _ => {}
    }
    if let Some(kind) = schema["type"].as_str() {
        message.message(22, Message::default().bytes(1, kind.as_bytes()));
    }
    if schema["items"].is_object() {
        message.message(23, &wrapped(1, &encode_schema(&schema["items"])));
    }
    if schema["properties"].is_object() {
        message.message(25, &encode_schemas(&schema["properties"]));
    }
    message.extensions(31, schema);
    message
}
