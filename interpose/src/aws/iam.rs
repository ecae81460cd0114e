//! `aws iam`: policies and roles.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Failure, Operation, Session, broken, parameters};
use crate::cloud::flags::Flag;
use crate::cloud::{Holdings, Policy, Role};

const POLICY: &[Flag] = &[("policy-arn", None, true)];
const VERSION: &[Flag] = &[("policy-arn", None, true), ("version-id", None, true)];
const CREATE_POLICY: &[Flag] = &[
    ("policy-name", None, true),
    ("policy-document", None, true),
    ("description", None, true),
    ("path", None, true),
    ("tags", None, true),
];
const CREATE_VERSION: &[Flag] = &[
    ("policy-arn", None, true),
    ("policy-document", None, true),
    ("set-as-default", None, false),
    ("no-set-as-default", None, false),
];
const ROLE: &[Flag] = &[("role-name", None, true)];
const CREATE_ROLE: &[Flag] = &[
    ("role-name", None, true),
    ("assume-role-policy-document", None, true),
    ("description", None, true),
    ("path", None, true),
    ("max-session-duration", None, true),
    ("permissions-boundary", None, true),
    ("tags", None, true),
];
const SIMULATE: &[Flag] = &[
    ("policy-source-arn", None, true),
    ("action-names", None, true),
    ("max-items", None, true),
    ("page-size", None, true),
];
const ATTACH: &[Flag] = &[("role-name", None, true), ("policy-arn", None, true)];

pub(super) const OPERATIONS: &[Operation] = &[
    ("iam", "get-policy", POLICY, &["policy-arn"]),
    ("iam", "get-policy-version", VERSION, &["policy-arn", "version-id"]),
    ("iam", "create-policy", CREATE_POLICY, &["policy-name", "policy-document"]),
    ("iam", "create-policy-version", CREATE_VERSION, &["policy-arn", "policy-document"]),
    ("iam", "delete-policy", POLICY, &["policy-arn"]),
    ("iam", "get-role", ROLE, &["role-name"]),
    ("iam", "create-role", CREATE_ROLE, &["role-name", "assume-role-policy-document"]),
    ("iam", "delete-role", ROLE, &["role-name"]),
    ("iam", "list-attached-role-policies", ROLE, &["role-name"]),
    ("iam", "attach-role-policy", ATTACH, &["role-name", "policy-arn"]),
    ("iam", "detach-role-policy", ATTACH, &["role-name", "policy-arn"]),
    ("iam", "simulate-principal-policy", SIMULATE, &["policy-source-arn", "action-names"]),
];

pub(super) fn run(session: &Session<'_>, operation: &str) -> Result<String, Failure> {
    let work = match operation {
        "get-policy" => get_policy,
        "get-policy-version" => get_policy_version,
        "create-policy" => create_policy,
        "create-policy-version" => create_policy_version,
        "delete-policy" => delete_policy,
        "get-role" => get_role,
        "create-role" => create_role,
        "delete-role" => delete_role,
        "list-attached-role-policies" => attached,
        "attach-role-policy" => attach,
        "detach-role-policy" => detach,
        "simulate-principal-policy" => simulate,
        other => return Err(Failure::not_here(&format!("aws iam {other}"))),
    };
    // Whether somebody may have another account's policies is asked before whether they are there.
    let answer = session.cloud.alter(|holdings| work(session, holdings)).map_err(broken)??;
    answer.map_or_else(|| Ok(String::new()), |answer| session.print(&answer))
}

/// What IAM would say to each action, on any resource.
fn simulate(session: &Session<'_>, holdings: &mut Holdings) -> Answer {
    let operation = "SimulatePrincipalPolicy";
    let given = session.needed("policy-source-arn");
    let entity = given.strip_prefix(&format!("arn:aws:iam::{}:", session.cloud.account()));
    match entity.and_then(|it| it.split_once('/')) {
        // Whoever calls aws is a user.
        Some(("user", "seatrial")) => {}
        Some(("role", name)) if holdings.roles.contains_key(name) => {}
        Some((kind @ ("user" | "role" | "group"), name)) => {
            let words = format!("The {kind} with name {name} cannot be found.");
            return Err(Failure::service("NoSuchEntity", operation, &words));
        }
        _ => {
            let words = format!("Invalid Entity Arn: {given} does not clearly define entity type and name.");
            return Err(Failure::service("InvalidInput", operation, &words));
        }
    }
    let evaluated = session.needed("action-names").lines().map(|action| {
        let denied = session.cloud.denied.contains(action);
        let by = json!([{ "SourcePolicyId": "AdministratorAccess", "SourcePolicyType": "IAM Policy" }]);
        json!({
            "EvalActionName": action,
            "EvalResourceName": "*",
            "EvalDecision": if denied { "implicitDeny" } else { "allowed" },
            "MatchedStatements": if denied { json!([]) } else { by },
            "MissingContextValues": [],
        })
    });
    Ok(Some(json!({ "EvaluationResults": evaluated.collect::<Vec<_>>() })))
}

/// What an operation answers; nothing for those that only do something.
type Answer = Result<Option<Value>, Failure>;

fn arn(session: &Session<'_>, kind: &str, name: &str) -> String {
    format!("arn:aws:iam::{}:{kind}/{name}", session.cloud.account())
}

/// The name of the policy that an ARN of this account names.
fn named(session: &Session<'_>) -> Result<String, Failure> {
    let given = session.needed("policy-arn");
    if !given.starts_with("arn:") || given.len() < 20 {
        return Err(Failure::service("ValidationError", "GetPolicy", &format!("ARN {given} is not valid.")));
    }
    let prefix = arn(session, "policy", "");
    Ok(given.strip_prefix(&prefix).unwrap_or("/").to_owned())
}

fn no_policy(session: &Session<'_>, operation: &str) -> Failure {
    let words = format!("Policy {} was not found.", session.needed("policy-arn"));
    Failure::service("NoSuchEntity", operation, &words)
}

fn no_role(session: &Session<'_>, operation: &str) -> Failure {
    let words = format!("The role with name {} cannot be found.", session.needed("role-name"));
    Failure::service("NoSuchEntity", operation, &words)
}

fn tags(all: &BTreeMap<String, String>) -> Value {
    all.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

fn given_tags(session: &Session<'_>) -> Result<BTreeMap<String, String>, Failure> {
    session.given.one("tags").map_or_else(|| Ok(BTreeMap::new()), parameters::tag_list)
}

/// A document as IAM reads it: JSON with a version and statements.
fn document(session: &Session<'_>, flag: &str, operation: &str) -> Result<Value, Failure> {
    let malformed = || Failure::service("MalformedPolicyDocument", operation, "Syntax errors in policy.");
    let document: Value = serde_json::from_str(session.needed(flag)).map_err(|_| malformed())?;
    let statements = match &document["Statement"] {
        Value::Array(all) => all.clone(),
        one @ Value::Object(_) => vec![one.clone()],
        _ => return Err(malformed()),
    };
    let sound = |it: &Value| {
        matches!(it["Effect"].as_str(), Some("Allow" | "Deny"))
            && (it.get("Action").is_some() || it.get("NotAction").is_some())
    };
    if document["Version"] != "2012-10-17" || statements.is_empty() || !statements.iter().all(sound) {
        return Err(malformed());
    }
    Ok(document)
}

fn policy_value(session: &Session<'_>, holdings: &Holdings, name: &str, policy: &Policy) -> Value {
    let arn = arn(session, "policy", name);
    let count = holdings.roles.values().filter(|role| role.attached.contains(&arn)).count();
    json!({
        "PolicyName": name,
        "PolicyId": "ANPASEATRIALEXAMPLE",
        "Arn": arn,
        "Path": "/",
        "DefaultVersionId": policy.default_version,
        "AttachmentCount": count,
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": true,
        "CreateDate": policy.created_at.to_string(),
        "UpdateDate": policy.created_at.to_string(),
        "Tags": tags(&policy.tags),
    })
}

fn get_policy(session: &Session<'_>, holdings: &mut Holdings) -> Answer {
    let name = named(session)?;
    let policy = holdings.policies.get(&name).ok_or_else(|| no_policy(session, "GetPolicy"))?;
    Ok(Some(json!({ "Policy": policy_value(session, holdings, &name, policy) })))
}

fn get_policy_version(session: &Session<'_>, holdings: &mut Holdings) -> Answer {
    let missing = || no_policy(session, "GetPolicyVersion");
    let policy = holdings.policies.get(&named(session)?).ok_or_else(missing)?;
    let version = session.needed("version-id");
    let document = policy.versions.get(version).ok_or_else(|| {
        let arn = session.needed("policy-arn");
        let words = format!("Policy {arn} version {version} does not exist or is not attachable.");
        Failure::service("NoSuchEntity", "GetPolicyVersion", &words)
    })?;
    Ok(Some(json!({ "PolicyVersion": {
        "Document": document,
        "VersionId": version,
        "IsDefaultVersion": policy.default_version == version,
        "CreateDate": policy.created_at.to_string(),
    } })))
}

fn create_policy(session: &Session<'_>, holdings: &mut Holdings) -> Answer {
    let name = session.needed("policy-name").to_owned();
    let document = document(session, "policy-document", "CreatePolicy")?;
    if holdings.policies.contains_key(&name) {
        let words = format!("A policy called {name} already exists. Duplicate names are not allowed.");
        return Err(Failure::service("EntityAlreadyExists", "CreatePolicy", &words));
    }
    let policy = Policy {
        versions: BTreeMap::from([("v1".to_owned(), document)]),
        default_version: "v1".into(),
        tags: given_tags(session)?,
        created_at: session.cloud.now(),
    };
    let value = policy_value(session, holdings, &name, &policy);
    holdings.policies.insert(name, policy);
    Ok(Some(json!({ "Policy": value })))
}

fn create_policy_version(session: &Session<'_>, holdings: &mut Holdings) -> Answer {
    let missing = || no_policy(session, "CreatePolicyVersion");
    let document = document(session, "policy-document", "CreatePolicyVersion")?;
    let policy = holdings.policies.get_mut(&named(session)?).ok_or_else(missing)?;
    if policy.versions.len() >= 5 {
        return Err(Failure::service(
            "LimitExceeded",
            "CreatePolicyVersion",
            "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.",
        ));
    }
    let number = |version: &String| version.trim_start_matches('v').parse::<u32>().unwrap_or(0);
    let version = format!("v{}", policy.versions.keys().map(number).max().unwrap_or(0) + 1);
    policy.versions.insert(version.clone(), document);
    let default = session.given.is("set-as-default", false);
    if default {
        policy.default_version.clone_from(&version);
    }
    Ok(Some(json!({ "PolicyVersion": {
        "VersionId": version,
        "IsDefaultVersion": default,
        "CreateDate": session.cloud.now().to_string(),
    } })))
}

fn delete_policy(session: &Session<'_>, holdings: &mut Holdings) -> Answer {
    let name = named(session)?;
    let policy = holdings.policies.get(&name).ok_or_else(|| no_policy(session, "DeletePolicy"))?;
    let conflict = |words: &str| Err(Failure::service("DeleteConflict", "DeletePolicy", words));
    if holdings.roles.values().any(|role| role.attached.iter().any(|it| it == session.needed("policy-arn"))) {
        return conflict("Cannot delete a policy attached to entities.");
    }
    if policy.versions.len() > 1 {
        return conflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
        );
    }
    holdings.policies.remove(&name);
    Ok(None)
}

fn role_value(session: &Session<'_>, name: &str, role: &Role) -> Value {
    json!({
        "Path": "/",
        "RoleName": name,
        "RoleId": "AROASEATRIALEXAMPLE",
        "Arn": arn(session, "role", name),
        "CreateDate": role.created_at.to_string(),
        "AssumeRolePolicyDocument": role.trust,
        "MaxSessionDuration": 3600,
        "Tags": tags(&role.tags),
    })
}

fn get_role(session: &Session<'_>, holdings: &mut Holdings) -> Answer {
    let name = session.needed("role-name");
    let role = holdings.roles.get(name).ok_or_else(|| no_role(session, "GetRole"))?;
    Ok(Some(json!({ "Role": role_value(session, name, role) })))
}

fn create_role(session: &Session<'_>, holdings: &mut Holdings) -> Answer {
    let name = session.needed("role-name").to_owned();
    let trust = document(session, "assume-role-policy-document", "CreateRole")?;
    if holdings.roles.contains_key(&name) {
        let words = format!("Role with name {name} already exists.");
        return Err(Failure::service("EntityAlreadyExists", "CreateRole", &words));
    }
    let (tags, created_at) = (given_tags(session)?, session.cloud.now());
    let role = Role { trust, attached: Vec::new(), tags, created_at };
    let value = role_value(session, &name, &role);
    holdings.roles.insert(name, role);
    Ok(Some(json!({ "Role": value })))
}

fn delete_role(session: &Session<'_>, holdings: &mut Holdings) -> Answer {
    let name = session.needed("role-name");
    let role = holdings.roles.get(name).ok_or_else(|| no_role(session, "DeleteRole"))?;
    if !role.attached.is_empty() {
        let words = "Cannot delete entity, must detach all policies first.";
        return Err(Failure::service("DeleteConflict", "DeleteRole", words));
    }
    holdings.roles.remove(name);
    Ok(None)
}

fn attached(session: &Session<'_>, holdings: &mut Holdings) -> Answer {
    let name = session.needed("role-name");
    let role = holdings.roles.get(name).ok_or_else(|| no_role(session, "ListAttachedRolePolicies"))?;
    let policies: Vec<Value> = role
        .attached
        .iter()
        .map(|arn| json!({ "PolicyName": arn.rsplit('/').next(), "PolicyArn": arn }))
        .collect();
    Ok(Some(json!({ "AttachedPolicies": policies })))
}

fn attach(session: &Session<'_>, holdings: &mut Holdings) -> Answer {
    let policy = named(session)?;
    let given = session.needed("policy-arn").to_owned();
    let managed = given.starts_with("arn:aws:iam::aws:policy/");
    let known = holdings.policies.contains_key(&policy);
    let role = holdings
        .roles
        .get_mut(session.needed("role-name"))
        .ok_or_else(|| no_role(session, "AttachRolePolicy"))?;
    if !known && !managed {
        let words = format!("Policy {given} does not exist or is not attachable.");
        return Err(Failure::service("NoSuchEntity", "AttachRolePolicy", &words));
    }
    if !role.attached.contains(&given) {
        role.attached.push(given);
    }
    Ok(None)
}

fn detach(session: &Session<'_>, holdings: &mut Holdings) -> Answer {
    let given = session.needed("policy-arn");
    let role = holdings
        .roles
        .get_mut(session.needed("role-name"))
        .ok_or_else(|| no_role(session, "DetachRolePolicy"))?;
    if !role.attached.iter().any(|it| it == given) {
        let words = format!("Policy {given} was not found.");
        return Err(Failure::service("NoSuchEntity", "DetachRolePolicy", &words));
    }
    role.attached.retain(|it| it != given);
    Ok(None)
}
