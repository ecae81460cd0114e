//! The list of divergences that are known, each with its reason.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;
use crate::compare::Difference;

/// A divergence that is known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Known {
    /// Why it is so, and what it would take to mend it.
    pub reason: String,
    /// The areas that it shows in; all when not given. A trailing `*` stands for any end.
    #[serde(default)]
    pub areas: Vec<String>,
    /// Part of the path of the request; any when not given.
    #[serde(default)]
    pub path: Option<String>,
    /// The pointer of the difference; a trailing `*` stands for any end.
    pub pointer: String,
    /// Part of what the embedded cluster says; anything when not given.
    #[serde(default)]
    pub embedded: Option<String>,
    /// Part of what the reference says; anything when not given.
    #[serde(default)]
    pub reference: Option<String>,
}

impl Known {
    fn covers(&self, area: &str, path: &str, difference: &Difference) -> bool {
        let says = |wanted: &Option<String>, value: &Value| {
            wanted.as_ref().is_none_or(|wanted| match value {
                Value::String(text) => text.contains(wanted),
                value => value.to_string().contains(wanted),
            })
        };
        (self.areas.is_empty() || self.areas.iter().any(|pattern| matches(pattern, area)))
            && self.path.as_ref().is_none_or(|part| path.contains(part))
            && matches(&self.pointer, &difference.pointer)
            && says(&self.embedded, &difference.embedded)
            && says(&self.reference, &difference.reference)
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => pattern == text,
    }
}

/// The list.
#[derive(Clone, Debug, Default)]
pub struct List(Vec<Known>);

impl List {
    /// Reads it.
    ///
    /// # Errors
    /// When it cannot be read, does not parse, or an entry has no reason.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |why: String| Error::File { path: path.display().to_string(), why };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let entries: Vec<Known> = serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if let Some(bare) = entries.iter().find(|entry| entry.reason.trim().is_empty()) {
            return Err(wrong(format!("the entry for {} gives no reason", bare.pointer)));
        }
        Ok(Self(entries))
    }

    /// The entry that covers a difference.
    #[must_use]
    pub fn find(&self, area: &str, path: &str, difference: &Difference) -> Option<usize> {
        self.0.iter().position(|known| known.covers(area, path, difference))
    }

    /// Its entries.
    #[must_use]
    pub fn entries(&self) -> &[Known] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_covers_what_it_names_and_nothing_else() {
        let known = Known {
            reason: "not built".into(),
            areas: vec!["create*".into()],
            pointer: "/body/message".into(),
            reference: Some("quota".into()),
            ..Known::default()
        };
        let list = List(vec![known]);
        let difference = |pointer: &str, reference: &str| Difference {
            pointer: pointer.into(),
            embedded: json!(null),
            reference: json!(reference),
        };
        assert_eq!(list.find("create pods", "/p", &difference("/body/message", "exceeded quota")), Some(0));
        assert_eq!(list.find("list pods", "/p", &difference("/body/message", "exceeded quota")), None);
        assert_eq!(list.find("create pods", "/p", &difference("/body/code", "exceeded quota")), None);
        assert_eq!(list.find("create pods", "/p", &difference("/body/message", "other")), None);
    }
}
