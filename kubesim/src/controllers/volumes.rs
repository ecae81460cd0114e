//! Claims and volumes: a claim is bound to a volume that is there, or one is provisioned for it.
//!
//! Who provisions is a CSI driver: a class is served while a `CSIDriver` object of its provisioner's name is
//! there (`kubernetes.io/aws-ebs` is `ebs.csi.aws.com`, as CSI migration has it). Without the driver a claim
//! stays Pending and says so, as on an EKS cluster without the EBS CSI add-on.

use serde_json::{Value, json};

use super::recorder::Note;
use super::{Context, Controller, Key, Seen, key_of};
use crate::scheduler::quantity::Quantity;
use crate::store::{GroupResource, Meta, Object, Preconditions, Store};

const COMPONENT: &str = "persistentvolume-controller";
const BOUND_BY: &str = "pv.kubernetes.io/bound-by-controller";
const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
const PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
const PROTECTION: &str = "kubernetes.io/pvc-protection";

/// Keys are claims (with a namespace) and volumes (without).
pub(crate) struct Volumes;

pub(crate) fn claims() -> GroupResource {
    GroupResource::new("", "persistentvolumeclaims")
}

fn volumes() -> GroupResource {
    GroupResource::new("", "persistentvolumes")
}

impl Controller for Volumes {
    fn concerns(&mut self, store: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        let waiting = || {
            let (claims, _) = store.list(&claims(), None);
            claims.iter().filter(|claim| !is_bound(claim)).map(|claim| key_of(claim)).collect::<Vec<Key>>()
        };
        match (resource.group.as_str(), resource.resource.as_str()) {
            ("", "persistentvolumeclaims") => {
                let mut keys = vec![key_of(change.object)];
                if let Some(volume) = change.object["spec"]["volumeName"].as_str().filter(|_| change.deleted)
                {
                    keys.push((String::new(), volume.to_owned()));
                }
                keys
            }
            ("", "persistentvolumes") => {
                let mut keys = if change.deleted { Vec::new() } else { vec![key_of(change.object)] };
                keys.extend(waiting());
                keys
            }
            ("storage.k8s.io", "storageclasses" | "csidrivers") => waiting(),
            // A claim that goes waits for the last pod that uses it.
            ("", "pods") if change.deleted || ended(change.object) => {
                claimed(change.object).map(|claim| (change.object.namespace().to_owned(), claim)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        if key.0.is_empty() {
            if let Some(volume) = context.store.get(&volumes(), "", &key.1) {
                settle_volume(context, &volume);
            }
            return;
        }
        let Some(claim) = context.store.get(&claims(), &key.0, &key.1) else { return };
        if claim.is_terminating() {
            release_protection(context.store, &claim);
        } else if !is_bound(&claim) {
            bind(context, &claim);
        }
    }
}

fn ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// The claims that a pod mounts.
pub(crate) fn claimed(pod: &Value) -> impl Iterator<Item = String> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    volumes.filter_map(move |volume| {
        if volume["ephemeral"].is_object() {
            return Some(format!("{}-{}", pod.name(), volume["name"].as_str()?));
        }
        volume["persistentVolumeClaim"]["claimName"].as_str().map(str::to_owned)
    })
}

/// Whether a claim has its volume.
pub(crate) fn is_bound(claim: &Value) -> bool {
    claim["status"]["phase"] == "Bound"
}

/// The class of a claim, and whether it waits for a pod that uses it.
pub(crate) fn class_of(store: &Store, claim: &Value) -> Option<(Object, bool)> {
    let name = match claim["spec"]["storageClassName"].as_str() {
        Some(name) => Some(name.to_owned()).filter(|name| !name.is_empty())?,
        // One that came before there was a default.
        None => crate::admission::default_class(store)?,
    };
    let class = store.get(&GroupResource::new("storage.k8s.io", "storageclasses"), "", &name)?;
    let waits = class["volumeBindingMode"] == "WaitForFirstConsumer";
    Some((class, waits))
}

fn release_protection(store: &Store, claim: &Value) {
    let (pods, _) = store.list(&GroupResource::new("", "pods"), Some(claim.namespace()));
    let used = pods.iter().any(|pod| !ended(pod) && claimed(pod).any(|name| name == claim.name()));
    if used {
        return;
    }
    let _ = store.update(&claims(), claim.namespace(), claim.name(), |claim| {
        if let Some(finalizers) = claim["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|finalizer| finalizer != PROTECTION);
        }
        Ok(())
    });
}

fn bind(context: &mut Context<'_>, claim: &Object) {
    if let Some(volume) = fitting(context.store, claim) {
        marry(context.store, claim, &volume);
        return;
    }
    let Some((class, waits)) = class_of(context.store, claim) else {
        let class = claim["spec"]["storageClassName"].as_str().unwrap_or_default();
        let (kind, reason, message) = if class.is_empty() {
            (
                "Normal",
                "FailedBinding",
                "no persistent volumes available for this claim and no storage class is set".to_owned(),
            )
        } else {
            ("Warning", "ProvisioningFailed", format!("storageclass.storage.k8s.io \"{class}\" not found"))
        };
        context.recorder.note(claim, &Note { kind, ..Note::normal(COMPONENT, reason, &message) });
        return;
    };
    let chosen = claim["metadata"]["annotations"][SELECTED_NODE].as_str();
    if waits && chosen.is_none() {
        let message = "waiting for first consumer to be created before binding";
        context.recorder.note(claim, &Note::normal(COMPONENT, "WaitForFirstConsumer", message));
        return;
    }
    let provisioner = class["provisioner"].as_str().unwrap_or_default();
    if provisioner == "kubernetes.io/no-provisioner" {
        let message = "no volume plugin matched name: kubernetes.io/no-provisioner";
        context.recorder.note(claim, &Note::warning(COMPONENT, "ProvisioningFailed", message));
        return;
    }
    let driver = if provisioner == "kubernetes.io/aws-ebs" { "ebs.csi.aws.com" } else { provisioner };
    let marked = context.store.update(&claims(), claim.namespace(), claim.name(), |claim| {
        claim["metadata"]["annotations"][PROVISIONER] = json!(driver);
        claim["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-provisioner"] = json!(driver);
        Ok(())
    });
    let Ok(claim) = marked else { return };
    let message = format!(
        "Waiting for a volume to be created either by the external provisioner '{driver}' or manually by the system \
         administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
    );
    context.recorder.note(&claim, &Note::normal(COMPONENT, "ExternalProvisioning", &message));
    if context.store.get(&GroupResource::new("storage.k8s.io", "csidrivers"), "", driver).is_none() {
        return;
    }
    let who = format!("{driver}_{driver}-controller");
    let provisioning = format!(
        "External provisioner is provisioning volume for claim \"{}/{}\"",
        claim.namespace(),
        claim.name()
    );
    context.recorder.note(&claim, &Note::normal(&who, "Provisioning", &provisioning));
    let Ok(volume) = context.store.create(&volumes(), provisioned(&claim, &class, driver)) else { return };
    let message = format!("Successfully provisioned volume {}", volume.name());
    context.recorder.note(&claim, &Note::normal(&who, "ProvisioningSucceeded", &message));
    marry(context.store, &claim, &volume);
}

fn provisioned(claim: &Value, class: &Value, driver: &str) -> Value {
    let policy = class["reclaimPolicy"].as_str().unwrap_or("Delete");
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {
            "name": format!("pvc-{}", claim.uid()), "annotations": {PROVISIONED_BY: driver},
            "finalizers": ["kubernetes.io/pv-protection"],
        },
        "spec": {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "claimRef": reference(claim),
            "csi": {"driver": driver, "fsType": "ext4", "volumeHandle": format!("vol-0{}", claim.uid().replace('-', "").get(..16).unwrap_or_default())},
            "persistentVolumeReclaimPolicy": policy, "storageClassName": class.name(),
            "volumeMode": claim["spec"]["volumeMode"].as_str().unwrap_or("Filesystem"),
        },
        "status": {"phase": "Available"},
    })
}

fn reference(claim: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": claim.name(),
        "namespace": claim.namespace(), "uid": claim.uid(), "resourceVersion": claim.resource_version(),
    })
}

/// The smallest free volume that a claim may have: the one that it names, or one that fits.
fn fitting(store: &Store, claim: &Value) -> Option<Object> {
    let spec = &claim["spec"];
    let size = |value: &Value| Quantity::from_value(value).map_or(0, Quantity::milli);
    let wanted = size(&spec["resources"]["requests"]["storage"]);
    let class = spec["storageClassName"].as_str().unwrap_or_default();
    let selector =
        spec["selector"].is_object().then(|| crate::selector::LabelSelector::from_value(&spec["selector"]));
    let named = spec["volumeName"].as_str().filter(|name| !name.is_empty());
    let mut found: Vec<Object> = store
        .list(&volumes(), None)
        .0
        .into_iter()
        .filter(|volume| {
            let reference = &volume["spec"]["claimRef"];
            let meant = reference["name"] == claim.name() && reference["namespace"] == claim.namespace();
            let free = reference.is_null()
                || meant && (reference["uid"].is_null() || reference["uid"] == claim.uid());
            let modes = |object: &Value| object["accessModes"].as_array().cloned().unwrap_or_default();
            let has = modes(&volume["spec"]);
            free && !volume.is_terminating()
                && named.is_none_or(|name| name == volume.name())
                && volume["spec"]["storageClassName"].as_str().unwrap_or_default() == class
                && size(&volume["spec"]["capacity"]["storage"]) >= wanted
                && modes(spec).iter().all(|mode| has.contains(mode))
                && selector.as_ref().is_none_or(|s| s.as_ref().is_some_and(|s| s.matches(volume.labels())))
        })
        .collect();
    found.sort_by_key(|volume| {
        (volume["spec"]["claimRef"].is_null(), size(&volume["spec"]["capacity"]["storage"]))
    });
    found.into_iter().next()
}

/// Binds the two to each other.
fn marry(store: &Store, claim: &Value, volume: &Value) {
    let bound = store.update(&volumes(), "", volume.name(), |volume| {
        if volume["spec"]["claimRef"]["uid"].is_null() {
            volume["metadata"]["annotations"][BOUND_BY] = json!("yes");
        }
        volume["spec"]["claimRef"] = reference(claim);
        volume["status"] = json!({"phase": "Bound", "lastPhaseTransitionTime": store.clock().rfc3339()});
        Ok(())
    });
    let Ok(volume) = bound else { return };
    let _ = store.update(&claims(), claim.namespace(), claim.name(), |claim| {
        if claim["spec"]["volumeName"].as_str().is_none_or(str::is_empty) {
            claim["metadata"]["annotations"][BOUND_BY] = json!("yes");
        }
        claim["metadata"]["annotations"][BIND_COMPLETED] = json!("yes");
        claim["spec"]["volumeName"] = json!(volume.name());
        claim["status"] = json!({
            "phase": "Bound", "accessModes": volume["spec"]["accessModes"], "capacity": volume["spec"]["capacity"],
        });
        Ok(())
    });
}

/// A volume without its claim is released, and goes or stays as its policy says.
fn settle_volume(context: &mut Context<'_>, volume: &Object) {
    let store = context.store;
    let reference = &volume["spec"]["claimRef"];
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    let set_phase = |phase: &str| {
        if volume["status"]["phase"] != phase {
            let _ = store.update(&volumes(), "", volume.name(), |volume| {
                volume["status"]["phase"] = json!(phase);
                volume["status"]["lastPhaseTransitionTime"] = json!(store.clock().rfc3339());
                Ok(())
            });
        }
    };
    if reference["uid"].is_null() {
        set_phase("Available");
    } else if store
        .get(&claims(), text("namespace"), text("name"))
        .is_none_or(|claim| claim.uid() != text("uid"))
    {
        set_phase("Released");
        if volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete" && !volume.is_terminating() {
            let _ = store.delete(&volumes(), "", volume.name(), &Preconditions::default(), 0);
        }
    }
    // Nothing is left that protects it.
    let gone = store.get(&volumes(), "", volume.name()).filter(|volume| volume.is_terminating());
    if gone.is_some_and(|volume| volume["status"]["phase"] != "Bound") {
        let _ = store.update(&volumes(), "", volume.name(), |volume| {
            if let Some(finalizers) = volume["metadata"]["finalizers"].as_array_mut() {
                finalizers.retain(|finalizer| finalizer != "kubernetes.io/pv-protection");
            }
            Ok(())
        });
    }
}
