//! The checks that every kind shares, and those of the kinds that people get wrong.

use serde_json::{Value, json};

use super::causes::Causes;
use super::{claims, definitions, policies, services, workloads};
use crate::resources::Resource;
use crate::status::Status;
use crate::store::Meta;

pub(super) const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
pub(super) const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const MANY_PARTS: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// Validates an object; `before` is its state so far when it is an update.
/// `minor` is the version whose rules they are.
pub(super) fn object(
    resource: &Resource,
    object: &Value,
    before: Option<&Value>,
    minor: u8,
) -> Result<(), Status> {
    let mut causes = Causes::default();
    metadata(resource, object, before, minor, &mut causes);
    let group = resource.group.as_str();
    match (group, resource.kind.as_str()) {
        ("", "Pod") => workloads::pod(object, before, &mut causes),
        ("apps", kind @ ("Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")) => {
            workloads::workload(kind, object, before, minor, &mut causes);
        }
        ("batch", "Job") => workloads::job(object, before, &mut causes),
        ("batch", "CronJob") => workloads::cron_job(object, before, &mut causes),
        ("", "Service") => services::validate(object, before, &mut causes),
        ("", "ConfigMap" | "Secret") => config(object, before, &mut causes),
        ("rbac.authorization.k8s.io", kind @ ("Role" | "ClusterRole")) => {
            policies::rules(object, kind == "Role", minor, &mut causes);
        }
        ("rbac.authorization.k8s.io", kind @ ("RoleBinding" | "ClusterRoleBinding")) => {
            policies::binding(object, before, kind == "RoleBinding", minor, &mut causes);
        }
        ("policy", "PodDisruptionBudget") => policies::disruption_budget(&object["spec"], &mut causes),
        ("networking.k8s.io", "NetworkPolicy") => policies::network_policy(&object["spec"], &mut causes),
        ("networking.k8s.io", "Ingress") => policies::ingress(&object["spec"], &mut causes),
        ("", "ResourceQuota") => policies::quota(&object["spec"], before, &mut causes),
        ("", "LimitRange") => policies::limit_range(&object["spec"], &mut causes),
        ("coordination.k8s.io", "Lease") => policies::lease(&object["spec"], &mut causes),
        ("", "PersistentVolumeClaim") => claims::validate(object, before, &mut causes),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definitions::validate(object, &mut causes),
        _ => {}
    }
    if let Some(version) = &resource.custom {
        super::structural::validate(&version["schema"]["openAPIV3Schema"], object, "", &mut causes);
    }
    causes.finish(group, &resource.kind, object.name())
}

fn metadata(resource: &Resource, object: &Value, before: Option<&Value>, minor: u8, causes: &mut Causes) {
    let name = object.name();
    let prefix = object["metadata"]["generateName"].as_str().unwrap_or_default();
    if before.is_none() {
        if !prefix.is_empty()
            && let Some(why) = name_error(resource, &format!("{prefix}a"), minor)
        {
            causes.invalid("metadata.generateName", &json!(prefix), &why);
        }
        if name.is_empty() {
            causes.required("metadata.name", "name or generateName is required");
        } else if let Some(why) = name_error(resource, name, minor) {
            causes.invalid("metadata.name", &json!(name), &why);
        }
    }
    if let Some(before) = before.filter(|before| before.is_terminating()) {
        let mut new: Vec<String> = object
            .finalizers()
            .iter()
            .filter(|finalizer| !before.finalizers().contains(finalizer))
            .map(Value::to_string)
            .collect();
        new.sort();
        if !new.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                new.join(", ")
            );
            causes.forbidden("metadata.finalizers", &why);
        }
    }
    labels(&object["metadata"]["labels"], "metadata.labels", causes);
    let annotations = object["metadata"]["annotations"].as_object();
    for key in annotations.into_iter().flatten().map(|(key, _)| key) {
        if let Some(why) = key_error(&key.to_lowercase()) {
            causes.invalid("metadata.annotations", &json!(key), &why);
        }
    }
    let size: usize =
        annotations.into_iter().flatten().map(|(k, v)| k.len() + v.as_str().map_or(0, str::len)).sum();
    if size > 256 * 1024 {
        causes.push_too_long("metadata.annotations", 262_144);
    }
    owners(object, causes);
    finalizers(resource, object, causes);
}

/// Who owns it.
fn owners(object: &Value, causes: &mut Causes) {
    for (index, owner) in object["metadata"]["ownerReferences"].as_array().into_iter().flatten().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                causes.required(format!("metadata.ownerReferences[{index}].{field}"), "must not be empty");
            }
        }
    }
}

/// Who must let go of it first: names with a domain, or those of Kubernetes itself.
fn finalizers(resource: &Resource, object: &Value, causes: &mut Causes) {
    // Custom resources, and those that nobody checks more closely.
    let any =
        resource.custom.is_some() || matches!(resource.plural.as_str(), "poddisruptionbudgets" | "leases");
    for (index, finalizer) in object.finalizers().iter().enumerate() {
        let name = finalizer.as_str().unwrap_or_default();
        let at = format!("metadata.finalizers[{index}]");
        if let Some(why) = key_error(name) {
            causes.invalid(&*at, finalizer, &why);
        } else if !any
            && !name.contains('/')
            && !matches!(name, "kubernetes" | "orphan" | "foregroundDeletion")
        {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.invalid(&*at, finalizer, why);
        }
    }
}

pub(super) fn labels(labels: &Value, path: &str, causes: &mut Causes) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        if let Some(why) = key_error(key) {
            causes.invalid(path, &json!(key), &why);
        }
        if let Some(why) = value_error(value.as_str().unwrap_or_default()) {
            causes.invalid(path, value, why);
        }
    }
}

/// Why a text is no value of a label.
pub(crate) fn value_error(text: &str) -> Option<&'static str> {
    if text.len() > 63 {
        return Some("must be no more than 63 bytes");
    }
    (!text.is_empty() && !is_word(text)).then_some(LABEL_VALUE)
}

/// Why a text is no key of a label: the first of its faults.
pub(crate) fn key_error(key: &str) -> Option<String> {
    key_errors(key).into_iter().next()
}

/// Every fault of a text as the key of a label.
pub(super) fn key_errors(key: &str) -> Vec<String> {
    let (prefix, name) = match key.split('/').collect::<Vec<_>>()[..] {
        [name] => (None, name),
        [prefix, name] => (Some(prefix), name),
        _ => return vec![MANY_PARTS.to_owned()],
    };
    let mut faults = Vec::new();
    match prefix {
        Some("") => faults.push("prefix part must be non-empty".to_owned()),
        Some(prefix) if !is_subdomain(prefix) => faults.push(format!("prefix part {SUBDOMAIN}")),
        _ => {}
    }
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        faults.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_word(name) {
        faults.push(QUALIFIED.to_owned());
    }
    faults
}

fn is_word(text: &str) -> bool {
    let end = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(end)
        && text.ends_with(end)
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

pub(super) fn is_label(text: &str) -> bool {
    let end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 63
        && text.starts_with(end)
        && text.ends_with(end)
        && text.chars().all(|c| end(c) || c == '-')
}

pub(super) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253
        && !text.is_empty()
        && text.split('.').all(|part| is_label(part) || part.len() > 63 && is_label(&part[..63]))
}

/// Why a name is none for this kind.
fn name_error(resource: &Resource, name: &str, minor: u8) -> Option<String> {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("rbac.authorization.k8s.io", _) | ("policy", "poddisruptionbudgets") => match name {
            "." | ".." => Some(format!("may not be '{name}'")),
            name if name.contains('/') => Some("may not contain '/'".to_owned()),
            name if name.contains('%') => Some("may not contain '%'".to_owned()),
            _ => None,
        },
        // The feature gate `RelaxedServiceNameValidation`, on by default from 1.36.
        ("", "services") if minor >= 36 => (!is_label(name)).then(|| LABEL.to_owned()),
        ("", "services") => (!(is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase())))
            .then(|| DNS_1035.to_owned()),
        ("", "namespaces") if name.len() > 63 => Some("must be no more than 63 bytes".to_owned()),
        ("", "namespaces") => (!is_label(name)).then(|| LABEL.to_owned()),
        _ if name.len() > 253 => Some("must be no more than 253 bytes".to_owned()),
        _ => (!is_subdomain(name)).then(|| SUBDOMAIN.to_owned()),
    }
}

/// What of a ConfigMap or Secret may not change.
fn config_changes(object: &Value, before: &Value, causes: &mut Causes) {
    if object["kind"] == "Secret" && before["type"] != object["type"] {
        causes.invalid("type", &object["type"], "field is immutable");
    }
    if before["immutable"] == true {
        if object["immutable"] != true {
            causes.forbidden("immutable", "field is immutable when `immutable` is set");
        }
        for part in ["data", "binaryData"] {
            if before[part] != object[part] {
                causes.forbidden(part, "field is immutable when `immutable` is set");
            }
        }
    }
}

fn config(object: &Value, before: Option<&Value>, causes: &mut Causes) {
    if let Some(before) = before {
        config_changes(object, before, causes);
    }
    for part in ["data", "binaryData"] {
        for key in object[part].as_object().into_iter().flatten().map(|(key, _)| key) {
            let valid = !key.is_empty()
                && key.len() <= 253
                && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
            if !valid {
                causes.invalid(format!("{part}[{key}]"), &json!(key), CONFIG_KEY);
            }
            if part == "data" && !object["binaryData"][key].is_null() {
                causes.invalid(format!("data[{key}]"), &json!(key), "duplicate of key present in binaryData");
            }
        }
    }
    let size: usize = ["data", "binaryData"]
        .iter()
        .flat_map(|part| object[*part].as_object().into_iter().flatten())
        .map(|(_, value)| value.as_str().map_or(0, str::len))
        .sum();
    // Secrets are measured as bytes, which are three quarters of their base64.
    let size = if object["kind"] == "Secret" { size / 4 * 3 } else { size };
    if size > 1024 * 1024 {
        causes.push_too_long(if object["kind"] == "Secret" { "data" } else { "" }, 1_048_576);
    }
    let needs: &[&str] = match object["type"].as_str() {
        Some("kubernetes.io/tls") => &["tls.crt", "tls.key"],
        Some("kubernetes.io/dockerconfigjson") => &[".dockerconfigjson"],
        Some("kubernetes.io/dockercfg") => &[".dockercfg"],
        Some("kubernetes.io/ssh-auth") => &["ssh-privatekey"],
        _ => &[],
    };
    for key in needs.iter().filter(|key| object["kind"] == "Secret" && object["data"][**key].is_null()) {
        causes.required(format!("data[{key}]"), "");
    }
}
