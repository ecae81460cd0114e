//! Nodes that join the cluster when a node group is made or scaled, and leave it again.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Cloud, NodeGroup};
use crate::cluster::{Api, Changes};

/// Who lets instances join when nobody's command does.
const AGENT: &str = concat!("ec2 (interpose ", env!("CARGO_PKG_VERSION"), ")");

/// Label of a node's group, as eksctl sets it.
const GROUP: &str = "alpha.eksctl.io/nodegroup-name";

/// Longest wait for a change that no watch has told of.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Why not all nodes joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodesError {
    /// Instances run and do not join.
    Failed,
    /// They joined and are not Ready in time.
    TimedOut,
    /// The cluster could not be asked.
    Api(String),
}

/// Makes nodes and waits until they are Ready; gives their names.
pub(crate) async fn join(
    cloud: &Cloud,
    api: &Api,
    group: &str,
    instance_type: &str,
    count: u32,
    timeout: Duration,
) -> Result<Vec<String>, NodesError> {
    let all = if cloud.eks.node_group_issue.is_some() { 0 } else { count };
    let joining = cloud.eks.joining.map_or(all, |joining| joining.min(all));
    let first = cloud
        .change(|account| {
            let first = account.nodes_made;
            account.nodes_made += joining;
            first
        })
        .map_err(NodesError::Api)?;
    let mut names = Vec::new();
    for number in first..first + joining {
        let node = node(cloud, group, instance_type, number);
        let name = node["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        match api.create("v1", "nodes", None, &node).await {
            Err(error) if !error.already_exists() => return Err(NodesError::Api(error.to_string())),
            _ => names.push(name),
        }
    }
    if joining < count {
        return Err(NodesError::Failed);
    }
    let deadline = Instant::now() + timeout;
    let ready = async {
        let mut changes = Changes::of(api, &[("v1", "nodes", None)]).await;
        loop {
            let nodes = api.list("v1", "nodes", None, Some(&format!("{GROUP}={group}"))).await;
            let nodes = nodes.map_err(|error| NodesError::Api(error.to_string()))?;
            let all = names
                .iter()
                .all(|name| nodes.iter().any(|it| it["metadata"]["name"] == name.as_str() && is_ready(it)));
            if all {
                return Ok(());
            }
            changes.next(LOOK_AGAIN).await;
        }
    };
    tokio::select! {
        biased;
        done = ready => done.map(|()| names.clone()),
        () = tokio::time::sleep_until(deadline) => Err(NodesError::TimedOut),
    }
}

impl Cloud {
    /// A node group that eksctl began and was not there to finish: those of its instances that have not
    /// joined join now. Gives its status then.
    pub(crate) async fn go_on(
        &self,
        name: &str,
        group: &NodeGroup,
        timeout: Duration,
    ) -> Result<String, String> {
        let api = self.api(AGENT).await?;
        let nodes = api.list("v1", "nodes", None, Some(&format!("{GROUP}={name}"))).await;
        let there = u32::try_from(nodes.map_err(|error| error.to_string())?.len()).unwrap_or(u32::MAX);
        let missing = group.desired.saturating_sub(there);
        let joined = join(self, &api, name, &group.instance_type, missing, timeout).await;
        let status = if joined.is_ok() { "ACTIVE" } else { "CREATE_FAILED" };
        self.change(|account| {
            if let Some(group) = account.node_groups.get_mut(name) {
                group.status = status.into();
            }
        })?;
        Ok(status.to_owned())
    }
}

/// Removes nodes of a group until so many are left.
pub(crate) async fn leave(api: &Api, group: &str, left: usize) -> Result<(), String> {
    let nodes = api.list("v1", "nodes", None, Some(&format!("{GROUP}={group}"))).await;
    let nodes = nodes.map_err(|error| error.to_string())?;
    for node in nodes.iter().skip(left) {
        let name = node["metadata"]["name"].as_str().unwrap_or_default();
        api.delete("v1", "nodes", None, name, None).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|it| it["type"] == "Ready" && it["status"] == "True"))
}

/// A node as EC2 and EKS name and label it.
fn node(cloud: &Cloud, group: &str, instance_type: &str, number: u32) -> Value {
    let identity = &cloud.identity;
    let region = &identity.region;
    let zone = format!("{region}{}", ['a', 'b', 'c'][number as usize % 3]);
    let name = format!("ip-192-168-{}-{}.{region}.compute.internal", 32 + number / 200, 10 + number % 200);
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "alpha.eksctl.io/cluster-name": identity.name,
                GROUP: group,
                "eks.amazonaws.com/nodegroup": group,
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": instance_type,
                "topology.kubernetes.io/region": region,
                "topology.kubernetes.io/zone": zone,
            },
        },
        "spec": { "providerID": format!("aws:///{zone}/i-{number:017x}") },
        // A kubelet registers its node with what it has, of an m5.large: without, pods would find no room on it.
        "status": {
            "capacity": { "cpu": "2", "memory": "8Gi", "pods": "29", "ephemeral-storage": "83873772Ki" },
            "allocatable": { "cpu": "1930m", "memory": "7800832Ki", "pods": "29", "ephemeral-storage": "76224326324" },
        },
    })
}
