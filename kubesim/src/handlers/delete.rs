//! delete and deletecollection.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Reply;
use super::read::{Selection, namespace_filter};
use super::{Call, Core, options, storage_namespace};
use crate::controllers::definitions;
use crate::resources::Resource;
use crate::status::Status;
use crate::store::{Deleted, GroupResource, Meta, Object, Preconditions, check_preconditions};

/// `metav1.DeleteOptions`, from the body or the query.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    grace: Option<u64>,
    propagation: Option<String>,
    /// Whether `orphanDependents` is false, which is not the same as not given.
    cascades: bool,
    preconditions: Preconditions,
    dry_run: bool,
}

impl Options {
    pub(super) fn of(call: &Call) -> Result<Self, Status> {
        if call.body.is_empty() {
            return Self::from_value(&Value::Null, call);
        }
        let body = crate::codec::decode_options(&call.headers, &call.body)?;
        let (kind, version) = (&body["kind"], body["apiVersion"].as_str().unwrap_or_default());
        if kind.as_str().is_some_and(|kind| !matches!(kind, "" | "DeleteOptions")) {
            return Err(Status::bad_request(format!(
                "no kind {kind} is registered for version \"{version}\" in scheme \"pkg/runtime/scheme.go:111\""
            )));
        }
        let grace = &body["gracePeriodSeconds"];
        if !grace.is_null() && !grace.is_i64() {
            let found = crate::codec::go_name(grace);
            return Err(Status::bad_request(format!(
                "json: cannot unmarshal {found} into Go struct field DeleteOptions.gracePeriodSeconds of type int64"
            )));
        }
        Self::from_value(&body, call)
    }

    pub(super) fn from_value(body: &Value, call: &Call) -> Result<Self, Status> {
        let query = &call.info.query;
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let orphan = body["orphanDependents"]
            .as_bool()
            .or_else(|| query.get("orphanDependents").map(|_| query.is_true("orphanDependents")));
        let propagation = text(&body["propagationPolicy"])
            .or_else(|| query.get("propagationPolicy").map(str::to_owned))
            .or_else(|| orphan.map(|orphan| if orphan { "Orphan" } else { "Background" }.to_owned()));
        options::deleting(body, propagation.as_deref(), call)?;
        let dry_run = body["dryRun"].as_array().is_some_and(|all| all.iter().any(|d| d == "All"));
        Ok(Self {
            grace: body["gracePeriodSeconds"]
                .as_i64()
                .map(|s| u64::try_from(s).unwrap_or(0))
                .or_else(|| query.number("gracePeriodSeconds")),
            propagation,
            cascades: orphan == Some(false),
            preconditions: Preconditions {
                uid: text(&body["preconditions"]["uid"]),
                resource_version: text(&body["preconditions"]["resourceVersion"]),
            },
            dry_run: dry_run || call.info.dry_run(),
        })
    }
}

const KEPT_PODS: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to \
    remove them or set propagationPolicy=Orphan to suppress this warning";

impl Core {
    pub(super) fn delete(&self, call: &mut Call, resource: &Arc<Resource>) -> Result<Reply, Status> {
        let options = Options::of(call)?;
        if resource.group == "batch" && resource.plural == "jobs" && options.propagation.is_none() {
            call.warnings.push(KEPT_PODS.to_owned());
        }
        let object = self.object(call, resource)?;
        let deleted = self.delete_one(resource, &object, &options)?;
        // Only who asks for dependents in the old way is told that it takes a while.
        let waits = options.cascades;
        Ok(match deleted {
            Deleted::Pending(object) => {
                let code = if waits { StatusCode::ACCEPTED } else { StatusCode::OK };
                Reply::Object(code, resource.clone(), object)
            }
            Deleted::Gone(object) if returns_object(resource) => {
                Reply::Object(StatusCode::OK, resource.clone(), object)
            }
            Deleted::Gone(object) => {
                let mut details =
                    json!({"name": object.name(), "kind": resource.plural, "uid": object.uid()});
                if !resource.group.is_empty() {
                    details["group"] = json!(resource.group);
                }
                Reply::value(json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
                }))
            }
        })
    }

    pub(super) fn delete_collection(&self, call: &Call, resource: &Arc<Resource>) -> Result<Reply, Status> {
        let options = Options::of(call)?;
        let selection = Selection::of(call, resource)?;
        let (objects, revision) = self.store.list(&resource.storage(), namespace_filter(call, resource));
        let mut deleted = Vec::new();
        for object in objects.iter().filter(|object| selection.matches(object)) {
            match self.delete_one(resource, object, &options) {
                Ok(Deleted::Gone(object) | Deleted::Pending(object)) => deleted.push(object),
                // Somebody else was faster; it is gone, as was asked.
                Err(status) if status.reason == "NotFound" => {}
                Err(status) => return Err(status),
            }
        }
        Ok(Reply::List(resource.clone(), deleted, json!({"resourceVersion": revision.to_string()})))
    }

    /// Deletes one object as its kind is deleted: with the grace, finalizers and phase that it gets.
    pub(super) fn delete_one(
        &self,
        resource: &Resource,
        object: &Object,
        options: &Options,
    ) -> Result<Deleted, Status> {
        let storage = resource.storage();
        let (namespace, name) = (object.namespace(), object.name());
        crate::admission::on_delete(self, resource, object)?;
        check(resource, object, &options.preconditions)?;
        let grace = grace(resource, object, options.grace);
        if options.dry_run {
            return Ok(Deleted::Gone(object.clone()));
        }
        let finalizer = match options.propagation.as_deref() {
            Some("Orphan") => Some("orphan"),
            Some("Foreground") => Some("foregroundDeletion"),
            _ => None,
        };
        if resource.group == "apiextensions.k8s.io" && !object.is_terminating() {
            return self.delete_definition(&storage, object, &options.preconditions);
        }
        let mut preconditions = options.preconditions.clone();
        if let Some(finalizer) = finalizer.filter(|_| !object.is_terminating()) {
            self.store.update(&storage, namespace, name, |object| {
                let mut finalizers: Vec<Value> = object.finalizers().to_vec();
                if !finalizers.iter().any(|found| found == finalizer) {
                    finalizers.push(json!(finalizer));
                }
                object["metadata"]["finalizers"] = Value::Array(finalizers);
                Ok(())
            })?;
            // Ours was the write that moved it on.
            preconditions.resource_version = None;
        }
        self.store.delete(&storage, namespace, name, &preconditions, grace)
    }
}

impl Core {
    /// Begins to delete a definition, which goes when its custom resources have.
    fn delete_definition(
        &self,
        storage: &GroupResource,
        definition: &Object,
        preconditions: &Preconditions,
    ) -> Result<Deleted, Status> {
        let now = self.store.clock().rfc3339();
        self.store.update(storage, "", definition.name(), |definition| {
            let mut finalizers = definition.finalizers().to_vec();
            if !finalizers.iter().any(|found| found == definitions::CLEANUP) {
                finalizers.push(json!(definitions::CLEANUP));
            }
            definition["metadata"]["finalizers"] = json!(finalizers);
            let message =
                "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
            definitions::say_terminating(definition, "True", "InstanceDeletionPending", message, &now);
            Ok(())
        })?;
        let uid = preconditions.uid.clone();
        let same = Preconditions { uid, resource_version: None };
        self.store.delete(storage, "", definition.name(), &same, 0)
    }
}

/// What must hold of an object that is deleted. The conflict is one of the kind, but for the two whose storage checks it
/// itself.
fn check(resource: &Resource, object: &Value, preconditions: &Preconditions) -> Result<(), Status> {
    let by_itself = matches!(
        (resource.group.as_str(), resource.plural.as_str()),
        ("", "namespaces") | ("apiextensions.k8s.io", "customresourcedefinitions")
    );
    if by_itself {
        return check_preconditions(&resource.storage(), object, preconditions);
    }
    let recreated = "been deleted and then recreated";
    let checks = [
        ("UID", &preconditions.uid, object.uid(), recreated),
        ("ResourceVersion", &preconditions.resource_version, object.resource_version(), "been modified"),
    ];
    for (what, wanted, found, may_have) in checks {
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
            let differ = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({found})"
            );
            let why = format!("{differ}. The object might have {may_have}");
            return Err(Status::conflict(&resource.group, &resource.kind, object.name(), &why));
        }
    }
    Ok(())
}

/// Seconds of grace: only pods have any, and only those that a kubelet has to stop.
fn grace(resource: &Resource, object: &Value, asked: Option<u64>) -> u64 {
    if !(resource.group.is_empty() && resource.plural == "pods") {
        return 0;
    }
    let finished = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if object["spec"]["nodeName"].as_str().is_none_or(str::is_empty) || finished {
        return 0;
    }
    asked.unwrap_or_else(|| object["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30))
}

/// The kinds whose deletion answers with the object rather than with a `Status`.
fn returns_object(resource: &Resource) -> bool {
    resource.group.is_empty()
        && matches!(
            resource.plural.as_str(),
            "pods"
                | "services"
                | "serviceaccounts"
                | "persistentvolumes"
                | "persistentvolumeclaims"
                | "resourcequotas"
                | "podtemplates"
        )
}

impl Core {
    /// Deletes the pod that a call names, as an eviction asks it to.
    pub(super) fn evict_now(
        &self,
        call: &Call,
        resource: &Resource,
        options: &Options,
    ) -> Result<Deleted, Status> {
        let name = &call.info.name;
        let Some(pod) = self.store.get(&resource.storage(), storage_namespace(call, resource), name) else {
            return Err(Status::not_found("", "pods", name));
        };
        self.delete_one(resource, &pod, options)
    }
}
