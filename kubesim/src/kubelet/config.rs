//! ConfigMaps and Secrets that a pod's containers and volumes ask for, and what is said when one is missing.

use serde_json::Value;

use super::containers;
use crate::controllers::Key;
use crate::store::{GroupResource, Meta, Object, Store};

/// A reference to a ConfigMap or Secret.
struct Source<'a> {
    kind: &'static str,
    resource: &'static str,
    name: &'a str,
    optional: bool,
}

impl Source<'_> {
    fn find(&self, store: &Store, namespace: &str) -> Option<Object> {
        store.get(&GroupResource::new("", self.resource), namespace, self.name)
    }

    fn missing(&self) -> String {
        format!("{} \"{}\" not found", self.kind.to_lowercase(), self.name)
    }
}

const KINDS: [(&str, &str); 2] = [("ConfigMap", "configmaps"), ("Secret", "secrets")];

fn source<'a>(of: &'a Value, kind: (&'static str, &'static str), name: &str) -> Option<Source<'a>> {
    let name = of[name].as_str().filter(|name| !name.is_empty())?;
    Some(Source { kind: kind.0, resource: kind.1, name, optional: of["optional"] == true })
}

/// A ConfigMap or Secret by its place.
pub(super) type Reference = (GroupResource, Key);

/// Those that a pod cannot do without and that are not here.
pub(super) fn absent(store: &Store, pod: &Value) -> Vec<Reference> {
    let namespace = pod.namespace();
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten().flat_map(mounted);
    let lists = ["initContainers", "containers"];
    let all = lists.iter().flat_map(|list| containers(pod, list)).flat_map(set);
    let wanted = volumes.chain(all).filter(|source| !source.optional);
    wanted
        .filter(|source| source.find(store, namespace).is_none())
        .map(|it| (GroupResource::new("", it.resource), (namespace.to_owned(), it.name.to_owned())))
        .collect()
}

/// What a volume is made of.
fn mounted(volume: &Value) -> Vec<Source<'_>> {
    let projected = volume["projected"]["sources"].as_array().into_iter().flatten();
    let mut sources = vec![
        source(&volume["configMap"], KINDS[0], "name"),
        source(&volume["secret"], KINDS[1], "secretName"),
    ];
    for part in projected {
        sources.push(source(&part["configMap"], KINDS[0], "name"));
        sources.push(source(&part["secret"], KINDS[1], "name"));
    }
    // The cluster's own bundle comes a moment after its namespace.
    sources.into_iter().flatten().filter(|source| source.name != "kube-root-ca.crt").collect()
}

/// What a container's environment is made of.
fn set(container: &Value) -> Vec<Source<'_>> {
    let mut sources = Vec::new();
    for from in container["envFrom"].as_array().into_iter().flatten() {
        sources.push(source(&from["configMapRef"], KINDS[0], "name"));
        sources.push(source(&from["secretRef"], KINDS[1], "name"));
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        let from = &variable["valueFrom"];
        sources.push(source(&from["configMapKeyRef"], KINDS[0], "name"));
        sources.push(source(&from["secretKeyRef"], KINDS[1], "name"));
    }
    sources.into_iter().flatten().collect()
}

/// What keeps a pod's volumes from being mounted: `MountVolume.SetUp failed for volume "v" : configmap "c" not found`.
pub(super) fn unmountable(store: &Store, pod: &Value) -> Option<String> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    volumes.filter_map(|volume| Some((volume, unmountable_source(store, pod, volume)?))).next().map(
        |(volume, why)| {
            let name = volume["name"].as_str().unwrap_or_default();
            format!("MountVolume.SetUp failed for volume \"{name}\" : {why}")
        },
    )
}

fn unmountable_source(store: &Store, pod: &Value, volume: &Value) -> Option<String> {
    let mut sources = mounted(volume).into_iter();
    sources
        .find(|source| !source.optional && source.find(store, pod.namespace()).is_none())
        .map(|source| source.missing())
}

/// What keeps a container from being created: `secret "s" not found`, `couldn't find key k in Secret ns/s`.
pub(super) fn unset(store: &Store, pod: &Value, container: &str) -> Option<String> {
    let lists = ["initContainers", "containers"];
    let spec = lists.iter().flat_map(|list| containers(pod, list)).find(|spec| spec["name"] == container)?;
    let namespace = pod.namespace();
    for from in spec["envFrom"].as_array().into_iter().flatten() {
        let sources =
            [source(&from["configMapRef"], KINDS[0], "name"), source(&from["secretRef"], KINDS[1], "name")];
        for source in sources.into_iter().flatten().filter(|source| !source.optional) {
            if source.find(store, namespace).is_none() {
                return Some(source.missing());
            }
        }
    }
    for variable in spec["env"].as_array().into_iter().flatten() {
        let from = &variable["valueFrom"];
        for (reference, kind) in [("configMapKeyRef", KINDS[0]), ("secretKeyRef", KINDS[1])] {
            let Some(source) = source(&from[reference], kind, "name").filter(|source| !source.optional)
            else {
                continue;
            };
            let Some(found) = source.find(store, namespace) else { return Some(source.missing()) };
            let key = from[reference]["key"].as_str().unwrap_or_default();
            if found["data"][key].is_null() && found["binaryData"][key].is_null() {
                return Some(format!(
                    "couldn't find key {key} in {} {namespace}/{}",
                    source.kind, source.name
                ));
            }
        }
    }
    None
}
