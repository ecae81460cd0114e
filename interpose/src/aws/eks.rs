//! `aws eks`: clusters, node groups, kubeconfigs.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Failure, Operation, Session, broken};
use crate::cloud::flags::Flag;
use crate::cloud::{Described, Issue, Naming, write_kubeconfig};

const NAME: &[Flag] = &[("name", None, true)];
const CLUSTER_NAME: &[Flag] = &[("cluster-name", None, true)];
const NODE_GROUP: &[Flag] = &[("cluster-name", None, true), ("nodegroup-name", None, true)];
const KUBECONFIG: &[Flag] = &[
    ("name", None, true),
    ("kubeconfig", None, true),
    ("alias", None, true),
    ("user-alias", None, true),
    ("role-arn", None, true),
    ("dry-run", None, false),
    ("verbose", None, false),
];

pub(super) const OPERATIONS: &[Operation] = &[
    ("eks", "describe-cluster", NAME, &["name"]),
    ("eks", "list-clusters", &[], &[]),
    ("eks", "list-nodegroups", CLUSTER_NAME, &["cluster-name"]),
    ("eks", "describe-nodegroup", NODE_GROUP, &["cluster-name", "nodegroup-name"]),
    ("eks", "update-kubeconfig", KUBECONFIG, &["name"]),
    ("eks", "wait cluster-active", NAME, &["name"]),
    ("eks", "wait cluster-deleted", NAME, &["name"]),
    ("eks", "wait nodegroup-active", NODE_GROUP, &["cluster-name", "nodegroup-name"]),
];

/// How often and how many times the CLI's waiters look.
const WAITER: (Duration, u32) = (Duration::from_secs(30), 40);

pub(super) fn run(session: &Session<'_>, operation: &str, region: &str) -> Result<String, Failure> {
    match operation {
        "describe-cluster" => {
            let described = session.find(session.needed("name"), region, "DescribeCluster")?;
            session.print(&json!({ "cluster": cluster(session, &described) }))
        }
        "list-clusters" => {
            let identity = &session.cloud.identity;
            let there = session.cloud.describe(&identity.name, region).map_err(broken)?.is_some();
            let names: Vec<&str> = there.then_some(identity.name.as_str()).into_iter().collect();
            session.print(&json!({ "clusters": names }))
        }
        "list-nodegroups" => {
            session.find(session.needed("cluster-name"), region, "ListNodegroups")?;
            let groups = session.cloud.node_groups().map_err(broken)?;
            session.print(&json!({ "nodegroups": groups.keys().collect::<Vec<_>>() }))
        }
        "describe-nodegroup" => node_group(session, region),
        other => Err(Failure::not_here(&format!("aws eks {other}"))),
    }
}

/// Issues as EKS lists them.
pub(super) fn issues(all: &[Issue], resources: &[&str]) -> Value {
    all.iter().map(|it| json!({ "code": it.code, "message": it.message, "resourceIds": resources })).collect()
}

fn cluster(session: &Session<'_>, described: &Described) -> Value {
    let identity = &session.cloud.identity;
    json!({
        "name": identity.name,
        "arn": identity.arn(),
        "createdAt": described.created_at.to_string(),
        "version": described.version,
        "endpoint": described.endpoint,
        "roleArn": format!("arn:aws:iam::{}:role/eksctl-{}-cluster-ServiceRole", identity.account, identity.name),
        "status": described.status,
        "certificateAuthority": { "data": described.authority },
        "platformVersion": "eks.1",
        "tags": described.tags,
        "computeConfig": { "enabled": false },
        "health": { "issues": issues(&session.cloud.eks.issues, &[]) },
        "accessConfig": { "authenticationMode": "API_AND_CONFIG_MAP" },
    })
}

fn node_group(session: &Session<'_>, region: &str) -> Result<String, Failure> {
    let cluster = session.given.one("cluster-name").unwrap_or_default();
    let name = session.given.one("nodegroup-name").unwrap_or_default();
    let described = session.find(cluster, region, "DescribeNodegroup")?;
    let groups = session.cloud.node_groups().map_err(broken)?;
    let group = groups.get(name).ok_or_else(|| {
        let words = format!("No node group found for name: {name}.");
        Failure::service("ResourceNotFoundException", "DescribeNodegroup", &words)
    })?;
    let identity = &session.cloud.identity;
    let failed = group.status == "CREATE_FAILED";
    let issue = failed.then(|| session.cloud.node_group_issue());
    let issues = issues(issue.as_slice(), &[&format!("eks-{name}")]);
    session.print(&json!({ "nodegroup": {
        "nodegroupName": name,
        "nodegroupArn": format!("arn:aws:eks:{region}:{}:nodegroup/{cluster}/{name}", identity.account),
        "clusterName": cluster,
        "version": described.version,
        "status": group.status,
        "createdAt": group.created_at.to_string(),
        "scalingConfig": { "minSize": group.min, "maxSize": group.max, "desiredSize": group.desired },
        "instanceTypes": [group.instance_type],
        "amiType": "AL2023_x86_64_STANDARD",
        "health": { "issues": issues },
    } }))
}

pub(super) fn update_kubeconfig(session: &Session<'_>, region: &str) -> Result<String, Failure> {
    for flag in ["role-arn", "dry-run", "verbose"] {
        if session.given.one(flag).is_some() {
            return Err(Failure::not_here(&format!("--{flag}")));
        }
    }
    let described = session.find(session.given.one("name").unwrap_or_default(), region, "DescribeCluster")?;
    if !matches!(described.status.as_str(), "ACTIVE" | "UPDATING") {
        return Err(Failure(255, format!("\nCluster status is {}\n", described.status)));
    }
    let arn = session.cloud.identity.arn();
    let named = |flag: &str| session.given.one(flag).map_or_else(|| arn.clone(), str::to_owned);
    let naming = Naming { context: named("alias"), cluster: arn.clone(), user: named("user-alias") };
    let explicit = session.given.one("kubeconfig");
    let written = write_kubeconfig(session.cloud, &naming, explicit, &session.invocation.env, true)
        .map_err(|error| Failure(255, format!("\n{error}\n")))?;
    let (what, to) = if written.updated { ("Updated", "in") } else { ("Added new", "to") };
    Ok(format!("{what} context {} {to} {}\n", naming.context, written.path.display()))
}

pub(super) async fn wait(session: &Session<'_>, region: &str, active: bool) -> Result<String, Failure> {
    let name = session.given.one("name").unwrap_or_default();
    let waiter = if active { "ClusterActive" } else { "ClusterDeleted" };
    let failed = |why: String| Failure(255, format!("\nWaiter {waiter} failed: {why}\n"));
    let (interval, times) = WAITER;
    for time in 0..times {
        let status = session.cloud.describe(name, region).map_err(broken)?.map(|it| it.status);
        match (status.as_deref(), active) {
            (Some("ACTIVE"), true) | (None, false) => return Ok(String::new()),
            (None, true) => {
                return Err(failed(format!(
                    "An error occurred (ResourceNotFoundException): No cluster found for name: {name}."
                )));
            }
            (Some(status @ ("FAILED" | "DELETING")), true) => {
                return Err(failed(format!(
                    "Waiter encountered a terminal failure state: For expression \"cluster.status\" we matched expected path: \"{status}\""
                )));
            }
            _ if time + 1 < times => tokio::time::sleep(interval).await,
            _ => {}
        }
    }
    Err(failed("Max attempts exceeded".into()))
}

/// Waits for a node group. What eksctl began goes on without it: the instances that have not joined yet
/// join now.
pub(super) async fn wait_node_group(session: &Session<'_>, region: &str) -> Result<String, Failure> {
    let failed = |why: String| Failure(255, format!("\nWaiter NodegroupActive failed: {why}\n"));
    session.find(session.needed("cluster-name"), region, "DescribeNodegroup")?;
    let name = session.needed("nodegroup-name");
    let groups = session.cloud.node_groups().map_err(broken)?;
    let Some(group) = groups.get(name) else {
        return Err(failed(format!(
            "An error occurred (ResourceNotFoundException): No node group found for name: {name}."
        )));
    };
    let mut status = group.status.clone();
    if status == "CREATING" {
        status = session.cloud.go_on(name, group, WAITER.0 * WAITER.1).await.map_err(broken)?;
    }
    match status.as_str() {
        "ACTIVE" | "UPDATING" => Ok(String::new()),
        status => Err(failed(format!(
            "Waiter encountered a terminal failure state: For expression \"nodegroup.status\" we matched expected path: \"{status}\""
        ))),
    }
}
