//! What the cluster says.

use serde_json::Value;

use super::{At, Judged};
use crate::observe::Snapshot;
use crate::scenario::{Expect, ExpectObject, ExpectRelease, Matcher};

pub(super) fn judge(judged: &mut Judged, file: &str, expect: &Expect, origin: &Snapshot, now: &Snapshot) {
    for expected in &expect.objects {
        objects(judged, &At::of(file, expected), expected, origin, now);
    }
    for expected in &expect.releases {
        release(judged, &At::of(file, expected), expected, now);
    }
}

/// The snapshot's name of a resource: `pods`, `deployments.apps`.
pub(crate) fn key(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

/// Objects of the expected place that have the expected fields.
pub(crate) fn counted<'s>(expected: &ExpectObject, now: &'s Snapshot) -> Vec<&'s Value> {
    placed(expected, now)
        .into_iter()
        .filter(|object| expected.fields.as_ref().is_none_or(|fields| fields.holds(Some(object))))
        .collect()
}

fn placed<'s>(expected: &ExpectObject, now: &'s Snapshot) -> Vec<&'s Value> {
    let is = |wanted: &Option<String>, found: &Value| {
        wanted.as_ref().is_none_or(|wanted| found.as_str().unwrap_or_default() == wanted)
    };
    now.of(&expected.resource)
        .filter(|object| {
            let meta = &object["metadata"];
            is(&expected.namespace, &meta["namespace"]) && is(&expected.name, &meta["name"])
        })
        .collect()
}

fn objects(judged: &mut Judged, at: &At<'_>, expected: &ExpectObject, origin: &Snapshot, now: &Snapshot) {
    let named = expected.name.as_deref().unwrap_or("*");
    let name = format!("objects.{} {named}", expected.resource);
    let placed = placed(expected, now);
    let matching = counted(expected, now);
    let matcher = expected.count.clone().unwrap_or_else(|| Matcher::at_least(1));
    judged.checked += 1;
    if !matcher.holds(Some(&Value::from(matching.len()))) {
        // With one candidate the field that is wrong says more than the number.
        match (&expected.fields, placed.as_slice(), &expected.count) {
            (Some(fields), [one], None) => judged.check(at, &name, fields, Some(one)),
            _ => judged.fail(
                at,
                &name,
                format!("{matcher} such objects"),
                format!("{} of {}", matching.len(), placed.len()),
            ),
        }
    }
    if let Some(untouched) = expected.untouched {
        for object in placed {
            judged.checked += 1;
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
            let before = origin.get(&expected.resource, &text("namespace"), &text("name"));
            let same = before.is_some_and(|before| {
                ["uid", "generation"]
                    .iter()
                    .all(|field| before["metadata"][field] == object["metadata"][field])
            });
            if same != untouched {
                let words = |same: bool| {
                    if same { "untouched since the start" } else { "made or changed since the start" }
                };
                judged.fail(at, &format!("{name} {}", text("name")), words(untouched), words(same));
            }
        }
    }
}

fn release(judged: &mut Judged, at: &At<'_>, expected: &ExpectRelease, now: &Snapshot) {
    let name = format!("releases.{}", expected.name);
    let found = now.release(&expected.namespace, &expected.name).map(|release| release.describe());
    let absent = Value::from("absent");
    for (field, matcher) in [
        ("status", &expected.status),
        ("revision", &expected.revision),
        ("history", &expected.history),
        ("values", &expected.values),
    ] {
        let Some(matcher) = matcher else { continue };
        let value = match &found {
            Some(found) => found.get(field),
            None if field == "status" => Some(&absent),
            None => None,
        };
        judged.check(at, &format!("{name}.{field}"), matcher, value);
    }
}
