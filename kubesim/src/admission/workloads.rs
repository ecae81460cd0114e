//! Validation of pods and of what makes pods.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::causes::Causes;
use super::quantity;
use super::validate::{LABEL, is_label, labels};
use crate::selector::LabelSelector;

const POD_UPDATE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
const SET_UPDATE: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

pub(super) fn pod(object: &Value, before: Option<&Value>, causes: &mut Causes) {
    pod_spec(&object["spec"], "spec", causes);
    let Some(before) = before else { return };
    let fixed = |spec: &Value| {
        let mut spec = spec.clone();
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
        if let Some(fields) = spec.as_object_mut() {
            for field in [
                "activeDeadlineSeconds",
                "tolerations",
                "terminationGracePeriodSeconds",
                "ephemeralContainers",
                "schedulingGates",
            ] {
                fields.remove(field);
            }
        }
        spec
    };
    let mut kept = fixed(&before["spec"]);
    let wanted = fixed(&object["spec"]);
    // The subresource resize writes resources; the scheduler's binding writes the node.
    if before["spec"]["nodeName"].is_null() {
        kept["nodeName"] = wanted["nodeName"].clone();
        if kept["nodeName"].is_null()
            && let Some(fields) = kept.as_object_mut()
        {
            fields.remove("nodeName");
        }
    }
    if kept != wanted {
        causes.forbidden("spec", POD_UPDATE);
    }
}

pub(super) fn workload(kind: &str, object: &Value, before: Option<&Value>, causes: &mut Causes) {
    let spec = &object["spec"];
    if let Some(replicas) = spec["replicas"].as_i64().filter(|replicas| *replicas < 0) {
        causes.invalid("spec.replicas", &json!(replicas), "must be greater than or equal to 0");
    }
    let selector = &spec["selector"];
    if selector.is_null() {
        causes.required("spec.selector", "");
        causes.invalid(
            "spec.template.metadata.labels",
            &spec["template"]["metadata"]["labels"],
            "`selector` does not match template `labels`",
        );
    } else {
        let parsed = LabelSelector::from_value(selector);
        if parsed.as_ref().is_some_and(LabelSelector::is_empty) {
            causes.invalid(
                "spec.selector",
                selector,
                &format!("empty selector is invalid for {}", kind.to_lowercase()),
            );
        }
        let template_labels = &spec["template"]["metadata"]["labels"];
        if !parsed.is_some_and(|parsed| parsed.matches(template_labels.as_object())) {
            causes.invalid(
                "spec.template.metadata.labels",
                template_labels,
                "`selector` does not match template `labels`",
            );
        }
    }
    if kind == "DaemonSet"
        && let Some(strategy) = spec["updateStrategy"]["type"].as_str()
        && !matches!(strategy, "RollingUpdate" | "OnDelete")
    {
        let shown = json!({"Type": strategy, "RollingUpdate": null});
        causes.unsupported("spec.updateStrategy", &shown, &["RollingUpdate", "OnDelete"]);
    }
    template(&spec["template"], "spec.template", &["Always"], causes);
    let Some(before) = before else { return };
    match kind {
        "StatefulSet" => {
            let fixed = |spec: &Value| {
                let mut spec = spec.clone();
                if let Some(fields) = spec.as_object_mut() {
                    for field in [
                        "replicas",
                        "ordinals",
                        "template",
                        "updateStrategy",
                        "revisionHistoryLimit",
                        "persistentVolumeClaimRetentionPolicy",
                        "minReadySeconds",
                    ] {
                        fields.remove(field);
                    }
                }
                spec
            };
            if fixed(&before["spec"]) != fixed(spec) {
                causes.forbidden("spec", SET_UPDATE);
            }
        }
        _ if before["spec"]["selector"] != *selector => {
            causes.invalid("spec.selector", selector, "field is immutable");
        }
        _ => {}
    }
}

pub(super) fn job(object: &Value, before: Option<&Value>, causes: &mut Causes) {
    let spec = &object["spec"];
    template(&spec["template"], "spec.template", &["OnFailure", "Never"], causes);
    if let Some(before) = before {
        for field in ["selector", "template", "completionMode"] {
            let suspended = field == "template" && before["spec"]["suspend"] == true;
            if before["spec"][field] != spec[field] && !suspended {
                causes.invalid(format!("spec.{field}"), &spec[field], "field is immutable");
            }
        }
    }
}

pub(super) fn cron_job(object: &Value, causes: &mut Causes) {
    let spec = &object["spec"];
    match spec["schedule"].as_str() {
        None | Some("") => causes.required("spec.schedule", ""),
        Some(schedule) => {
            let fields = schedule.split_whitespace().count();
            if fields != 5 && !schedule.starts_with('@') {
                let why = format!("expected exactly 5 fields, found {fields}: [{schedule}]");
                causes.invalid("spec.schedule", &spec["schedule"], &why);
            }
        }
    }
    template(
        &spec["jobTemplate"]["spec"]["template"],
        "spec.jobTemplate.spec.template",
        &["OnFailure", "Never"],
        causes,
    );
}

fn template(template: &Value, path: &str, policies: &[&str], causes: &mut Causes) {
    labels(&template["metadata"]["labels"], &format!("{path}.labels"), causes);
    let spec = &template["spec"];
    pod_spec(spec, &format!("{path}.spec"), causes);
    let policy = spec["restartPolicy"].as_str().unwrap_or_default();
    if !spec.is_null() && !policies.contains(&policy) {
        if policies.len() == 1 {
            causes.unsupported(format!("{path}.spec.restartPolicy"), &spec["restartPolicy"], policies);
        } else {
            let why = "valid values: \"OnFailure\", \"Never\"";
            causes.required(format!("{path}.spec.restartPolicy"), why);
        }
    }
}

fn pod_spec(spec: &Value, path: &str, causes: &mut Causes) {
    let containers: &[Value] = spec["containers"].as_array().map_or(&[], Vec::as_slice);
    if containers.is_empty() {
        causes.required(format!("{path}.containers"), "");
    }
    let mut volumes = BTreeSet::new();
    for (index, volume) in spec["volumes"].as_array().into_iter().flatten().enumerate() {
        let at = format!("{path}.volumes[{index}]");
        let name = volume["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            causes.required(format!("{at}.name"), "");
        } else if !is_label(name) {
            causes.invalid(format!("{at}.name"), &volume["name"], LABEL);
        } else if !volumes.insert(name.to_owned()) {
            causes.duplicate(format!("{at}.name"), &volume["name"]);
        }
    }
    let mut names = BTreeSet::new();
    let init: &[Value] = spec["initContainers"].as_array().map_or(&[], Vec::as_slice);
    for (list, found) in [("initContainers", init), ("containers", containers)] {
        for (index, container) in found.iter().enumerate() {
            let at = format!("{path}.{list}[{index}]");
            let name = container["name"].as_str().unwrap_or_default();
            if !name.is_empty() && !names.insert(name.to_owned()) {
                causes.duplicate(format!("{at}.name"), &container["name"]);
            }
            self::container(container, &at, &volumes, causes);
        }
    }
    for (index, spread) in spec["topologySpreadConstraints"].as_array().into_iter().flatten().enumerate() {
        let skew = spread["maxSkew"].as_i64().unwrap_or(0);
        if skew <= 0 {
            let field = format!("{path}.topologySpreadConstraints[{index}].maxSkew");
            causes.invalid(field, &json!(skew), "must be greater than zero");
        }
    }
    let policy = spec["restartPolicy"].as_str().unwrap_or("Always");
    if !matches!(policy, "Always" | "OnFailure" | "Never") {
        causes.unsupported(
            format!("{path}.restartPolicy"),
            &spec["restartPolicy"],
            &["Always", "OnFailure", "Never"],
        );
    }
    let policy = spec["dnsPolicy"].as_str().unwrap_or("ClusterFirst");
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    if !policies.contains(&policy) {
        causes.unsupported(format!("{path}.dnsPolicy"), &spec["dnsPolicy"], &policies);
    }
}

fn container(container: &Value, at: &str, volumes: &BTreeSet<String>, causes: &mut Causes) {
    let name = container["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        causes.required(format!("{at}.name"), "");
    } else if !is_label(name) {
        causes.invalid(format!("{at}.name"), &container["name"], LABEL);
    }
    if container["image"].as_str().is_none_or(str::is_empty) {
        causes.required(format!("{at}.image"), "");
    }
    if let Some(policy) = container["imagePullPolicy"].as_str()
        && !matches!(policy, "Always" | "IfNotPresent" | "Never")
    {
        causes.unsupported(
            format!("{at}.imagePullPolicy"),
            &json!(policy),
            &["Always", "IfNotPresent", "Never"],
        );
    }
    for (index, port) in container["ports"].as_array().into_iter().flatten().enumerate() {
        let number = port["containerPort"].as_i64().unwrap_or(0);
        let field = format!("{at}.ports[{index}].containerPort");
        if number == 0 {
            causes.required(field, "");
        } else {
            causes.port(field, &json!(number));
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        for field in
            ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
        {
            let found = &container[probe][field];
            if found.as_i64().is_some_and(|number| number < 0) {
                let why = "must be greater than or equal to 0";
                causes.invalid(format!("{at}.{probe}.{field}"), found, why);
            }
        }
    }
    for (index, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
        let name = mount["name"].as_str().unwrap_or_default();
        if !volumes.contains(name) {
            causes.not_found(format!("{at}.volumeMounts[{index}].name"), &mount["name"]);
        }
        if mount["mountPath"].as_str().is_none_or(str::is_empty) {
            causes.required(format!("{at}.volumeMounts[{index}].mountPath"), "");
        }
    }
    for (index, variable) in container["env"].as_array().into_iter().flatten().enumerate() {
        if variable["name"].as_str().is_none_or(str::is_empty) {
            causes.required(format!("{at}.env[{index}].name"), "");
        }
    }
    let resources = &container["resources"];
    for (name, request) in resources["requests"].as_object().into_iter().flatten() {
        let limit = &resources["limits"][name];
        let amount = |value: &Value| value.as_str().and_then(quantity::parse);
        if let (Some(asked), Some(most)) = (amount(request), amount(limit))
            && asked > most
        {
            let why = format!(
                "must be less than or equal to {name} limit of {}",
                limit.as_str().unwrap_or_default()
            );
            causes.invalid(format!("{at}.resources.requests"), request, &why);
        }
    }
}
