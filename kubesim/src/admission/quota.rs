//! ResourceQuota: what a namespace uses, and whether one more object still fits.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::quantity;
use crate::status::Status;
use crate::store::{GroupResource, Meta, Store};

/// Amounts by the quota's own names, in thousandths.
type Usage = BTreeMap<String, i128>;

/// A limit that would be exceeded: its name, what is asked for, what is used, the limit.
type Over<'a> = (&'a str, i128, i128, &'a Value);

fn quotas() -> GroupResource {
    GroupResource::new("", "resourcequotas")
}

/// Refuses a new object that a quota of its namespace has no room for.
///
/// # Errors
/// 403 in the plugin's words: `exceeded quota`, or `failed quota` for a pod that does not say what it asks for.
pub(super) fn admit(store: &Store, resource: &GroupResource, object: &Value) -> Result<(), Status> {
    let namespace = object.namespace();
    if namespace.is_empty() {
        return Ok(());
    }
    let (found, _) = store.list(&quotas(), Some(namespace));
    let asked = usage_of(resource, object);
    for quota in found.iter().filter(|quota| in_scope(quota, resource, object)) {
        let hard = quota["spec"]["hard"].as_object();
        if resource.group.is_empty() && resource.resource == "pods" {
            let missing = unsaid(object, hard.into_iter().flatten().map(|(name, _)| name.as_str()));
            if !missing.is_empty() {
                let why = format!("failed quota: {}: must specify {missing}", quota.name());
                return Err(Status::forbidden("", "pods", object.name(), &why));
            }
        }
        let used = used(store, quota);
        let mut over: Vec<Over<'_>> = Vec::new();
        for (name, limit) in hard.into_iter().flatten() {
            let Some(more) = asked.get(canonical(name)).copied().filter(|more| *more > 0) else { continue };
            let now = used.get(name.as_str()).copied().unwrap_or(0);
            if now + more > amount(limit) {
                over.push((name, more, now, limit));
            }
        }
        if !over.is_empty() {
            let list = |part: &dyn Fn(&Over<'_>) -> String| {
                over.iter().map(|entry| format!("{}={}", entry.0, part(entry))).collect::<Vec<_>>().join(",")
            };
            let why = format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                quota.name(),
                list(&|entry| written(entry.0, entry.1)),
                list(&|entry| written(entry.0, entry.2)),
                list(&|entry| text(entry.3)),
            );
            return Err(Status::forbidden(&resource.group, &resource.resource, object.name(), &why));
        }
    }
    Ok(())
}

/// The `status` of a quota: its hard limits, and what is used of each.
pub(crate) fn status(store: &Store, quota: &Value) -> Value {
    let used = used(store, quota);
    let hard = quota["spec"]["hard"].as_object();
    let shown: serde_json::Map<String, Value> = hard
        .into_iter()
        .flatten()
        .map(|(name, _)| (name.clone(), json!(written(name, used.get(name.as_str()).copied().unwrap_or(0)))))
        .collect();
    json!({"hard": quota["spec"]["hard"], "used": shown})
}

/// What the objects of a quota's namespace use of what it limits.
fn used(store: &Store, quota: &Value) -> Usage {
    let mut total = Usage::new();
    for resource in store.resources() {
        for object in store.list(&resource, Some(quota.namespace())).0 {
            if !in_scope(quota, &resource, &object) {
                continue;
            }
            let usage = usage_of(&resource, &object);
            for (name, _) in quota["spec"]["hard"].as_object().into_iter().flatten() {
                if let Some(amount) = usage.get(canonical(name)) {
                    *total.entry(name.clone()).or_default() += amount;
                }
            }
        }
    }
    total
}

/// `cpu` and `memory` are other names of the requests.
fn canonical(name: &str) -> &str {
    match name {
        "cpu" => "requests.cpu",
        "memory" => "requests.memory",
        "ephemeral-storage" => "requests.ephemeral-storage",
        name => name,
    }
}

/// What one object uses.
fn usage_of(resource: &GroupResource, object: &Value) -> Usage {
    const ONE: i128 = 1000;
    let mut usage = Usage::new();
    let counted = if resource.group.is_empty() {
        format!("count/{}", resource.resource)
    } else {
        format!("count/{}.{}", resource.resource, resource.group)
    };
    usage.insert(counted, ONE);
    if !resource.group.is_empty() {
        return usage;
    }
    match resource.resource.as_str() {
        "pods" => {
            if matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
                return usage;
            }
            usage.insert("pods".to_owned(), ONE);
            for (field, names) in
                [("requests", requests(object, "requests")), ("limits", requests(object, "limits"))]
            {
                for (name, amount) in names {
                    usage.insert(format!("{field}.{name}"), amount);
                }
            }
        }
        "persistentvolumeclaims" => {
            let storage = amount(&object["spec"]["resources"]["requests"]["storage"]);
            usage.insert("persistentvolumeclaims".to_owned(), ONE);
            usage.insert("requests.storage".to_owned(), storage);
            if let Some(class) = object["spec"]["storageClassName"].as_str() {
                let of = |what: &str| format!("{class}.storageclass.storage.k8s.io/{what}");
                usage.insert(of("requests.storage"), storage);
                usage.insert(of("persistentvolumeclaims"), ONE);
            }
        }
        "services" => {
            usage.insert("services".to_owned(), ONE);
            let ports = object["spec"]["ports"].as_array().map_or(0, Vec::len);
            let ports = i128::try_from(ports).unwrap_or(0) * ONE;
            match object["spec"]["type"].as_str() {
                Some("NodePort") => drop(usage.insert("services.nodeports".to_owned(), ports)),
                Some("LoadBalancer") => {
                    usage.insert("services.nodeports".to_owned(), ports);
                    usage.insert("services.loadbalancers".to_owned(), ONE);
                }
                _ => {}
            }
        }
        "configmaps" | "secrets" | "replicationcontrollers" | "resourcequotas" => {
            usage.insert(resource.resource.clone(), ONE);
        }
        _ => {}
    }
    usage
}

/// The sum over a pod's containers, or its largest init container if that is more.
fn requests(pod: &Value, field: &str) -> Usage {
    let mut total = Usage::new();
    for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
        for (name, value) in container["resources"][field].as_object().into_iter().flatten() {
            *total.entry(name.clone()).or_default() += amount(value);
        }
    }
    for container in pod["spec"]["initContainers"].as_array().into_iter().flatten() {
        for (name, value) in container["resources"][field].as_object().into_iter().flatten() {
            let held = total.entry(name.clone()).or_default();
            *held = (*held).max(amount(value));
        }
    }
    total
}

/// Whether a quota counts an object: its scopes narrow it to some pods.
fn in_scope(quota: &Value, resource: &GroupResource, object: &Value) -> bool {
    let is_pod = resource.group.is_empty() && resource.resource == "pods";
    let scopes = quota["spec"]["scopes"].as_array().into_iter().flatten();
    let scopes = scopes.filter_map(Value::as_str).all(|scope| is_pod && pod_is(object, scope));
    let expressions = quota["spec"]["scopeSelector"]["matchExpressions"].as_array().into_iter().flatten();
    scopes
        && expressions.into_iter().all(|expression| {
            let scope = expression["scopeName"].as_str().unwrap_or_default();
            let class = object["spec"]["priorityClassName"].as_str().unwrap_or_default();
            let named = || expression["values"].as_array().into_iter().flatten().any(|value| value == class);
            is_pod
                && match (scope, expression["operator"].as_str()) {
                    ("PriorityClass", Some("In")) => named(),
                    ("PriorityClass", Some("NotIn")) => !named(),
                    ("PriorityClass", Some("Exists")) => !class.is_empty(),
                    ("PriorityClass", _) => class.is_empty(),
                    (scope, _) => pod_is(object, scope),
                }
        })
}

fn pod_is(pod: &Value, scope: &str) -> bool {
    let ends = pod["spec"]["activeDeadlineSeconds"].as_i64().is_some();
    let best_effort = super::pods::qos(&pod["spec"]) == "BestEffort";
    match scope {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => best_effort,
        "NotBestEffort" => !best_effort,
        _ => true,
    }
}

/// What a pod leaves unsaid that a quota wants to know: `limits.cpu for: main; requests.memory for: main`.
fn unsaid<'a>(pod: &Value, limited: impl Iterator<Item = &'a str>) -> String {
    let mut parts = Vec::new();
    for name in limited {
        let Some((field, resource)) = canonical(name).split_once('.') else { continue };
        if !matches!((field, resource), ("requests" | "limits", "cpu" | "memory")) {
            continue;
        }
        let silent: Vec<&str> = ["containers", "initContainers"]
            .into_iter()
            .flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
            .filter(|container| container["resources"][field][resource].is_null())
            .filter_map(|container| container["name"].as_str())
            .collect();
        if !silent.is_empty() {
            parts.push(format!("{name} for: {}", silent.join(",")));
        }
    }
    parts.join("; ")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn amount(value: &Value) -> i128 {
    quantity::parse(&text(value)).unwrap_or(0)
}

/// An amount as the real type writes it: what is measured in bytes in powers of 1024 where they fit.
fn written(name: &str, thousandths: i128) -> String {
    if thousandths % 1000 != 0 {
        return format!("{thousandths}m");
    }
    let whole = thousandths / 1000;
    let bytes = name.ends_with("memory") || name.ends_with("storage");
    for (unit, size) in [("Ti", 1_i128 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if bytes && whole != 0 && whole % size == 0 {
            return format!("{}{unit}", whole / size);
        }
    }
    if !bytes && whole != 0 && whole % 1000 == 0 { format!("{}k", whole / 1000) } else { whole.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::clock::Clock;

    fn store(hard: Value) -> Store {
        let store = Store::new(Clock::new(jiff::Timestamp::UNIX_EPOCH, 1.0), 1);
        let quota = json!({"metadata": {"name": "small", "namespace": "default"}, "spec": {"hard": hard}});
        store.create(&quotas(), quota).unwrap();
        store
    }

    fn pods() -> GroupResource {
        GroupResource::new("", "pods")
    }

    fn pod(name: &str, resources: Value) -> Value {
        json!({
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"containers": [{"name": "main", "resources": resources}]},
        })
    }

    #[tokio::test]
    async fn what_does_not_fit_is_forbidden_with_the_sums() {
        let store = store(json!({"requests.cpu": "1", "pods": "2", "requests.memory": "1Gi"}));
        let first = pod("one", json!({"requests": {"cpu": "600m", "memory": "512Mi"}}));
        admit(&store, &pods(), &first).unwrap();
        store.create(&pods(), first).unwrap();
        let second = pod("two", json!({"requests": {"cpu": "600m", "memory": "512Mi"}}));
        assert_eq!(
            admit(&store, &pods(), &second).unwrap_err().message,
            "pods \"two\" is forbidden: exceeded quota: small, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"
        );
        assert_eq!(
            status(&store, &store.get(&quotas(), "default", "small").unwrap())["used"],
            json!({"requests.cpu": "600m", "pods": "1", "requests.memory": "512Mi"})
        );
    }

    #[tokio::test]
    async fn a_pod_must_say_what_a_quota_limits() {
        let store = store(json!({"limits.cpu": "1", "requests.memory": "1Gi"}));
        assert_eq!(
            admit(&store, &pods(), &pod("one", json!({}))).unwrap_err().message,
            "pods \"one\" is forbidden: failed quota: small: must specify limits.cpu for: main; requests.memory for: main"
        );
    }

    #[tokio::test]
    async fn anything_can_be_counted() {
        let store = store(json!({"count/deployments.apps": "0", "services.loadbalancers": "0"}));
        let deployment = json!({"metadata": {"name": "web", "namespace": "default"}});
        let refused = admit(&store, &GroupResource::new("apps", "deployments"), &deployment).unwrap_err();
        assert!(refused.message.starts_with("deployments.apps \"web\" is forbidden: exceeded quota: small, requested: count/deployments.apps=1"), "{refused}");
        let service =
            json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {"type": "LoadBalancer"}});
        assert!(admit(&store, &GroupResource::new("", "services"), &service).is_err());
        let service =
            json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {"type": "ClusterIP"}});
        assert!(admit(&store, &GroupResource::new("", "services"), &service).is_ok());
    }
}
