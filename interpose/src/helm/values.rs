//! Values: files, `--set` and its relatives, and how they are laid over one another.

use serde_json::{Map, Value};

use super::Failure;
use super::flags::Line;
use crate::Invocation;

/// The values that a command line gives: files first, then `--set-json`, `--set`, `--set-string`.
pub(super) fn given(line: &Line, invocation: &Invocation) -> Result<Map<String, Value>, Failure> {
    let mut values = Map::new();
    for file in line.all("values") {
        let text = if file == "-" {
            invocation.stdin.clone()
        } else {
            std::fs::read_to_string(file)
                .map_err(|error| Failure::said(format!("open {file}: {}", go_io(&error))))?
        };
        if text.trim().is_empty() {
            continue;
        }
        let parsed: Value = serde_saphyr::from_str(&text).map_err(|error| {
            let first = error.to_string().lines().next().unwrap_or_default().to_owned();
            Failure::said(format!("failed to parse {file}: error converting YAML to JSON: yaml: {first}"))
        })?;
        match parsed {
            Value::Object(map) => overlay(&mut values, map),
            Value::Null => {}
            _ => {
                return Err(Failure::said(format!(
                    "failed to parse {file}: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal into Go value of type map[string]interface {{}}"
                )));
            }
        }
    }
    for text in line.all("set-json") {
        let (path, value) = text
            .split_once('=')
            .ok_or_else(|| Failure::said(format!("failed parsing --set-json data {text}")))?;
        let value = serde_json::from_str(value)
            .map_err(|error| Failure::said(format!("failed parsing --set-json data {text}: {error}")))?;
        assign(&mut values, path, value)?;
    }
    for text in line.all("set") {
        set(&mut values, text, true)
            .map_err(|error| Failure::said(format!("failed parsing --set data: {error}")))?;
    }
    for text in line.all("set-string") {
        set(&mut values, text, false)
            .map_err(|error| Failure::said(format!("failed parsing --set-string data: {error}")))?;
    }
    Ok(values)
}

/// Go's words for a file that cannot be opened.
fn go_io(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

/// Lays `over` over `under`: maps are merged, everything else replaced.
pub(super) fn overlay(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => overlay(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// The chart's defaults with the user's values over them; a `null` of the user's takes a default away.
pub(super) fn computed(defaults: &Map<String, Value>, user: &Map<String, Value>) -> Map<String, Value> {
    let mut all = defaults.clone();
    overlay(&mut all, user.clone());
    drop_nulls(&mut all);
    all
}

fn drop_nulls(map: &mut Map<String, Value>) {
    map.retain(|_, value| !value.is_null());
    for value in map.values_mut() {
        if let Value::Object(map) = value {
            drop_nulls(map);
        }
    }
}

/// One `--set` argument: `a.b=1,c[0]=x,d={p,q},e=null`, a backslash taking the next character as it is.
fn set(values: &mut Map<String, Value>, text: &str, typed: bool) -> Result<(), String> {
    for part in split(text, ',') {
        let Some(at) = find(&part, '=') else {
            return Err(format!("key \"{}\" has no value", unescape(&part)));
        };
        let (path, raw) = (&part[..at], &part[at + 1..]);
        let value = match raw.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
            Some("") => Value::Array(Vec::new()),
            Some(list) => split(list, ',').iter().map(|item| scalar(item, typed)).collect(),
            None => scalar(raw, typed),
        };
        assign(values, path, value).map_err(|failure| failure.to_string())?;
    }
    Ok(())
}

fn scalar(raw: &str, typed: bool) -> Value {
    let text = unescape(raw);
    if !typed {
        return Value::String(text);
    }
    match text.as_str() {
        "true" => true.into(),
        "false" => false.into(),
        "null" => Value::Null,
        "0" => 0.into(),
        // As in Helm, a leading zero keeps a text a text.
        _ if text.starts_with('0') => text.into(),
        _ => text.parse::<i64>().map_or_else(|_| Value::String(text), Value::from),
    }
}

/// Puts a value where a path such as `a.b[2].c\.d` leads.
fn assign(values: &mut Map<String, Value>, path: &str, value: Value) -> Result<(), Failure> {
    let mut root = Value::Object(std::mem::take(values));
    let mut place = &mut root;
    for step in split(path, '.') {
        let (name, indices) = match find(&step, '[') {
            Some(at) => (&step[..at], &step[at..]),
            None => (step.as_str(), ""),
        };
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[unescape(name)];
        for index in indices.split('[').skip(1) {
            let index: usize = index
                .strip_suffix(']')
                .and_then(|it| it.parse().ok())
                .filter(|it| *it <= 65_536)
                .ok_or_else(|| Failure::said(format!("error parsing index: {step}")))?;
            if !place.is_array() {
                *place = Value::Array(Vec::new());
            }
            if let Value::Array(items) = &mut *place
                && items.len() <= index
            {
                items.resize(index + 1, Value::Null);
            }
            place = &mut place[index];
        }
    }
    *place = value;
    if let Value::Object(map) = root {
        *values = map;
    }
    Ok(())
}

/// Splits where the character stands unescaped and outside of braces; escapes stay.
fn split(text: &str, at: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut escaped, mut depth) = (false, 0_u32);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if c == at && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

fn find(text: &str, wanted: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices()
        .find(|(_, c)| {
            let here = !escaped && *c == wanted;
            escaped = !escaped && *c == '\\';
            here
        })
        .map(|(at, _)| at)
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            out.extend(chars.next());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn set_speaks_helms_language() {
        let mut values = Map::new();
        set(
            &mut values,
            r"settings.clusterName=a\,b,replicas=2,on=true,gone=null,zip=007,list={x,1},arr[1].k=v",
            true,
        )
        .unwrap();
        set(
            &mut values,
            r"serviceAccount.annotations.eks\.amazonaws\.com/role-arn=arn:aws:iam::1:role/k",
            true,
        )
        .unwrap();
        set(&mut values, "replicas=3,version=1", false).unwrap();
        assert_eq!(
            Value::Object(values),
            json!({
                "settings": {"clusterName": "a,b"}, "replicas": "3", "version": "1", "on": true, "gone": null,
                "zip": "007", "list": ["x", 1], "arr": [null, {"k": "v"}],
                "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/k"}},
            })
        );
        assert_eq!(set(&mut Map::new(), "novalue", true).unwrap_err(), "key \"novalue\" has no value");
    }

    #[test]
    fn a_null_takes_a_default_away() {
        let defaults = json!({"a": {"b": 1, "c": 2}, "d": 3});
        let user = json!({"a": {"b": null}, "d": 4});
        let all = computed(defaults.as_object().unwrap(), user.as_object().unwrap());
        assert_eq!(Value::Object(all), json!({"a": {"c": 2}, "d": 4}));
    }
}
