//! The columns of custom resources: those that their definition adds, else their age.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::jsonpath::Path;
use super::words::between;

/// A column of a custom resource's table, besides its name.
struct Column {
    path: Option<Path>,
    kind: String,
    heading: Value,
}

pub(super) struct Columns(Vec<Column>);

impl Columns {
    /// The columns of one version of a definition.
    pub(super) fn of(version: &Value) -> Self {
        let age = [json!({
            "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp",
            "description": "When the object was created.",
        })];
        let added = version["additionalPrinterColumns"].as_array().filter(|columns| !columns.is_empty());
        let columns = added.map_or(&age[..], Vec::as_slice).iter().map(|column| {
            let text = |field: &str| column[field].as_str().unwrap_or_default();
            let description = match text("description") {
                "" => format!("Custom resource definition column (in JSONPath format): {}", text("jsonPath")),
                said => said.to_owned(),
            };
            Column {
                path: Path::parse(text("jsonPath")),
                kind: text("type").to_owned(),
                heading: json!({
                    "name": text("name"), "type": text("type"), "format": text("format"),
                    "description": description, "priority": column["priority"].as_i64().unwrap_or(0),
                }),
            }
        });
        Self(columns.collect())
    }

    pub(super) fn headings(&self) -> impl Iterator<Item = Value> + '_ {
        self.0.iter().map(|column| column.heading.clone())
    }

    pub(super) fn cells<'a>(&'a self, object: &'a Value, now: Timestamp) -> impl Iterator<Item = Value> + 'a {
        self.0.iter().map(move |column| {
            let found = column.path.as_ref().and_then(|path| path.first(object)).unwrap_or(&Value::Null);
            cell(&column.kind, found, now)
        })
    }
}

/// A value in the form of its column's type; null when it has another type.
fn cell(kind: &str, value: &Value, now: Timestamp) -> Value {
    match (kind, value) {
        (_, Value::Null) => Value::Null,
        ("string", Value::String(text)) => json!(text),
        ("string", other) => json!(other.to_string()),
        ("integer", Value::Number(number)) => {
            #[allow(clippy::cast_possible_truncation)] // As the real server truncates.
            let whole = number.as_i64().or_else(|| number.as_f64().map(|number| number as i64));
            json!(whole)
        }
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(text)) => match text.parse::<Timestamp>() {
            Ok(time) => json!(between(time, now)),
            Err(_) => json!("<invalid>"),
        },
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn cells_take_the_form_of_their_column() {
        let version = json!({"additionalPrinterColumns": [
            {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "priority": 1},
            {"name": "Spec", "type": "string", "jsonPath": ".spec"},
            {"name": "None", "type": "string", "jsonPath": ".spec.none"},
        ]});
        let object = json!({
            "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"size": 3},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        let columns = Columns::of(&version);
        let now = "2026-01-01T00:05:00Z".parse().unwrap();
        let cells: Vec<Value> = columns.cells(&object, now).collect();
        assert_eq!(cells, [json!("True"), json!(3), json!("5m"), json!("{\"size\":3}"), Value::Null]);
        assert_eq!(columns.headings().nth(2).unwrap()["priority"], 1);
        assert_eq!(Columns::of(&json!({})).headings().next().unwrap()["name"], "Age");
    }
}
