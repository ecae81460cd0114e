//! Keeps secrets out of everything that is written.
//!
//! Two nets: the exact values that the edge knows to be secret (tokens of the kubeconfig, AWS keys,
//! sensitive Helm values), and the shapes that secrets have wherever they turn up, in a pod's log say.

use std::sync::{Arc, LazyLock, RwLock};

use regex_lite::Regex;
use serde_json::Value;

const HIDDEN: &str = "[redacted]";

/// Shorter values are not replaced: they would turn ordinary words into holes.
const SHORTEST: usize = 6;

static SHAPES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        // AWS access key ids, JSON web tokens, EKS bearer tokens.
        (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", "[redacted]"),
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", "[redacted]"),
        (r"\bk8s-aws-v1\.[A-Za-z0-9_=-]+", "[redacted]"),
        (r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", "$1 [redacted]"),
        // name=value, --set a.password=b.
        (
            r#"(?i)([\w.-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?))=("[^"]*"|'[^']*'|[^\s,&;"']+)"#,
            "$1=[redacted]",
        ),
        // "name": "value".
        (
            r#"(?i)("[\w.-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)"\s*:\s*)"[^"]*""#,
            r#"$1"[redacted]""#,
        ),
        (r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", "[redacted]"),
    ]
    .into_iter()
    .filter_map(|(shape, with)| Regex::new(shape).ok().map(|shape| (shape, with)))
    .collect()
});

/// Whether a name says that its value is secret.
#[must_use]
pub fn names_a_secret(name: &str) -> bool {
    let name: String = name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    ["password", "passwd", "secret", "token", "apikey", "accesskey", "privatekey", "credential"]
        .iter()
        .any(|word| name.contains(word))
        || name == "key"
}

/// Replaces secrets by `[redacted]`. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct Redactor(Arc<RwLock<Vec<String>>>);

impl Redactor {
    /// From now on this value is hidden wherever it appears.
    pub fn hide(&self, value: &str) {
        let value = value.trim();
        if value.len() < SHORTEST {
            return;
        }
        if let Ok(mut known) = self.0.write()
            && !known.iter().any(|one| one == value)
        {
            known.push(value.to_owned());
            // Longest first, so that a secret that contains another goes whole.
            known.sort_by_key(|one| std::cmp::Reverse(one.len()));
        }
    }

    /// Hides every string in a tree of values whose name, or whose parent's name, says that it is secret.
    pub fn hide_named(&self, values: &Value) {
        self.hide_under(values, false);
    }

    fn hide_under(&self, values: &Value, secret: bool) {
        match values {
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.hide_under(value, secret || names_a_secret(name));
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.hide_under(item, secret)),
            Value::String(text) if secret => self.hide(text),
            _ => {}
        }
    }

    /// The text without secrets.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if let Ok(known) = self.0.read() {
            for secret in known.iter() {
                if text.contains(secret.as_str()) {
                    text = text.replace(secret.as_str(), HIDDEN);
                }
            }
        }
        for (shape, with) in SHAPES.iter() {
            if shape.is_match(&text) {
                text = shape.replace_all(&text, *with).into_owned();
            }
        }
        text
    }

    /// The same for every string in a JSON value.
    pub fn json(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.json(field)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_and_secret_shapes_are_hidden() {
        let redactor = Redactor::default();
        redactor.hide("s3cr3t-value");
        redactor.hide_named(&serde_json::json!({ "db": { "password": "hunter22" }, "name": "shop" }));
        let text = redactor.text(
            "s3cr3t-value hunter22 AKIAABCDEFGHIJKLMNOP --set db.password=pw1 \
             Authorization: Bearer abcdefgh12345678 {\"apiToken\": \"x\"} shop",
        );
        for secret in ["s3cr3t-value", "hunter22", "AKIA", "pw1", "abcdefgh12345678", "\"x\""] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(text.ends_with("shop"));
    }

    #[test]
    fn what_the_cluster_says_stays_readable() {
        let redactor = Redactor::default();
        for text in [
            "0/2 nodes are available: 2 node(s) had untolerated taint {dedicated: gpu}.",
            "InvalidIdentityToken: No OpenIDConnect provider found in your account",
            "ExpiredToken: The security token included in the request is expired",
            "secret \"karpenter-cert\" not found",
        ] {
            assert_eq!(redactor.text(text), text);
        }
    }
}
