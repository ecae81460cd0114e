//! The schema that an installer has published for its results.
//!
//! Read is the part of JSON Schema that is generated of types: anything else in it is refused when it is
//! read rather than passed over when it is applied. What a schema does not describe must not be there, or a
//! misspelt name would be as good as a right one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A schema, read.
#[derive(Clone, Debug)]
pub struct ResultSchema {
    root: Rule,
    definitions: BTreeMap<String, Rule>,
}

/// What a value must be.
#[derive(Clone, Debug)]
enum Rule {
    /// Anything.
    Any,
    /// What the definition of this name says.
    Named(String),
    /// At least one of these.
    AnyOf(Vec<Rule>),
    /// Exactly this.
    Constant(Value),
    /// Of one of these types, and what follows from it.
    Typed { types: Vec<String>, minimum: Option<f64>, items: Option<Box<Rule>>, fields: Option<Fields> },
}

/// What an object must have.
#[derive(Clone, Debug)]
struct Fields {
    known: BTreeMap<String, Rule>,
    required: Vec<String>,
    /// What fields of other names must be; none are allowed without it.
    others: Option<Box<Rule>>,
}

/// Words that say nothing of a value.
const REMARKS: [&str; 5] = ["$schema", "title", "description", "format", "$defs"];

impl ResultSchema {
    /// Reads a schema.
    ///
    /// # Errors
    /// A lowercase fragment that says what in it cannot be read, and where.
    pub fn read(text: &str) -> Result<Self, String> {
        let schema: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
        let none = Map::new();
        let definitions = schema["$defs"].as_object().unwrap_or(&none);
        let definitions = definitions
            .iter()
            .map(|(name, rule)| Ok((name.clone(), Rule::read(rule, &format!("$defs.{name}"))?)))
            .collect::<Result<_, String>>()?;
        Ok(Self { root: Rule::read(&schema, "the schema")?, definitions })
    }

    /// What is wrong with a document: the first place that is not as it should be.
    #[must_use]
    pub fn fault(&self, document: &Value) -> Option<String> {
        self.check(&self.root, document, "result").err()
    }

    fn check(&self, rule: &Rule, value: &Value, at: &str) -> Result<(), String> {
        match rule {
            Rule::Any => Ok(()),
            Rule::Named(name) => match self.definitions.get(name) {
                Some(rule) => self.check(rule, value, at),
                None => Err(format!("{at}: the schema has no definition {name}")),
            },
            Rule::AnyOf(rules) => {
                let faults: Vec<String> =
                    rules.iter().filter_map(|rule| self.check(rule, value, at).err()).collect();
                if faults.len() < rules.len() {
                    return Ok(());
                }
                // The deepest is of the rule that was meant.
                let deepest = faults.into_iter().max_by_key(|fault| fault.split(": ").next().map(str::len));
                Err(deepest.unwrap_or_else(|| format!("{at}: nothing is allowed here")))
            }
            Rule::Constant(constant) if constant == value => Ok(()),
            Rule::Constant(constant) => Err(format!("{at}: it is {} and not {constant}", brief(value))),
            Rule::Typed { types, minimum, items, fields } => {
                if !types.is_empty() && !types.iter().any(|name| is(value, name)) {
                    return Err(format!(
                        "{at}: it is {} and not of type {}",
                        brief(value),
                        types.join(" or ")
                    ));
                }
                if minimum.zip(value.as_f64()).is_some_and(|(minimum, number)| number < minimum) {
                    return Err(format!("{at}: {value} is too little"));
                }
                if let (Some(rule), Value::Array(all)) = (items, value) {
                    for (index, item) in all.iter().enumerate() {
                        self.check(rule, item, &format!("{at}[{index}]"))?;
                    }
                }
                match (fields, value) {
                    (Some(fields), Value::Object(object)) => self.check_fields(fields, object, at),
                    _ => Ok(()),
                }
            }
        }
    }

    fn check_fields(&self, fields: &Fields, object: &Map<String, Value>, at: &str) -> Result<(), String> {
        if let Some(name) = fields.required.iter().find(|name| !object.contains_key(*name)) {
            return Err(format!("{at}: it lacks {name}"));
        }
        for (name, value) in object {
            let rule = fields.known.get(name).or(fields.others.as_deref());
            let rule = rule.ok_or_else(|| format!("{at}: the schema does not know {name}"))?;
            self.check(rule, value, &format!("{at}.{name}"))?;
        }
        Ok(())
    }
}

impl Rule {
    fn read(rule: &Value, at: &str) -> Result<Self, String> {
        let rule = match rule {
            Value::Bool(true) => return Ok(Self::Any),
            Value::Object(rule) => rule,
            other => return Err(format!("{at} is {other}")),
        };
        let has = |name: &str| rule.contains_key(name);
        let mut known: Vec<&str> = REMARKS.to_vec();
        let read = if let Some(name) = rule.get("$ref") {
            known.push("$ref");
            let name = name.as_str().and_then(|name| name.strip_prefix("#/$defs/"));
            Self::Named(name.ok_or_else(|| format!("{at}.$ref is no definition"))?.to_owned())
        } else if let Some(rules) = rule.get("anyOf").or(rule.get("oneOf")) {
            known.extend(["anyOf", "oneOf"]);
            let rules = rules.as_array().ok_or_else(|| format!("{at}: no list of alternatives"))?;
            Self::AnyOf(rules.iter().map(|rule| Self::read(rule, at)).collect::<Result<_, _>>()?)
        } else if let Some(values) = rule.get("enum") {
            known.extend(["enum", "type"]);
            let values = values.as_array().ok_or_else(|| format!("{at}.enum is no list"))?;
            Self::AnyOf(values.iter().cloned().map(Self::Constant).collect())
        } else if let Some(constant) = rule.get("const") {
            known.extend(["const", "type"]);
            Self::Constant(constant.clone())
        } else {
            known.extend(["type", "minimum", "items", "properties", "required", "additionalProperties"]);
            let types = match rule.get("type") {
                None => Vec::new(),
                Some(Value::String(one)) => vec![one.clone()],
                Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                Some(other) => return Err(format!("{at}.type is {other}")),
            };
            let items = rule.get("items").map(|items| Self::read(items, at)).transpose()?.map(Box::new);
            let fields = has("properties") || has("additionalProperties");
            let fields = fields.then(|| Fields::read(rule, at)).transpose()?;
            Self::Typed { types, minimum: rule.get("minimum").and_then(Value::as_f64), items, fields }
        };
        match rule.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(format!("{at} has {name:?}, which is not understood")),
            None => Ok(read),
        }
    }
}

impl Fields {
    fn read(rule: &Map<String, Value>, at: &str) -> Result<Self, String> {
        let none = Map::new();
        let known = rule.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let known = known
            .iter()
            .map(|(name, rule)| Ok((name.clone(), Rule::read(rule, &format!("{at}.{name}"))?)))
            .collect::<Result<_, String>>()?;
        let required = rule.get("required").and_then(Value::as_array).into_iter().flatten();
        let others = match rule.get("additionalProperties") {
            None | Some(Value::Bool(false)) => None,
            Some(rule) => Some(Box::new(Rule::read(rule, at)?)),
        };
        Ok(Self { known, required: required.filter_map(Value::as_str).map(str::to_owned).collect(), others })
    }
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => false,
    }
}

fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn schema() -> ResultSchema {
        let text = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "ok": { "type": "boolean", "description": "Whether." },
                "count": { "type": ["integer", "null"], "format": "uint32", "minimum": 0 },
                "status": { "oneOf": [{ "type": "string", "const": "done" }, { "type": "string", "const": "error" }] },
                "blockers": { "type": "array", "items": { "$ref": "#/$defs/Blocker" } },
                "forced": { "anyOf": [{ "$ref": "#/$defs/Blocker" }, { "type": "null" }] },
                "gates": { "type": "object", "additionalProperties": { "type": "string" } },
            },
            "required": ["ok", "status"],
            "$defs": { "Blocker": {
                "type": "object",
                "properties": { "code": { "type": "string", "enum": ["A", "B"] }, "words": { "type": "string" } },
                "required": ["code"],
            } },
        });
        ResultSchema::read(&text.to_string()).unwrap()
    }

    #[test]
    fn a_result_as_described_is_faultless() {
        let document = json!({
            "ok": true, "count": null, "status": "done", "forced": null, "gates": { "platform": "passed" },
            "blockers": [{ "code": "A", "words": "x" }, { "code": "B" }],
        });
        assert_eq!(schema().fault(&document), None);
    }

    #[rstest]
    #[case::lacking(json!({ "ok": true }), "result: it lacks status")]
    #[case::misspelt(json!({ "ok": true, "status": "done", "okay": 1 }), "result: the schema does not know okay")]
    #[case::of_another_type(json!({ "ok": "yes", "status": "done" }), "result.ok: it is \"yes\" and not of type boolean")]
    #[case::negative(json!({ "ok": true, "status": "done", "count": -1 }), "result.count: -1 is too little")]
    #[case::half(json!({ "ok": true, "status": "done", "count": 1.5 }), "result.count: it is 1.5 and not of type integer or null")]
    #[case::no_such_word(json!({ "ok": true, "status": "fine" }), "result.status: it is \"fine\" and not \"error\"")]
    #[case::deep(json!({ "ok": true, "status": "done", "blockers": [{ "code": "C" }] }), "result.blockers[0].code: it is \"C\" and not \"B\"")]
    #[case::deep_in_a_choice(json!({ "ok": true, "status": "done", "forced": { "code": "A", "words": 1 } }), "result.forced.words: it is 1 and not of type string")]
    #[case::in_a_map(json!({ "ok": true, "status": "done", "gates": { "a": 1 } }), "result.gates.a: it is 1 and not of type string")]
    fn whatever_is_not_as_described_is_named(#[case] document: Value, #[case] fault: &str) {
        assert_eq!(schema().fault(&document).unwrap(), fault);
    }

    #[test]
    fn what_is_not_understood_is_refused_rather_than_passed_over() {
        let refused = ResultSchema::read(r#"{ "type": "string", "pattern": "^a" }"#).unwrap_err();
        assert_eq!(refused, "the schema has \"pattern\", which is not understood");
        assert!(ResultSchema::read(r#"{ "$ref": "elsewhere.json" }"#).is_err());
        assert!(ResultSchema::read("no").is_err());
    }
}
