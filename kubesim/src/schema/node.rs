//! A place in a schema: of a built-in type, of a custom resource's OpenAPI, or unknown.

use serde_json::Value;

use super::{Field, Shape, Type, named, of_kind};
use crate::resources::Resource;

/// What is known of a value at one place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Node<'a> {
    /// A built-in type's value; the field that holds it, where it is one.
    Builtin(&'a Shape, Option<&'a Field>),
    /// The object of a built-in kind.
    Root(&'static Type),
    /// A custom resource's value: its OpenAPI schema.
    Custom(&'a Value),
    /// `metadata` of a custom resource.
    ObjectMeta,
    /// Nothing is known: maps are granular, lists atomic.
    Unknown,
}

/// How the items of a list are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListType {
    Atomic,
    Set,
    Map(Vec<String>),
}

static TEXT: Shape = Shape::Text;
const OBJECT_META: &str = "apimachinery.pkg.apis.meta.v1.ObjectMeta";

impl<'a> Node<'a> {
    /// The whole object of a resource.
    pub(crate) fn of(resource: &'a Resource) -> Self {
        match &resource.custom {
            Some(version) => match &version["schema"]["openAPIV3Schema"] {
                Value::Null => Self::Unknown,
                schema => Self::Custom(schema),
            },
            None => {
                of_kind(&resource.group, &resource.version, &resource.kind).map_or(Self::Unknown, Self::Root)
            }
        }
    }

    fn object_type(self) -> Option<&'static Type> {
        match self {
            Self::Root(found) => Some(found),
            Self::Builtin(Shape::Type(name), _) => named(name),
            Self::ObjectMeta => named(OBJECT_META),
            _ => None,
        }
    }

    /// The member of this name of an object or map.
    pub(crate) fn field(self, name: &str) -> Node<'a> {
        match self {
            Self::Root(_) | Self::Builtin(Shape::Type(_), _) | Self::ObjectMeta => self
                .object_type()
                .and_then(|found| found.field(name))
                .map_or(Node::Unknown, |field| Node::Builtin(&field.shape, Some(field))),
            Self::Builtin(Shape::Map(inner), _) => Node::Builtin(inner, None),
            Self::Builtin(..) | Self::Unknown => Node::Unknown,
            Self::Custom(schema) => match name {
                "metadata"
                    if schema["properties"]["kind"].is_object()
                        || schema["properties"]["metadata"].is_object()
                            && schema["properties"]["metadata"]["properties"].is_null() =>
                {
                    Node::ObjectMeta
                }
                "apiVersion" | "kind" if schema["properties"][name].is_null() => Node::Builtin(&TEXT, None),
                _ => match (&schema["properties"][name], &schema["additionalProperties"]) {
                    (Value::Null, Value::Object(_)) => Node::Custom(&schema["additionalProperties"]),
                    (Value::Null, _) => Node::Unknown,
                    (property, _) => Node::Custom(property),
                },
            },
        }
    }

    /// An item of a list.
    pub(crate) fn item(self) -> Node<'a> {
        match self {
            Self::Builtin(Shape::List(inner), _) => Node::Builtin(inner, None),
            Self::Custom(schema) if schema["items"].is_object() => Node::Custom(&schema["items"]),
            _ => Node::Unknown,
        }
    }

    /// How a list's items are told apart.
    pub(crate) fn list_type(self) -> ListType {
        match self {
            Self::Builtin(Shape::List(_), Some(field)) if !field.keys.is_empty() => {
                ListType::Map(field.keys.iter().map(|key| (*key).to_owned()).collect())
            }
            Self::Builtin(Shape::List(_), Some(field)) if field.set => ListType::Set,
            Self::Custom(schema) => match schema["x-kubernetes-list-type"].as_str() {
                Some("set") => ListType::Set,
                Some("map") => {
                    let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
                    ListType::Map(keys.filter_map(Value::as_str).map(str::to_owned).collect())
                }
                _ => ListType::Atomic,
            },
            _ => ListType::Atomic,
        }
    }

    /// Whether an object or map is changed as a whole only.
    pub(crate) fn is_atomic(self) -> bool {
        match self {
            Self::Builtin(Shape::FreeObject | Shape::FieldSet | Shape::Anything | Shape::IntOrString, _) => {
                true
            }
            Self::Builtin(_, Some(field)) if field.atomic => true,
            Self::Custom(schema) => schema["x-kubernetes-map-type"] == "atomic",
            _ => self.object_type().is_some_and(|found| found.atomic),
        }
    }

    /// Whether a member is a field of a struct, and not a key of a map.
    pub(crate) fn has_field(self, name: &str) -> bool {
        match self {
            Self::Custom(schema) => {
                !schema["properties"][name].is_null() || matches!(name, "apiVersion" | "kind" | "metadata")
            }
            _ => self.object_type().is_some_and(|found| found.field(name).is_some()),
        }
    }

    /// What Go has at a member where JSON has nothing.
    pub(crate) fn zero(self, name: &str) -> Option<&'static Value> {
        self.object_type().and_then(|found| found.field(name)).and_then(Field::zero)
    }

    /// The members that Go always has, and what it has there at least.
    pub(crate) fn zeros(self) -> impl Iterator<Item = (&'static str, &'static Value)> {
        let fields = self.object_type().into_iter().flat_map(|found| &found.fields);
        fields.filter_map(|field| Some((field.name, field.zero()?)))
    }

    /// What Go has at a member of which nothing was said: null where it has nothing.
    pub(crate) fn fresh(self, name: &str) -> Value {
        let Some(zero) = self.zero(name) else { return Value::Null };
        let inner = self.field(name);
        match zero {
            Value::Object(_) => {
                let parts = inner.zeros().map(|(name, _)| (name.to_owned(), inner.fresh(name)));
                Value::Object(parts.filter(|(_, part)| !part.is_null()).collect())
            }
            zero => zero.clone(),
        }
    }

    /// What form a built-in type's value has: `struct`, `map`, `list`, `string`, `boolean`, `number` or `anything`.
    pub(crate) fn expects(self) -> &'static str {
        match self {
            Self::Root(_) | Self::ObjectMeta => "struct",
            Self::Builtin(shape, _) => match shape {
                // Wrappers of what JSON has plain have no fields here.
                Shape::Type(name) if named(name).is_none_or(|found| found.fields.is_empty()) => "anything",
                Shape::Type(_) => "struct",
                Shape::Map(_) => "map",
                Shape::List(_) => "list",
                Shape::Text | Shape::Bytes | Shape::Duration => "string",
                Shape::Bool => "boolean",
                Shape::Int32 | Shape::Int64 | Shape::Double => "number",
                _ => "anything",
            },
            Self::Custom(_) | Self::Unknown => "anything",
        }
    }

    /// The field of the strategic merge, when this place is a field of a built-in type.
    pub(crate) fn merge_field(self) -> Option<&'a Field> {
        match self {
            Self::Builtin(_, field) => field,
            _ => None,
        }
    }

    /// The default of a member that is absent: of a list's key.
    pub(crate) fn default_of(self, name: &str) -> Option<Value> {
        match self.field(name) {
            Node::Builtin(shape, Some(field)) => field.default.map(|text| match shape {
                Shape::Int32 | Shape::Int64 => text.parse::<i64>().map_or(Value::Null, Value::from),
                _ => Value::from(text),
            }),
            Node::Custom(schema) => schema.get("default").cloned(),
            _ => None,
        }
    }
}
