//! Endpoints and EndpointSlices of the services that select pods.

use serde_json::{Value, json};

use super::owned::is_ready;
use super::{Context, Controller, Key, Seen, key_of};
use crate::selector::LabelSelector;
use crate::store::{GroupResource, Meta, Object, Preconditions, Store};

pub(crate) struct Endpoints;

fn services() -> GroupResource {
    GroupResource::new("", "services")
}

impl Controller for Endpoints {
    fn concerns(&mut self, store: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        match (resource.group.as_str(), resource.resource.as_str()) {
            ("", "services") => vec![key_of(change.object)],
            ("", "pods") => {
                let (services, _) = store.list(&services(), Some(change.object.namespace()));
                let selects = |service: &&Object| {
                    selector(service).is_some_and(|selector| {
                        selector.matches(change.object.labels())
                            || change.previous.is_some_and(|pod| selector.matches(pod.labels()))
                    })
                };
                services.iter().filter(selects).map(|service| key_of(service)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let store = context.store;
        let (endpoints, slices) =
            (GroupResource::new("", "endpoints"), GroupResource::new("discovery.k8s.io", "endpointslices"));
        let Some(service) = store.get(&services(), &key.0, &key.1) else {
            let _ = store.delete(&endpoints, &key.0, &key.1, &Preconditions::default(), 0);
            return;
        };
        let Some(selector) = selector(&service).filter(|_| service["spec"]["type"] != "ExternalName") else {
            return;
        };
        let (pods, _) = store.list(&GroupResource::new("", "pods"), Some(&key.0));
        let backing: Vec<&Object> = pods
            .iter()
            .filter(|pod| {
                selector.matches(pod.labels())
                    && pod["status"]["podIP"].as_str().is_some_and(|ip| !ip.is_empty())
                    && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
            })
            .collect();
        put(store, &endpoints, legacy(&service, &backing), "subsets");
        put(store, &slices, slice(store, &slices, &service, &backing), "endpoints");
    }
}

/// What a service selects; `None` when that is nothing.
fn selector(service: &Value) -> Option<LabelSelector> {
    let labels = service["spec"]["selector"].as_object().filter(|labels| !labels.is_empty())?;
    LabelSelector::from_value(&json!({"matchLabels": labels}))
}

/// Creates the object, or brings the fields that the controller owns to what they should be.
fn put(store: &Store, resource: &GroupResource, wanted: Value, content: &str) {
    let (namespace, name) = key_of(&wanted);
    let updated = store.update(resource, &namespace, &name, |object| {
        for field in [content, "ports"] {
            if let Some(value) = wanted.get(field) {
                object[field] = value.clone();
            } else if let Some(fields) = object.as_object_mut() {
                fields.remove(field);
            }
        }
        object["metadata"]["labels"] = wanted["metadata"]["labels"].clone();
        Ok(())
    });
    if updated.is_err() {
        // A namespace that is going takes no new objects.
        let _ = store.create(resource, wanted);
    }
}

/// The number behind a `targetPort`, which may be the name of a container's port.
fn target_port(port: &Value, pods: &[&Object]) -> Value {
    match port["targetPort"].as_str() {
        None if port["targetPort"].is_null() => port["port"].clone(),
        None => port["targetPort"].clone(),
        Some(name) => {
            let containers =
                pods.iter().flat_map(|pod| pod["spec"]["containers"].as_array().into_iter().flatten());
            let mut ports =
                containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
            ports.find(|port| port["name"] == name).map_or(Value::Null, |port| port["containerPort"].clone())
        }
    }
}

fn ports(service: &Value, pods: &[&Object]) -> Vec<Value> {
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    ports
        .filter_map(|port| {
            let number = target_port(port, pods);
            if number.is_null() {
                return None;
            }
            let mut entry = json!({"port": number, "protocol": port["protocol"].as_str().unwrap_or("TCP")});
            for field in ["name", "appProtocol"] {
                if let Some(value) = port.get(field) {
                    entry[field] = value.clone();
                }
            }
            Some(entry)
        })
        .collect()
}

fn target(pod: &Value) -> Value {
    json!({"kind": "Pod", "namespace": pod.namespace(), "name": pod.name(), "uid": pod.uid()})
}

fn legacy(service: &Value, pods: &[&Object]) -> Value {
    let include_unready = service["spec"]["publishNotReadyAddresses"] == true;
    let address = |pod: &&Object| json!({"ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"], "targetRef": target(pod)});
    let alive: Vec<&Object> = pods.iter().filter(|pod| !pod.is_terminating()).copied().collect();
    let ready: Vec<Value> =
        alive.iter().filter(|pod| include_unready || is_ready(pod)).map(address).collect();
    let unready: Vec<Value> =
        alive.iter().filter(|pod| !include_unready && !is_ready(pod)).map(address).collect();
    let mut labels = service["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.insert("endpoints.kubernetes.io/managed-by".into(), json!("endpoint-controller"));
    let mut object = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"name": service.name(), "namespace": service.namespace(), "labels": labels},
    });
    if !(ready.is_empty() && unready.is_empty()) {
        let mut subset = json!({"ports": ports(service, pods)});
        for (field, addresses) in [("addresses", ready), ("notReadyAddresses", unready)] {
            if !addresses.is_empty() {
                subset[field] = json!(addresses);
            }
        }
        object["subsets"] = json!([subset]);
    }
    object
}

fn slice(store: &Store, resource: &GroupResource, service: &Value, pods: &[&Object]) -> Value {
    const SERVICE: &str = "kubernetes.io/service-name";
    let (slices, _) = store.list(resource, Some(service.namespace()));
    let existing = slices.iter().find(|slice| slice["metadata"]["labels"][SERVICE] == service.name());
    let name = existing.map_or_else(
        || format!("{}-{}", service.name(), store.name_suffix()),
        |slice| slice.name().to_owned(),
    );
    let mut labels = service["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.insert(SERVICE.into(), json!(service.name()));
    labels.insert("endpointslice.kubernetes.io/managed-by".into(), json!("endpointslice-controller.k8s.io"));
    if service["spec"]["clusterIP"] == "None" {
        labels.insert("service.kubernetes.io/headless".into(), json!(""));
    }
    let endpoints: Vec<Value> = pods
        .iter()
        .map(|pod| {
            let serving = is_ready(pod);
            json!({
                "addresses": [pod["status"]["podIP"]],
                "conditions": {
                    "ready": serving && !pod.is_terminating(), "serving": serving,
                    "terminating": pod.is_terminating(),
                },
                "nodeName": pod["spec"]["nodeName"], "targetRef": target(pod),
            })
        })
        .collect();
    // A slice's port always has a name, if only the empty one.
    let mut ports = ports(service, pods);
    for port in ports.iter_mut().filter(|port| port["name"].is_null()) {
        port["name"] = json!("");
    }
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": name, "generateName": format!("{}-", service.name()), "namespace": service.namespace(),
            "labels": labels,
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Service", "name": service.name(), "uid": service.uid(),
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "endpoints": endpoints, "ports": ports,
    })
}
