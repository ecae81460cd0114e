//! What the tap saw.

use kubesim::tap::Recording;
use serde_json::Value;

use super::{At, Judged};
use crate::scenario::{Expect, Matcher, RequestPattern};

pub(super) fn judge(judged: &mut Judged, file: &str, expect: &Expect, requests: &[Recording]) {
    let Some(expected) = &expect.requests else { return };
    let at = At::of(file, expected);
    if let Some(matcher) = &expected.total {
        judged.check(&at, "requests.total", matcher, Some(&Value::from(requests.len())));
    }
    if let Some(matcher) = &expected.mutating {
        let mutating: Vec<&Recording> = requests.iter().filter(|it| it.mutating()).collect();
        judged.checked += 1;
        if !matcher.holds(Some(&Value::from(mutating.len()))) {
            judged.fail(&at, "requests.mutating", matcher.to_string(), listed(&mutating));
        }
    }
    for one in &expected.of {
        let found: Vec<&Recording> = requests.iter().filter(|it| matches(&one.pattern, it)).collect();
        let matcher = one.count.clone().unwrap_or_else(|| Matcher::at_least(1));
        judged.checked += 1;
        if !matcher.holds(Some(&Value::from(found.len()))) {
            let name = format!("requests of {}", words(&one.pattern));
            judged.fail(&at, &name, matcher.to_string(), listed(&found));
        }
    }
}

/// Whether a request is of this kind.
pub(crate) fn matches(pattern: &RequestPattern, request: &Recording) -> bool {
    let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
    is(&pattern.verb, &request.verb)
        && is(&pattern.namespace, &request.namespace)
        && is(&pattern.name, &request.name)
        && pattern.resource.as_ref().is_none_or(|wanted| {
            if wanted.contains('/') {
                *wanted == request.full_resource()
            } else {
                *wanted == request.resource && request.subresource.is_empty()
            }
        })
}

fn words(pattern: &RequestPattern) -> String {
    let parts = [&pattern.verb, &pattern.resource, &pattern.namespace, &pattern.name];
    let words: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    if words.is_empty() { "any kind".to_owned() } else { words.join(" ") }
}

/// How many, and the first few of them.
fn listed(requests: &[&Recording]) -> String {
    const SHOWN: usize = 6;
    if requests.is_empty() {
        return "0".to_owned();
    }
    let mut shown: Vec<String> = requests
        .iter()
        .take(SHOWN)
        .map(|it| format!("{} {} {} ({})", it.verb, it.full_resource(), it.name, it.status))
        .collect();
    if requests.len() > SHOWN {
        shown.push("…".to_owned());
    }
    format!("{}: {}", requests.len(), shown.join(", "))
}
