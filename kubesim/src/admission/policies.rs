//! Validation of what says who may do what, how much there may be, and what may reach what.

use serde_json::{Value, json};

use super::causes::Causes;
use super::quantity;
use super::validate::{is_subdomain, key_error};

const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

fn items(list: &Value) -> impl Iterator<Item = (usize, &Value)> {
    list.as_array().into_iter().flatten().enumerate()
}

fn is_empty(list: &Value) -> bool {
    list.as_array().is_none_or(Vec::is_empty)
}

/// The rules of a Role or, when not `namespaced`, of a ClusterRole.
pub(super) fn rules(object: &Value, namespaced: bool, minor: u8, causes: &mut Causes) {
    // From 1.37 this rule is declared with the type, and told after all others.
    let mut declared = Vec::new();
    for (index, rule) in items(&object["rules"]) {
        let at = format!("rules[{index}]");
        if is_empty(&rule["verbs"]) {
            let field = format!("{at}.verbs");
            if minor < 37 {
                causes.required(field, "verbs must contain at least one value");
            } else {
                declared.push(field);
            }
        }
        let urls = &rule["nonResourceURLs"];
        if !is_empty(urls) {
            let field = format!("{at}.nonResourceURLs");
            if namespaced {
                causes.invalid(&*field, urls, "namespaced rules cannot apply to non-resource URLs");
            }
            if ["apiGroups", "resources", "resourceNames"].iter().any(|part| !is_empty(&rule[*part])) {
                causes.invalid(
                    &*field,
                    urls,
                    "rules cannot apply to both regular resources and non-resource URLs",
                );
            }
            continue;
        }
        if is_empty(&rule["apiGroups"]) {
            causes.required(format!("{at}.apiGroups"), "resource rules must supply at least one api group");
        }
        if is_empty(&rule["resources"]) {
            causes.required(format!("{at}.resources"), "resource rules must supply at least one resource");
        }
    }
    declared.into_iter().for_each(|field| causes.required(field, ""));
}

/// A RoleBinding or, when not `namespaced`, a ClusterRoleBinding.
pub(super) fn binding(
    object: &Value,
    before: Option<&Value>,
    namespaced: bool,
    minor: u8,
    causes: &mut Causes,
) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let role = &object["roleRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if role["apiGroup"] != GROUP {
        causes.unsupported("roleRef.apiGroup", &json!(text(&role["apiGroup"])), &[GROUP]);
    }
    if namespaced && !matches!(role["kind"].as_str(), Some("ClusterRole" | "Role")) {
        causes.unsupported("roleRef.kind", &json!(text(&role["kind"])), &["Role", "ClusterRole"]);
    } else if !namespaced && role["kind"] != "ClusterRole" {
        causes.unsupported("roleRef.kind", &json!(text(&role["kind"])), &["ClusterRole"]);
    }
    if text(&role["name"]).is_empty() {
        causes.required("roleRef.name", "");
    }
    for (index, subject) in items(&object["subjects"]) {
        let at = format!("subjects[{index}]");
        if text(&subject["name"]).is_empty() {
            causes.required(format!("{at}.name"), "");
        }
        let group = text(&subject["apiGroup"]);
        match subject["kind"].as_str() {
            Some("ServiceAccount") => {
                if !group.is_empty() {
                    causes.unsupported(format!("{at}.apiGroup"), &json!(group), &[""]);
                }
                if !namespaced && text(&subject["namespace"]).is_empty() {
                    causes.required(format!("{at}.namespace"), "");
                }
            }
            Some("User" | "Group") if group == GROUP => {}
            Some("User" | "Group") => {
                causes.unsupported(format!("{at}.apiGroup"), &json!(group), &[GROUP]);
            }
            _ => causes.unsupported(
                format!("{at}.kind"),
                &json!(text(&subject["kind"])),
                &["ServiceAccount", "User", "Group"],
            ),
        }
    }
    if let Some(before) = before
        && before["roleRef"] != *role
    {
        // As the real server's own type of it shows.
        let shown = json!({"APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"]});
        let why = if minor < 37 { "cannot change roleRef" } else { "field is immutable" };
        causes.invalid("roleRef", &shown, why);
    }
}

/// How much of the pods may be missing.
pub(super) fn disruption_budget(spec: &Value, causes: &mut Causes) {
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        let why = "minAvailable and maxUnavailable cannot be both set";
        causes.invalid("spec", &budget(spec), why);
    }
    for field in ["minAvailable", "maxUnavailable"] {
        let at = format!("spec.{field}");
        match &spec[field] {
            Value::Number(number) if number.as_i64().is_some_and(|number| number < 0) => {
                causes.invalid(at, &spec[field], NOT_NEGATIVE);
            }
            Value::String(text) => match text.strip_suffix('%').map(str::parse::<u32>) {
                Some(Ok(percent)) if percent > 100 => {
                    causes.invalid(at, &spec[field], "must not be greater than 100%");
                }
                Some(Ok(_)) => {}
                _ => causes.invalid(at, &spec[field], PERCENT),
            },
            _ => {}
        }
    }
    if let Some(policy) = spec["unhealthyPodEvictionPolicy"].as_str()
        && !matches!(policy, "AlwaysAllow" | "IfHealthyBudget")
    {
        causes.unsupported(
            "spec.unhealthyPodEvictionPolicy",
            &json!(policy),
            &["AlwaysAllow", "IfHealthyBudget"],
        );
    }
}

/// A budget's spec as the real server's own type of it shows.
fn budget(spec: &Value) -> Value {
    let field = |name: &str| spec[name].clone();
    let selector = &spec["selector"];
    let selector = if selector.is_null() { Value::Null } else { selector.clone() };
    json!({
        "MinAvailable": field("minAvailable"), "Selector": selector, "MaxUnavailable": field("maxUnavailable"),
        "UnhealthyPodEvictionPolicy": field("unhealthyPodEvictionPolicy"),
    })
}

/// Who may reach whom.
pub(super) fn network_policy(spec: &Value, causes: &mut Causes) {
    for direction in ["ingress", "egress"] {
        for (rule, found) in items(&spec[direction]) {
            for (index, port) in items(&found["ports"]) {
                let at = format!("spec.{direction}[{rule}].ports[{index}]");
                if let Some(protocol) = port["protocol"].as_str()
                    && !matches!(protocol, "TCP" | "UDP" | "SCTP")
                {
                    causes.unsupported(format!("{at}.protocol"), &json!(protocol), &["TCP", "UDP", "SCTP"]);
                }
                causes.port(format!("{at}.port"), &port["port"]);
            }
        }
    }
    for (index, found) in items(&spec["policyTypes"]) {
        if !matches!(found.as_str(), Some("Ingress" | "Egress")) {
            causes.unsupported(format!("spec.policyTypes[{index}]"), found, &["Ingress", "Egress"]);
        }
    }
}

/// Which requests from outside go where.
pub(super) fn ingress(spec: &Value, causes: &mut Causes) {
    if is_empty(&spec["rules"]) && spec["defaultBackend"].is_null() {
        causes.invalid("spec", &Value::Null, "either `defaultBackend` or `rules` must be specified");
    }
    for (index, rule) in items(&spec["rules"]) {
        let host = rule["host"].as_str().unwrap_or_default();
        if !host.is_empty() && !host.contains('*') && !is_subdomain(host) {
            causes.invalid(format!("spec.rules[{index}].host"), &rule["host"], super::validate::SUBDOMAIN);
        }
        for (number, path) in items(&rule["http"]["paths"]) {
            let at = format!("spec.rules[{index}].http.paths[{number}]");
            let Some(kind) = path["pathType"].as_str() else {
                causes.required(format!("{at}.pathType"), "pathType must be specified");
                continue;
            };
            let text = path["path"].as_str().unwrap_or_default();
            match kind {
                "Exact" | "Prefix" | "ImplementationSpecific" => {
                    let optional = kind == "ImplementationSpecific" && text.is_empty();
                    if !text.starts_with('/') && !optional {
                        causes.invalid(format!("{at}.path"), &json!(text), "must be an absolute path");
                    }
                }
                _ => causes.unsupported(
                    format!("{at}.pathType"),
                    &json!(kind),
                    &["Exact", "ImplementationSpecific", "Prefix"],
                ),
            }
        }
    }
}

/// What a namespace may use in all.
pub(super) fn quota(spec: &Value, before: Option<&Value>, causes: &mut Causes) {
    for (name, amount) in spec["hard"].as_object().into_iter().flatten() {
        let at = format!("spec.hard[{name}]");
        if let Some(why) = key_error(name) {
            causes.invalid(&*at, &json!(name), &why);
        }
        if !name.contains('/') && !is_counted(name) {
            causes.invalid(&*at, &json!(name), "must be a standard resource for quota");
        }
        if amount.as_str().and_then(quantity::parse).is_some_and(|amount| amount < 0) {
            causes.invalid(&*at, amount, NOT_NEGATIVE);
        }
    }
    for (_, scope) in items(&spec["scopes"]) {
        let known = ["Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass"];
        if !scope.as_str().is_some_and(|scope| {
            known.contains(&scope) || matches!(scope, "CrossNamespacePodAffinity" | "VolumeAttributesClass")
        }) {
            causes.invalid("spec.scopes", &spec["scopes"], "unsupported scope");
        }
    }
    let scopes = |spec: &Value| -> std::collections::BTreeSet<String> {
        items(&spec["scopes"]).filter_map(|(_, scope)| scope.as_str().map(str::to_owned)).collect()
    };
    if before.is_some_and(|before| scopes(&before["spec"]) != scopes(spec)) {
        causes.invalid("spec.scopes", &spec["scopes"], "field is immutable");
    }
}

/// Whether a resource without a prefix is one that quotas know.
fn is_counted(name: &str) -> bool {
    let plain = name.strip_prefix("requests.").or_else(|| name.strip_prefix("limits.")).unwrap_or(name);
    matches!(plain, "cpu" | "memory" | "ephemeral-storage" | "storage")
        || plain.starts_with("hugepages-")
        || matches!(
            name,
            "pods"
                | "resourcequotas"
                | "services"
                | "replicationcontrollers"
                | "secrets"
                | "persistentvolumeclaims"
                | "configmaps"
                | "services.nodeports"
                | "services.loadbalancers"
        )
}

/// What each thing in a namespace may use.
pub(super) fn limit_range(spec: &Value, causes: &mut Causes) {
    for (index, limit) in items(&spec["limits"]) {
        let at = format!("spec.limits[{index}]");
        let of = |part: &str, name: &str| limit[part][name].as_str().map(str::to_owned);
        let amount = |text: &Option<String>| text.as_deref().and_then(quantity::parse);
        let names: std::collections::BTreeSet<&String> = ["max", "min", "default", "defaultRequest"]
            .iter()
            .flat_map(|part| limit[*part].as_object().into_iter().flatten().map(|(name, _)| name))
            .collect();
        // Smaller, larger, where it is told, whose value is shown, and the words.
        let pairs = [
            ("min", "max", "min", "min", "min value {a} is greater than max value {b}"),
            (
                "min",
                "defaultRequest",
                "defaultRequest",
                "defaultRequest",
                "min value {a} is greater than default request value {b}",
            ),
            (
                "defaultRequest",
                "max",
                "defaultRequest",
                "defaultRequest",
                "default request value {a} is greater than max value {b}",
            ),
            (
                "defaultRequest",
                "default",
                "defaultRequest",
                "defaultRequest",
                "default request value {a} is greater than default limit value {b}",
            ),
            ("min", "default", "default", "min", "min value {a} is greater than default value {b}"),
            ("default", "max", "default", "max", "default value {a} is greater than max value {b}"),
        ];
        for name in names {
            for (smaller, larger, place, shown, words) in pairs {
                let (a, b) = (of(smaller, name), of(larger, name));
                if let (Some(least), Some(most)) = (amount(&a), amount(&b))
                    && least > most
                {
                    let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
                    let why = words.replace("{a}", &a).replace("{b}", &b);
                    causes.invalid(format!("{at}.{place}[{name}]"), &limit[shown][name], &why);
                }
            }
        }
    }
}

/// Who leads.
pub(super) fn lease(spec: &Value, causes: &mut Causes) {
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
        causes.invalid("spec.leaseDurationSeconds", &spec["leaseDurationSeconds"], "must be greater than 0");
    }
    if spec["leaseTransitions"].as_i64().is_some_and(|times| times < 0) {
        causes.invalid("spec.leaseTransitions", &spec["leaseTransitions"], NOT_NEGATIVE);
    }
}
