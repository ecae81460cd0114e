//! Sets of fields, as `managedFields` has them.
//!
//! A set is a tree: `f:name` for a member, `k:{…}` for an item of a list with keys, `v:…` for an item of
//! a set. `.` says that the place itself is in the set.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::schema::{ListType, Node};

/// A set of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    here: bool,
    children: BTreeMap<String, Set>,
}

impl Set {
    fn leaf() -> Self {
        Self { here: true, children: BTreeMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.here && self.children.is_empty()
    }

    /// Reads `fieldsV1`.
    pub(super) fn from_json(value: &Value) -> Self {
        let Some(fields) = value.as_object() else { return Self::default() };
        let children: BTreeMap<String, Set> = fields
            .iter()
            .filter(|(key, _)| *key != ".")
            .map(|(key, child)| (key.clone(), Self::from_json(child)))
            .collect();
        Self { here: children.is_empty() || fields.contains_key("."), children }
    }

    /// Writes `fieldsV1`.
    pub(super) fn to_json(&self) -> Value {
        let mut fields = Map::new();
        if self.here && !self.children.is_empty() {
            fields.insert(".".into(), json!({}));
        }
        for (key, child) in &self.children {
            fields.insert(key.clone(), child.to_json());
        }
        Value::Object(fields)
    }

    /// Every field of a value that is applied. What the server sets on every object belongs to nobody. Structs and
    /// lists are owned by what is in them, members of maps and items of lists themselves too.
    pub(super) fn of(object: &Value, node: Node<'_>) -> Self {
        let mut set = Self::of_value(object, node);
        set.strip();
        set
    }

    fn of_value(value: &Value, node: Node<'_>) -> Self {
        match value {
            Value::Object(fields) if !fields.is_empty() && !node.is_atomic() => {
                let child = |(key, child): (&String, &Value)| {
                    let mut set = Self::of_value(child, node.field(key));
                    set.here |= !node.has_field(key);
                    (format!("f:{key}"), set)
                };
                Self { here: false, children: fields.iter().map(child).collect() }
            }
            Value::Array(items) if node.list_type() != ListType::Atomic => {
                let kind = node.list_type();
                let child = |item: &Value| {
                    let set = Self::of_value(item, node.item());
                    (item_key(item, &kind, node), Self { here: true, ..set })
                };
                Self { here: false, children: items.iter().map(child).collect() }
            }
            _ => Self::leaf(),
        }
    }

    /// The fields of `after` that are not in `before`, or differ there.
    pub(super) fn changed(before: &Value, after: &Value, node: Node<'_>) -> Self {
        let mut set = Self::changed_value(Some(before), after, node);
        set.strip();
        set
    }

    /// A place that was not there before is itself in the set; Go's zeros count as there.
    fn changed_value(before: Option<&Value>, after: &Value, node: Node<'_>) -> Self {
        if before == Some(after) {
            return Self::default();
        }
        match after {
            Value::Object(new) if !(node.is_atomic() || new.is_empty() && before.is_none_or(is_nothing)) => {
                let old = before.and_then(Value::as_object);
                let mut children = BTreeMap::new();
                let mut add = |key: &str, child: &Value| {
                    let previous = old.and_then(|old| old.get(key));
                    let previous = previous.or_else(|| before.and_then(|_| node.zero(key)));
                    let found = Self::changed_value(previous, child, node.field(key));
                    if !found.is_empty() {
                        children.insert(format!("f:{key}"), found);
                    }
                };
                new.iter().for_each(|(key, child)| add(key, child));
                let absent = node.zeros().filter(|(key, _)| !new.contains_key(*key));
                absent.for_each(|(key, zero)| add(key, zero));
                Self { here: before.is_none(), children }
            }
            Value::Array(new)
                if node.list_type() != ListType::Atomic
                    && !(new.is_empty() && before.is_none_or(is_nothing)) =>
            {
                let kind = node.list_type();
                let old = before.and_then(Value::as_array);
                let children = new.iter().filter_map(|item| {
                    let key = item_key(item, &kind, node);
                    let previous = old.and_then(|old| old.iter().find(|it| item_key(it, &kind, node) == key));
                    let found = Self::changed_value(previous, item, node.item());
                    (!found.is_empty()).then_some((key, found))
                });
                Self { here: before.is_none(), children: children.collect() }
            }
            _ => Self::leaf(),
        }
    }

    /// Takes out what is not there any more.
    pub(super) fn retain(&mut self, value: &Value, node: Node<'_>) {
        let list = node.list_type();
        self.children.retain(|key, child| {
            let found = match (value, key.strip_prefix("f:")) {
                (Value::Object(fields), Some(name)) => {
                    fields.get(name).or_else(|| node.zero(name)).map(|it| (it, node.field(name)))
                }
                (Value::Array(items), None) => {
                    let found = items.iter().find(|item| item_key(item, &list, node) == *key);
                    found.map(|it| (it, node.item()))
                }
                _ => None,
            };
            let Some((found, node)) = found else { return false };
            child.retain(found, node);
            !child.is_empty()
        });
    }

    /// Takes out what nobody manages: identity and what the server counts.
    fn strip(&mut self) {
        self.children.remove("f:apiVersion");
        self.children.remove("f:kind");
        if let Some(metadata) = self.children.get_mut("f:metadata") {
            for field in [
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "generation",
                "managedFields",
                "resourceVersion",
            ] {
                metadata.children.remove(&format!("f:{field}"));
            }
            if metadata.children.is_empty() {
                self.children.remove("f:metadata");
            }
        }
    }

    /// Takes out everything below a member.
    pub(super) fn take(&mut self, key: &str) {
        self.children.remove(key);
    }

    pub(super) fn add(&mut self, other: &Set) {
        self.here |= other.here;
        for (key, child) in &other.children {
            self.children.entry(key.clone()).or_default().add(child);
        }
    }

    /// Takes every field of `other` out, and what it leaves empty.
    pub(super) fn subtract(&mut self, other: &Set) {
        if other.here {
            self.here = false;
        }
        self.children.retain(|key, child| {
            if let Some(gone) = other.children.get(key) {
                child.subtract(gone);
            }
            // A leaf that takes the place of a tree takes the tree with it.
            !child.is_empty()
        });
    }

    /// The places that both have, as paths in the words of a conflict.
    pub(super) fn common(&self, other: &Set, path: &str, found: &mut Vec<String>) {
        if self.here && other.here {
            found.push(path.to_owned());
        }
        for (key, child) in &self.children {
            if let Some(theirs) = other.children.get(key) {
                child.common(theirs, &format!("{path}{}", step(key)), found);
            }
        }
    }

    /// Whether anything at or below this child is in the set.
    fn child(&self, key: &str) -> Option<&Set> {
        self.children.get(key)
    }
}

/// One step of a path as conflicts print it.
fn step(key: &str) -> String {
    if let Some(field) = key.strip_prefix("f:") {
        return format!(".{field}");
    }
    if let Some(keys) = key.strip_prefix("k:")
        && let Ok(Value::Object(keys)) = serde_json::from_str(keys)
    {
        let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
        return format!("[{}]", keys.join(","));
    }
    format!("[={}]", key.trim_start_matches("v:"))
}

/// The identity of a list's item.
fn item_key(item: &Value, kind: &ListType, node: Node<'_>) -> String {
    match kind {
        ListType::Map(keys) => {
            let mut identity = Map::new();
            for key in keys {
                match item.get(key).cloned().or_else(|| node.item().default_of(key)) {
                    Some(value) if !value.is_null() => {
                        identity.insert(key.clone(), value);
                    }
                    _ => {}
                }
            }
            format!("k:{}", Value::Object(identity))
        }
        _ => format!("v:{item}"),
    }
}

/// Merges an applied configuration into the live object: maps by member, lists by their kind.
pub(super) fn merge(live: &mut Value, config: &Value, node: Node<'_>) {
    match (&mut *live, config) {
        (Value::Object(fields), Value::Object(new)) if !node.is_atomic() => {
            for (key, value) in new {
                merge(fields.entry(key.clone()).or_insert(Value::Null), value, node.field(key));
            }
        }
        (Value::Array(items), Value::Array(new)) if node.list_type() != ListType::Atomic => {
            let kind = node.list_type();
            for item in new {
                let key = item_key(item, &kind, node);
                match items.iter_mut().find(|found| item_key(found, &kind, node) == key) {
                    Some(found) => merge(found, item, node.item()),
                    None => items.push(item.clone()),
                }
            }
        }
        _ => *live = config.clone(),
    }
}

/// Takes the fields of `gone` out of a value, but for those in `kept`.
pub(super) fn remove(value: &mut Value, gone: &Set, kept: &Set, node: Node<'_>) {
    let nothing = Set::default();
    match value {
        Value::Object(fields) => {
            for (key, child) in &gone.children {
                let Some(name) = key.strip_prefix("f:") else { continue };
                let theirs = kept.child(key).unwrap_or(&nothing);
                if child.here && theirs.is_empty() {
                    fields.remove(name);
                } else if let Some(inner) = fields.get_mut(name) {
                    let had_some = has_content(inner);
                    remove(inner, child, theirs, node.field(name));
                    if had_some && !has_content(inner) && theirs.is_empty() {
                        fields.remove(name);
                    }
                }
            }
        }
        Value::Array(items) => {
            let kind = node.list_type();
            items.retain_mut(|item| {
                let key = item_key(item, &kind, node);
                let Some(child) = gone.children.get(&key) else { return true };
                let theirs = kept.child(&key).unwrap_or(&nothing);
                if child.here && theirs.is_empty() {
                    return false;
                }
                remove(item, child, theirs, node.item());
                true
            });
        }
        _ => {}
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || !has_content(value)
}

fn has_content(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}
