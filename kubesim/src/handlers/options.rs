//! The options of a request, refused in the words of the real server before anything else is looked at.

use serde_json::{Value, json};

use super::{Call, header};
use crate::admission::Causes;
use crate::resources::Resource;
use crate::status::Status;

/// How long the name of a field manager may be.
const MANAGER_LENGTH: usize = 128;

/// What a route takes in and gives out: refused by the router, which knows nothing of objects.
pub(super) fn route(call: &Call, resource: &Resource) -> Result<(), Status> {
    let info = &call.info;
    let named = !info.name.is_empty();
    if named == matches!(info.verb.as_str(), "create" | "list" | "deletecollection")
        && !(named && info.verb == "create" && !info.subresource.is_empty())
        && info.verb != "watch"
    {
        return Err(Status::method_not_allowed());
    }
    let content_type = header(&call.headers, "content-type").split(';').next().unwrap_or_default().trim();
    if info.verb == "patch" && !is_patch(content_type, resource) {
        return Err(Status::of_router(415, "UnsupportedMediaType", "415: Unsupported Media Type"));
    }
    acceptable(call)
}

fn is_patch(media: &str, resource: &Resource) -> bool {
    match media {
        "application/strategic-merge-patch+json" => resource.custom.is_none(),
        "application/json-patch+json" | "application/merge-patch+json" => true,
        "application/apply-patch+yaml" | "application/apply-patch+cbor" => true,
        _ => false,
    }
}

/// Some form of answer that is served must be among those that the client takes.
fn acceptable(call: &Call) -> Result<(), Status> {
    const SERVED: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
    let accept = header(&call.headers, "accept");
    let taken = |part: &str| {
        let media = part.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        media == "*/*" || SERVED.contains(&media.as_str())
    };
    // Logs are text, and connections are whatever they are upgraded to.
    let plain = matches!(call.info.subresource.as_str(), "" | "status" | "scale");
    if accept.is_empty() || !plain || accept.split(',').any(taken) {
        return Ok(());
    }
    let streams = ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
    let streams = if matches!(call.info.verb.as_str(), "list" | "watch") { streams } else { "" };
    let words = format!("406: Not Acceptable\n\nAvailable representations: {}{streams}", SERVED.join(", "));
    Err(Status::of_router(406, "NotAcceptable", &words))
}

/// The options of a create, update or patch; `kind` is their name.
pub(super) fn writing(call: &Call, kind: &str) -> Result<(), Status> {
    let query = &call.info.query;
    let mut causes = Causes::default();
    let manager = query.get("fieldManager");
    if kind == "PatchOptions" {
        let applies = header(&call.headers, "content-type").starts_with("application/apply-patch");
        if !applies && query.has("force") {
            causes.forbidden("force", "may not be specified for non-apply patch");
        } else if applies && manager.is_none() {
            causes.required("fieldManager", "is required for apply patch");
        }
    }
    if manager.is_some_and(|manager| manager.len() > MANAGER_LENGTH) {
        causes.too_long("fieldManager", MANAGER_LENGTH as u64);
    } else if let Some(manager) = manager.filter(|manager| manager.chars().any(char::is_control)) {
        causes.invalid("fieldManager", &json!(manager), "should only contain printable characters");
    }
    let dry_run: Vec<&str> = query.all("dryRun").collect();
    dry(&dry_run, &mut causes);
    if let Some(found) =
        query.get("fieldValidation").filter(|it| !matches!(*it, "Ignore" | "Strict" | "Warn"))
    {
        causes.unsupported("fieldValidation", &json!(found), &["", "Ignore", "Strict", "Warn"]);
    }
    causes.finish("meta.k8s.io", kind, "")
}

fn dry(asked: &[&str], causes: &mut Causes) {
    if asked.iter().any(|found| *found != "All") {
        causes.unsupported("dryRun", &json!(asked), &["All"]);
    }
}

/// The options of a delete, in its body or its query.
pub(super) fn deleting(body: &Value, propagation: Option<&str>, call: &Call) -> Result<(), Status> {
    let mut causes = Causes::default();
    if let Some(policy) = propagation.filter(|it| !matches!(*it, "Orphan" | "Background" | "Foreground")) {
        let supported = ["Foreground", "Background", "Orphan", "nil"];
        causes.unsupported("propagationPolicy", &json!(policy), &supported);
    }
    let in_body = body["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let dry_run: Vec<&str> = in_body.chain(call.info.query.all("dryRun")).collect();
    dry(&dry_run, &mut causes);
    causes.finish("meta.k8s.io", "DeleteOptions", "")
}

/// The options of a list or watch.
pub(super) fn listing(call: &Call) -> Result<(), Status> {
    let query = &call.info.query;
    for key in ["limit", "timeoutSeconds"] {
        if let Some(found) = query.get(key)
            && found.parse::<i64>().is_err()
        {
            return Err(Status::bad_request(format!(
                "strconv.ParseInt: parsing \"{found}\": invalid syntax"
            )));
        }
    }
    let mut causes = Causes::default();
    let watches = call.info.verb == "watch";
    let matching = query.get("resourceVersionMatch");
    let version = query.get("resourceVersion");
    if watches && query.has("sendInitialEvents") {
        if matching != Some("NotOlderThan") {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            causes.forbidden("resourceVersionMatch", why);
        }
    } else if watches && matching.is_some() {
        causes.forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        );
    } else if !watches {
        if query.has("sendInitialEvents") {
            causes.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
        }
        match (matching, version) {
            (None, _) => {}
            (Some(_), _) if query.get("continue").is_some() => causes.forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden when continue is provided",
            ),
            (Some(_), None) => causes.forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ),
            (Some("Exact"), Some("0")) => causes.forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ),
            (Some("Exact" | "NotOlderThan"), _) => {}
            (Some(other), _) => {
                causes.unsupported("resourceVersionMatch", &json!(other), &["Exact", "NotOlderThan", ""]);
            }
        }
    }
    causes.finish("meta.k8s.io", "ListOptions", "")
}
