//! Nobody grants what they do not hold: the check on roles and bindings that RBAC makes on every write.

use serde_json::{Value, json};

use super::authorize::{Attributes, decide, permits, role_rules, rules};
use crate::handlers::{Call, Core};
use crate::resources::Resource;
use crate::status::Status;
use crate::store::Meta;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Refuses a role or binding that grants what its writer does not hold, unless the writer may `escalate`
/// or `bind`.
pub(super) fn check(core: &Core, call: &Call, resource: &Resource, object: &Value) -> Result<(), Status> {
    if resource.group != GROUP || call.user.is_admin() {
        return Ok(());
    }
    let namespace = object.namespace();
    let (verb, role, role_name, granted) = match resource.plural.as_str() {
        "roles" | "clusterroles" => {
            ("escalate", resource.plural.as_str(), object.name(), object["rules"].as_array().cloned())
        }
        _ => {
            let role = &object["roleRef"];
            let plural = if role["kind"] == "ClusterRole" { "clusterroles" } else { "roles" };
            let name = role["name"].as_str().unwrap_or_default();
            let Some(granted) = role_rules(core, role, namespace) else {
                return Err(Status::not_found(GROUP, plural.trim_end_matches('s'), name));
            };
            ("bind", plural, name, Some(granted))
        }
    };
    let exempt = Attributes {
        verb: verb.to_owned(),
        group: GROUP.to_owned(),
        resource: role.to_owned(),
        namespace: if role == "roles" || resource.namespaced { namespace.to_owned() } else { String::new() },
        name: role_name.to_owned(),
        ..Attributes::default()
    };
    if decide(core, &call.user, &exempt).allowed {
        return Ok(());
    }
    let held = rules(core, &call.user, namespace);
    let lacking: Vec<String> =
        granted.unwrap_or_default().iter().filter(|rule| !covered(rule, &held)).map(describe).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let why = format!(
        "user \"{}\" (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        call.user.name,
        quoted(&json!(call.user.groups)),
        lacking.join("\n")
    );
    Err(Status::forbidden(&resource.group, &resource.plural, object.name(), &why))
}

/// Whether every single permission of a rule is held.
fn covered(rule: &Value, held: &[Value]) -> bool {
    let list = |field: &str| -> Vec<String> {
        rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let holds = |asked: &Attributes| held.iter().any(|rule| permits(rule, asked));
    let mut names = list("resourceNames");
    if names.is_empty() {
        names.push(String::new());
    }
    let urls = list("nonResourceURLs");
    list("verbs").iter().all(|verb| {
        urls.iter().all(|path| {
            holds(&Attributes { verb: verb.clone(), path: path.clone(), ..Attributes::default() })
        }) && list("apiGroups").iter().all(|group| {
            list("resources").iter().all(|resource| {
                let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                names.iter().all(|name| {
                    holds(&Attributes {
                        verb: verb.clone(),
                        group: group.clone(),
                        resource: resource.to_owned(),
                        subresource: subresource.to_owned(),
                        name: name.clone(),
                        ..Attributes::default()
                    })
                })
            })
        })
    })
}

/// A rule as Go prints one.
fn describe(rule: &Value) -> String {
    let fields = [
        ("APIGroups", "apiGroups"),
        ("Resources", "resources"),
        ("ResourceNames", "resourceNames"),
        ("NonResourceURLs", "nonResourceURLs"),
        ("Verbs", "verbs"),
    ];
    let parts =
        fields.iter().filter(|(_, field)| rule[*field].as_array().is_some_and(|list| !list.is_empty()));
    let parts: Vec<String> = parts.map(|(name, field)| format!("{name}:{}", quoted(&rule[*field]))).collect();
    format!("{{{}}}", parts.join(", "))
}

fn quoted(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten().map(|word| word.to_string());
    format!("[{}]", words.collect::<Vec<_>>().join(" "))
}
