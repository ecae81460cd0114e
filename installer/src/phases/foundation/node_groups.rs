//! Why there are no nodes: what EKS says of the node groups.

use serde_json::Value;

use super::stack;
use crate::aws::{Aws, AwsError};
use crate::context::Run;
use crate::result::NodeGroup;

/// Reads every node group, those that eksctl did not make included.
pub(super) async fn read(aws: &Aws<'_>, cluster: &str) -> Result<Vec<NodeGroup>, AwsError> {
    let names = names(aws, cluster).await?;
    let mut all = Vec::new();
    for name in names {
        let describe = ["eks", "describe-nodegroup", "--cluster-name", cluster, "--nodegroup-name", &name];
        // One that went meanwhile is not one.
        if let Some(answer) = aws.find(&describe).await? {
            all.push(node_group(&name, &answer["nodegroup"]));
        }
    }
    Ok(all)
}

/// Names of the cluster's node groups.
pub(super) async fn names(aws: &Aws<'_>, cluster: &str) -> Result<Vec<String>, AwsError> {
    let answer = aws.read(&["eks", "list-nodegroups", "--cluster-name", cluster]).await?;
    let names = answer["nodegroups"].as_array();
    let names =
        names.ok_or_else(|| AwsError::garbage("eks list-nodegroups", "it lacks a list of nodegroups"))?;
    Ok(names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
}

fn node_group(name: &str, found: &Value) -> NodeGroup {
    let size = |field: &str| found["scalingConfig"][field].as_u64().and_then(|it| u32::try_from(it).ok());
    let issues = found["health"]["issues"].as_array().into_iter().flatten();
    NodeGroup {
        name: name.to_owned(),
        status: found["status"].as_str().map(str::to_owned),
        desired: size("desiredSize"),
        min: size("minSize"),
        max: size("maxSize"),
        issues: issues
            .filter_map(|it| Some(format!("{}: {}", it["code"].as_str()?, it["message"].as_str()?)))
            .collect(),
    }
}

/// Why there are no nodes, or none that is Ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Why {
    /// In words, with those of EKS.
    pub(super) words: String,
    /// The classified cause.
    pub(super) cause: Option<&'static str>,
    /// Commands to type.
    pub(super) commands: Vec<String>,
}

/// What the node groups say about it; nothing when they are as they should be.
pub(super) fn why(groups: &[NodeGroup], cluster: &str, region: &str) -> Option<Why> {
    let place = format!("--cluster {cluster} --region {region}");
    if groups.is_empty() {
        return Some(Why {
            words: "the cluster has no node group".into(),
            cause: Some("NO_NODE_GROUPS"),
            commands: vec![format!("eksctl create nodegroup {place}")],
        });
    }
    let unwell = |group: &&NodeGroup| {
        !group.issues.is_empty()
            || group.status.as_deref().is_some_and(|it| it.contains("FAILED") || it == "DEGRADED")
    };
    if let Some(group) = groups.iter().find(unwell) {
        let status = group.status.as_deref().unwrap_or("in no known state");
        let issues = group.issues.join("; ");
        let describe = format!(
            "aws eks describe-nodegroup --cluster-name {cluster} --nodegroup-name {} --region {region}",
            group.name
        );
        return Some(Why {
            words: match issues.as_str() {
                "" => format!("node group {} is {status}", group.name),
                issues => format!("node group {} is {status}: {issues}", group.name),
            },
            cause: stack::cause(&issues).or(Some("NODE_GROUP_UNHEALTHY")),
            commands: vec![
                describe,
                format!(
                    "aws cloudformation describe-stack-events --stack-name {} --region {region}",
                    stack::of_node_group(cluster, &group.name)
                ),
            ],
        });
    }
    if groups.iter().all(|group| group.desired == Some(0)) {
        let group = &groups[0];
        let max = group.max.unwrap_or(0).max(2);
        return Some(Why {
            words: format!("every node group has a desired size of 0 ({} among them)", group.name),
            cause: Some("NODE_GROUPS_AT_ZERO"),
            commands: vec![format!(
                "eksctl scale nodegroup {place} --name {} --nodes 2 --nodes-max {max}",
                group.name
            )],
        });
    }
    let creating = groups.iter().find(|group| group.status.as_deref() == Some("CREATING"))?;
    Some(Why {
        words: format!("node group {} is still being created", creating.name),
        cause: Some("NODE_GROUP_CREATING"),
        commands: vec![format!(
            "aws eks wait nodegroup-active --cluster-name {cluster} --nodegroup-name {} --region {region}",
            creating.name
        )],
    })
}

/// Reads the node groups to explain something; that they cannot be read is told and nothing more.
pub(super) async fn explain(run: &Run<'_>, aws: &Aws<'_>, cluster: &str) -> Option<Vec<NodeGroup>> {
    match read(aws, cluster).await {
        Ok(groups) => Some(groups),
        Err(error) => {
            run.warn("node-groups", format!("the node groups could not be read: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(status: &str, desired: u32, issues: &[&str]) -> NodeGroup {
        NodeGroup {
            name: "base".into(),
            status: Some(status.into()),
            desired: Some(desired),
            min: Some(0),
            max: Some(desired),
            issues: issues.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    #[test]
    fn each_reason_has_a_cause_of_its_own() {
        let cause = |groups: &[NodeGroup]| why(groups, "shop", "eu-central-1").and_then(|why| why.cause);
        assert_eq!(cause(&[]), Some("NO_NODE_GROUPS"));
        assert_eq!(cause(&[group("ACTIVE", 0, &[])]), Some("NODE_GROUPS_AT_ZERO"));
        assert_eq!(cause(&[group("ACTIVE", 2, &[])]), None);
        assert_eq!(cause(&[group("CREATING", 2, &[])]), Some("NODE_GROUP_CREATING"));
        assert_eq!(cause(&[group("CREATE_FAILED", 2, &[])]), Some("NODE_GROUP_UNHEALTHY"));
        let joined = "NodeCreationFailure: Instances failed to join the kubernetes cluster";
        assert_eq!(cause(&[group("CREATE_FAILED", 2, &[joined])]), Some("NODES_DID_NOT_JOIN"));
        let quota = "AsgInstanceLaunchFailures: Could not launch On-Demand Instances. VcpuLimitExceeded - \
                     You have requested more vCPU capacity than your current vCPU limit of 0 allows";
        assert_eq!(cause(&[group("CREATE_FAILED", 2, &[quota])]), Some("QUOTA_EXCEEDED"));
        let launch = "AsgInstanceLaunchFailures: Instance became unhealthy";
        assert_eq!(cause(&[group("DEGRADED", 2, &[launch])]), Some("INSTANCES_NOT_LAUNCHED"));
    }

    #[test]
    fn a_group_at_zero_is_scaled_within_its_limits_or_beyond_them_by_the_command() {
        let why = why(&[group("ACTIVE", 0, &[])], "shop", "eu-central-1").expect("a reason");
        assert_eq!(
            why.commands,
            [
                "eksctl scale nodegroup --cluster shop --region eu-central-1 --name base --nodes 2 --nodes-max 2"
            ]
        );
    }
}
