//! Keeps secrets out of everything that is written.
//!
//! Two nets: the exact values that the edge knows to be secret (tokens of the kubeconfig, AWS keys,
//! sensitive Helm values), and the shapes that secrets have wherever they turn up, in a pod's log say.

use std::sync::{Arc, OnceLock, RwLock};

use regex_lite::Regex;
use serde_json::Value;

const HIDDEN: &str = "[redacted]";

/// Shorter values are not replaced: they would turn ordinary words into holes.
const SHORTEST: usize = 6;

/// A shape that secrets have wherever they turn up.
struct Shape {
    /// Whether a text can have it at all, told cheaply: most texts are plain words. The second text is the
    /// first in lower case.
    may: fn(&str, &str) -> bool,
    pattern: &'static str,
    with: &'static str,
    regex: OnceLock<Option<Regex>>,
}

const fn shape(may: fn(&str, &str) -> bool, pattern: &'static str, with: &'static str) -> Shape {
    Shape { may, pattern, with, regex: OnceLock::new() }
}

fn has_secret_name(lower: &str) -> bool {
    ["passw", "secret", "token", "key", "credential"].iter().any(|word| lower.contains(word))
}

static SHAPES: [Shape; 7] = [
    // AWS access key ids, JSON web tokens, EKS bearer tokens.
    shape(
        |text, _| text.contains("AKIA") || text.contains("ASIA"),
        r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
        "[redacted]",
    ),
    shape(
        |text, _| text.contains("eyJ"),
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        "[redacted]",
    ),
    shape(|text, _| text.contains("k8s-aws-v1."), r"\bk8s-aws-v1\.[A-Za-z0-9_=-]+", "[redacted]"),
    shape(
        |_, lower| lower.contains("bearer") || lower.contains("basic"),
        r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}",
        "$1 [redacted]",
    ),
    // name=value, --set a.password=b.
    shape(
        |_, lower| lower.contains('=') && has_secret_name(lower),
        r#"(?i)([\w.-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?))=("[^"]*"|'[^']*'|[^\s,&;"']+)"#,
        "$1=[redacted]",
    ),
    // "name": "value".
    shape(
        |_, lower| lower.contains('"') && lower.contains(':') && has_secret_name(lower),
        r#"(?i)("[\w.-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)"\s*:\s*)"[^"]*""#,
        r#"$1"[redacted]""#,
    ),
    shape(
        |text, _| text.contains("-----BEGIN"),
        r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----",
        "[redacted]",
    ),
];

/// Whether a name says that its value is secret.
#[must_use]
pub fn names_a_secret(name: &str) -> bool {
    let name: String = name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    [
        "password",
        "passwd",
        "secret",
        "token",
        "apikey",
        "accesskey",
        "privatekey",
        "clientkeydata",
        "credential",
    ]
    .iter()
    .any(|word| name.contains(word))
        || name == "key"
}

/// Replaces secrets by `[redacted]`. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct Redactor(Arc<RwLock<Vec<String>>>);

impl Redactor {
    /// From now on this value is hidden wherever it appears: as it is, as it stands in JSON, as it stands in
    /// a Secret, and line by line, since tools and logs are shown by their last lines.
    pub fn hide(&self, value: &str) {
        let value = value.trim();
        let escaped = serde_json::Value::from(value).to_string();
        let mut forms =
            vec![value.to_owned(), escaped.trim_matches('"').to_owned(), base64(value.as_bytes())];
        if value.contains('\n') {
            forms.extend(value.lines().map(|line| line.trim().to_owned()));
        }
        let Ok(mut known) = self.0.write() else { return };
        for form in forms.into_iter().filter(|form| form.len() >= SHORTEST) {
            if !known.contains(&form) {
                known.push(form);
            }
        }
        // Longest first, so that a secret that contains another goes whole.
        known.sort_by_key(|one| std::cmp::Reverse(one.len()));
    }

    /// Hides every text and number in a tree of values whose name, or whose parent's name, says that it is
    /// secret; of a pair of `name` and `value`, as variables are written, the name says it.
    pub fn hide_named(&self, values: &Value) {
        self.hide_under(values, false);
    }

    fn hide_under(&self, values: &Value, secret: bool) {
        match values {
            Value::Object(fields) => {
                let named = fields.get("name").and_then(Value::as_str).is_some_and(names_a_secret);
                for (name, value) in fields {
                    let pair = named && name == "value";
                    self.hide_under(value, secret || pair || names_a_secret(name));
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.hide_under(item, secret)),
            Value::String(text) if secret => self.hide(text),
            Value::Number(number) if secret => self.hide(&number.to_string()),
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
        let lower = text.to_lowercase();
        for shape in SHAPES.iter().filter(|shape| (shape.may)(&text, &lower)).collect::<Vec<_>>() {
            if let Some(regex) = shape.regex.get_or_init(|| Regex::new(shape.pattern).ok()) {
                text = regex.replace_all(&text, shape.with).into_owned();
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

/// Base64 as Kubernetes writes it.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().enumerate().fold(0_u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_hidden_value_never_shows_whatever_it_is_and_whatever_is_around_it(
            secret in "[!-~]{8,40}",
            (before, after) in ("\\PC{0,40}", "\\PC{0,40}"),
        ) {
            let redactor = Redactor::default();
            redactor.hide(&secret);
            for form in [secret.clone(), serde_json::Value::from(secret.as_str()).to_string(), base64(secret.as_bytes())] {
                let text = redactor.text(&format!("{before}{form}{after}"));
                prop_assert!(!text.contains(&secret), "{text}");
                prop_assert!(!text.contains(form.trim_matches('"')), "{text}");
                prop_assert!(text.contains(HIDDEN), "{text}");
            }
        }
    }

    #[test]
    fn base64_is_as_others_write_it() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("hunter22", "aHVudGVyMjI=")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn numbers_lists_variables_and_lines_of_keys_are_hidden() {
        let redactor = Redactor::default();
        redactor.hide_named(&serde_json::json!({
            "db": { "password": 12_345_678 },
            "tokens": ["first-token", "second-token"],
            "env": [{ "name": "API_TOKEN", "value": "tok-123456" }, { "name": "MODE", "value": "production" }],
            "tls": { "key": "line-one-of-it\nline-two-of-it" },
        }));
        let text = redactor.text("12345678 second-token tok-123456 production line-two-of-it");
        assert_eq!(text, "[redacted] [redacted] [redacted] production [redacted]");
    }

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
    fn every_shape_can_be_read_and_none_is_missed_for_its_cheap_sign() {
        for (shape, text) in SHAPES.iter().zip([
            "AKIAABCDEFGHIJKLMNOP",
            "eyJhbGciOiJ.eyJzdWIiOiI.c2ln",
            "k8s-aws-v1.aHR0cHM",
            "Authorization: BASIC abcdefgh12345678",
            "Api-Key=x",
            "{\"clientCredentials\" : \"x\"}",
            "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----",
        ]) {
            assert!((shape.may)(text, &text.to_lowercase()), "{text}");
            assert!(Regex::new(shape.pattern).is_ok_and(|regex| regex.is_match(text)), "{text}");
            assert!(Redactor::default().text(text).contains(HIDDEN), "{text}");
        }
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
