//! What admission plugins add to a pod: service account, token volume, tolerations, priority, QoS.

use serde_json::{Value, json};

use super::quantity;
use crate::status::Status;
use crate::store::{GroupResource, Meta, Store};

const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Admits a new pod.
pub(super) fn admit(store: &Store, pod: &mut Value) -> Result<(), Status> {
    if !pod["spec"].is_object() {
        return Ok(());
    }
    super::limit_ranger::admit(store, pod)?;
    service_account(store, pod)?;
    priority(store, pod)?;
    tolerations(&mut pod["spec"]);
    pod["status"] = json!({"phase": "Pending", "qosClass": qos(&pod["spec"])});
    Ok(())
}

/// Admits the next state of a pod: what admission gave it once it keeps, also when the client left it out.
pub(super) fn admit_update(current: &Value, pod: &mut Value) {
    for field in ["priority", "preemptionPolicy"] {
        if pod["spec"][field].is_null() && !current["spec"][field].is_null() {
            pod["spec"][field] = current["spec"][field].clone();
        }
    }
    tolerations(&mut pod["spec"]);
}

/// From which minor version on a pod that gets a node gets the labels of its place too: the feature gate
/// `PodTopologyLabelsAdmission`, on by default from 1.35.
const PLACE_IS_LABELLED: std::ops::RangeFrom<u8> = 35..;

/// The zone and region of a node, as labels for the pods that are bound to it.
pub(crate) fn place_of(store: &Store, minor: u8, node: &str) -> serde_json::Map<String, Value> {
    let node =
        PLACE_IS_LABELLED.contains(&minor).then(|| store.get(&GroupResource::new("", "nodes"), "", node));
    let keys = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];
    let Some(node) = node.flatten() else { return serde_json::Map::new() };
    let labels =
        keys.iter().filter_map(|key| Some(((*key).to_owned(), node["metadata"]["labels"].get(key)?.clone())));
    labels.collect()
}

/// Gives a pod the labels of its place, over those that it has.
pub(crate) fn label_with(pod: &mut Value, place: &serde_json::Map<String, Value>) {
    for (key, value) in place {
        pod["metadata"]["labels"][key] = value.clone();
    }
}

/// The name that refusals give: of a pod whose name is still to be made, the part that is known.
pub(super) fn shown_name(pod: &Value) -> &str {
    match pod.name() {
        "" => pod["metadata"]["generateName"].as_str().unwrap_or_default(),
        name => name,
    }
}

fn service_account(store: &Store, pod: &mut Value) -> Result<(), Status> {
    let spec = &mut pod["spec"];
    let name =
        spec["serviceAccountName"].as_str().filter(|name| !name.is_empty()).unwrap_or("default").to_owned();
    spec["serviceAccountName"] = json!(name);
    spec["serviceAccount"] = json!(name);
    let namespace = pod.namespace().to_owned();
    let account = store.get(&GroupResource::new("", "serviceaccounts"), &namespace, &name);
    // The namespace's own account is made a moment after the namespace; do not race it.
    if account.is_none() && name != "default" {
        return Err(Status::forbidden(
            "",
            "pods",
            shown_name(pod),
            &format!(
                "error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found"
            ),
        ));
    }
    let mounts = pod["spec"]["automountServiceAccountToken"]
        .as_bool()
        .or_else(|| account.as_ref().and_then(|account| account["automountServiceAccountToken"].as_bool()))
        .unwrap_or(true);
    if !mounts {
        return Ok(());
    }
    let volume = format!("kube-api-access-{}", store.name_suffix());
    let mut used = false;
    for list in ["initContainers", "containers"] {
        for container in pod["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let mounts = &mut container["volumeMounts"];
            let taken = mounts.as_array().into_iter().flatten().any(|mount| mount["mountPath"] == TOKEN_PATH);
            if taken {
                continue;
            }
            used = true;
            push(mounts, json!({"name": volume, "readOnly": true, "mountPath": TOKEN_PATH}));
        }
    }
    if used {
        push(
            &mut pod["spec"]["volumes"],
            json!({"name": volume, "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [
                    {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
                ]}},
            ]}}),
        );
    }
    Ok(())
}

fn push(list: &mut Value, item: Value) {
    match list.as_array_mut() {
        Some(items) => items.push(item),
        None => *list = json!([item]),
    }
}

fn priority(store: &Store, pod: &mut Value) -> Result<(), Status> {
    let class = pod["spec"]["priorityClassName"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
    let classes = GroupResource::new("scheduling.k8s.io", "priorityclasses");
    let (value, policy) = match class.as_deref() {
        None => (0, None),
        Some(name) => match (store.get(&classes, "", name), name) {
            (Some(class), _) => {
                (class["value"].as_i64().unwrap_or(0), class["preemptionPolicy"].as_str().map(str::to_owned))
            }
            (None, "system-node-critical") => (2_000_001_000, None),
            (None, "system-cluster-critical") => (2_000_000_000, None),
            (None, name) => {
                let why = format!("no PriorityClass with name {name} was found");
                return Err(Status::forbidden("", "pods", shown_name(pod), &why));
            }
        },
    };
    pod["spec"]["priority"] = json!(value);
    if pod["spec"]["preemptionPolicy"].is_null() {
        pod["spec"]["preemptionPolicy"] = json!(policy.as_deref().unwrap_or("PreemptLowerPriority"));
    }
    Ok(())
}

/// Five minutes on a node that is not ready or unreachable, unless the pod says otherwise.
fn tolerations(spec: &mut Value) {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = spec["tolerations"].as_array().into_iter().flatten().any(|toleration| {
            (toleration["key"] == key || toleration["key"].as_str().is_none_or(str::is_empty))
                && (toleration["effect"] == "NoExecute"
                    || toleration["effect"].as_str().is_none_or(str::is_empty))
        });
        if !tolerated {
            push(
                &mut spec["tolerations"],
                json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}),
            );
        }
    }
}

/// The quality-of-service class that requests and limits make.
pub(super) fn qos(spec: &Value) -> &'static str {
    let mut some = false;
    let mut guaranteed = true;
    for list in ["initContainers", "containers"] {
        for container in spec[list].as_array().into_iter().flatten() {
            for resource in ["cpu", "memory"] {
                let amount = |part: &str| {
                    container["resources"][part][resource]
                        .as_str()
                        .and_then(quantity::parse)
                        .filter(|n| *n != 0)
                };
                let (request, limit) = (amount("requests"), amount("limits"));
                some |= request.is_some() || limit.is_some();
                guaranteed &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
            }
        }
    }
    match (some, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
