//! ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, for `kubectl rollout`.

use serde_json::{Value, json};

use super::Context;
use super::owned::{children, owner_reference};
use crate::store::{GroupResource, Meta, Object, Preconditions};

const LABEL: &str = "controller-revision-hash";

fn revisions() -> GroupResource {
    GroupResource::new("apps", "controllerrevisions")
}

fn number(revision: &Value) -> i64 {
    revision["revision"].as_i64().unwrap_or(0)
}

/// Keeps a revision of this name for the set's template, as its newest, and forgets those beyond
/// `revisionHistoryLimit` that no pod is of. `label` is what the pods' label says of it.
pub(super) fn keep(context: &Context<'_>, set: &Value, name: &str, label: &str, pods: &[Object]) {
    let store = context.store;
    let known = children(store, &revisions(), set);
    let newest = known.iter().map(|revision| number(revision)).max().unwrap_or(0);
    match known.iter().find(|revision| revision.name() == name) {
        Some(found) if number(found) < newest => {
            // A template that is back is the newest again.
            let _ = store.update(&revisions(), set.namespace(), name, |revision| {
                revision["revision"] = json!(newest + 1);
                Ok(())
            });
        }
        Some(_) => {}
        None => {
            let _ = store.create(&revisions(), revision(set, name, label, newest + 1));
        }
    }
    let in_use = |revision: &Object| {
        revision.name() == name
            || pods
                .iter()
                .any(|pod| pod["metadata"]["labels"][LABEL] == revision["metadata"]["labels"][LABEL])
    };
    let mut idle: Vec<&Object> = known.iter().filter(|revision| !in_use(revision)).collect();
    let limit = usize::try_from(set["spec"]["revisionHistoryLimit"].as_i64().unwrap_or(10)).unwrap_or(10);
    let surplus = idle.len().saturating_sub(limit);
    idle.sort_by_key(|revision| number(revision));
    for old in idle.into_iter().take(surplus) {
        let _ = store.delete(&revisions(), old.namespace(), old.name(), &Preconditions::default(), 0);
    }
}

fn revision(set: &Value, name: &str, label: &str, number: i64) -> Value {
    let mut labels = set["spec"]["template"]["metadata"]["labels"].clone();
    labels[LABEL] = json!(label);
    let mut template = set["spec"]["template"].clone();
    template["$patch"] = json!("replace");
    let mut annotations = set["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    let mut metadata = json!({
        "name": name, "namespace": set.namespace(), "labels": labels,
        "ownerReferences": [owner_reference(set)],
    });
    if !annotations.is_empty() {
        metadata["annotations"] = Value::Object(annotations);
    }
    json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata,
        "data": {"spec": {"template": template}}, "revision": number,
    })
}
