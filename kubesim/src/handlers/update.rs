//! update and patch: everything that changes an object that is there.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Reply;
use super::negotiate::Media;
use super::write::drop_nulls;
use super::{Call, Core, header, present, storage_namespace};
use crate::admission;
use crate::patch::{self, managed};
use crate::resources::Resource;
use crate::status::Status;
use crate::store::{Meta, Object};

impl Core {
    /// PUT of an object, or of the part of it that a subresource names.
    pub(super) fn replace(
        &self,
        call: &mut Call,
        resource: &Arc<Resource>,
        part: Option<&str>,
    ) -> Result<Reply, Status> {
        let object = self.body_object(call, resource)?;
        let name = call.info.name.clone();
        if object.name() != name {
            return Err(Status::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({name})",
                object.name()
            )));
        }
        if resource.custom.is_some() && object.resource_version().is_empty() {
            return Err(Status::invalid(
                &resource.group,
                &resource.plural,
                &name,
                "metadata.resourceVersion: Invalid value: 0: must be specified for an update",
            ));
        }
        let writer = self.writer(call, part);
        let object = self.change(call, resource, part, &writer, move |_, _| Ok(object))?;
        Ok(Reply::Object(StatusCode::OK, resource.clone(), object))
    }

    /// PATCH in any of its four forms.
    pub(super) fn patch(
        &self,
        call: &mut Call,
        resource: &Arc<Resource>,
        part: Option<&str>,
    ) -> Result<Reply, Status> {
        let media = Media::parse(header(&call.headers, "content-type"));
        let body = call.body.clone();
        if matches!(media.name.as_str(), "application/apply-patch+yaml" | "application/apply-patch+cbor") {
            return self.apply(call, resource, part);
        }
        let patch = patch::Patch::parse(&media.name, &body, resource)?;
        let writer = self.writer(call, part);
        let object = self.change(call, resource, part, &writer, |call, current| {
            let mut next = present(resource, current);
            patch.apply(&mut next, resource)?;
            drop_nulls(&mut next);
            admission::check_patched(call, resource, &mut next, &patch)?;
            self.normalise(call, resource, &mut next)?;
            Ok(next)
        })?;
        Ok(Reply::Object(StatusCode::OK, resource.clone(), object))
    }

    fn apply(&self, call: &mut Call, resource: &Arc<Resource>, part: Option<&str>) -> Result<Reply, Status> {
        if call.info.query.get("fieldManager").is_none() {
            return Err(Status::invalid(
                "meta.k8s.io",
                "PatchOptions",
                "",
                "fieldManager: Required value: is required for apply patch",
            ));
        }
        let mut config = crate::codec::from_yaml(&call.body)?;
        let group_version =
            (config["apiVersion"].as_str().unwrap_or_default(), config["kind"].as_str().unwrap_or_default());
        if group_version != (resource.api_version().as_str(), resource.kind.as_str()) {
            return Err(Status::bad_request(format!(
                "incorrect API version specified in apply patch. Specified patch API version: {}, expected: {}",
                group_version.0,
                resource.api_version()
            )));
        }
        if config["metadata"]["managedFields"].as_array().is_some_and(|fields| !fields.is_empty()) {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        drop_nulls(&mut config);
        admission::check_fields(call, resource, &mut config)?;
        config["metadata"]["name"] = json!(call.info.name);
        if resource.namespaced {
            config["metadata"]["namespace"] = json!(call.info.namespace);
        }
        let writer =
            managed::Writer::apply(&call.manager(), part.unwrap_or_default(), &self.store.clock().rfc3339());
        let force = call.info.query.is_true("force");
        let exists =
            self.store.get(&resource.storage(), storage_namespace(call, resource), &call.info.name).is_some();
        if !exists {
            if part.is_some() {
                return Err(Status::not_found(&resource.group, &resource.plural, &call.info.name));
            }
            let mut object = config.clone();
            self.normalise(call, resource, &mut object)?;
            self.place(call, resource, &mut object)?;
            admission::on_create(self, call, resource, &mut object)?;
            managed::set_applied(&mut object, &config, resource, &writer);
            let object = self.store_new(call, resource, object)?;
            return Ok(Reply::Object(StatusCode::CREATED, resource.clone(), object));
        }
        let object = self.change(call, resource, part, &writer, |call, current| {
            let current = present(resource, current);
            let mut next = managed::apply(&current, &config, resource, &writer, force)?;
            let fields = next["metadata"]["managedFields"].take();
            self.normalise(call, resource, &mut next)?;
            next["metadata"]["managedFields"] = fields;
            Ok(next)
        })?;
        Ok(Reply::Object(StatusCode::OK, resource.clone(), object))
    }

    pub(super) fn writer(&self, call: &Call, part: Option<&str>) -> managed::Writer {
        managed::Writer::update(&call.manager(), part.unwrap_or_default(), &self.store.clock().rfc3339())
    }

    /// Computes an object's next state from its current one and stores it, unless this is a dry run.
    ///
    /// `part` names the subresource that is written; `next` gives the whole object as the client wants
    /// it, in the version of `resource`.
    pub(super) fn change(
        &self,
        call: &mut Call,
        resource: &Resource,
        part: Option<&str>,
        writer: &managed::Writer,
        next: impl FnOnce(&mut Call, &Value) -> Result<Value, Status>,
    ) -> Result<Object, Status> {
        let storage = resource.storage();
        let namespace = storage_namespace(call, resource).to_owned();
        let name = call.info.name.clone();
        // Admission reads other objects, which it cannot under the store's lock: so compute first, and
        // write only if the object is still the one that was computed from. Nothing runs between the two
        // unless another thread writes; then it is computed again.
        let Some(current) = self.store.get(&storage, &namespace, &name) else {
            return Err(Status::not_found(&resource.group, &resource.plural, &name));
        };
        let wanted = next(call, &current)?;
        let wanted = self.settle(call, resource, part, writer, &current, wanted)?;
        if call.info.dry_run() {
            return Ok(Arc::new(wanted));
        }
        self.store.update(&storage, &namespace, &name, |found| {
            if found.resource_version() != current.resource_version() {
                return Err(modified(resource, &name));
            }
            *found = wanted;
            Ok(())
        })
    }

    /// What is stored when a client wants `wanted`: the parts that this request may not write are put
    /// back, the rest is defaulted, validated and counted as a new generation if it differs.
    fn settle(
        &self,
        call: &mut Call,
        resource: &Resource,
        part: Option<&str>,
        writer: &managed::Writer,
        current: &Value,
        mut wanted: Value,
    ) -> Result<Value, Status> {
        if !wanted.resource_version().is_empty() && wanted.resource_version() != current.resource_version() {
            return Err(modified(resource, current.name()));
        }
        if !wanted.uid().is_empty() && wanted.uid() != current.uid() {
            let why = format!(
                "Precondition failed: UID in precondition: {}, UID in object meta: {}",
                wanted.uid(),
                current.uid()
            );
            return Err(Status::conflict(&resource.group, &resource.plural, current.name(), &why));
        }
        match part {
            Some("status") => {
                let status = wanted.get_mut("status").map(Value::take);
                let fields = wanted["metadata"].get_mut("managedFields").map(Value::take);
                let mut next = current.clone();
                put(&mut next, "status", status);
                if writer.is_apply() {
                    put(&mut next["metadata"], "managedFields", fields);
                }
                wanted = next;
            }
            _ if resource.has_status() => put(&mut wanted, "status", current.get("status").cloned()),
            _ => {}
        }
        for field in [
            "uid",
            "creationTimestamp",
            "name",
            "namespace",
            "resourceVersion",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "generateName",
            "selfLink",
        ] {
            put(&mut wanted["metadata"], field, current["metadata"].get(field).cloned());
        }
        if !writer.is_apply() {
            put(&mut wanted["metadata"], "managedFields", current["metadata"].get("managedFields").cloned());
        }
        admission::on_update(self, call, resource, part, current, &mut wanted)?;
        if part != Some("status")
            && !same_spec(current, &wanted)
            && let Some(generation) = current["metadata"]["generation"].as_i64()
        {
            wanted["metadata"]["generation"] = json!(generation + 1);
        }
        if !writer.is_apply() && same_but_fields(current, &wanted) {
            return Ok(wanted);
        }
        if writer.is_apply() {
            managed::touch(&mut wanted, current, writer);
        } else {
            managed::set(&mut wanted, Some(current), resource, writer);
        }
        Ok(wanted)
    }
}

fn modified(resource: &Resource, name: &str) -> Status {
    Status::conflict(
        &resource.group,
        &resource.plural,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )
}

fn put(object: &mut Value, field: &str, value: Option<Value>) {
    match (object.as_object_mut(), value) {
        (Some(fields), Some(value)) if !value.is_null() => {
            fields.insert(field.to_owned(), value);
        }
        (Some(fields), _) => {
            fields.remove(field);
        }
        (None, _) => {}
    }
}

/// Whether two states differ in nothing but metadata and status.
fn same_spec(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else {
        return a == b;
    };
    let skipped = |key: &str| matches!(key, "metadata" | "status" | "apiVersion" | "kind");
    let parts = |o: &serde_json::Map<String, Value>| o.keys().filter(|key| !skipped(key)).count();
    parts(a) == parts(b)
        && a.iter().filter(|(key, _)| !skipped(key)).all(|(key, value)| b.get(key) == Some(value))
}

fn same_but_fields(a: &Value, b: &Value) -> bool {
    a == b
}
