//! OpenAPI v3, one document for each group-version, made from the table of types.
//!
//! What clients read of it: that a kind's PATCH takes `fieldValidation` and strategic merge patches, the
//! merge keys, and the fields (`kubectl explain`). Descriptions are not carried.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::handlers::Core;
use crate::resources::Resource;
use crate::schema::{self, Field, Shape, Type};
use crate::store::{GroupResource, Meta};

const OBJECT_META: &str = "apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "apimachinery.pkg.apis.meta.v1.ListMeta";
const DELETE_OPTIONS: &str = "apimachinery.pkg.apis.meta.v1.DeleteOptions";
const QUANTITY: &str = "apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "apimachinery.pkg.util.intstr.IntOrString";
const TIME: &str = "apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "apimachinery.pkg.apis.meta.v1.MicroTime";
const STATUS: &str = "apimachinery.pkg.apis.meta.v1.Status";

/// `/openapi/v3`: where the document of each group-version is.
pub(super) fn index(core: &Core) -> Value {
    let mut paths = Map::new();
    for group in core.registry().groups() {
        for (version, resources) in &group.versions {
            let path = match group.name.as_str() {
                "" => format!("api/{version}"),
                name => format!("apis/{name}/{version}"),
            };
            let hash = fingerprint(core, resources);
            let url = format!("/openapi/v3/{path}?hash={hash:016X}");
            paths.insert(path, json!({"serverRelativeURL": url}));
        }
    }
    json!({"paths": paths})
}

/// Changes when a document does: with the definitions of custom resources, and with the server's version.
fn fingerprint(core: &Core, resources: &[Arc<Resource>]) -> u64 {
    let mut text = core.minor.to_string();
    for resource in resources {
        text.push_str(&resource.plural);
        if resource.custom.is_some() {
            let name = format!("{}.{}", resource.plural, resource.group);
            let definitions = GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions");
            if let Some(definition) = core.store.get(&definitions, "", &name) {
                text.push_str(definition.resource_version());
                text.push_str(definition.uid());
            }
        }
    }
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// `/openapi/v3/api/v1` and the like.
pub(super) fn document(core: &Core, group: &str, version: &str) -> Option<Value> {
    let groups = core.registry().groups();
    let group = groups.iter().find(|found| found.name == group)?;
    let (_, resources) = group.versions.iter().find(|(found, _)| found == version)?;
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for resource in resources {
        add_paths(&mut paths, &mut schemas, resource);
    }
    Some(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": format!("v1.{}.2", core.minor)},
        "paths": paths, "components": {"schemas": schemas.done},
    }))
}

#[derive(Default)]
struct Schemas {
    seen: BTreeSet<String>,
    done: Map<String, Value>,
}

impl Schemas {
    /// A reference to a built-in type, which is then among the document's schemas.
    fn refer(&mut self, name: &str) -> Value {
        self.add(name);
        json!({"$ref": format!("#/components/schemas/io.k8s.{name}")})
    }

    fn add(&mut self, name: &str) {
        if !self.seen.insert(name.to_owned()) {
            return;
        }
        if let Some(found) = schema::named(name) {
            let described = self.describe(found);
            self.done.insert(format!("io.k8s.{name}"), described);
        }
    }

    /// A reference to a type that is no object.
    fn simple(&mut self, name: &str, schema: Value) -> Value {
        let name = format!("io.k8s.{name}");
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        self.done.entry(name).or_insert(schema);
        reference
    }

    fn describe(&mut self, found: &Type) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in found.fields.iter().filter(|field| !field.inline) {
            if field.required {
                required.push(field.name);
            }
            properties.insert(field.name.to_owned(), self.property(field));
        }
        let mut described = json!({"description": "", "type": "object"});
        if !properties.is_empty() {
            described["properties"] = Value::Object(properties);
        }
        if !required.is_empty() {
            described["required"] = json!(required);
        }
        if !found.kinds.is_empty() {
            described["x-kubernetes-group-version-kind"] = found
                .kinds
                .iter()
                .map(|(group, version, kind)| json!({"group": group, "version": version, "kind": kind}))
                .collect();
        }
        if found.atomic {
            described["x-kubernetes-map-type"] = json!("atomic");
        }
        described
    }

    fn property(&mut self, field: &Field) -> Value {
        let mut property = match &field.shape {
            Shape::Type(_) | Shape::Quantity | Shape::IntOrString | Shape::Time | Shape::MicroTime => {
                json!({"allOf": [self.shape(&field.shape)]})
            }
            shape => self.shape(shape),
        };
        if !field.keys.is_empty() {
            property["x-kubernetes-list-type"] = json!("map");
            property["x-kubernetes-list-map-keys"] = json!(field.keys);
        } else if field.set {
            property["x-kubernetes-list-type"] = json!("set");
        } else if field.atomic {
            let list = matches!(field.shape, Shape::List(_));
            property[if list { "x-kubernetes-list-type" } else { "x-kubernetes-map-type" }] = json!("atomic");
        }
        let strategies = [(field.merges, "merge"), (field.retains_keys, "retainKeys")];
        let strategies: Vec<&str> =
            strategies.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect();
        if !strategies.is_empty() {
            property["x-kubernetes-patch-strategy"] = json!(strategies.join(","));
        }
        if let Some(key) = field.merge_key {
            property["x-kubernetes-patch-merge-key"] = json!(key);
        }
        property
    }

    fn shape(&mut self, shape: &Shape) -> Value {
        match shape {
            Shape::Text | Shape::Duration => json!({"type": "string"}),
            Shape::Quantity => {
                self.simple(QUANTITY, json!({"oneOf": [{"type": "string"}, {"type": "number"}]}))
            }
            Shape::Bool => json!({"type": "boolean"}),
            Shape::Int32 => json!({"type": "integer", "format": "int32"}),
            Shape::Int64 => json!({"type": "integer", "format": "int64"}),
            Shape::Double => json!({"type": "number", "format": "double"}),
            Shape::Bytes => json!({"type": "string", "format": "byte"}),
            Shape::IntOrString => self.simple(
                INT_OR_STRING,
                json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
            ),
            Shape::Time => self.simple(TIME, json!({"type": "string", "format": "date-time"})),
            Shape::MicroTime => self.simple(MICRO_TIME, json!({"type": "string", "format": "date-time"})),
            Shape::FreeObject | Shape::FieldSet => json!({"type": "object"}),
            Shape::Anything => json!({}),
            Shape::Type(name) => self.refer(name),
            Shape::List(inner) => json!({"type": "array", "items": self.shape(inner)}),
            Shape::Map(inner) => json!({"type": "object", "additionalProperties": self.shape(inner)}),
        }
    }

    /// The schema of a resource's objects, and of its lists.
    fn resource(&mut self, resource: &Resource) -> (Value, Value) {
        let (name, reference) = match &resource.custom {
            None => {
                let found = schema::of_kind(&resource.group, &resource.version, &resource.kind);
                let name = found.map_or("", |found| found.name);
                (format!("io.k8s.{name}"), self.refer(name))
            }
            Some(version) => {
                let mut parts: Vec<&str> = resource.group.split('.').collect();
                parts.reverse();
                let name = format!("{}.{}.{}", parts.join("."), resource.version, resource.kind);
                let mut described = version["schema"]["openAPIV3Schema"].clone();
                if !described.is_object() {
                    described = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
                }
                let meta = self.refer(OBJECT_META);
                let properties = &mut described["properties"];
                if !properties.is_object() {
                    *properties = json!({});
                }
                properties["apiVersion"] = json!({"type": "string"});
                properties["kind"] = json!({"type": "string"});
                properties["metadata"] = json!({"allOf": [meta]});
                described["x-kubernetes-group-version-kind"] = json!([gvk(resource, &resource.kind)]);
                self.done.insert(name.clone(), described);
                let reference = json!({"$ref": format!("#/components/schemas/{name}")});
                (name, reference)
            }
        };
        let list = format!("{name}List");
        let meta = self.refer(LIST_META);
        self.done.insert(
            list.clone(),
            json!({
                "description": "", "type": "object", "required": ["items"],
                "properties": {
                    "apiVersion": {"type": "string"}, "kind": {"type": "string"},
                    "items": {"type": "array", "items": {"allOf": [reference]}}, "metadata": {"allOf": [meta]},
                },
                "x-kubernetes-group-version-kind": [gvk(resource, &resource.list_kind())],
            }),
        );
        (reference, json!({"$ref": format!("#/components/schemas/{list}")}))
    }
}

fn gvk(resource: &Resource, kind: &str) -> Value {
    json!({"group": resource.group, "version": resource.version, "kind": kind})
}

fn parameter(name: &str, kind: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
}

fn add_paths(paths: &mut Map<String, Value>, schemas: &mut Schemas, resource: &Resource) {
    let (one, many) = schemas.resource(resource);
    let options = schemas.refer(DELETE_OPTIONS);
    let status = schemas.refer(STATUS);
    let root = match resource.group.as_str() {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    };
    let base = match resource.namespaced {
        true => format!("{root}/namespaces/{{namespace}}/{}", resource.plural),
        false => format!("{root}/{}", resource.plural),
    };
    let content = |schema: &Value| json!({"application/json": {"schema": schema}, "application/yaml": {"schema": schema}});
    let operation = |action: &str, body: Option<Value>, answer: &Value, parameters: Vec<Value>| {
        let mut operation = json!({
            "description": "", "tags": [], "operationId": format!("{action}{}{}", resource.version, resource.kind),
            "parameters": parameters, "responses": {"200": {"description": "OK", "content": content(answer)}},
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk(resource, &resource.kind),
        });
        if let Some(body) = body {
            operation["requestBody"] = json!({"content": body});
        }
        operation
    };
    let write = || {
        vec![
            parameter("dryRun", "string"),
            parameter("fieldManager", "string"),
            parameter("fieldValidation", "string"),
        ]
    };
    let read = || {
        vec![
            parameter("labelSelector", "string"),
            parameter("fieldSelector", "string"),
            parameter("limit", "integer"),
            parameter("continue", "string"),
            parameter("watch", "boolean"),
        ]
    };
    let can = |verb: &str| resource.verbs.iter().any(|found| found == verb);
    let mut collection = Map::new();
    let mut item = Map::new();
    if can("list") {
        collection.insert("get".into(), operation("list", None, &many, read()));
    }
    if can("create") {
        collection
            .insert("post".into(), operation("post", Some(json!({"*/*": {"schema": one}})), &one, write()));
    }
    if can("deletecollection") {
        let body = json!({"*/*": {"schema": options}});
        collection.insert(
            "delete".into(),
            operation("deletecollection", Some(body), &status, vec![parameter("dryRun", "string")]),
        );
    }
    if can("get") {
        item.insert("get".into(), operation("get", None, &one, Vec::new()));
    }
    if can("update") {
        item.insert("put".into(), operation("put", Some(json!({"*/*": {"schema": one}})), &one, write()));
    }
    if can("patch") {
        let mut body = Map::new();
        let mut forms = vec![
            "application/apply-patch+yaml",
            "application/json-patch+json",
            "application/merge-patch+json",
        ];
        if resource.custom.is_none() {
            forms.push("application/strategic-merge-patch+json");
        }
        for form in forms {
            body.insert(form.to_owned(), json!({"schema": {"type": "object"}}));
        }
        let mut parameters = write();
        parameters.push(parameter("force", "boolean"));
        item.insert("patch".into(), operation("patch", Some(Value::Object(body)), &one, parameters));
    }
    if can("delete") {
        let body = json!({"*/*": {"schema": options}});
        item.insert(
            "delete".into(),
            operation("delete", Some(body), &status, vec![parameter("dryRun", "string")]),
        );
    }
    if !collection.is_empty() {
        paths.insert(base.clone(), Value::Object(collection));
    }
    if !item.is_empty() {
        paths.insert(format!("{base}/{{name}}"), Value::Object(item));
    }
    for subresource in resource.subresource("status").into_iter().filter(|_| can("get")) {
        let path = format!("{base}/{{name}}/{}", subresource.name);
        let get = operation("get", None, &one, Vec::new());
        paths.insert(path, json!({"get": get}));
    }
}
