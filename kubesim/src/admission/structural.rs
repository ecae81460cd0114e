//! Custom resources against their structural schema: pruning, defaulting, validation.
//!
//! CEL rules (`x-kubernetes-validations`) are not evaluated.

use serde_json::{Map, Value};

use super::causes::Causes;

fn preserves(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == true || schema.is_null()
}

/// Drops the fields that a schema does not know and names them.
pub(super) fn prune(schema: &Value, object: &mut Value, unknown: &mut Vec<String>) {
    if preserves(schema) {
        return;
    }
    prune_at(schema, object, "", true, unknown);
}

fn prune_at(schema: &Value, value: &mut Value, path: &str, root: bool, unknown: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let embedded = root || schema["x-kubernetes-embedded-resource"] == true;
            let mut gone = Vec::new();
            for (key, child) in fields.iter_mut() {
                let place = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if embedded && matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
                    continue;
                }
                if let Some(property) = schema["properties"].get(key) {
                    prune_at(property, child, &place, false, unknown);
                } else if schema["additionalProperties"].is_object() {
                    prune_at(&schema["additionalProperties"], child, &place, false, unknown);
                } else if !(preserves(schema) || schema["additionalProperties"] == true) {
                    gone.push(key.clone());
                    unknown.push(place);
                }
            }
            for key in gone {
                fields.remove(&key);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                prune_at(&schema["items"], item, &format!("{path}[{index}]"), false, unknown);
            }
        }
        _ => {}
    }
}

/// Fills in defaults.
pub(super) fn default(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, property) in schema["properties"].as_object().into_iter().flatten() {
                if let (None, Some(default)) = (fields.get(key), property.get("default")) {
                    fields.insert(key.clone(), default.clone());
                }
                if let Some(child) = fields.get_mut(key) {
                    self::default(property, child);
                }
            }
            if schema["additionalProperties"].is_object() {
                for child in fields.values_mut() {
                    self::default(&schema["additionalProperties"], child);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| self::default(&schema["items"], item)),
        _ => {}
    }
}

/// Says everything that a schema has against a value.
pub(super) fn validate(schema: &Value, value: &Value, path: &str, causes: &mut Causes) {
    let place = if path.is_empty() { "<nil>" } else { path };
    if schema["x-kubernetes-int-or-string"] == true {
        if !(value.is_i64() || value.is_string()) {
            causes.type_invalid(
                place,
                kind_of(value),
                &format!("{place} in body must be of type integer or string"),
            );
        }
        return;
    }
    if let Some(wanted) = schema["type"].as_str() {
        let right = match wanted {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
            "number" => value.is_number(),
            _ => true,
        };
        if !right {
            let kind = kind_of(value);
            causes.type_invalid(
                place,
                kind,
                &format!("{place} in body must be of type {wanted}: \"{kind}\""),
            );
            return;
        }
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        causes.unsupported(place, value, &allowed);
    }
    match value {
        Value::Object(fields) => validate_object(schema, fields, path, causes),
        Value::Array(items) => {
            bound(
                schema,
                "minItems",
                items.len(),
                |least| items.len() < least,
                place,
                "items",
                "at least",
                causes,
            );
            if let Some(most) = exceeded(schema, "maxItems", items.len()) {
                causes.too_many(place, items.len(), most);
            }
            for (index, item) in items.iter().enumerate() {
                validate(&schema["items"], item, &format!("{path}[{index}]"), causes);
            }
        }
        Value::String(text) => {
            let length = text.chars().count();
            bound(
                schema,
                "minLength",
                length,
                |least| length < least,
                place,
                "chars long",
                "at least",
                causes,
            );
            if let Some(most) = exceeded(schema, "maxLength", length) {
                causes.too_long(place, most);
            }
            if let Some(pattern) = schema["pattern"].as_str()
                && regex_lite::Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text))
            {
                causes.invalid(place, value, &format!("{place} in body should match '{pattern}'"));
            }
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            if schema["minimum"].as_f64().is_some_and(|least| number < least) {
                let least = &schema["minimum"];
                causes.invalid(
                    place,
                    value,
                    &format!("{place} in body should be greater than or equal to {least}"),
                );
            }
            if schema["maximum"].as_f64().is_some_and(|most| number > most) {
                let most = &schema["maximum"];
                causes.invalid(
                    place,
                    value,
                    &format!("{place} in body should be less than or equal to {most}"),
                );
            }
        }
        _ => {}
    }
}

fn validate_object(schema: &Value, fields: &Map<String, Value>, path: &str, causes: &mut Causes) {
    let at = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(required) {
            causes.required(at(required), "");
        }
    }
    for (key, value) in fields {
        if path.is_empty() && matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
            continue;
        }
        if let Some(property) = schema["properties"].get(key) {
            validate(property, value, &at(key), causes);
        } else if schema["additionalProperties"].is_object() {
            validate(&schema["additionalProperties"], value, &at(key), causes);
        }
    }
}

/// The bound of a keyword, if it is exceeded.
fn exceeded(schema: &Value, keyword: &str, found: usize) -> Option<u64> {
    schema[keyword].as_u64().filter(|most| u64::try_from(found).is_ok_and(|found| found > *most))
}

#[allow(clippy::too_many_arguments)]
fn bound(
    schema: &Value,
    keyword: &str,
    found: usize,
    broken: impl Fn(usize) -> bool,
    place: &str,
    unit: &str,
    relation: &str,
    causes: &mut Causes,
) {
    let Some(limit) = schema[keyword].as_u64().and_then(|limit| usize::try_from(limit).ok()) else { return };
    if broken(limit) {
        causes.invalid(
            place,
            &Value::from(found),
            &format!("{place} in body should be {relation} {limit} {unit}"),
        );
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
