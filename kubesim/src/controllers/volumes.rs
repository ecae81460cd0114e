//! Volume claims: one that a storage class provides for gets a volume.
//!
//! The provisioner works when its driver is registered (a `CSIDriver` object), as on EKS, where
//! `kubernetes.io/aws-ebs` has been served by `ebs.csi.aws.com` since Kubernetes 1.23 and a new cluster does
//! not have that driver. Events are those of the persistent-volume controller.

use serde_json::{Value, json};

use super::recorder::Note;
use super::{Context, Controller, Key, Seen, key_of};
use crate::store::{GroupResource, Meta, Object, Store};

const COMPONENT: &str = "persistentvolume-controller";
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
/// Set by the scheduler once it knows where the claim's first pod goes.
pub(crate) const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

pub(crate) struct Volumes;

pub(crate) fn claims() -> GroupResource {
    GroupResource::new("", "persistentvolumeclaims")
}

fn volumes() -> GroupResource {
    GroupResource::new("", "persistentvolumes")
}

fn classes() -> GroupResource {
    GroupResource::new("storage.k8s.io", "storageclasses")
}

/// Whether a claim has its volume.
pub(crate) fn is_bound(claim: &Value) -> bool {
    claim["status"]["phase"] == "Bound"
}

/// Whether a claim waits for its first pod to have a node.
pub(crate) fn waits_for_consumer(store: &Store, claim: &Value) -> bool {
    class_of(store, claim)
        .and_then(|name| store.get(&classes(), "", &name))
        .is_some_and(|class| class["volumeBindingMode"] == "WaitForFirstConsumer")
}

/// The class that a claim names, or the default one.
fn class_of(store: &Store, claim: &Value) -> Option<String> {
    if let Some(name) = claim["spec"]["storageClassName"].as_str() {
        return Some(name.to_owned()).filter(|name| !name.is_empty());
    }
    let (all, _) = store.list(&classes(), None);
    let default = all.iter().find(|class| class["metadata"]["annotations"][DEFAULT_CLASS] == "true");
    default.map(|class| class.name().to_owned())
}

impl Controller for Volumes {
    fn concerns(&mut self, store: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        match (resource.group.as_str(), resource.resource.as_str()) {
            ("", "persistentvolumeclaims") if !change.deleted && !is_bound(change.object) => {
                vec![key_of(change.object)]
            }
            ("storage.k8s.io", "storageclasses" | "csidrivers") => {
                let (all, _) = store.list(&claims(), None);
                all.iter().filter(|claim| !is_bound(claim)).map(|claim| key_of(claim)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let Some(claim) = context.store.get(&claims(), &key.0, &key.1) else { return };
        if is_bound(&claim) || claim.is_terminating() {
            return;
        }
        let Some(name) = class_of(context.store, &claim) else {
            let message = "no persistent volumes available for this claim and no storage class is set";
            context.recorder.note(&claim, &Note::normal(COMPONENT, "FailedBinding", message));
            return;
        };
        let Some(class) = context.store.get(&classes(), "", &name) else {
            let message = format!("storageclass.storage.k8s.io \"{name}\" not found");
            context.recorder.note(&claim, &Note::warning(COMPONENT, "ProvisioningFailed", &message));
            return;
        };
        let waits = class["volumeBindingMode"] == "WaitForFirstConsumer";
        if waits && claim["metadata"]["annotations"][SELECTED_NODE].is_null() {
            let message = "waiting for first consumer to be created before binding";
            context.recorder.note(&claim, &Note::normal(COMPONENT, "WaitForFirstConsumer", message));
            return;
        }
        let driver = match class["provisioner"].as_str().unwrap_or_default() {
            "kubernetes.io/aws-ebs" => "ebs.csi.aws.com",
            other => other,
        };
        if context.store.get(&GroupResource::new("storage.k8s.io", "csidrivers"), "", driver).is_none() {
            let message = format!(
                "Waiting for a volume to be created either by the external provisioner '{driver}' or manually by \
                 the system administrator. If volume creation is delayed, please verify that the provisioner is \
                 running and correctly registered."
            );
            context.recorder.note(&claim, &Note::normal(COMPONENT, "ExternalProvisioning", &message));
            return;
        }
        provide(context, key, &claim, &class, driver);
    }
}

fn provide(context: &mut Context<'_>, key: &Key, claim: &Object, class: &Value, driver: &str) {
    let name = format!("pvc-{}", claim.uid());
    let capacity = json!({ "storage": claim["spec"]["resources"]["requests"]["storage"] });
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": name },
        "spec": {
            "capacity": capacity, "accessModes": claim["spec"]["accessModes"],
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": key.0, "name": key.1,
                "uid": claim.uid(),
            },
            "csi": { "driver": driver, "volumeHandle": format!("vol-{}", claim.uid().replace('-', "")) },
            "persistentVolumeReclaimPolicy": class["reclaimPolicy"].as_str().unwrap_or("Delete"),
            "storageClassName": class.name(), "volumeMode": "Filesystem",
        },
        "status": { "phase": "Bound" },
    });
    // One that an earlier attempt has made is this claim's too: its name is made of the claim's uid.
    let _ = context.store.create(&volumes(), volume);
    let bound = context.store.update(&claims(), &key.0, &key.1, |object| {
        object["spec"]["volumeName"] = json!(name);
        object["spec"]["storageClassName"] = json!(class.name());
        object["status"] = json!({
            "phase": "Bound", "accessModes": object["spec"]["accessModes"], "capacity": capacity,
        });
        Ok(())
    });
    if bound.is_ok() {
        let message = format!("Successfully provisioned volume {name}");
        context.recorder.note(claim, &Note::normal(COMPONENT, "ProvisioningSucceeded", &message));
    }
}
