//! Who may do what: RBAC, read from the store.

use serde_json::{Value, json};

use crate::handlers::{Call, Core};
use crate::status::Status;
use crate::store::{GroupResource, Object};
use crate::transport::User;

const GROUP: &str = "rbac.authorization.k8s.io";

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// For what is no resource; then the fields above but `verb` are empty.
    pub(crate) path: String,
}

/// Refuses a call that its user may not make.
pub(crate) fn authorize(core: &Core, call: &Call) -> Result<(), Status> {
    let info = &call.info;
    let attributes = Attributes {
        verb: info.verb.clone(),
        group: info.group.clone(),
        resource: info.resource.clone(),
        subresource: info.subresource.clone(),
        namespace: info.namespace.clone(),
        name: info.name.clone(),
        path: String::new(),
    };
    if allowed(core, &call.user, &attributes) {
        return Ok(());
    }
    let resource = match info.subresource.as_str() {
        "" => info.resource.clone(),
        subresource => format!("{}/{subresource}", info.resource),
    };
    let place = match info.namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace \"{namespace}\""),
    };
    let why = format!(
        "User \"{}\" cannot {} resource \"{resource}\" in API group \"{}\" {place}",
        call.user.name, info.verb, info.group
    );
    Err(Status::forbidden(&info.group, &info.resource, &info.name, &why))
}

/// Whether RBAC lets a user do it. Members of `system:masters` may do everything.
pub(crate) fn allowed(core: &Core, user: &User, asked: &Attributes) -> bool {
    if user.is_admin() {
        return true;
    }
    if !user.groups.iter().any(|group| group == "system:authenticated") {
        return false;
    }
    // What the default roles system:basic-user and system:discovery give everybody.
    if asked.verb == "create" && asked.resource.starts_with("selfsubject") {
        return true;
    }
    if !asked.path.is_empty() && asked.verb == "get" {
        let public = ["/api", "/apis", "/healthz", "/livez", "/openapi", "/readyz", "/version"];
        if public.iter().any(|path| asked.path == *path || asked.path.starts_with(&format!("{path}/"))) {
            return true;
        }
    }
    rules(core, user, &asked.namespace).iter().any(|rule| permits(rule, asked))
}

/// The rules that hold for a user in a namespace; only the cluster's for the empty one.
fn rules(core: &Core, user: &User, namespace: &str) -> Vec<Value> {
    let mut rules = Vec::new();
    let mut collect = |bindings: Vec<Object>| {
        for binding in bindings {
            let subjects = binding["subjects"].as_array().into_iter().flatten();
            if !subjects.into_iter().any(|subject| is_subject(subject, user)) {
                continue;
            }
            let role = &binding["roleRef"];
            let name = role["name"].as_str().unwrap_or_default();
            let role = match role["kind"].as_str() {
                Some("ClusterRole") => core.store.get(&GroupResource::new(GROUP, "clusterroles"), "", name),
                _ => core.store.get(&GroupResource::new(GROUP, "roles"), namespace, name),
            };
            let found = role.as_ref().and_then(|role| role["rules"].as_array().cloned());
            rules.extend(found.into_iter().flatten());
        }
    };
    collect(core.store.list(&GroupResource::new(GROUP, "clusterrolebindings"), None).0);
    if !namespace.is_empty() {
        collect(core.store.list(&GroupResource::new(GROUP, "rolebindings"), Some(namespace)).0);
    }
    rules
}

fn is_subject(subject: &Value, user: &User) -> bool {
    let name = subject["name"].as_str().unwrap_or_default();
    match subject["kind"].as_str() {
        Some("User") => name == user.name,
        Some("Group") => user.groups.iter().any(|group| group == name),
        Some("ServiceAccount") => {
            let namespace = subject["namespace"].as_str().unwrap_or_default();
            user.name == format!("system:serviceaccount:{namespace}:{name}")
        }
        _ => false,
    }
}

fn permits(rule: &Value, asked: &Attributes) -> bool {
    let any = |field: &str, holds: &dyn Fn(&str) -> bool| {
        rule[field]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(|value| value == "*" || holds(value))
    };
    if !any("verbs", &|verb| verb == asked.verb) {
        return false;
    }
    if !asked.path.is_empty() {
        return any("nonResourceURLs", &|url| {
            url == asked.path || url.strip_suffix('*').is_some_and(|prefix| asked.path.starts_with(prefix))
        });
    }
    let resource = match asked.subresource.as_str() {
        "" => asked.resource.clone(),
        subresource => format!("{}/{subresource}", asked.resource),
    };
    let names = rule["resourceNames"].as_array().filter(|names| !names.is_empty());
    any("apiGroups", &|group| group == asked.group)
        && any("resources", &|found| {
            found == resource
                || (!asked.subresource.is_empty() && found == format!("*/{}", asked.subresource))
        })
        && names.is_none_or(|names| names.iter().any(|name| name == asked.name.as_str()))
}

/// The status of a SelfSubjectRulesReview.
pub(crate) fn rules_for(core: &Core, user: &User, namespace: &str) -> Value {
    let everything = json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]});
    let anywhere = json!({"nonResourceURLs": ["*"], "verbs": ["*"]});
    let found = if user.is_admin() { vec![everything, anywhere] } else { rules(core, user, namespace) };
    let basic = json!({
        "apiGroups": ["authorization.k8s.io"], "verbs": ["create"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    });
    let (urls, mut resources): (Vec<Value>, Vec<Value>) =
        found.into_iter().partition(|rule| rule["nonResourceURLs"].is_array());
    resources.push(basic);
    json!({"resourceRules": resources, "nonResourceRules": urls, "incomplete": false})
}
