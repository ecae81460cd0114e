//! The simple JSON paths of additional printer columns: fields, quoted fields, indices, wildcards and one
//! filter form, `[?(@.type=="Ready")]`.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    /// Path below the item, operator, wanted text.
    Filter(Vec<Step>, bool, String),
}

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

impl Path {
    /// Reads `.a.b[0]['c/d'][?(@.type=="Ready")]`; `None` when it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        steps(text.trim()).map(Self)
    }

    /// The first value that the path leads to.
    pub(super) fn first<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        walk(&self.0, value).into_iter().next()
    }
}

fn walk<'a>(steps: &[Step], value: &'a Value) -> Vec<&'a Value> {
    let mut found = vec![value];
    for step in steps {
        found = found.into_iter().flat_map(|value| one(step, value)).collect();
    }
    found
}

fn one<'a>(step: &Step, value: &'a Value) -> Vec<&'a Value> {
    let list = value.as_array().map_or(&[][..], Vec::as_slice);
    match step {
        Step::Field(name) => value.get(name).into_iter().collect(),
        Step::Index(index) => {
            let length = i64::try_from(list.len()).unwrap_or(0);
            let index = if *index < 0 { length + index } else { *index };
            usize::try_from(index).ok().and_then(|index| list.get(index)).into_iter().collect()
        }
        Step::All => match value {
            Value::Object(fields) => fields.values().collect(),
            _ => list.iter().collect(),
        },
        Step::Filter(path, equal, wanted) => {
            let holds = |item: &&Value| {
                walk(path, item).first().is_some_and(|found| {
                    let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
                    (text == *wanted) == *equal
                })
            };
            list.iter().filter(holds).collect()
        }
    }
}

fn steps(mut rest: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    rest = rest.strip_prefix('$').unwrap_or(rest);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = field_end(after);
            // `..` searches every level, which simple paths do not.
            if end == 0 && !after.is_empty() && !after.starts_with('[') {
                return None;
            }
            match &after[..end] {
                "" => {}
                "*" => steps.push(Step::All),
                name => steps.push(Step::Field(name.replace('\\', ""))),
            }
            rest = &after[end..];
        } else if let Some(after) = rest.strip_prefix('[') {
            let end = closing(after)?;
            steps.push(bracket(after[..end].trim())?);
            rest = &after[end + 1..];
        } else {
            return None;
        }
    }
    Some(steps)
}

/// Where a field's name ends: at a dot or bracket that no backslash precedes.
fn field_end(text: &str) -> usize {
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '.' | '[' if !escaped => return index,
            _ => escaped = false,
        }
    }
    text.len()
}

fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (index, c) in text.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ']') => return Some(index),
            _ => {}
        }
    }
    None
}

fn bracket(inside: &str) -> Option<Step> {
    if inside == "*" {
        return Some(Step::All);
    }
    if let Some(name) = quoted(inside) {
        return Some(Step::Field(name.to_owned()));
    }
    if let Some(filter) = inside.strip_prefix("?(").and_then(|text| text.strip_suffix(')')) {
        let (left, equal, right) = match filter.split_once("==") {
            Some((left, right)) => (left, true, right),
            None => filter.split_once("!=").map(|(left, right)| (left, false, right))?,
        };
        let right = right.trim();
        let path = steps(left.trim().strip_prefix('@')?)?;
        return Some(Step::Filter(path, equal, quoted(right).unwrap_or(right).to_owned()));
    }
    inside.parse().ok().map(Step::Index)
}

fn quoted(text: &str) -> Option<&str> {
    ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn the_paths_that_definitions_use_lead_where_they_should() {
        let object = json!({
            "metadata": {"labels": {"a.b/c": "label"}},
            "spec": {"list": [1, 2, 3]},
            "status": {"conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}]},
        });
        let cases = [
            (".spec.list[0]", json!(1)),
            (".spec.list[-1]", json!(3)),
            (".spec.list[*]", json!(1)),
            (".metadata.labels['a.b/c']", json!("label")),
            (".metadata.labels.a\\.b/c", json!("label")),
            (".status.conditions[?(@.type==\"Ready\")].status", json!("True")),
            (".status.conditions[?(@.type == 'Synced')].status", json!("False")),
            (".status.conditions[?(@.type!=\"Synced\")].status", json!("True")),
        ];
        for (path, wanted) in cases {
            assert_eq!(Path::parse(path).unwrap().first(&object), Some(&wanted), "{path}");
        }
        assert_eq!(Path::parse(".spec.missing.deep").unwrap().first(&object), None);
        for wrong in ["spec", ".spec[", "..spec", ".spec[?(x)]"] {
            assert_eq!(Path::parse(wrong), None, "{wrong}");
        }
    }
}
