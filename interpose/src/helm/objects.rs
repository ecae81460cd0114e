//! A release's objects in the cluster: built from its manifest, created, changed, deleted.
//!
//! Changes are three-way, as in Helm 3: what the old manifest had and the new one has not is removed,
//! what the new one says is set, what others have added stays. An object that is as it should be is
//! not written at all, so that an upgrade to the same values restarts nothing.

use serde_json::{Map, Value, json};

use super::Failure;
use crate::cluster::{Api, ApiError, Place};

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// One object of a manifest and its place in the cluster.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) place: Place,
    pub(super) object: Value,
}

impl Item {
    fn described(&self) -> String {
        let Place { kind, name, namespace, .. } = &self.place;
        format!("{kind} \"{name}\" in namespace \"{}\"", namespace.as_deref().unwrap_or(""))
    }

    async fn read(&self, api: &Api) -> Result<Option<Value>, ApiError> {
        let Place { api_version, resource, namespace, name, .. } = &self.place;
        match api.get(api_version, resource, namespace.as_deref(), name).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create(&self, api: &Api) -> Result<Value, ApiError> {
        let Place { api_version, resource, namespace, .. } = &self.place;
        api.create(api_version, resource, namespace.as_deref(), &self.object).await
    }

    /// Reads the object as it is now; a missing one is an error here.
    pub(super) async fn live(&self, api: &Api) -> Result<Value, ApiError> {
        let Place { api_version, resource, namespace, name, .. } = &self.place;
        api.get(api_version, resource, namespace.as_deref(), name).await
    }
}

/// The documents of a manifest.
pub(super) fn documents(manifest: &str) -> Result<Vec<Value>, String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).map_err(|error| error.to_string())?;
    Ok(documents.into_iter().filter(|it| it.is_object()).collect())
}

/// Finds every object's place.
pub(super) async fn build(api: &Api, manifest: &str, namespace: &str) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    for object in documents(manifest).map_err(Failure::said)? {
        let place = Place::of(api, &object, namespace).await.map_err(Failure::api)?;
        items.push(Item { place, object });
    }
    Ok(items)
}

/// Marks objects as the release's.
pub(super) fn own(object: &mut Value, release: &str, namespace: &str) {
    for (group, key, value) in [
        ("labels", MANAGED_BY, "Helm"),
        ("annotations", RELEASE_NAME, release),
        ("annotations", RELEASE_NAMESPACE, namespace),
    ] {
        let map = &mut object["metadata"][group];
        if !map.is_object() {
            *map = Value::Object(Map::new());
        }
        map[key] = value.into();
    }
}

/// Which of these objects are there already; one that is not this release's is an error, unless it is to
/// be taken.
pub(super) async fn adoptable(
    api: &Api,
    items: &[Item],
    release: &str,
    namespace: &str,
    take: bool,
) -> Result<Vec<Item>, Failure> {
    let mut found = Vec::new();
    for item in items {
        let live = item.read(api).await.map_err(|error| {
            Failure::said(format!(
                "could not get information about the resource {}: {error}",
                item.described()
            ))
        })?;
        let Some(live) = live else { continue };
        if let Err(why) = owned(&live, release, namespace)
            && !take
        {
            return Err(Failure::said(format!(
                "{} exists and cannot be imported into the current release: {why}",
                item.described()
            )));
        }
        found.push(item.clone());
    }
    Ok(found)
}

fn owned(live: &Value, release: &str, namespace: &str) -> Result<(), String> {
    let mut errors = Vec::new();
    for (group, what, key, value) in [
        ("labels", "label", MANAGED_BY, "Helm"),
        ("annotations", "annotation", RELEASE_NAME, release),
        ("annotations", "annotation", RELEASE_NAMESPACE, namespace),
    ] {
        match live["metadata"][group][key].as_str() {
            None => errors
                .push(format!("{what} validation error: missing key \"{key}\": must be set to \"{value}\"")),
            Some(actual) if actual != value => errors.push(format!(
                "{what} validation error: key \"{key}\" must equal \"{value}\": current value is \"{actual}\""
            )),
            Some(_) => {}
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(format!("invalid ownership metadata; {}", errors.join("; "))) }
}

/// Creates objects; one that fails does not keep the others from being tried.
pub(super) async fn create(api: &Api, items: &[Item]) -> Result<(), Failure> {
    let mut errors = Vec::new();
    for item in items {
        if let Err(error) = item.create(api).await {
            errors.push(error.to_string());
        }
    }
    several(&errors)
}

/// Creates custom resource definitions that are not there yet, and tells which ones it made.
pub(super) async fn create_crds(api: &Api, crds: &[(String, Value)]) -> Result<Vec<Item>, Failure> {
    let mut made = Vec::new();
    for (file, object) in crds {
        let failed = |error: String| Failure::said(format!("failed to install CRD crds/{file}: {error}"));
        let place = Place::of(api, object, "").await.map_err(|error| failed(error.to_string()))?;
        let item = Item { place, object: object.clone() };
        match item.create(api).await {
            Ok(_) => made.push(item),
            Err(error) if error.already_exists() => {}
            Err(error) => return Err(failed(listed(&[error.to_string()]))),
        }
    }
    Ok(made)
}

/// Brings the cluster from one set of objects to another.
pub(super) async fn update(api: &Api, original: &[Item], target: &[Item]) -> Result<(), Failure> {
    let mut errors = Vec::new();
    for item in target {
        let live = item.read(api).await.map_err(|error| {
            Failure::said(format!("could not get information about the resource: {error}"))
        })?;
        let Some(live) = live else {
            item.create(api)
                .await
                .map_err(|error| Failure::said(format!("failed to create resource: {error}")))?;
            continue;
        };
        let Some(old) = original.iter().find(|it| it.place == item.place) else {
            let Place { kind, name, .. } = &item.place;
            return Err(Failure::said(format!("no {kind} with the name \"{name}\" found")));
        };
        let Some(patch) = patch(&old.object, &item.object, &live) else { continue };
        let Place { api_version, resource, namespace, name, kind } = &item.place;
        if let Err(error) = api.merge(api_version, resource, namespace.as_deref(), name, &patch).await {
            errors.push(format!("cannot patch \"{name}\" with kind {kind}: {error}"));
        }
    }
    if !errors.is_empty() {
        return Err(Failure::said(errors.join(" && ")));
    }
    for item in original.iter().filter(|old| !target.iter().any(|it| it.place == old.place)) {
        if keeps(&item.object) {
            continue;
        }
        // Helm goes on when a left-over cannot be removed.
        drop(remove(api, item, "Background").await);
    }
    Ok(())
}

/// Deletes objects in Helm's order; says which it deleted and which it kept by policy.
pub(super) async fn delete(api: &Api, items: &[Item], policy: &str) -> (Vec<Item>, Vec<String>, Vec<String>) {
    let (mut deleted, mut kept, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for item in items.iter().rev() {
        if keeps(&item.object) {
            kept.push(format!("[{}] {}", item.place.kind, item.place.name));
            continue;
        }
        match remove(api, item, policy).await {
            Ok(()) => deleted.push(item.clone()),
            Err(error) => errors.push(error.to_string()),
        }
    }
    (deleted, kept, errors)
}

async fn remove(api: &Api, item: &Item, policy: &str) -> Result<(), ApiError> {
    let Place { api_version, resource, namespace, name, .. } = &item.place;
    match api.delete(api_version, resource, namespace.as_deref(), name, Some(policy)).await {
        Err(error) if error.code() == Some(404) => Ok(()),
        other => other,
    }
}

fn keeps(object: &Value) -> bool {
    object["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
}

/// Several errors as Helm lists them.
fn several(errors: &[String]) -> Result<(), Failure> {
    if errors.is_empty() { Ok(()) } else { Err(Failure::said(listed(errors))) }
}

fn listed(errors: &[String]) -> String {
    let head = if errors.len() == 1 {
        "1 error occurred:".into()
    } else {
        format!("{} errors occurred:", errors.len())
    };
    let lines: String = errors.iter().map(|error| format!("\n\t* {error}")).collect();
    format!("{head}{lines}\n\n")
}

/// The merge patch that takes the live object where the target wants it; `None` when it is there.
fn patch(original: &Value, target: &Value, live: &Value) -> Option<Value> {
    let mut changes = Map::new();
    if let (Some(target), Some(live)) = (target.as_object(), live.as_object()) {
        let none = Map::new();
        let original = original.as_object().unwrap_or(&none);
        for (key, wanted) in target {
            let is = live.get(key).unwrap_or(&Value::Null);
            let was = original.get(key);
            if wanted.is_object() && is.is_object() {
                if let Some(change) = patch(was.unwrap_or(&Value::Null), wanted, is) {
                    changes.insert(key.clone(), change);
                }
            } else if !covers(is, wanted) || (wanted.is_array() && was.is_some_and(|was| was != wanted)) {
                changes.insert(key.clone(), wanted.clone());
            }
        }
        for key in original.keys().filter(|key| !target.contains_key(*key) && live.contains_key(*key)) {
            changes.insert(key.clone(), Value::Null);
        }
    }
    (!changes.is_empty()).then_some(Value::Object(changes))
}

/// Whether an object says all that is wanted, and perhaps more (defaults).
fn covers(is: &Value, wanted: &Value) -> bool {
    match (is, wanted) {
        (_, Value::Null) => true,
        (Value::Object(is), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| covers(is.get(key).unwrap_or(&Value::Null), wanted))
        }
        (Value::Null, Value::Object(wanted)) => wanted.values().all(|wanted| covers(&Value::Null, wanted)),
        (Value::Null, Value::Array(wanted)) => wanted.is_empty(),
        (Value::Array(is), Value::Array(wanted)) => {
            is.len() == wanted.len() && is.iter().zip(wanted).all(|(is, wanted)| covers(is, wanted))
        }
        (is, wanted) => is == wanted,
    }
}

/// The Namespace that `--create-namespace` makes.
pub(super) fn namespace(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": { "name": name } } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_is_as_wanted_is_not_patched() {
        let wanted = json!({"spec": {"replicas": 2, "containers": [{"name": "a", "env": []}], "empty": {}}});
        let live = json!({"spec": {"replicas": 2, "containers": [{"name": "a", "policy": "x"}], "more": 1}, "status": {}});
        assert_eq!(patch(&wanted, &wanted, &live), None);
    }

    #[test]
    fn what_the_old_manifest_had_goes_and_what_others_added_stays() {
        let old = json!({"spec": {"replicas": 2, "gone": 1, "list": [1]}});
        let new = json!({"spec": {"replicas": 3, "list": [1, 2]}});
        let live = json!({"spec": {"replicas": 2, "gone": 1, "list": [1], "theirs": true}});
        assert_eq!(
            patch(&old, &new, &live),
            Some(json!({"spec": {"replicas": 3, "gone": null, "list": [1, 2]}}))
        );
    }

    #[test]
    fn an_object_of_somebody_else_is_refused_in_helms_words() {
        let why =
            owned(&json!({"metadata": {"annotations": {RELEASE_NAME: "other"}}}), "karpenter", "kube-system");
        assert_eq!(
            why.unwrap_err(),
            "invalid ownership metadata; label validation error: missing key \"app.kubernetes.io/managed-by\": must be set to \"Helm\"; annotation validation error: key \"meta.helm.sh/release-name\" must equal \"karpenter\": current value is \"other\"; annotation validation error: missing key \"meta.helm.sh/release-namespace\": must be set to \"kube-system\""
        );
    }
}
