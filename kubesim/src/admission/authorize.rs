//! Who may do what: RBAC, read from the store.

use serde_json::{Value, json};

use crate::handlers::{Call, Core};
use crate::status::Status;
use crate::store::{GroupResource, Meta, Object};
use crate::transport::User;

const GROUP: &str = "rbac.authorization.k8s.io";

/// What the default role `system:discovery` lets everybody read who is known.
const PUBLIC: [&str; 7] = ["/api", "/apis", "/healthz", "/livez", "/openapi", "/readyz", "/version"];

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

/// What RBAC says, and why.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decision {
    pub(crate) allowed: bool,
    /// `RBAC: …`, or nothing.
    pub(crate) reason: String,
}

/// Refuses a call that its user may not make.
pub(crate) fn authorize(core: &Core, call: &Call) -> Result<(), Status> {
    let info = &call.info;
    let attributes = if info.is_resource {
        Attributes {
            verb: info.verb.clone(),
            group: info.group.clone(),
            resource: info.resource.clone(),
            subresource: info.subresource.clone(),
            namespace: info.namespace.clone(),
            name: info.name.clone(),
            path: String::new(),
        }
    } else {
        Attributes { verb: info.verb.clone(), path: info.path.clone(), ..Attributes::default() }
    };
    require(core, &call.user, &attributes)
}

/// Refuses what a user may not do, in the real server's words.
pub(crate) fn require(core: &Core, user: &User, asked: &Attributes) -> Result<(), Status> {
    let decision = decide(core, user, asked);
    if decision.allowed {
        return Ok(());
    }
    if !asked.path.is_empty() {
        let why = format!("forbidden: User \"{}\" cannot {} path \"{}\"", user.name, asked.verb, asked.path);
        let mut status = Status::new(403, "Forbidden", why);
        status.details = Some(json!({}));
        return Err(status);
    }
    let resource = match asked.subresource.as_str() {
        "" => asked.resource.clone(),
        subresource => format!("{}/{subresource}", asked.resource),
    };
    let place = match asked.namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace \"{namespace}\""),
    };
    let mut why = format!(
        "User \"{}\" cannot {} resource \"{resource}\" in API group \"{}\" {place}",
        user.name, asked.verb, asked.group
    );
    if !decision.reason.is_empty() {
        why.push_str(&format!(": {}", decision.reason));
    }
    Err(Status::forbidden(&asked.group, &asked.resource, &asked.name, &why))
}

/// Whether RBAC lets a user do it. Members of `system:masters` may do everything.
pub(crate) fn decide(core: &Core, user: &User, asked: &Attributes) -> Decision {
    let yes = |reason: String| Decision { allowed: true, reason };
    if user.is_admin() {
        return yes(String::new());
    }
    let known = user.groups.iter().any(|group| group == "system:authenticated");
    let public = ["/healthz", "/livez", "/readyz", "/version"];
    let is_below = |path: &&str| asked.path == **path || asked.path.starts_with(&format!("{path}/"));
    if asked.verb == "get" && (known && PUBLIC.iter().any(is_below) || public.iter().any(is_below)) {
        return yes(granted("system:discovery", known));
    }
    // What the default role system:basic-user gives.
    if known && asked.verb == "create" && asked.resource.starts_with("selfsubject") {
        return yes(granted("system:basic-user", known));
    }
    let mut missing = Vec::new();
    for grant in grants(core, user, &asked.namespace) {
        match &grant.rules {
            Some(rules) if rules.iter().any(|rule| permits(rule, asked)) => return yes(grant.describe()),
            Some(_) => {}
            None => missing.push(grant.missing()),
        }
    }
    missing.sort();
    missing.dedup();
    let reason = match missing.as_slice() {
        [] => String::new(),
        [one] => format!("RBAC: {one}"),
        all => format!("RBAC: [{}]", all.join(", ")),
    };
    Decision { allowed: false, reason }
}

fn granted(role: &str, known: bool) -> String {
    let (role, group) = if known {
        (role, "system:authenticated")
    } else {
        ("system:public-info-viewer", "system:unauthenticated")
    };
    format!("RBAC: allowed by ClusterRoleBinding \"{role}\" of ClusterRole \"{role}\" to Group \"{group}\"")
}

/// A binding that names a user, and the rules of its role; `None` when the role is not there.
struct Grant {
    binding: Object,
    subject: Value,
    rules: Option<Vec<Value>>,
}

impl Grant {
    fn describe(&self) -> String {
        let (binding, role) = (&self.binding, &self.binding["roleRef"]);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let place = match binding.namespace() {
            "" => binding.name().to_owned(),
            namespace => format!("{}/{namespace}", binding.name()),
        };
        let kind = if binding.namespace().is_empty() { "ClusterRoleBinding" } else { "RoleBinding" };
        let subject = match self.subject["kind"].as_str() {
            Some("ServiceAccount") => {
                let namespace = self.subject["namespace"].as_str().unwrap_or(binding.namespace());
                format!("{}/{namespace}", text(&self.subject["name"]))
            }
            _ => text(&self.subject["name"]),
        };
        format!(
            "RBAC: allowed by {kind} \"{place}\" of {} \"{}\" to {} \"{subject}\"",
            text(&role["kind"]),
            text(&role["name"]),
            text(&self.subject["kind"]),
        )
    }

    fn missing(&self) -> String {
        let role = &self.binding["roleRef"];
        let kind = role["kind"].as_str().unwrap_or_default().to_lowercase();
        format!("{kind}.{GROUP} \"{}\" not found", role["name"].as_str().unwrap_or_default())
    }
}

/// What is granted to a user in a namespace; only what the cluster's bindings grant for the empty one.
fn grants(core: &Core, user: &User, namespace: &str) -> Vec<Grant> {
    let bindings = |resource: &str, namespace: Option<&str>| {
        core.store.list(&GroupResource::new(GROUP, resource), namespace).0
    };
    let mut found = bindings("clusterrolebindings", None);
    if !namespace.is_empty() {
        found.extend(bindings("rolebindings", Some(namespace)));
    }
    found
        .into_iter()
        .filter_map(|binding| {
            let subjects = binding["subjects"].as_array()?;
            let subject = subjects.iter().find(|subject| is_subject(subject, user))?.clone();
            let rules = role_rules(core, &binding["roleRef"], namespace);
            Some(Grant { binding, subject, rules })
        })
        .collect()
}

/// The rules of the role that a binding refers to; `None` when it is not there.
pub(super) fn role_rules(core: &Core, role: &Value, namespace: &str) -> Option<Vec<Value>> {
    let name = role["name"].as_str().unwrap_or_default();
    let role = match role["kind"].as_str() {
        Some("ClusterRole") => core.store.get(&GroupResource::new(GROUP, "clusterroles"), "", name),
        _ => core.store.get(&GroupResource::new(GROUP, "roles"), namespace, name),
    }?;
    Some(role["rules"].as_array().cloned().unwrap_or_default())
}

/// Every rule that holds for a user in a namespace.
pub(super) fn rules(core: &Core, user: &User, namespace: &str) -> Vec<Value> {
    grants(core, user, namespace).into_iter().filter_map(|grant| grant.rules).flatten().collect()
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

/// Whether a rule permits what is asked.
pub(super) fn permits(rule: &Value, asked: &Attributes) -> bool {
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
    let basic = |group: &str, resources: Value| json!({"apiGroups": [group], "verbs": ["create"], "resources": resources});
    let (mut urls, mut resources): (Vec<Value>, Vec<Value>) =
        found.into_iter().partition(|rule| rule["nonResourceURLs"].is_array());
    resources
        .push(basic("authorization.k8s.io", json!(["selfsubjectaccessreviews", "selfsubjectrulesreviews"])));
    resources.push(basic("authentication.k8s.io", json!(["selfsubjectreviews"])));
    let public: Vec<String> =
        PUBLIC.iter().flat_map(|path| [format!("{path}/*"), (*path).to_owned()]).collect();
    urls.push(json!({"nonResourceURLs": public, "verbs": ["get"]}));
    json!({"resourceRules": resources, "nonResourceRules": urls, "incomplete": false})
}
