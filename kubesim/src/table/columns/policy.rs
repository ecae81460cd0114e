//! Who may do what and what is admitted: RBAC, budgets, priorities, admission, certificates.

use serde_json::{Value, json};

use super::super::words::{View, items, labels, rough};
use super::{Columns, age, boolean, integer, name, text, wide};

pub(super) fn of(group: &str, plural: &str) -> Option<Columns> {
    Some(match (group, plural) {
        ("policy", "poddisruptionbudgets") => vec![
            name(),
            text("Min Available", |view| json!(amount(view.at(&["spec", "minAvailable"])))),
            text("Max Unavailable", |view| json!(amount(view.at(&["spec", "maxUnavailable"])))),
            integer("Allowed Disruptions", |view| json!(view.number(&["status", "disruptionsAllowed"]))),
            age(),
        ],
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => vec![
            name(),
            text("Role", |view| {
                json!(format!("{}/{}", view.text(&["roleRef", "kind"]), view.text(&["roleRef", "name"])))
            }),
            age(),
            wide("Users", |view| json!(subjects(view, "User"))),
            wide("Groups", |view| json!(subjects(view, "Group"))),
            wide("ServiceAccounts", |view| json!(subjects(view, "ServiceAccount"))),
        ],
        ("scheduling.k8s.io", "priorityclasses") => vec![
            name(),
            integer("Value", |view| json!(view.number(&["value"]))),
            boolean("Global-Default", |view| json!(view.is(&["globalDefault"]))),
            age(),
            text("PreemptionPolicy", |view| json!(view.text(&["preemptionPolicy"]))),
        ],
        (
            "admissionregistration.k8s.io",
            "mutatingwebhookconfigurations" | "validatingwebhookconfigurations",
        ) => {
            vec![name(), integer("Webhooks", |view| json!(view.count(&["webhooks"]))), age()]
        }
        ("admissionregistration.k8s.io", "validatingadmissionpolicies") => vec![
            name(),
            integer("Validations", |view| json!(view.count(&["spec", "validations"]))),
            text("ParamKind", |view| json!(parameter_kind(view))),
            age(),
        ],
        ("admissionregistration.k8s.io", "mutatingadmissionpolicies") => vec![
            name(),
            integer("Mutations", |view| json!(view.count(&["spec", "mutations"]))),
            text("ParamKind", |view| json!(parameter_kind(view))),
            age(),
        ],
        (
            "admissionregistration.k8s.io",
            "validatingadmissionpolicybindings" | "mutatingadmissionpolicybindings",
        ) => vec![
            name(),
            text("PolicyName", |view| json!(view.text(&["spec", "policyName"]))),
            text("ParamRef", |view| json!(parameter(view))),
            age(),
        ],
        ("certificates.k8s.io", "certificatesigningrequests") => vec![
            name(),
            age(),
            text("SignerName", |view| json!(view.text_or(&["spec", "signerName"], "<none>"))),
            text("Requestor", |view| json!(view.text(&["spec", "username"]))),
            text("RequestedDuration", |view| match view.at(&["spec", "expirationSeconds"]).as_u64() {
                Some(seconds) => json!(rough(std::time::Duration::from_secs(seconds))),
                None => json!("<none>"),
            }),
            text("Condition", |view| json!(signing(view))),
        ],
        ("certificates.k8s.io", "clustertrustbundles") => {
            vec![name(), text("SignerName", |view| json!(view.text_or(&["spec", "signerName"], "<none>")))]
        }
        ("certificates.k8s.io", "podcertificaterequests") => vec![
            name(),
            text("PodName", |view| json!(view.text(&["spec", "podName"]))),
            text("ServiceAccountName", |view| json!(view.text(&["spec", "serviceAccountName"]))),
            text("NodeName", |view| json!(view.text(&["spec", "nodeName"]))),
            text("SignerName", |view| json!(view.text(&["spec", "signerName"]))),
            text("State", |view| {
                let states = ["Issued", "Denied", "Failed"];
                json!(states.into_iter().find(|state| !view.condition(state).is_empty()).unwrap_or("Pending"))
            }),
            text("UnverifiedUserAnnotations", |view| {
                json!(labels(view.at(&["spec", "unverifiedUserAnnotations"])))
            }),
        ],
        _ => return None,
    })
}

fn amount(value: &Value) -> String {
    match value {
        Value::Null => "N/A".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn subjects(view: &View<'_>, kind: &str) -> String {
    let found = view.items(&["subjects"]).iter().filter(|subject| subject["kind"] == kind);
    let found = found.map(|subject| {
        let part = |field: &str| subject[field].as_str().unwrap_or_default();
        if kind == "ServiceAccount" {
            format!("{}/{}", part("namespace"), part("name"))
        } else {
            part("name").to_owned()
        }
    });
    found.collect::<Vec<_>>().join(", ")
}

fn parameter_kind(view: &View<'_>) -> String {
    match view.at(&["spec", "paramKind"]) {
        Value::Object(kind) => {
            let part = |field: &str| kind.get(field).and_then(Value::as_str).unwrap_or_default();
            format!("{}/{}", part("apiVersion"), part("kind"))
        }
        _ => "<unset>".to_owned(),
    }
}

fn parameter(view: &View<'_>) -> String {
    let reference = view.at(&["spec", "paramRef"]);
    match (reference["namespace"].as_str(), reference["name"].as_str()) {
        (_, None) if reference["selector"].is_object() => {
            super::super::words::selector(&reference["selector"])
        }
        (_, None) => "<unset>".to_owned(),
        (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        // Whether it is in a namespace cannot be told from here.
        (None, Some(name)) => format!("*/{name}"),
    }
}

fn signing(view: &View<'_>) -> String {
    let has = |kind: &str| items(view.at(&["status", "conditions"])).iter().any(|c| c["type"] == kind);
    let mut words = match () {
        () if has("Denied") => "Denied",
        () if has("Approved") => "Approved",
        () => "Pending",
    }
    .to_owned();
    if has("Failed") {
        words.push_str(",Failed");
    }
    if !view.text(&["status", "certificate"]).is_empty() {
        words.push_str(",Issued");
    }
    words
}
