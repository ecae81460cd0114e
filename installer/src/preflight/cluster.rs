//! The cluster: whether it can be reached, is the one that was asked for, lets us do what the phases do, and
//! runs a version that the chart supports; and whether the chart can be had.

use serde_json::{Value, json};

use super::Found;
use crate::cluster::{Cluster, ReadError};
use crate::helm::said_last;
use crate::phases::{compute, right_cluster};
use crate::result::{Blocker, Code, Phase3};

/// A right that an installation needs: verb, group, resource, and whether it is needed in the release's
/// namespace or in the whole cluster.
const RIGHTS: &[(&str, &str, &str, bool)] = &[
    ("list", "", "nodes", false),
    ("list", "", "pods", true),
    ("list", "", "events", true),
    ("list", "", "secrets", true),
    ("create", "", "secrets", true),
    ("update", "", "secrets", true),
    ("create", "", "serviceaccounts", true),
    ("create", "", "services", true),
    ("create", "apps", "deployments", true),
    ("patch", "apps", "deployments", true),
    ("create", "policy", "poddisruptionbudgets", true),
    ("create", "rbac.authorization.k8s.io", "roles", true),
    ("create", "rbac.authorization.k8s.io", "clusterroles", false),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", false),
    ("create", "apiextensions.k8s.io", "customresourcedefinitions", false),
];

pub(super) async fn check(found: &mut Found<'_, '_>) {
    let run = found.run;
    let cluster = match Cluster::connect(run).await {
        Ok(cluster) => cluster,
        // Phase 1 writes the kubeconfig of a cluster that it creates.
        Err(ReadError::Kubeconfig(error)) if error.missing && run.settings.cluster.name.is_some() => {
            found.skipped("cluster", format!("there is no kubeconfig yet: {}", error.detail));
            chart(found).await;
            return;
        }
        Err(error) => {
            found.undetermined("cluster", error.blocker(None));
            return;
        }
    };
    if let Err(blockers) = right_cluster(run, &cluster) {
        for blocker in blockers {
            found.failed("cluster", blocker);
        }
        return;
    }
    match cluster.get::<Value>("read the server's version", "/version").await {
        Err(error) => {
            found.undetermined("cluster", error.blocker(Some(&cluster.connection.server)));
            chart(found).await;
            return;
        }
        Ok(version) => {
            let version = version.unwrap_or_default();
            let version = version["gitVersion"].as_str().unwrap_or("an unknown version").to_owned();
            found.passed("cluster", format!("{} runs {version}", cluster.connection.server));
        }
    }
    rights(found, &cluster).await;
    let mut evidence = Phase3::default();
    match compute::see_version(run, &cluster, &mut evidence).await {
        Ok(()) => match evidence.karpenter.warnings.first() {
            Some(warning) => found.unknown("versions", warning.message.clone()),
            None => {
                found.passed("versions", format!("Karpenter {} runs on it", run.settings.karpenter.version))
            }
        },
        Err(blockers) => blockers.into_iter().for_each(|blocker| found.failed("versions", blocker)),
    }
    chart(found).await;
}

/// Asks the server what it would allow.
async fn rights(found: &mut Found<'_, '_>, cluster: &Cluster<'_>) {
    let namespace = found.run.settings.karpenter.namespace.clone();
    let mut denied = Vec::new();
    for (verb, group, resource, namespaced) in RIGHTS {
        let mut attributes = json!({ "verb": verb, "group": group, "resource": resource });
        if *namespaced {
            attributes["namespace"] = json!(namespace);
        }
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": attributes },
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        match cluster.ask("ask what is allowed", path, &review).await {
            Ok(answer) if answer["status"]["allowed"] == true => {}
            Ok(_) => {
                let group = if group.is_empty() { String::new() } else { format!(".{group}") };
                let place = if *namespaced { format!(" -n {namespace}") } else { String::new() };
                denied.push(format!("{verb} {resource}{group}{place}"));
            }
            Err(error) => {
                found.undetermined("permissions", error.blocker(Some(&cluster.connection.server)));
                return;
            }
        }
    }
    if denied.is_empty() {
        found.passed("permissions", format!("{} rights are granted", RIGHTS.len()));
        return;
    }
    let message = format!("the API server does not allow: {}", denied.join(", "));
    let blocker = Blocker::new(
        Code::PermissionDenied,
        message,
        "have the identity mapped to a group that may do this (an EKS access entry with AmazonEKSClusterAdminPolicy)",
    )
    .commands(denied.iter().take(3).map(|right| format!("kubectl auth can-i {right}")));
    found.failed("permissions", blocker);
}

/// Sees that the chart can be pulled.
async fn chart(found: &mut Found<'_, '_>) {
    let settings = &found.run.settings.karpenter;
    let (reference, version) = (settings.chart.clone(), settings.version.clone());
    let args = ["show", "chart", &reference, "--version", &version].map(str::to_owned).to_vec();
    let timeout = found.run.settings.limits.api_timeout * 2;
    let failed = |words: String| {
        let remediation = "see that the chart and its version exist, and that the registry can be reached; an \
                           expired token of a public registry is dropped by helm registry logout";
        Blocker::new(Code::ChartUnreachable, words, remediation)
            .commands([format!("helm show chart {reference} --version {version}")])
    };
    match found.run.tool("helm", args, None, timeout).await {
        Ok(output) if output.success() => found.passed("chart", format!("{reference} {version}")),
        Ok(output) => {
            let words = said_last(&output);
            found.failed("chart", failed(format!("chart {reference} {version} cannot be had: {words}")));
        }
        Err(crate::seams::ToolError::NotFound { .. }) => found.unknown("chart", "helm is not there to ask"),
        Err(crate::seams::ToolError::Stopped { reason, .. }) => {
            found.undetermined("chart", Blocker::stopped(reason));
        }
        Err(error) => found.failed("chart", failed(error.to_string())),
    }
}
