//! update and patch: everything that changes an object that is there.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Reply;
use super::negotiate::Media;
use super::write::drop_nulls;
use super::{Call, Core, header, options, present, storage_namespace};
use crate::admission;
use crate::patch::{self, managed};
use crate::resources::Resource;
use crate::status::Status;
use crate::store::{Meta, Object};

/// How often a change is computed again because another writer was faster.
const ATTEMPTS: u32 = 10;

impl Core {
    /// PUT of an object, or of the part of it that a subresource names.
    pub(super) fn replace(
        &self,
        call: &mut Call,
        resource: &Arc<Resource>,
        part: Option<&str>,
    ) -> Result<Reply, Status> {
        options::writing(call, "UpdateOptions")?;
        let mut object = self.body_object(call, resource)?;
        let name = call.info.name.clone();
        matches_request(call, resource, &mut object)?;
        let missing = if part.is_none() { self.object(call, resource).err() } else { None };
        let created = match missing {
            Some(missing) if !is_created_by_put(resource) => return Err(missing),
            missing => missing.is_some(),
        };
        if object.resource_version().bytes().any(|byte| !byte.is_ascii_digit()) {
            let version = object.resource_version();
            return Err(Status::new(
                500,
                "",
                format!("strconv.ParseUint: parsing \"{version}\": invalid syntax"),
            ));
        }
        if created {
            return self.replace_missing(call, resource, object);
        }
        if needs_version(resource) && object.resource_version().is_empty() {
            let mut causes = admission::Causes::default();
            causes.invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            // The real server names the resource here, not its kind.
            causes.finish(&resource.group, &resource.plural, &name)?;
        }
        let writer = self.writer(call, part);
        let object = self.change(call, resource, part, &writer, move |_, _| Ok(object.clone()))?;
        Ok(Reply::Object(StatusCode::OK, resource.clone(), object))
    }

    /// PUT of an object that is not there, of a kind that is created by it.
    fn replace_missing(
        &self,
        call: &mut Call,
        resource: &Arc<Resource>,
        mut object: Value,
    ) -> Result<Reply, Status> {
        if !object.uid().is_empty() {
            return Err(other_uid(resource, &object, object.uid(), ""));
        }
        // Which version it is that is not there, nobody asks.
        put(&mut object["metadata"], "resourceVersion", None);
        self.create_new(call, resource, object)
    }

    /// PATCH in any of its four forms.
    pub(super) fn patch(
        &self,
        call: &mut Call,
        resource: &Arc<Resource>,
        part: Option<&str>,
    ) -> Result<Reply, Status> {
        options::writing(call, "PatchOptions")?;
        let media = Media::parse(header(&call.headers, "content-type"));
        let body = call.body.clone();
        if matches!(media.name.as_str(), "application/apply-patch+yaml" | "application/apply-patch+cbor") {
            return self.apply(call, resource, part);
        }
        if serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
            return Err(Status::bad_request("invalid JSON patch"));
        }
        self.object(call, resource)?;
        let patch = patch::Patch::parse(&media.name, &body, resource)?;
        let writer = self.writer(call, part);
        let object = self.change(call, resource, part, &writer, |call, current| {
            let mut next = present(resource, current);
            patch.apply(&mut next, resource)?;
            drop_nulls(&mut next);
            admission::check_patched(call, resource, &mut next, &patch)?;
            self.normalise(call, resource, &mut next)?;
            matches_request(call, resource, &mut next)?;
            Ok(next)
        })?;
        Ok(Reply::Object(StatusCode::OK, resource.clone(), object))
    }

    fn apply(&self, call: &mut Call, resource: &Arc<Resource>, part: Option<&str>) -> Result<Reply, Status> {
        let mut config = crate::codec::from_yaml(&call.body)?;
        let group_version =
            (config["apiVersion"].as_str().unwrap_or_default(), config["kind"].as_str().unwrap_or_default());
        if group_version != (resource.api_version().as_str(), resource.kind.as_str()) {
            let (version, kind) = group_version;
            let slash = if version.contains('/') { "" } else { "/" };
            return Err(Status::bad_request(format!("invalid object type: {slash}{version}, Kind={kind}")));
        }
        if config["metadata"]["managedFields"].as_array().is_some_and(|fields| !fields.is_empty()) {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        drop_nulls(&mut config);
        admission::check_applied(resource, &config)?;
        let exists = self.object(call, resource).is_ok();
        if exists && config.name().is_empty() {
            config["metadata"]["name"] = json!(call.info.name);
        }
        matches_request(call, resource, &mut config)?;
        // What decoding makes of it is not what was applied; only of custom resources it takes something away.
        let mut decoded = config.clone();
        admission::check_fields(call, resource, &mut decoded)?;
        if resource.custom.is_some() {
            config = decoded;
        }
        let writer =
            managed::Writer::apply(&call.manager(), part.unwrap_or_default(), &self.store.clock().rfc3339());
        let force = call.info.query.is_true("force");
        if !exists {
            if part.is_some() {
                return Err(Status::not_found(&resource.group, &resource.plural, &call.info.name));
            }
            let mut object = config.clone();
            self.normalise(call, resource, &mut object)?;
            self.place(call, resource, &mut object)?;
            admission::default_fields(resource, &mut object);
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
        mut next: impl FnMut(&mut Call, &Value) -> Result<Value, Status>,
    ) -> Result<Object, Status> {
        let storage = resource.storage();
        let namespace = storage_namespace(call, resource).to_owned();
        let name = call.info.name.clone();
        // Admission reads other objects, which it cannot under the store's lock: so compute first, and
        // write only if the object is still the one that was computed from. Nothing runs between the two
        // unless another thread writes; then it is computed again.
        let mut attempts = 0;
        loop {
            let Some(current) = self.store.get(&storage, &namespace, &name) else {
                return Err(Status::not_found(&resource.group, &resource.plural, &name));
            };
            let wanted = next(call, &current)?;
            let wanted = self.settle(call, resource, part, writer, &current, wanted)?;
            if call.info.dry_run() {
                return Ok(Arc::new(wanted));
            }
            let mut overtaken = false;
            let written = self.store.update(&storage, &namespace, &name, |found| {
                overtaken = found.resource_version() != current.resource_version();
                if overtaken {
                    return Err(modified(resource, &name));
                }
                *found = wanted;
                Ok(())
            });
            attempts += 1;
            if !overtaken || attempts == ATTEMPTS {
                return written;
            }
        }
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
            return Err(other_uid(resource, current, wanted.uid(), current.uid()));
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
        if part != Some("status") || resource.custom.is_some() {
            admission::default_fields(resource, &mut wanted);
            drop_nulls(&mut wanted);
        }
        let fields = (!writer.is_apply()).then(|| managed::updated(&wanted, Some(current), resource, writer));
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
        match fields {
            Some(fields) => managed::put(&mut wanted, fields),
            None => managed::touch(&mut wanted, current, writer),
        }
        Ok(wanted)
    }
}

/// Whether PUT of an object that is not there makes it.
fn is_created_by_put(resource: &Resource) -> bool {
    matches!(
        (resource.group.as_str(), resource.plural.as_str()),
        ("rbac.authorization.k8s.io", _)
            | ("coordination.k8s.io", "leases")
            | ("node.k8s.io", "runtimeclasses")
            | ("" | "events.k8s.io", "limitranges" | "events" | "services" | "endpoints")
    )
}

/// Whether PUT must say which version it replaces.
fn needs_version(resource: &Resource) -> bool {
    resource.custom.is_some()
        || matches!(
            (resource.group.as_str(), resource.plural.as_str()),
            ("coordination.k8s.io" | "admissionregistration.k8s.io", _)
                | ("policy", "poddisruptionbudgets")
                | ("node.k8s.io", "runtimeclasses")
                | (
                    "storage.k8s.io",
                    "csidrivers" | "csinodes" | "volumeattachments" | "csistoragecapacities"
                )
        )
}

/// An object is written where its name and namespace say; a namespace that it leaves open is that of the request.
fn matches_request(call: &Call, resource: &Resource, object: &mut Value) -> Result<(), Status> {
    let name = &call.info.name;
    match object["metadata"]["namespace"].as_str().unwrap_or_default() {
        "" if resource.namespaced => object["metadata"]["namespace"] = json!(call.info.namespace),
        found if resource.namespaced && found != call.info.namespace => {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        _ => {}
    }
    match object.name() {
        "" => Err(Status::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        ))),
        found if found != name => Err(Status::bad_request(format!(
            "the name of the object ({found}) does not match the name on the URL ({name})"
        ))),
        _ => Ok(()),
    }
}

/// The uid that was named is not that of the object.
fn other_uid(resource: &Resource, object: &Value, named: &str, found: &str) -> Status {
    let folder = match resource.plural.as_str() {
        "services" => "services/specs",
        "endpoints" => "services/endpoints",
        "ingresses" => "ingress",
        "nodes" => "minions",
        plural => plural,
    };
    let name = [object.namespace(), object.name()].join("/");
    let name = name.trim_start_matches('/');
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{folder}/{name}, ResourceVersion: 0, \
         AdditionalErrorMsg: Precondition failed: UID in precondition: {named}, UID in object meta: {found}"
    );
    Status::conflict(&resource.group, &resource.plural, object.name(), &why)
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
