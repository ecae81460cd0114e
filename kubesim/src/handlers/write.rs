//! create.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Reply;
use super::{Call, Core, options, present_in_place};
use crate::admission;
use crate::patch::managed;
use crate::resources::{Resource, split_api_version};
use crate::status::Status;
use crate::store::{GroupResource, Meta, drop_fields, has_generation};

impl Core {
    /// The body as an object of `resource`, with its kind and API version set, nulls dropped.
    pub(super) fn body_object(&self, call: &mut Call, resource: &Resource) -> Result<Value, Status> {
        let mut object = crate::codec::decode_as(&call.headers, &call.body, &resource.kind)?;
        check_type(&object, resource)?;
        self.normalise(call, resource, &mut object)?;
        Ok(object)
    }

    /// What decoding into the real server's types and storing it does to any object that comes in.
    pub(super) fn normalise(
        &self,
        call: &mut Call,
        resource: &Resource,
        object: &mut Value,
    ) -> Result<(), Status> {
        drop_nulls(object);
        admission::check_fields(call, resource, object)?;
        if resource.group == "events.k8s.io" {
            crate::codec::events::to_core(object);
            object["apiVersion"] = json!("v1");
            object["kind"] = json!("Event");
        } else {
            object["apiVersion"] = json!(resource.api_version());
            object["kind"] = json!(resource.kind);
        }
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        Ok(())
    }

    pub(super) fn create(&self, call: &mut Call, resource: &Arc<Resource>) -> Result<Reply, Status> {
        options::writing(call, "CreateOptions")?;
        let object = self.body_object(call, resource)?;
        self.create_new(call, resource, object)
    }

    /// Stores a new object.
    pub(super) fn create_new(
        &self,
        call: &mut Call,
        resource: &Arc<Resource>,
        mut object: Value,
    ) -> Result<Reply, Status> {
        self.admit_of_definition(resource, object.name())?;
        let manager = call.manager();
        let now = self.store.clock().rfc3339();
        self.place(call, resource, &mut object)?;
        drop_fields(&mut object["metadata"], &["managedFields"]);
        admission::default_fields(resource, &mut object);
        let writer = managed::Writer::update(&manager, "", &now);
        let fields = managed::updated(&object, None, resource, &writer);
        managed::put(&mut object, fields);
        admission::on_create(self, call, resource, &mut object)?;
        self.store_new(call, resource, object)
            .map(|created| Reply::Object(StatusCode::CREATED, resource.clone(), created))
    }

    /// Puts a new object where the path says, and drops from it what only the server sets.
    pub(super) fn place(&self, call: &Call, resource: &Resource, object: &mut Value) -> Result<(), Status> {
        let metadata = &mut object["metadata"];
        if metadata["resourceVersion"].as_str().is_some_and(|rv| !rv.is_empty()) {
            return Err(Status::new(500, "", "resourceVersion should not be set on objects to be created"));
        }
        drop_fields(
            metadata,
            &[
                "uid",
                "creationTimestamp",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "selfLink",
                "generation",
            ],
        );
        if !resource.namespaced {
            drop_fields(metadata, &["namespace"]);
            return Ok(());
        }
        let namespace = call.info.namespace.as_str();
        if namespace.is_empty() {
            return Err(Status::bad_request("an empty namespace may not be set during creation"));
        }
        match metadata["namespace"].as_str() {
            Some(other) if !other.is_empty() && other != namespace => {
                return Err(Status::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
            _ => metadata["namespace"] = json!(namespace),
        }
        self.admit_into_namespace(resource, namespace, object.name())
    }

    /// Nothing is created in a namespace that is missing or going away.
    fn admit_into_namespace(&self, resource: &Resource, namespace: &str, name: &str) -> Result<(), Status> {
        let Some(found) = self.store.get(&GroupResource::new("", "namespaces"), "", namespace) else {
            return Err(Status::not_found("", "namespaces", namespace));
        };
        if !found.is_terminating() {
            return Ok(());
        }
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut status = Status::forbidden(&resource.group, &resource.plural, name, &why);
        if let Some(details) = &mut status.details {
            details["causes"] = json!([{
                "reason": "NamespaceTerminating", "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
        }
        Err(status)
    }

    /// Nothing is created of a definition that is going away.
    fn admit_of_definition(&self, resource: &Resource, name: &str) -> Result<(), Status> {
        if resource.custom.is_none() {
            return Ok(());
        }
        let definitions = GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions");
        let going = self
            .store
            .get(&definitions, "", &format!("{}.{}", resource.plural, resource.group))
            .is_some_and(|definition| definition.is_terminating());
        if going {
            let why = "create not allowed while custom resource definition is terminating";
            return Err(Status::forbidden(&resource.group, &resource.plural, name, why));
        }
        Ok(())
    }

    /// Stores a new object, or says what would be stored.
    pub(super) fn store_new(
        &self,
        call: &Call,
        resource: &Resource,
        mut object: Value,
    ) -> Result<crate::store::Object, Status> {
        let storage = resource.storage();
        if !call.info.dry_run() {
            return self.store.create_with(&storage, object, admission::with_uid);
        }
        if object.name().is_empty() {
            let prefix = object["metadata"]["generateName"].as_str().unwrap_or_default();
            object["metadata"]["name"] = json!(format!("{prefix}{}", self.store.name_suffix()));
        }
        if self.store.get(&storage, object.namespace(), object.name()).is_some() {
            return Err(Status::already_exists(&resource.group, &resource.plural, object.name()));
        }
        object["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
        object["metadata"]["creationTimestamp"] = json!(self.store.clock().rfc3339());
        if has_generation(&storage) {
            object["metadata"]["generation"] = json!(1);
        }
        admission::with_uid(&mut object);
        if resource.group != "events.k8s.io" {
            present_in_place(resource, &mut object);
        }
        Ok(Arc::new(object))
    }
}

/// Whether the body is of the kind that the path is about.
fn check_type(object: &Value, resource: &Resource) -> Result<(), Status> {
    let kind = object["kind"].as_str().filter(|kind| !kind.is_empty()).unwrap_or(&resource.kind);
    let own = resource.api_version();
    let api_version = object["apiVersion"].as_str().filter(|version| !version.is_empty()).unwrap_or(&own);
    if kind == resource.kind && api_version == own {
        return Ok(());
    }
    let (group, version) = split_api_version(api_version);
    let custom = resource.custom.is_some();
    // Custom resources are of whatever kind they say, until it is compared.
    let why = match crate::schema::of_kind(group, version, kind) {
        _ if custom && api_version != own => {
            return Err(Status::bad_request(format!(
                "the API version in the data ({api_version}) does not match the expected API version ({own})"
            )));
        }
        _ if custom => format!("no kind \"{kind}\" is registered for this path"),
        // The package of Go's types is that of the version, and of the internal ones that of the group.
        Some(_) => {
            let package = resource.group.split('.').next().filter(|it| !it.is_empty()).unwrap_or("core");
            format!("converting ({version}.{kind}) to ({package}.{}): unknown conversion", resource.kind)
        }
        None => format!(
            "no kind \"{kind}\" is registered for version \"{api_version}\" in scheme \"pkg/runtime/scheme.go:111\""
        ),
    };
    Err(Status::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {}: {why}",
        resource.kind
    )))
}

/// Drops every null: decoding into types and encoding again does the same.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
