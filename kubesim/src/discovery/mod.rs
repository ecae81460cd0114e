//! What is not a resource: discovery, version, health, OpenAPI.

mod aggregated;
mod legacy;
mod openapi;
mod openapi_v2;

use serde_json::json;

use crate::handlers::{Call, Core, Reply};
use crate::status::Status;

/// Answers a request for a path that names no resource.
pub(crate) fn answer(core: &Core, call: &Call) -> Result<Reply, Status> {
    if call.info.verb != "get" && call.info.verb != "head" {
        return Err(Status::method_not_allowed());
    }
    let path = call.info.path.trim_end_matches('/');
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    Ok(match parts.as_slice() {
        ["api" | "apis"] if aggregated::asked(call).is_some() => {
            aggregated::document(core, call, parts[0] == "api")
        }
        ["api"] => Reply::value(legacy::versions()),
        ["apis"] => Reply::value(legacy::groups(core)),
        ["apis", group] => legacy::group(core, group).map_or_else(Reply::path_not_found, Reply::value),
        ["api", version] => Reply::value(legacy::resources(core, "", version).ok_or_else(Status::no_route)?),
        ["apis", group, version] => match legacy::resources(core, group, version) {
            Some(resources) => Reply::value(resources),
            None if legacy::group(core, group).is_some() => return Err(Status::no_route()),
            None => Reply::path_not_found(),
        },
        ["version"] => Reply::value(version(core)),
        ["openapi", "v2"] => openapi_v2::answer(core, call),
        ["openapi", "v3"] => Reply::value(openapi::index(core)),
        ["openapi", "v3", "api", version] => {
            openapi::document(core, "", version).map_or_else(Reply::path_not_found, Reply::value)
        }
        ["openapi", "v3", "apis", group, version] => {
            openapi::document(core, group, version).map_or_else(Reply::path_not_found, Reply::value)
        }
        [probe @ ("healthz" | "livez" | "readyz")] if call.info.query.is_true("verbose") => {
            Reply::text(format!("[+]ping ok\n[+]log ok\n[+]etcd ok\n{probe} check passed\n"))
        }
        ["healthz" | "livez" | "readyz", ..] => Reply::text("ok"),
        [] => Reply::value(json!({"paths": paths(core)})),
        _ => Reply::path_not_found(),
    })
}

/// The whole version of a cluster of this minor one.
pub(crate) fn git_version(minor: u8) -> String {
    format!("v1.{minor}.2-eks-5ea71a1")
}

fn version(core: &Core) -> serde_json::Value {
    // The shape of an EKS version: the minor with a `+`, and the git version with EKS's own suffix.
    json!({
        "major": "1", "minor": format!("{}+", core.minor),
        "emulationMajor": "1", "emulationMinor": core.minor.to_string(),
        "minCompatibilityMajor": "1", "minCompatibilityMinor": core.minor.saturating_sub(1).to_string(),
        "gitVersion": git_version(core.minor),
        "gitCommit": "5ea71a15ea71a15ea71a15ea71a15ea71a15ea71", "gitTreeState": "clean",
        "buildDate": "2026-09-01T00:00:00Z", "goVersion": "go1.26.0", "compiler": "gc", "platform": "linux/amd64",
    })
}

fn paths(core: &Core) -> Vec<String> {
    let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
    for group in core.registry().groups().iter().filter(|group| !group.name.is_empty()) {
        paths.push(format!("/apis/{}", group.name));
        paths.extend(group.versions.iter().map(|(version, _)| format!("/apis/{}/{version}", group.name)));
    }
    paths.extend(
        ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"].map(str::to_owned),
    );
    paths
}
