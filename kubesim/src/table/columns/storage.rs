//! Volumes, claims and their classes.

use serde_json::{Value, json};

use super::super::words::{View, each};
use super::{Columns, age, boolean, integer, name, text, wide};

pub(super) fn of(group: &str, plural: &str) -> Option<Columns> {
    let mode = || wide("VolumeMode", |view| json!(view.text_or(&["spec", "volumeMode"], "<unset>")));
    let attributes = || {
        text("VolumeAttributesClass", |view| {
            json!(view.text_or(&["spec", "volumeAttributesClassName"], "<unset>"))
        })
    };
    let class = || text("StorageClass", |view| json!(view.text(&["spec", "storageClassName"])));
    let phase = || {
        text("Status", |view| {
            json!(if view.is_terminating() { "Terminating" } else { view.text(&["status", "phase"]) })
        })
    };
    Some(match (group, plural) {
        ("", "persistentvolumes") => vec![
            name(),
            text("Capacity", |view| json!(view.text_or(&["spec", "capacity", "storage"], "0"))),
            text("Access Modes", |view| json!(access(view.items(&["spec", "accessModes"])))),
            text("Reclaim Policy", |view| json!(view.text(&["spec", "persistentVolumeReclaimPolicy"]))),
            phase(),
            text("Claim", |view| {
                let claim = view.at(&["spec", "claimRef"]);
                let part = |field: &str| claim[field].as_str().unwrap_or_default();
                json!(if claim.is_object() {
                    format!("{}/{}", part("namespace"), part("name"))
                } else {
                    String::new()
                })
            }),
            class(),
            attributes(),
            text("Reason", |view| json!(view.text(&["status", "reason"]))),
            age(),
            mode(),
        ],
        ("", "persistentvolumeclaims") => vec![
            name(),
            phase(),
            text("Volume", |view| json!(view.text(&["spec", "volumeName"]))),
            text("Capacity", |view| {
                json!(if is_bound(view) {
                    view.text_or(&["status", "capacity", "storage"], "0")
                } else {
                    String::new()
                })
            }),
            text("Access Modes", |view| {
                json!(if is_bound(view) {
                    access(view.items(&["status", "accessModes"]))
                } else {
                    String::new()
                })
            }),
            class(),
            attributes(),
            age(),
            mode(),
        ],
        ("storage.k8s.io", "storageclasses") => vec![
            name(),
            text("Provisioner", |view| json!(view.text(&["provisioner"]))),
            text("ReclaimPolicy", |view| json!(view.text_or(&["reclaimPolicy"], "Delete"))),
            text("VolumeBindingMode", |view| json!(view.text_or(&["volumeBindingMode"], "Immediate"))),
            text("AllowVolumeExpansion", |view| json!(view.is(&["allowVolumeExpansion"]))),
            age(),
        ],
        ("storage.k8s.io", "volumeattributesclasses") => {
            vec![name(), text("DriverName", |view| json!(view.text(&["driverName"]))), age()]
        }
        ("storage.k8s.io", "volumeattachments") => vec![
            name(),
            super::Column {
                format: "name",
                ..text("Attacher", |view| json!(view.text(&["spec", "attacher"])))
            },
            text("PV", |view| json!(view.text(&["spec", "source", "persistentVolumeName"]))),
            text("Node", |view| json!(view.text(&["spec", "nodeName"]))),
            boolean("Attached", |view| json!(view.is(&["status", "attached"]))),
            age(),
        ],
        ("storage.k8s.io", "csinodes") => {
            vec![name(), integer("Drivers", |view| json!(view.count(&["spec", "drivers"]))), age()]
        }
        ("storage.k8s.io", "csidrivers") => vec![
            name(),
            boolean("AttachRequired", |view| json!(*view.at(&["spec", "attachRequired"]) != false)),
            boolean("PodInfoOnMount", |view| json!(view.is(&["spec", "podInfoOnMount"]))),
            boolean("StorageCapacity", |view| json!(view.is(&["spec", "storageCapacity"]))),
            text("TokenRequests", |view| match view.at(&["spec", "tokenRequests"]) {
                Value::Array(requests) => json!(each(requests, "audience")),
                _ => json!("<unset>"),
            }),
            boolean("RequiresRepublish", |view| json!(view.is(&["spec", "requiresRepublish"]))),
            text("Modes", |view| {
                let modes = view.items(&["spec", "volumeLifecycleModes"]).iter().filter_map(Value::as_str);
                let modes = modes.collect::<Vec<_>>().join(",");
                json!(if modes.is_empty() { "<none>".to_owned() } else { modes })
            }),
            age(),
        ],
        ("storage.k8s.io", "csistoragecapacities") => vec![
            name(),
            text("StorageClassName", |view| json!(view.text(&["storageClassName"]))),
            text("Capacity", |view| json!(view.text_or(&["capacity"], "<unset>"))),
        ],
        _ => return None,
    })
}

fn is_bound(view: &View<'_>) -> bool {
    !view.text(&["spec", "volumeName"]).is_empty()
}

/// `RWO,ROX`: in one order, each once.
fn access(modes: &[Value]) -> String {
    let all = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let found: Vec<&str> =
        all.iter().filter(|(mode, _)| modes.iter().any(|m| m == mode)).map(|(_, short)| *short).collect();
    found.join(",")
}

/// The class that a claim gets which names none: of those marked so the newest, and of equals the first.
pub(in super::super) fn default_class<'a>(classes: impl Iterator<Item = &'a Value>) -> Option<&'a str> {
    let text = |class: &'a Value, field: &str| class["metadata"][field].as_str().unwrap_or_default();
    let marks =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    let marked =
        classes.filter(|class| marks.iter().any(|mark| class["metadata"]["annotations"][*mark] == "true"));
    let mut marked: Vec<&Value> = marked.collect();
    marked.sort_by(|a, b| {
        let newest = text(b, "creationTimestamp").cmp(text(a, "creationTimestamp"));
        newest.then_with(|| text(a, "name").cmp(text(b, "name")))
    });
    marked.first().map(|class| text(class, "name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_is_not_bound_has_no_capacity() {
        let mut claim = json!({"metadata": {"name": "c"}, "status": {"phase": "Pending"},
                               "spec": {"resources": {"requests": {"storage": "1Gi"}}}});
        let cells = |claim: &Value| -> Vec<Value> {
            let view = View { object: claim, now: jiff::Timestamp::UNIX_EPOCH };
            of("", "persistentvolumeclaims").unwrap_or_default().iter().map(|c| (c.cell)(&view)).collect()
        };
        assert_eq!(cells(&claim)[1..5], ["Pending", "", "", ""]);
        claim["spec"]["volumeName"] = json!("pv");
        claim["status"] = json!({"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"]});
        assert_eq!(cells(&claim)[1..5], ["Bound", "pv", "1Gi", "RWO,RWX"]);
    }

    #[test]
    fn the_newest_of_the_classes_marked_default_is_it() {
        let class = |name: &str, created: &str, default: bool| {
            json!({"metadata": {"name": name, "creationTimestamp": created,
                   "annotations": {"storageclass.kubernetes.io/is-default-class": default.to_string()}}})
        };
        let classes = [
            class("a", "2026-01-01T00:00:00Z", true),
            class("b", "2026-01-02T00:00:00Z", true),
            class("c", "2026-01-03T00:00:00Z", false),
        ];
        assert_eq!(default_class(classes.iter()), Some("b"));
    }
}
