//! The words that cells are made of: ages, selectors, lists that are cut short.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

/// One object, at the time at which it is looked at.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) object: &'a Value,
    pub(super) now: Timestamp,
}

impl<'a> View<'a> {
    /// The value at a path of field names; null when a part is absent.
    pub(super) fn at(&self, path: &[&str]) -> &'a Value {
        path.iter().fold(self.object, |value, part| &value[*part])
    }

    /// The text at a path; empty when absent.
    pub(super) fn text(&self, path: &[&str]) -> &'a str {
        self.at(path).as_str().unwrap_or_default()
    }

    /// The text at a path, or `otherwise`.
    pub(super) fn text_or(&self, path: &[&str], otherwise: &str) -> String {
        let text = self.text(path);
        if text.is_empty() { otherwise.to_owned() } else { text.to_owned() }
    }

    /// The integer at a path; 0 when absent.
    pub(super) fn number(&self, path: &[&str]) -> i64 {
        self.at(path).as_i64().unwrap_or(0)
    }

    /// Whether the path holds true.
    pub(super) fn is(&self, path: &[&str]) -> bool {
        self.at(path) == true
    }

    /// The items at a path; none when absent.
    pub(super) fn items(&self, path: &[&str]) -> &'a [Value] {
        items(self.at(path))
    }

    /// How many fields or items a path holds.
    pub(super) fn count(&self, path: &[&str]) -> usize {
        match self.at(path) {
            Value::Object(fields) => fields.len(),
            Value::Array(items) => items.len(),
            _ => 0,
        }
    }

    /// Time since creation.
    pub(super) fn age(&self) -> String {
        self.since(self.at(&["metadata", "creationTimestamp"]))
    }

    /// Time since an RFC 3339 time; `<unknown>` when there is none.
    pub(super) fn since(&self, time: &Value) -> String {
        match time.as_str().and_then(|time| time.parse::<Timestamp>().ok()) {
            Some(time) => between(time, self.now),
            None => "<unknown>".to_owned(),
        }
    }

    /// Whether it is being deleted.
    pub(super) fn is_terminating(&self) -> bool {
        self.at(&["metadata", "deletionTimestamp"]).is_string()
    }

    /// The status of a condition: `True`, `False`, `Unknown`, or empty when it is not there.
    pub(super) fn condition(&self, kind: &str) -> &'a str {
        let mut conditions = self.items(&["status", "conditions"]).iter();
        let found = conditions.find(|condition| condition["type"] == kind);
        found.and_then(|condition| condition["status"].as_str()).unwrap_or_default()
    }
}

/// The items of a list; none when it is no list.
pub(super) fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

/// The time between two instants, as people are told it.
pub(super) fn between(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs();
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    rough(Duration::from_secs(seconds.unsigned_abs() * u64::from(seconds > 0)))
}

/// A duration with two or three significant figures.
pub(super) fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    // The larger unit alone when nothing is left of the smaller.
    let two = |big: u64, unit: char, small: u64, small_unit: char| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{small_unit}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, 'd', hours % 24, 'h'),
        () if years < 2 => format!("{days}d"),
        () if years < 8 => two(years, 'y', days % 365, 'd'),
        () => format!("{years}y"),
    }
}

/// Plain labels as `a=b,c=d`, or `<none>`.
pub(super) fn labels(labels: &Value) -> String {
    let pairs = labels.as_object().into_iter().flatten();
    let pairs: Vec<String> = pairs.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

/// A `metav1.LabelSelector` as a query would have it, or `<none>`.
pub(super) fn selector(selector: &Value) -> String {
    let mut parts: Vec<(&str, String)> = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        parts.push((key, format!("{key}={}", value.as_str().unwrap_or_default())));
    }
    for expression in items(&selector["matchExpressions"]) {
        let key = expression["key"].as_str().unwrap_or_default();
        let mut values: Vec<&str> = items(&expression["values"]).iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        parts.push((
            key,
            match expression["operator"].as_str() {
                Some("In") => format!("{key} in ({values})"),
                Some("NotIn") => format!("{key} notin ({values})"),
                Some("DoesNotExist") => format!("!{key}"),
                _ => key.to_owned(),
            },
        ));
    }
    parts.sort();
    let parts: Vec<String> = parts.into_iter().map(|(_, text)| text).collect();
    if parts.is_empty() { "<none>".to_owned() } else { parts.join(",") }
}

/// One field of every item, joined by commas.
pub(super) fn each(items: &[Value], field: &str) -> String {
    let found: Vec<&str> = items.iter().map(|item| item[field].as_str().unwrap_or_default()).collect();
    found.join(",")
}

/// The first `most` of a list and how many more there are; `otherwise` for none.
pub(super) fn cut_short(list: &[String], most: usize, separator: &str, otherwise: &str) -> String {
    match list.len() {
        0 => otherwise.to_owned(),
        count if count > most => {
            format!("{} + {} more...", list[..most].join(separator), count - most)
        }
        _ => list.join(separator),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ages_have_two_or_three_figures() {
        let cases = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (599, "9m59s"),
            (601, "10m"),
            (3 * 3600 - 1, "179m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 60, "3h1m"),
            (9 * 3600 + 60, "9h"),
            (49 * 3600, "2d1h"),
            (9 * 86_400, "9d"),
            (3 * 365 * 86_400, "3y"),
            (3 * 365 * 86_400 + 5 * 86_400, "3y5d"),
            (9 * 365 * 86_400, "9y"),
        ];
        for (seconds, words) in cases {
            assert_eq!(rough(Duration::from_secs(seconds)), words);
        }
        let now = Timestamp::UNIX_EPOCH;
        let later = |seconds| now + jiff::SignedDuration::from_secs(seconds);
        assert_eq!(between(later(1), now), "0s", "clocks may differ by a second");
        assert_eq!(between(later(5), now), "<invalid>");
    }

    #[test]
    fn selectors_read_as_queries() {
        let both = json!({
            "matchLabels": {"b": "1", "a": "2"},
            "matchExpressions": [{"key": "aa", "operator": "In", "values": ["y", "x"]}, {"key": "z", "operator": "DoesNotExist"}],
        });
        assert_eq!(selector(&both), "a=2,aa in (x,y),b=1,!z");
        assert_eq!(selector(&json!({})), "<none>");
        assert_eq!(labels(&json!(null)), "<none>");
    }
}
