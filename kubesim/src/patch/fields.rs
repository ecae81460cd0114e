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

    /// Every field of a value. What the server sets on every object belongs to nobody.
    pub(super) fn of(object: &Value, node: Node<'_>) -> Self {
        let mut set = Self::of_value(object, node);
        set.strip();
        set
    }

    fn of_value(value: &Value, node: Node<'_>) -> Self {
        match value {
            Value::Object(fields) if !fields.is_empty() && !node.is_atomic() => Self {
                here: false,
                children: fields
                    .iter()
                    .map(|(key, child)| (format!("f:{key}"), Self::of_value(child, node.field(key))))
                    .collect(),
            },
            Value::Array(items) if !items.is_empty() => match node.list_type() {
                ListType::Atomic => Self::leaf(),
                kind => Self {
                    here: false,
                    children: items
                        .iter()
                        .map(|item| {
                            let mut child = match kind {
                                ListType::Map(_) => Self::of_value(item, node.item()),
                                _ => Self::leaf(),
                            };
                            child.here = true;
                            (item_key(item, &kind, node), child)
                        })
                        .collect(),
                },
            },
            _ => Self::leaf(),
        }
    }

    /// The fields of `after` that are not in `before`, or differ there.
    pub(super) fn changed(before: &Value, after: &Value, node: Node<'_>) -> Self {
        let mut set = Self::changed_value(before, after, node);
        set.strip();
        set
    }

    fn changed_value(before: &Value, after: &Value, node: Node<'_>) -> Self {
        if before == after {
            return Self::default();
        }
        match (before, after) {
            (Value::Object(old), Value::Object(new)) if !new.is_empty() && !node.is_atomic() => {
                let children = new.iter().filter_map(|(key, child)| {
                    let found = match old.get(key) {
                        Some(previous) => Self::changed_value(previous, child, node.field(key)),
                        None => Self::of_value(child, node.field(key)),
                    };
                    (!found.is_empty()).then(|| (format!("f:{key}"), found))
                });
                Self { here: false, children: children.collect() }
            }
            (Value::Array(old), Value::Array(new))
                if !new.is_empty() && node.list_type() != ListType::Atomic =>
            {
                let kind = node.list_type();
                let children = new.iter().filter_map(|item| {
                    let key = item_key(item, &kind, node);
                    let found = match old.iter().find(|previous| item_key(previous, &kind, node) == key) {
                        Some(previous) => Self::changed_value(previous, item, node.item()),
                        None => Self { here: true, ..Self::of_value(item, node.item()) },
                    };
                    (!found.is_empty()).then_some((key, found))
                });
                Self { here: false, children: children.collect() }
            }
            _ => Self::of_value(after, node),
        }
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
                "generateName",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
            ] {
                metadata.children.remove(&format!("f:{field}"));
            }
            if metadata.children.is_empty() {
                self.children.remove("f:metadata");
            }
        }
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

    /// Keeps only what `other` has too, or has something below of.
    pub(super) fn intersect(&mut self, other: &Set) {
        if other.here && other.children.is_empty() {
            return;
        }
        self.here &= other.here;
        self.children.retain(|key, child| match other.children.get(key) {
            Some(kept) => {
                child.intersect(kept);
                !child.is_empty()
            }
            None => false,
        });
        if self.children.is_empty() && !other.children.is_empty() {
            // Was a leaf, and is a tree in `other` now: whoever set the whole still owns the place.
            self.here = self.here || !other.children.is_empty() && other.here;
        }
    }

    /// The leaves that both have, as paths in the words of a conflict.
    pub(super) fn common(&self, other: &Set, path: &str, found: &mut Vec<String>) {
        let leaf = |set: &Set| set.here && set.children.is_empty();
        if leaf(self) && !other.is_empty() || leaf(other) && !self.is_empty() {
            found.push(path.to_owned());
            return;
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

fn has_content(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}
