//! The types of the built-in kinds, as data: fields, protobuf tags, merge keys, list types.
//!
//! `types.tsv` holds facts of the public API definitions of Kubernetes 1.37 (its OpenAPI documents and
//! protobuf files). An unindented line begins a type: name, the kinds that it is
//! (`group/version/kind;…`), flags. An indented line is a field: name, type, protobuf tag, flags.
//!
//! Field types: `s` string, `b` bool, `i` int32, `l` int64, `d` double, `y` bytes, `q` quantity, `x`
//! integer or string, `t` time, `u` time with microseconds, `n` duration, `o` free object, `f` field set,
//! `*` anything, `@name` another type; `[` before it makes a list, `{` a map. A name that begins with `~`
//! is a message whose fields JSON has inline. Flags: `!` required, `k:a+b` list with these keys, `S` set,
//! `A` atomic, `p:merge+retainKeys` and `m:key` strategic merge, `d:x` default, `P` pointer, `Z` written
//! even when zero. `V` a struct that is no pointer in Go, and so is always there; `N` a list or map that is written even
//! when there is none.

mod node;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

pub(crate) use node::{ListType, Node};

const TABLE: &str = include_str!("types.tsv");

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    Bool,
    Int32,
    Int64,
    Double,
    Bytes,
    Quantity,
    IntOrString,
    Time,
    MicroTime,
    Duration,
    FreeObject,
    FieldSet,
    Anything,
    Type(&'static str),
    List(Box<Shape>),
    Map(Box<Shape>),
}

/// One field of a type.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Protobuf tag; 0 when it has none.
    pub(crate) tag: u32,
    /// Its fields are the parent's in JSON.
    pub(crate) inline: bool,
    pub(crate) required: bool,
    pub(crate) keys: Vec<&'static str>,
    pub(crate) set: bool,
    pub(crate) atomic: bool,
    pub(crate) merges: bool,
    pub(crate) retains_keys: bool,
    pub(crate) merge_key: Option<&'static str>,
    pub(crate) default: Option<&'static str>,
    /// Zero is a value of its own and kept.
    pub(crate) keeps_zero: bool,
    /// Nothing is another value than zero.
    pub(crate) is_pointer: bool,
    /// A struct that is always there.
    pub(crate) is_value: bool,
    /// A list or map that is there as null at least.
    pub(crate) keeps_null: bool,
}

/// One type.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) name: &'static str,
    /// (group, version, kind).
    pub(crate) kinds: Vec<(&'static str, &'static str, &'static str)>,
    pub(crate) atomic: bool,
    pub(crate) fields: Vec<Field>,
}

impl Field {
    /// What Go has here where JSON has nothing: the zero of what is always written. `None` for what is then left out.
    pub(crate) fn zero(&self) -> Option<&'static Value> {
        static EMPTY: LazyLock<Value> = LazyLock::new(|| Value::Object(serde_json::Map::new()));
        static NO_TEXT: Value = Value::String(String::new());
        static FALSE: Value = Value::Bool(false);
        static NUMBER: LazyLock<Value> = LazyLock::new(|| Value::from(0));
        match (&self.shape, self.is_value, self.keeps_null) {
            (Shape::Type(_), true, _) => Some(&EMPTY),
            (_, _, true) => Some(&Value::Null),
            // A pointer without a value is left out, whatever its zero would be.
            _ if !self.keeps_zero || self.is_pointer => None,
            (Shape::Text, ..) => Some(&NO_TEXT),
            (Shape::Bool, ..) => Some(&FALSE),
            (Shape::Int32 | Shape::Int64, ..) => Some(&NUMBER),
            _ => None,
        }
    }
}

impl Type {
    /// The field of this JSON name.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name && !field.inline)
    }
}

struct Types {
    by_name: BTreeMap<&'static str, Type>,
    by_kind: BTreeMap<(&'static str, &'static str, &'static str), &'static str>,
}

static TYPES: LazyLock<Types> = LazyLock::new(|| parse(TABLE));

/// A type by its name, e.g. `api.core.v1.Pod`.
pub(crate) fn named(name: &str) -> Option<&'static Type> {
    TYPES.by_name.get(name)
}

/// The type of a kind.
pub(crate) fn of_kind(group: &str, version: &str, kind: &str) -> Option<&'static Type> {
    // A map of static strings cannot be asked with shorter-lived ones but by comparing.
    let index: &BTreeMap<(&str, &str, &str), &'static str> = &TYPES.by_kind;
    named(lookup(index, (group, version, kind))?)
}

fn lookup<'a>(
    index: &BTreeMap<(&'a str, &'a str, &'a str), &'static str>,
    key: (&'a str, &'a str, &'a str),
) -> Option<&'static str> {
    index.get(&key).copied()
}

fn parse(table: &'static str) -> Types {
    let mut types = Types { by_name: BTreeMap::new(), by_kind: BTreeMap::new() };
    let mut current: Option<Type> = None;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let mut parts = line.split('\t');
        let first = parts.next().unwrap_or_default();
        if first.is_empty() {
            if let (Some(current), Some(field)) = (&mut current, field(parts)) {
                current.fields.push(field);
            }
            continue;
        }
        let kinds = parts.next().unwrap_or_default().split(';').filter_map(|kind| {
            let mut parts = kind.rsplitn(3, '/');
            let (kind, version, group) = (parts.next()?, parts.next()?, parts.next()?);
            Some((group, version, kind))
        });
        let next = Type {
            name: first,
            kinds: kinds.collect(),
            atomic: parts.next().unwrap_or_default().contains('A'),
            fields: Vec::new(),
        };
        if let Some(done) = current.replace(next) {
            types.by_name.insert(done.name, done);
        }
    }
    if let Some(done) = current {
        types.by_name.insert(done.name, done);
    }
    for found in types.by_name.values() {
        for kind in &found.kinds {
            types.by_kind.insert(*kind, found.name);
        }
    }
    types
}

fn field(mut parts: std::str::Split<'static, char>) -> Option<Field> {
    let (name, shape) = (parts.next()?, parts.next()?);
    let tag = parts.next().and_then(|tag| tag.parse().ok()).unwrap_or(0);
    let mut field = Field {
        name: name.trim_start_matches('~'),
        shape: parse_shape(shape),
        tag,
        inline: name.starts_with('~'),
        required: false,
        keys: Vec::new(),
        set: false,
        atomic: false,
        merges: false,
        retains_keys: false,
        merge_key: None,
        default: None,
        keeps_zero: false,
        is_pointer: false,
        is_value: false,
        keeps_null: false,
    };
    for flag in parts.next().unwrap_or_default().split(',') {
        match flag.split_once(':').unwrap_or((flag, "")) {
            ("!", _) => field.required = true,
            ("S", _) => field.set = true,
            ("A", _) => field.atomic = true,
            ("P" | "PZ", _) => (field.keeps_zero, field.is_pointer) = (true, true),
            ("Z", _) => field.keeps_zero = true,
            ("V", _) => field.is_value = true,
            ("N", _) => field.keeps_null = true,
            ("k", keys) => field.keys = keys.split('+').collect(),
            ("p", strategy) => {
                field.merges = strategy.contains("merge");
                field.retains_keys = strategy.contains("retainKeys");
            }
            ("m", key) => field.merge_key = Some(key),
            ("d", value) => field.default = Some(value),
            _ => {}
        }
    }
    Some(field)
}

fn parse_shape(text: &'static str) -> Shape {
    if let Some(rest) = text.strip_prefix('[') {
        return Shape::List(Box::new(parse_shape(rest)));
    }
    if let Some(rest) = text.strip_prefix('{') {
        return Shape::Map(Box::new(parse_shape(rest)));
    }
    if let Some(name) = text.strip_prefix('@') {
        return Shape::Type(name);
    }
    match text {
        "s" => Shape::Text,
        "b" => Shape::Bool,
        "i" => Shape::Int32,
        "l" => Shape::Int64,
        "d" => Shape::Double,
        "y" => Shape::Bytes,
        "q" => Shape::Quantity,
        "x" => Shape::IntOrString,
        "t" => Shape::Time,
        "u" => Shape::MicroTime,
        "n" => Shape::Duration,
        "o" => Shape::FreeObject,
        "f" => Shape::FieldSet,
        _ => Shape::Anything,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_built_in_kind_has_its_type_and_no_type_is_missing() {
        for resource in crate::resources::builtins() {
            assert!(
                of_kind(&resource.group, &resource.version, &resource.kind).is_some(),
                "{} {}",
                resource.api_version(),
                resource.kind
            );
        }
        fn check(shape: &Shape, place: &str) {
            match shape {
                Shape::Type(name) => assert!(named(name).is_some(), "{place}: {name}"),
                Shape::List(inner) | Shape::Map(inner) => check(inner, place),
                _ => {}
            }
        }
        for (name, found) in &TYPES.by_name {
            for field in &found.fields {
                check(&field.shape, name);
            }
        }
    }

    #[test]
    fn merge_keys_are_those_of_the_api() {
        let spec = named("api.core.v1.PodSpec").unwrap();
        assert_eq!(spec.field("containers").unwrap().merge_key, Some("name"));
        assert!(spec.field("tolerations").unwrap().atomic);
        let ports = named("api.core.v1.Container").unwrap().field("ports").unwrap();
        assert_eq!(
            (ports.merge_key, ports.keys.as_slice()),
            (Some("containerPort"), &["containerPort", "protocol"][..])
        );
    }
}
