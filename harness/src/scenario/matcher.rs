//! What a scenario says of a value: the value itself, or operators that it must satisfy.
//!
//! A scalar or a list is compared for equality. A map whose keys are all operators (`contains`,
//! `matches`, `atLeast`, …) applies them all. Any other map describes a part of an object: each key
//! names a field, dots lead deeper, and what is not named may be anything.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A condition on a JSON value.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// Equal to this.
    Equal(Value),
    /// Every one of these operators holds.
    All(Vec<Operator>),
    /// An object with these fields, among others; paths may have dots.
    Fields(Vec<(String, Matcher)>),
}

/// One operator.
#[derive(Clone, Debug)]
pub enum Operator {
    /// Text with these parts, or a list with these elements.
    Contains(Vec<Value>),
    /// Text in which this regular expression finds something.
    Matches(Pattern),
    /// A number not below this.
    AtLeast(f64),
    /// A number not above this.
    AtMost(f64),
    /// Equal to one of these.
    OneOf(Vec<Value>),
    /// Whether the field is there; `null` is there.
    Present(bool),
    /// Text, list or object of this length.
    Length(Box<Matcher>),
    /// A list with at least one such element.
    Any(Box<Matcher>),
    /// A list of such elements only.
    Each(Box<Matcher>),
    /// The opposite.
    Not(Box<Matcher>),
}

/// A regular expression, compiled when the scenario is read.
#[derive(Clone, Debug)]
pub struct Pattern(regex_lite::Regex);

/// A value that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatched {
    /// Path below the value that was compared; empty for the value itself.
    pub path: String,
    /// What was expected, in words.
    pub expected: String,
    /// What was there, as JSON; `absent` for nothing.
    pub observed: String,
}

const OPERATORS: [&str; 10] =
    ["contains", "matches", "atLeast", "atMost", "oneOf", "present", "length", "any", "each", "not"];

impl Matcher {
    /// Reads a matcher.
    ///
    /// # Errors
    /// A lowercase fragment that says which operator has the wrong operand.
    pub fn new(value: Value) -> Result<Self, String> {
        let Value::Object(map) = value else { return Ok(Self::Equal(value)) };
        let operators = map.keys().filter(|key| OPERATORS.contains(&key.as_str())).count();
        if operators > 0 && operators == map.len() {
            return map
                .into_iter()
                .map(|(key, operand)| operator(&key, operand))
                .collect::<Result<_, _>>()
                .map(Self::All);
        }
        if map.is_empty() {
            return Ok(Self::Equal(Value::Object(map)));
        }
        let fields = map.into_iter().map(|(key, operand)| Ok((key, Self::new(operand)?)));
        fields.collect::<Result<_, String>>().map(Self::Fields)
    }

    /// A number of occurrences.
    #[must_use]
    pub fn at_least(number: u32) -> Self {
        Self::All(vec![Operator::AtLeast(f64::from(number))])
    }

    /// Compares; `None` is a value that is not there.
    #[must_use]
    pub fn check(&self, observed: Option<&Value>) -> Vec<Mismatched> {
        match self {
            Self::Equal(expected) if observed.is_some_and(|it| same(expected, it)) => Vec::new(),
            Self::Equal(expected) => vec![Mismatched::new(expected.to_string(), observed)],
            Self::All(operators) => operators.iter().flat_map(|it| it.check(observed)).collect(),
            Self::Fields(fields) => fields
                .iter()
                .flat_map(|(path, matcher)| {
                    let found = observed.and_then(|value| at_path(value, path));
                    matcher.check(found).into_iter().map(|it| it.under(path))
                })
                .collect(),
        }
    }

    /// How many single conditions it has; as many mismatches as that it can have.
    #[must_use]
    pub fn conditions(&self) -> usize {
        match self {
            Self::Equal(_) => 1,
            Self::All(operators) => operators.len(),
            Self::Fields(fields) => fields.iter().map(|(_, matcher)| matcher.conditions()).sum(),
        }
    }

    /// Whether the value is as it should be.
    #[must_use]
    pub fn holds(&self, observed: Option<&Value>) -> bool {
        self.check(observed).is_empty()
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Equal(value) => write!(f, "{value}"),
            Self::All(operators) => {
                let words: Vec<String> = operators.iter().map(Operator::words).collect();
                f.write_str(&words.join(" and "))
            }
            Self::Fields(fields) => {
                let words: Vec<String> =
                    fields.iter().map(|(path, matcher)| format!("{path}: {matcher}")).collect();
                write!(f, "{{ {} }}", words.join(", "))
            }
        }
    }
}

impl Mismatched {
    fn new(expected: String, observed: Option<&Value>) -> Self {
        let observed = observed.map_or_else(|| "absent".to_owned(), shortened);
        Self { path: String::new(), expected, observed }
    }

    fn under(mut self, path: &str) -> Self {
        self.path = if self.path.is_empty() { path.to_owned() } else { format!("{path}.{}", self.path) };
        self
    }
}

/// JSON, cut where it would fill the screen.
fn shortened(value: &Value) -> String {
    const MOST: usize = 600;
    let text = value.to_string();
    if text.chars().count() <= MOST {
        return text;
    }
    let kept: String = text.chars().take(MOST).collect();
    format!("{kept}… ({} characters)", text.chars().count())
}

/// Numbers are equal by value, so that `3` and `3.0` are; everything else as JSON.
fn same(expected: &Value, observed: &Value) -> bool {
    match (expected, observed) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        _ => expected == observed,
    }
}

/// The value at a dotted path: a key that has dots itself is found as it is, an index leads into a list.
#[must_use]
pub fn at_path<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let step = |value: &'v Value, key: &str| match value {
        Value::Array(list) => key.parse::<usize>().ok().and_then(|index| list.get(index)),
        _ => value.get(key),
    };
    if let Some(found) = step(value, path) {
        return Some(found);
    }
    path.match_indices('.').find_map(|(dot, _)| at_path(step(value, &path[..dot])?, &path[dot + 1..]))
}

fn operator(key: &str, operand: Value) -> Result<Operator, String> {
    let number =
        |operand: &Value| operand.as_f64().ok_or_else(|| format!("{key} takes a number, not {operand}"));
    Ok(match key {
        "contains" => Operator::Contains(match operand {
            Value::Array(list) => list,
            one => vec![one],
        }),
        "matches" => {
            let text = operand.as_str().ok_or_else(|| format!("matches takes a text, not {operand}"))?;
            let regex = regex_lite::Regex::new(text)
                .map_err(|error| format!("matches {text:?} is not a regular expression: {error}"))?;
            Operator::Matches(Pattern(regex))
        }
        "atLeast" => Operator::AtLeast(number(&operand)?),
        "atMost" => Operator::AtMost(number(&operand)?),
        "oneOf" => match operand {
            Value::Array(list) => Operator::OneOf(list),
            other => return Err(format!("oneOf takes a list, not {other}")),
        },
        "present" => match operand {
            Value::Bool(present) => Operator::Present(present),
            other => return Err(format!("present takes true or false, not {other}")),
        },
        "length" => Operator::Length(Box::new(Matcher::new(operand)?)),
        "any" => Operator::Any(Box::new(Matcher::new(operand)?)),
        "each" => Operator::Each(Box::new(Matcher::new(operand)?)),
        "not" => Operator::Not(Box::new(Matcher::new(operand)?)),
        other => return Err(format!("there is no operator {other}")),
    })
}

impl Operator {
    fn words(&self) -> String {
        let list = |values: &[Value]| values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Contains(parts) => format!("containing {}", list(parts)),
            Self::Matches(pattern) => format!("matching /{}/", pattern.0.as_str()),
            Self::AtLeast(number) => format!("at least {number}"),
            Self::AtMost(number) => format!("at most {number}"),
            Self::OneOf(values) => format!("one of {}", list(values)),
            Self::Present(true) => "present".to_owned(),
            Self::Present(false) => "absent".to_owned(),
            Self::Length(matcher) => format!("of length {matcher}"),
            Self::Any(matcher) => format!("with an element {matcher}"),
            Self::Each(matcher) => format!("with only elements {matcher}"),
            Self::Not(matcher) => format!("not {matcher}"),
        }
    }

    fn check(&self, observed: Option<&Value>) -> Vec<Mismatched> {
        if self.holds(observed) { Vec::new() } else { vec![Mismatched::new(self.words(), observed)] }
    }

    fn holds(&self, observed: Option<&Value>) -> bool {
        let number = |test: &dyn Fn(f64) -> bool| observed.and_then(Value::as_f64).is_some_and(test);
        let list = || observed.and_then(Value::as_array);
        match self {
            Self::Present(present) => observed.is_some() == *present,
            Self::Not(matcher) => !matcher.holds(observed),
            Self::Contains(parts) => match observed {
                Some(Value::String(text)) => {
                    parts.iter().all(|part| part.as_str().is_some_and(|part| text.contains(part)))
                }
                Some(Value::Array(list)) => parts.iter().all(|part| list.iter().any(|it| same(part, it))),
                _ => false,
            },
            Self::Matches(pattern) => {
                observed.and_then(Value::as_str).is_some_and(|text| pattern.0.is_match(text))
            }
            Self::AtLeast(least) => number(&|it| it >= *least),
            Self::AtMost(most) => number(&|it| it <= *most),
            Self::OneOf(values) => observed.is_some_and(|it| values.iter().any(|value| same(value, it))),
            Self::Length(matcher) => {
                let length = match observed {
                    Some(Value::String(text)) => text.chars().count(),
                    Some(Value::Array(list)) => list.len(),
                    Some(Value::Object(map)) => map.len(),
                    _ => return false,
                };
                matcher.holds(Some(&Value::from(length)))
            }
            Self::Any(matcher) => list().is_some_and(|list| list.iter().any(|it| matcher.holds(Some(it)))),
            Self::Each(matcher) => list().is_some_and(|list| list.iter().all(|it| matcher.holds(Some(it)))),
        }
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl JsonSchema for Matcher {
    fn schema_name() -> Cow<'static, str> {
        "Matcher".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A value to equal; or a map of operators (contains, matches, atLeast, atMost, oneOf, \
                present, length, any, each, not) that must all hold; or a map of fields, dots leading deeper, \
                of which each is a matcher."
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!(3), json!(3.0), true)]
    #[case(json!("a"), json!("b"), false)]
    #[case(json!({"contains": "node"}), json!("no worker node"), true)]
    #[case(json!({"contains": ["a", "b"]}), json!(["b", "c", "a"]), true)]
    #[case(json!({"contains": "a"}), json!(7), false)]
    #[case(json!({"matches": "^0/[0-9]+ nodes"}), json!("0/2 nodes are available"), true)]
    #[case(json!({"atLeast": 2, "atMost": 3}), json!(4), false)]
    #[case(json!({"atLeast": 1}), json!("1"), false)]
    #[case(json!({"oneOf": [1, null]}), json!(null), true)]
    #[case(json!({"length": {"atLeast": 1}}), json!([]), false)]
    #[case(json!({"any": {"code": "A"}}), json!([{"code": "B"}, {"code": "A", "x": 1}]), true)]
    #[case(json!({"each": {"atLeast": 0}}), json!([1, -1]), false)]
    #[case(json!({"not": {"contains": "x"}}), json!("abc"), true)]
    #[case(json!({"a.b": 1}), json!({"a": {"b": 1, "c": 2}}), true)]
    #[case(json!({"labels": {"app.kubernetes.io/name": "k"}}), json!({"labels": {"app.kubernetes.io/name": "k"}}), true)]
    #[case(json!({"list.1": "b"}), json!({"list": ["a", "b"]}), true)]
    #[case(json!({"a": {"present": false}}), json!({}), true)]
    #[case(json!({"a": {"present": true}}), json!({"a": null}), true)]
    #[case(json!({"a": null}), json!({}), false)]
    fn a_matcher_holds_for_what_it_describes(
        #[case] matcher: Value,
        #[case] value: Value,
        #[case] holds: bool,
    ) {
        assert_eq!(Matcher::new(matcher).unwrap().holds(Some(&value)), holds);
    }

    #[test]
    fn a_mismatch_says_where_and_what() {
        let matcher = Matcher::new(json!({"phase3.karpenter": {"repairAttempted": false}})).unwrap();
        let found = matcher.check(Some(&json!({"phase3": {"karpenter": {"repairAttempted": true}}})));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "phase3.karpenter.repairAttempted");
        assert_eq!((found[0].expected.as_str(), found[0].observed.as_str()), ("false", "true"));
    }

    #[test]
    fn a_wrong_operand_is_refused_with_its_operator() {
        assert!(Matcher::new(json!({"atLeast": "x"})).unwrap_err().contains("atLeast takes a number"));
        assert!(Matcher::new(json!({"matches": "("})).unwrap_err().contains("not a regular expression"));
    }
}
