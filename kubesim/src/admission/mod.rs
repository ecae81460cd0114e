//! What happens to an object between the request and the store: authorization, decoding into its type,
//! defaulting, admission, allocation, validation.

mod applied;
mod authorize;
mod causes;
mod claims;
mod decode;
mod defaults;
mod definitions;
mod escalation;
mod limit_ranger;
mod pods;
mod policies;
mod quantity;
mod quota;
mod services;
mod structural;
mod validate;
mod workloads;

pub(crate) use applied::check as check_applied;
pub(crate) use authorize::{Attributes, authorize, decide, require, rules_for};
pub(crate) use causes::Causes;
pub(crate) use decode::{check_body, check_fields, check_patched};
pub(crate) use defaults::apply as fill;
pub(crate) use pods::{label_with, place_of};
pub(crate) use quota::status as quota_status;
pub(crate) use validate::{key_error as label_key_error, value_error as label_value_error};

use serde_json::{Value, json};

use crate::handlers::{Call, Core, drop_nulls};
use crate::resources::Resource;
use crate::status::Status;
use crate::store::{GroupResource, Meta, Store};

/// Completes a new object of a built-in kind as the API server would: defaults, and for pods the service
/// account, token volume, tolerations and priority. For those who write to the store directly.
///
/// # Errors
/// What admission refuses: a service account or priority class that is not there.
pub fn complete(store: &Store, object: &mut Value) -> Result<(), Status> {
    defaults::apply(object);
    if object["kind"] == "DaemonSet" {
        defaults::count_template(object, None);
    }
    let is_pod = object["kind"] == "Pod" && object["apiVersion"] == "v1";
    if is_pod {
        pods::admit(store, object)?;
    }
    drop_nulls(object);
    if is_pod {
        make_name(store, object);
        quota::admit(store, &GroupResource::new("", "pods"), object)?;
    }
    Ok(())
}

/// What decoding fills in, of any kind.
pub(crate) fn default_fields(resource: &Resource, object: &mut Value) {
    match &resource.custom {
        Some(version) => structural::default(&version["schema"]["openAPIV3Schema"], object),
        None => defaults::apply(object),
    }
}

/// Admits and validates a new object, whose defaults are filled in.
pub(crate) fn on_create(
    core: &Core,
    call: &mut Call,
    resource: &Resource,
    object: &mut Value,
) -> Result<(), Status> {
    let own_status = matches!(
        (resource.group.as_str(), resource.plural.as_str()),
        ("", "nodes" | "pods" | "namespaces") | ("apiregistration.k8s.io", "apiservices")
    );
    if resource.has_status()
        && !own_status
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    if resource.has_status() && !own_status {
        let status = crate::schema::Node::of(resource).fresh("status");
        if !status.is_null() {
            object["status"] = status;
        }
    }
    make_name(&core.store, object);
    let mut causes = causes::Causes::default();
    let now = core.store.clock().rfc3339();
    if resource.custom.is_none() {
        match (resource.group.as_str(), resource.plural.as_str()) {
            ("", "pods") => pods::admit(&core.store, object)?,
            ("", "nodes") => taint_until_ready(object),
            ("", "services") => services::allocate(&core.store, object, None, &mut causes),
            ("apps", "daemonsets") => defaults::count_template(object, None),
            ("", "namespaces") => {
                object["spec"]["finalizers"] = json!(["kubernetes"]);
                object["status"] = json!({"phase": "Active"});
            }
            ("", "persistentvolumeclaims") => {
                complete_claim(&core.store, object);
            }
            ("", "persistentvolumes") => {
                protect(object, "kubernetes.io/pv-protection");
                object["status"] = json!({"phase": "Pending"});
            }
            ("apiextensions.k8s.io", "customresourcedefinitions") => definitions::establish(object, &now),
            ("apiregistration.k8s.io", "apiservices") => {
                object["status"] = json!({"conditions": [{
                    "type": "Available", "status": "True", "reason": "Local", "lastTransitionTime": now,
                    "message": "Local APIServices are always available",
                }]})
            }
            _ => {}
        }
    }
    drop_nulls(object);
    // Addresses are allocated before anything else is looked at.
    causes.finish(&resource.group, &resource.kind, object.name())?;
    validate::object(resource, object, None, core.minor)?;
    escalation::check(core, call, resource, object)?;
    quota::admit(&core.store, &resource.storage(), object)
}

/// A new node takes nothing before it is ready: the admission plugin `TaintNodesByCondition`.
pub(crate) fn taint_until_ready(node: &mut Value) {
    let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
    match node["spec"]["taints"].as_array_mut() {
        Some(taints) => {
            if !taints.iter().any(|it| it["key"] == taint["key"] && it["effect"] == taint["effect"]) {
                taints.push(taint);
            }
        }
        None => node["spec"]["taints"] = json!([taint]),
    }
}

/// What admission adds to a new claim: its protection and, when it names no class, the default one if there
/// is one.
pub(crate) fn complete_claim(store: &Store, object: &mut Value) {
    object["status"] = json!({"phase": "Pending"});
    protect(object, "kubernetes.io/pvc-protection");
    if !object["spec"]["storageClassName"].is_null() {
        return;
    }
    if let Some(class) = default_class(store) {
        object["spec"]["storageClassName"] = json!(class);
    }
}

/// The class that is marked as the default: of several the newest, and of those made at once the first by
/// name.
pub(crate) fn default_class(store: &Store) -> Option<String> {
    let (classes, _) = store.list(&GroupResource::new("storage.k8s.io", "storageclasses"), None);
    let marked = classes.iter().filter(|class| {
        let annotations = &class["metadata"]["annotations"];
        annotations["storageclass.kubernetes.io/is-default-class"] == "true"
            || annotations["storageclass.beta.kubernetes.io/is-default-class"] == "true"
    });
    let newest = marked.max_by(|a, b| {
        let made = |class: &Value| class["metadata"]["creationTimestamp"].as_str().map(str::to_owned);
        made(a).cmp(&made(b)).then_with(|| b.name().cmp(a.name()))
    });
    newest.map(|class| class.name().to_owned())
}

/// Makes the name of an object that has only the beginning of one, before validating plugins see it.
fn make_name(store: &Store, object: &mut Value) {
    let prefix = object["metadata"]["generateName"].as_str().unwrap_or_default();
    if object.name().is_empty() && !prefix.is_empty() {
        object["metadata"]["name"] = json!(format!("{prefix}{}", store.name_suffix()));
    }
}

/// Holds a new object until nobody uses it.
fn protect(object: &mut Value, finalizer: &str) {
    let mut finalizers = object.finalizers().to_vec();
    if !finalizers.iter().any(|found| found == finalizer) {
        finalizers.push(json!(finalizer));
    }
    object["metadata"]["finalizers"] = json!(finalizers);
}

/// What of an object hangs on its uid: a Job's pods are told apart by it.
pub(crate) fn with_uid(object: &mut Value) {
    if object["kind"] != "Job"
        || object["apiVersion"] != "batch/v1"
        || object["spec"]["manualSelector"] == true
    {
        return;
    }
    let (uid, name) = (object.uid().to_owned(), object.name().to_owned());
    object["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"] = json!(uid);
    let labels = &mut object["spec"]["template"]["metadata"]["labels"];
    for prefix in ["", "batch.kubernetes.io/"] {
        labels[format!("{prefix}controller-uid")] = json!(uid);
        labels[format!("{prefix}job-name")] = json!(name);
    }
}

/// Admits and validates the next state of an object, whose defaults are filled in.
pub(crate) fn on_update(
    core: &Core,
    call: &mut Call,
    resource: &Resource,
    part: Option<&str>,
    current: &Value,
    next: &mut Value,
) -> Result<(), Status> {
    let mut causes = causes::Causes::default();
    if resource.custom.is_none() && part != Some("status") {
        match (resource.group.as_str(), resource.plural.as_str(), part) {
            ("", "services", _) => {
                services::drop_unused(next, current);
                services::allocate(&core.store, next, Some(current), &mut causes);
            }
            ("apps", "daemonsets", _) => defaults::count_template(next, Some(current)),
            ("", "pods", None) => pods::admit_update(current, next),
            // Its own finalizers change by its own subresource only.
            ("", "namespaces", None) => next["spec"] = current["spec"].clone(),
            ("apiextensions.k8s.io", "customresourcedefinitions", _) => {
                definitions::establish(next, &core.store.clock().rfc3339());
            }
            _ => {}
        }
    }
    drop_nulls(next);
    causes.finish(&resource.group, &resource.kind, next.name())?;
    // A container's resources change by the subresource that is for it.
    if matches!(part, None | Some("scale")) || resource.custom.is_some() {
        validate::object(resource, next, Some(current), core.minor)?;
    }
    escalation::check(core, call, resource, next)
}

/// Refuses to delete what may not be.
pub(crate) fn on_delete(_: &Core, resource: &Resource, object: &Value) -> Result<(), Status> {
    let protected = matches!(object.name(), "default" | "kube-system" | "kube-public");
    if resource.group.is_empty() && resource.plural == "namespaces" && protected {
        return Err(Status::forbidden("", "namespaces", object.name(), "this namespace may not be deleted"));
    }
    Ok(())
}
