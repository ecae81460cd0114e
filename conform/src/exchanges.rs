//! What two runs of one script said and asked, compared.
//!
//! How often a tool asks again depends on when something happens. So of what was asked by reading the last answer
//! counts, of watches only that they were answered, and of writes each one. What the server can do beyond what
//! was asked (discovery, OpenAPI) is compared by its form only.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex_lite::Regex;
use serde_json::{Value, json};

use crate::compare::{self, Difference};
use crate::known::List;
use crate::normal;
use crate::operation::Operation;
use crate::record::Exchange;
use crate::report::Report;
use crate::session::{Ran, Script};

/// What is different in words each time, and what stands for it.
static WORDS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let words = [
        // Names of ReplicaSets, their pods, and of what else has a name made for it.
        (r"-[bcdfghjklmnpqrstvwxz2456789]{8,10}(-[bcdfghjklmnpqrstvwxz2456789]{5})\b", "-<hash>-<generated>"),
        (r"-[bcdfghjklmnpqrstvwxz2456789]{8,10}\b", "-<hash>"),
        (r"\b(agent|web|db|once)-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "${1}-<generated>"),
        (r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b", "<ip>"),
        (r":3\d{4}\b", ":<port>"),
        (r"\b\d+(ms|s|m|h)(\d+s)?\b", "<age>"),
        (r"(ResourceVersion in [a-z ]+): \d+", "${1}: <version>"),
        (r"(ResourceVersion in (?:the precondition|record)) \(\d+\)", "${1} (<version>)"),
        (r#"resourceVersion: "\d+""#, "resourceVersion: <version>"),
        (r#""resourceVersion": "\d+""#, "resourceVersion: <version>"),
        (r"\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}", "<time>"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]* [+-]\d{4}( \w+)?", "<time>"),
        (r"/(MERGED|LIVE)-\d+/", "/${1}/"),
        (r"pod-template-hash=\w+", "pod-template-hash=<hash>"),
        (r" {2,}", "  "),
    ];
    words.iter().filter_map(|(pattern, stands)| Some((Regex::new(pattern).ok()?, *stands))).collect()
});

fn words(text: &str) -> String {
    let mut text = normal::text(text);
    for (pattern, stands) in WORDS.iter() {
        text = pattern.replace_all(&text, *stands).into_owned();
    }
    text
}

fn lines(text: &str) -> Value {
    // How far something was seen to have come while it was waited for is a matter of time.
    let lines = text.lines().filter(|line| !line.starts_with("Waiting for "));
    json!(lines.map(|line| words(line).trim_end().to_owned()).collect::<Vec<_>>())
}

/// The exchanges of one run, by what was asked.
type Asked<'a> = BTreeMap<String, Vec<&'a Exchange>>;

fn by_request(exchanges: &[Exchange]) -> Asked<'_> {
    let mut asked = Asked::new();
    for exchange in exchanges {
        let request = &exchange.request;
        let passing = ["resourceVersion", "timeout", "timeoutSeconds", "continue"];
        let query: Vec<String> = request
            .query
            .iter()
            .filter(|(key, _)| !passing.contains(&key.as_str()))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let key = words(&format!("{} {}?{}", request.method, request.path, query.join("&")));
        asked.entry(key).or_default().push(exchange);
    }
    asked
}

fn is_write(exchange: &Exchange) -> bool {
    exchange.request.method != "GET" && !exchange.request.path.contains("/apis/authorization.k8s.io/")
}

/// Compares two runs of a script.
pub(crate) fn compare(script: &Script, ours: &Ran, theirs: &Ran, known: &List, report: &mut Report) {
    let area = format!("session {}", script.tools.first().map_or("kube", String::as_str));
    let output = |ran: &Ran| json!({"code": ran.code, "body": {"stdout": lines(&ran.stdout), "stderr": lines(&ran.stderr)}});
    let said = Operation::new(&area, "RUN", format!("{}.sh", script.name));
    note(&said, &compare::between(&output(ours), &output(theirs)), known, report);
    let (ours, theirs) = (by_request(&ours.exchanges), by_request(&theirs.exchanges));
    let keys: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for key in keys {
        let none = Vec::new();
        let (a, b) = (ours.get(key).unwrap_or(&none), theirs.get(key).unwrap_or(&none));
        let Some(first) = a.first().or(b.first()) else { continue };
        let mut request = first.request.clone();
        request.area.clone_from(&area);
        if is_write(first) {
            if a.len() != b.len() {
                let times = |asked: &[&Exchange]| json!(asked.len());
                let asked = Difference { pointer: "/asked".into(), embedded: times(a), reference: times(b) };
                note(&request, &[asked], known, report);
            }
            for (a, b) in a.iter().zip(b) {
                note(&request, &answers(a, b), known, report);
            }
        } else if let (Some(a), Some(b)) = (a.last(), b.last()) {
            note(&request, &answers(a, b), known, report);
        }
    }
}

fn note(request: &Operation, differences: &[Difference], known: &List, report: &mut Report) {
    let mut new = false;
    for difference in differences {
        match known.find(&request.area, &request.path, difference) {
            Some(entry) => report.met[entry] += 1,
            None => {
                new = true;
                report.note(request, difference);
            }
        }
    }
    report.count(&request.area, !differences.is_empty(), new);
}

fn answers(ours: &Exchange, theirs: &Exchange) -> Vec<Difference> {
    let request = &ours.request;
    let streams = request.query.contains_key("watch") || request.query.contains_key("follow");
    let resource = ["/api/v1/", "/apis/"].iter().any(|root| request.path.starts_with(root))
        && request.path.split('/').count() > 4;
    // Who asks for version 0 is content with any, and learns from a watch what has become of it: whoever waits for a
    // deletion sees now what was, now nothing.
    let any =
        [ours, theirs].iter().any(|it| it.request.query.get("resourceVersion").is_some_and(|it| it == "0"));
    let document = |exchange: &Exchange| {
        let mut document = exchange.answer.document();
        let refused = !exchange.answer.is_success();
        if !resource && exchange.answer.code < 400 {
            return json!({"code": 200});
        }
        if (streams || any) && !refused {
            document["body"] = Value::Null;
        }
        let mut document = normal::document(document);
        settle(&mut document);
        document
    };
    compare::between(&document(ours), &document(theirs))
}

/// Takes out of a document what a session leaves to chance: generated names in texts, ages, releases.
fn settle(value: &mut Value) {
    match value {
        Value::String(text) => *text = words(text),
        Value::Array(items) => items.iter_mut().for_each(settle),
        Value::Object(fields) => {
            if fields.get("type").is_some_and(|kind| kind == "helm.sh/release.v1") {
                // A packed document with times in it.
                fields.insert("data".into(), json!("<release>"));
            }
            fields.remove("modifiedAt");
            fields.remove("deployment.kubernetes.io/revision-history");
            if fields.get("managedFields").is_some_and(|it| it.as_array().is_some_and(Vec::is_empty)) {
                fields.remove("managedFields");
            }
            for name in ["createdAt", "pod-template-hash", "ca.crt"] {
                if fields.get(name).is_some_and(Value::is_string) {
                    fields.insert(name.into(), json!("<made>"));
                }
            }
            fields.values_mut().for_each(settle);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Answer;

    fn read(version: &str, items: Value) -> Exchange {
        let mut request = Operation::new("session kubectl", "GET", "/apis/apps/v1/namespaces/n/statefulsets");
        request.query.insert("resourceVersion".into(), version.into());
        let body = json!({"kind": "StatefulSetList", "items": items});
        let answer =
            Answer { code: 200, content_type: "application/json".into(), warnings: Vec::new(), body };
        Exchange { request, answer }
    }

    #[test]
    fn a_read_that_is_content_with_any_version_is_not_compared() {
        let gone = json!([]);
        let going = json!([{"spec": {"replicas": 1}}]);
        let differ = |version: &str| answers(&read(version, gone.clone()), &read(version, going.clone()));
        assert!(differ("0").is_empty());
        assert!(!differ("7").is_empty());
    }
}
