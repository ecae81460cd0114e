//! The kinds that generated requests are about; the table is data, in `kinds.yaml`.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::operation::NAMESPACE;

/// One kind.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Kind {
    pub(crate) plural: String,
    pub(crate) api_version: String,
    kind: String,
    #[serde(default)]
    pub(crate) scale: bool,
    body: Value,
    /// Pointer and value.
    pub(crate) values: Vec<(String, Value)>,
    /// Merge patches.
    pub(crate) patches: Vec<Value>,
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    serde_saphyr::from_str(include_str!("kinds.yaml"))
        .expect("kinds.yaml is compiled in, and a test reads it")
});

/// All of them.
pub(crate) fn all() -> &'static [Kind] {
    &KINDS
}

impl Kind {
    /// The path of its collection in the namespace of the sequence.
    pub(crate) fn collection(&self) -> String {
        let root = if self.api_version.contains('/') { "apis" } else { "api" };
        format!("/{root}/{}/namespaces/{NAMESPACE}/{}", self.api_version, self.plural)
    }

    /// The path of an object.
    pub(crate) fn object(&self, name: &str) -> String {
        format!("{}/{name}", self.collection())
    }

    /// A valid body.
    pub(crate) fn body(&self, name: &str) -> Value {
        let mut body = self.body.clone();
        body["apiVersion"] = json!(self.api_version);
        body["kind"] = json!(self.kind);
        body["metadata"] =
            json!({"name": name, "namespace": NAMESPACE, "labels": {"app": "web", "name": name}});
        body
    }
}

/// Puts a value into a document at a pointer, making what is missing on the way; null takes it out.
pub(crate) fn put(document: &mut Value, pointer: &str, value: &Value) {
    let mut parts: Vec<&str> = pointer.split('/').skip(1).collect();
    let Some(last) = parts.pop() else { return };
    let mut place = document;
    for part in parts {
        place = match place {
            Value::Array(items) => match part.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                Some(item) => item,
                None => return,
            },
            place => {
                if !place.is_object() {
                    *place = json!({});
                }
                &mut place[part]
            }
        };
    }
    match (place, value) {
        (Value::Object(fields), Value::Null) => drop(fields.remove(last)),
        (Value::Array(items), value) => {
            if let Some(item) = last.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                *item = value.clone();
            }
        }
        (place, value) => {
            if !place.is_object() {
                *place = json!({});
            }
            place[last] = value.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_reads_and_its_values_go_where_they_say() {
        assert!(all().len() >= 18);
        for kind in all() {
            for (pointer, value) in &kind.values {
                let mut body = kind.body("a");
                put(&mut body, pointer, value);
                let found = body.pointer(pointer);
                assert_eq!(found, Some(value).filter(|value| !value.is_null()), "{} {pointer}", kind.plural);
            }
        }
    }
}
