//! Where two documents differ.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One place where they differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// JSON pointer; list indices as `*`, so that the same difference has one name wherever it occurs.
    pub pointer: String,
    /// What the embedded cluster says; null when it says nothing there.
    pub embedded: Value,
    /// What the reference says.
    pub reference: Value,
}

/// Every place where two answers differ, in order. When their codes do, the rest follows from that: then there is one
/// difference, `/code`, and each side is a sentence with its code, reason and message.
#[must_use]
pub fn between(embedded: &Value, reference: &Value) -> Vec<Difference> {
    if embedded["code"] == reference["code"] {
        return differences(embedded, reference);
    }
    let [embedded, reference] = [embedded, reference].map(|answer| Value::String(sentence(answer)));
    vec![Difference { pointer: "/code".into(), embedded, reference }]
}

fn sentence(answer: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let body = &answer["body"];
    match body["kind"].as_str() {
        Some("Status") => format!("{} {}: {}", answer["code"], text(&body["reason"]), text(&body["message"])),
        Some(kind) => format!("{} {kind}", text(&answer["code"])),
        None => format!("{} {}", text(&answer["code"]), text(body)),
    }
}

/// Every place where two documents differ, in order.
#[must_use]
pub fn differences(embedded: &Value, reference: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    descend(String::new(), embedded, reference, &mut found);
    found
}

fn descend(pointer: String, embedded: &Value, reference: &Value, found: &mut Vec<Difference>) {
    match (embedded, reference) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let names: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for name in names {
                let at = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                let (ours, theirs) = (ours.get(name), theirs.get(name));
                descend(at, ours.unwrap_or(&Value::Null), theirs.unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (ours, theirs) in ours.iter().zip(theirs) {
                descend(format!("{pointer}/*"), ours, theirs, found);
            }
        }
        (ours, theirs) if ours == theirs => {}
        (ours, theirs) => {
            found.push(Difference { pointer, embedded: ours.clone(), reference: theirs.clone() })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_named_by_where_it_is() {
        let found = differences(
            &json!({"a": [{"b": 1}, {"b": 2}], "same": true}),
            &json!({"a": [{"b": 1}, {"b": 3}], "same": true, "more": "x"}),
        );
        let named: Vec<_> = found.iter().map(|difference| difference.pointer.as_str()).collect();
        assert_eq!(named, ["/a/*/b", "/more"]);
        assert_eq!((&found[0].embedded, &found[0].reference), (&json!(2), &json!(3)));
    }
}
