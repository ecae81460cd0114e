//! create.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Reply;
use super::{Call, Core, present_in_place};
use crate::admission;
use crate::patch::managed;
use crate::resources::{Resource, split_api_version};
use crate::status::Status;
use crate::store::{GroupResource, Meta};

impl Core {
    /// The body as an object of `resource`, with its kind and API version set, nulls dropped.
    pub(super) fn body_object(&self, call: &mut Call, resource: &Resource) -> Result<Value, Status> {
        let mut object = crate::codec::decode(&call.headers, &call.body)?;
        if !object.is_object() {
            return Err(Status::bad_request("the object provided is unrecognized (must be of type object)"));
        }
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
        if !call.info.name.is_empty() {
            return Err(Status::method_not_allowed());
        }
        let mut object = self.body_object(call, resource)?;
        let manager = call.manager();
        let now = self.store.clock().rfc3339();
        self.place(call, resource, &mut object)?;
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        let subresource = "";
        admission::on_create(self, call, resource, &mut object)?;
        managed::set(&mut object, None, resource, &managed::Writer::update(&manager, subresource, &now));
        self.store_new(call, resource, object)
            .map(|created| Reply::Object(StatusCode::CREATED, resource.clone(), created))
    }

    /// Puts a new object where the path says, and drops from it what only the server sets.
    pub(super) fn place(&self, call: &Call, resource: &Resource, object: &mut Value) -> Result<(), Status> {
        let metadata = &mut object["metadata"];
        if metadata["resourceVersion"].as_str().is_some_and(|rv| !rv.is_empty()) {
            return Err(Status::new(
                500,
                "InternalError",
                "resourceVersion should not be set on objects to be created",
            ));
        }
        if let Some(fields) = metadata.as_object_mut() {
            for field in [
                "uid",
                "creationTimestamp",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "selfLink",
                "generation",
            ] {
                fields.remove(field);
            }
        }
        if !resource.namespaced {
            if let Some(fields) = metadata.as_object_mut() {
                fields.remove("namespace");
            }
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
        if resource.group != "events.k8s.io" {
            present_in_place(resource, &mut object);
        }
        Ok(Arc::new(object))
    }
}

/// Whether the body is of the kind that the path is about.
fn check_type(object: &Value, resource: &Resource) -> Result<(), Status> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    if !api_version.is_empty() {
        let (group, version) = split_api_version(api_version);
        if (group, version) != (resource.group.as_str(), resource.version.as_str()) {
            return Err(Status::bad_request(format!(
                "the API version in the data ({api_version}) does not match the expected API version ({})",
                resource.api_version()
            )));
        }
    }
    if !kind.is_empty() && kind != resource.kind {
        return Err(Status::bad_request(format!(
            "{kind} in version \"{}\" cannot be handled as a {}: no kind \"{kind}\" is registered for this path",
            resource.version, resource.kind
        )));
    }
    Ok(())
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
