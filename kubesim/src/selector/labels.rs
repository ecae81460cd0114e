//! Label selectors: the text form of queries and the object form of specs.

use serde_json::{Map, Value};

use crate::status::Status;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
    Greater(String, i64),
    Less(String, i64),
}

/// A conjunction of requirements on labels. The empty selector selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

impl LabelSelector {
    /// Reads the text form: `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`.
    ///
    /// # Errors
    /// `BadRequest` (400) that says what was found and what was expected.
    pub fn parse(text: &str) -> Result<Self, Status> {
        super::query::parse(text).map(Self)
    }

    /// Reads a `metav1.LabelSelector`, or the plain map of labels that Services and
    /// ReplicationControllers have. `None` for null: such a selector selects nothing.
    #[must_use]
    pub fn from_value(selector: &Value) -> Option<Self> {
        let selector = selector.as_object()?;
        let mut requirements = Vec::new();
        let structured = selector.is_empty()
            || selector.get("matchLabels").is_some_and(Value::is_object)
            || selector.get("matchExpressions").is_some_and(Value::is_array);
        let equal =
            if structured { selector.get("matchLabels").and_then(Value::as_object) } else { Some(selector) };
        for (key, value) in equal.into_iter().flatten() {
            requirements
                .push(Requirement::In(key.clone(), vec![value.as_str().unwrap_or_default().to_owned()]));
        }
        if structured {
            for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten()
            {
                let key = expression["key"].as_str().unwrap_or_default().to_owned();
                let values = || -> Vec<String> {
                    let values = expression["values"].as_array().into_iter().flatten();
                    values.filter_map(Value::as_str).map(str::to_owned).collect()
                };
                requirements.push(match expression["operator"].as_str().unwrap_or_default() {
                    "In" => Requirement::In(key, values()),
                    "NotIn" => Requirement::NotIn(key, values()),
                    "Exists" => Requirement::Exists(key),
                    "DoesNotExist" => Requirement::Missing(key),
                    _ => return None,
                });
            }
        }
        Some(Self(requirements))
    }

    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it selects an object with these labels.
    #[must_use]
    pub fn matches(&self, labels: Option<&Map<String, Value>>) -> bool {
        let get = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        let number = |key: &str| get(key).and_then(|value| value.parse::<i64>().ok());
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => get(key).is_some_and(|value| values.iter().any(|v| v == value)),
            Requirement::NotIn(key, values) => get(key).is_none_or(|value| values.iter().all(|v| v != value)),
            Requirement::Exists(key) => get(key).is_some(),
            Requirement::Missing(key) => get(key).is_none(),
            Requirement::Greater(key, bound) => number(key).is_some_and(|value| value > *bound),
            Requirement::Less(key, bound) => number(key).is_some_and(|value| value < *bound),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::LabelSelector;

    fn selects(selector: &str, labels: &serde_json::Value) -> bool {
        LabelSelector::parse(selector).unwrap().matches(labels.as_object())
    }

    #[test]
    fn every_form_of_requirement_selects_as_documented() {
        let labels = json!({"app": "web", "tier": "front", "level": "3"});
        for (selector, expected) in [
            ("", true),
            ("app=web", true),
            ("app==web,tier=front", true),
            ("app!=web", false),
            ("missing!=web", true),
            ("app in (web, api)", true),
            ("app in (api),tier", false),
            ("app notin (api, db), tier", true),
            ("!tier", false),
            ("!gone", true),
            ("level>2,level<4", true),
            ("level>3", false),
        ] {
            assert_eq!(selects(selector, &labels), expected, "{selector}");
        }
    }

    #[test]
    fn a_selector_that_is_none_is_refused() {
        for selector in ["app in web", "a b c", "=x", "app in (a", "x>y"] {
            assert_eq!(LabelSelector::parse(selector).unwrap_err().code, 400, "{selector}");
        }
    }

    #[test]
    fn the_object_forms_select_alike() {
        let labels = json!({"app": "web"});
        for selector in [
            json!({"matchLabels": {"app": "web"}}),
            json!({"app": "web"}),
            json!({}),
            json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}),
        ] {
            assert!(LabelSelector::from_value(&selector).unwrap().matches(labels.as_object()), "{selector}");
        }
        assert!(LabelSelector::from_value(&json!(null)).is_none());
    }
}
