//! The small part of JMESPath that installers use: names joined by dots, and lists of them.

use serde_json::Value;

/// What an expression such as `cluster.status`, `clusters[0]` or `[Account, Arn]` chooses; `None` for
/// an expression of any other kind.
pub(super) fn choose(from: &Value, expression: &str) -> Option<Value> {
    let expression = expression.trim();
    if let Some(list) = expression.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        return list.split(',').map(|it| choose(from, it)).collect::<Option<Vec<_>>>().map(Value::Array);
    }
    let mut place = from;
    for step in expression.split('.') {
        let (name, index) = match step.split_once('[') {
            Some((name, index)) => (name, Some(index.strip_suffix(']')?)),
            None => (step, None),
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        place = &place[name];
        match index {
            None | Some("" | "*") => {}
            Some(index) => place = &place[index.parse::<usize>().ok()?],
        }
    }
    Some(place.clone())
}

/// Scalars as `--output text` prints them, lists on one line with tabs; `None` for structures.
pub(super) fn text(value: &Value) -> Option<String> {
    let scalar = |value: &Value| match value {
        Value::Null => Some("None".to_owned()),
        Value::Bool(on) => Some(if *on { "True" } else { "False" }.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    };
    let line = match value {
        Value::Array(items) => items.iter().map(scalar).collect::<Option<Vec<_>>>()?.join("\t"),
        other => scalar(other)?,
    };
    Some(line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_usual_expressions_are_understood_and_others_are_not_guessed_at() {
        let answer = json!({"cluster": {"status": "ACTIVE"}, "clusters": ["a", "b"]});
        assert_eq!(choose(&answer, "cluster.status"), Some(json!("ACTIVE")));
        assert_eq!(choose(&answer, "clusters[1]"), Some(json!("b")));
        assert_eq!(choose(&answer, "cluster.nothing"), Some(Value::Null));
        assert_eq!(choose(&answer, "clusters[?x=='y']"), None);
        assert_eq!(text(&json!(["a", 1, null])).as_deref(), Some("a\t1\tNone\n"));
    }
}
