//! One request, as it is generated, sent to both sides, and kept in a file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Stands for the namespace of a sequence, in paths and bodies.
pub const NAMESPACE: &str = "{ns}";
/// In a body: the current resource version of the object at the path, on the side that is asked.
pub const CURRENT_VERSION: &str = "{rv}";
/// In a body: its current uid.
pub const CURRENT_UID: &str = "{uid}";

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Operation {
    /// What it tries; divergences are counted by it.
    pub area: String,
    /// HTTP method.
    pub method: String,
    /// Path.
    pub path: String,
    /// Query parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// `Content-Type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Accept`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
    /// Body; a string is sent as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

impl Operation {
    /// A request without a body.
    pub fn new(area: &str, method: &str, path: impl Into<String>) -> Self {
        Self {
            area: area.to_owned(),
            method: method.to_owned(),
            path: path.into(),
            query: BTreeMap::new(),
            content_type: None,
            accept: None,
            body: None,
        }
    }

    /// With a body of this type.
    #[must_use]
    pub fn with(mut self, content_type: &str, body: Value) -> Self {
        self.content_type = Some(content_type.to_owned());
        self.body = Some(body);
        self
    }

    /// With a query parameter.
    #[must_use]
    pub fn asking(mut self, key: &str, value: impl Into<String>) -> Self {
        self.query.insert(key.to_owned(), value.into());
        self
    }

    /// One line for a person: method, path, query.
    #[must_use]
    pub fn line(&self) -> String {
        let query: Vec<String> = self.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let media = self.content_type.as_deref().filter(|_| self.method == "PATCH");
        let media = media.map(|media| format!(" ({media})")).unwrap_or_default();
        format!("{} {}{query}{media}", self.method, self.path)
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// HTTP status.
    pub code: u16,
    /// `Content-Type` without parameters.
    pub content_type: String,
    /// `Warning` headers.
    pub warnings: Vec<String>,
    /// JSON, else text.
    pub body: Value,
}

impl Answer {
    /// Whether the request was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// As one document, for comparing.
    #[must_use]
    pub fn document(&self) -> Value {
        serde_json::json!({
            "code": self.code, "contentType": self.content_type, "warnings": self.warnings, "body": self.body,
        })
    }
}
