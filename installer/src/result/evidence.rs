//! What a run read from the cluster. What could not be read is `null`, never a default.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::commands::{Cleanup, Preflight};
use super::storage::Phase2;
use crate::identity::Identity;

/// Evidence by phase.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Evidence {
    /// The `foundation` phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase1: Option<Phase1>,
    /// The `storage` phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase2: Option<Phase2>,
    /// The `compute` phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase3: Option<Phase3>,
    /// The `core` phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase4: Option<Phase4>,
    /// What `preflight` looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Preflight>,
    /// What `cleanup` took down and left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<Cleanup>,
}

/// Evidence of the `foundation` phase.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Phase1 {
    /// The EKS cluster.
    pub eks: Eks,
}

/// The EKS cluster as phase 1 found and left it.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Eks {
    /// Name of the cluster.
    pub cluster_name: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Whether it was there before this run.
    pub existed: Option<bool>,
    /// Whether this run created it.
    pub created: bool,
    /// What EKS says of it, such as `ACTIVE`.
    pub status: Option<String>,
    /// Kubernetes version of the control plane, such as `1.33`.
    pub version: Option<String>,
    /// Whether this run wrote the kubeconfig. `false` also when it led to the cluster already.
    pub kubeconfig_updated: bool,
    /// The cluster's CloudFormation stack; `null` when it was not asked for or there is none.
    pub stack: Option<Stack>,
    /// The node groups; `null` when they were not read, which they are only when nodes are missing.
    pub node_groups: Option<Vec<NodeGroup>>,
    /// Nodes, counted after the wait.
    pub node_count: Option<u32>,
    /// Ready nodes among them.
    pub nodes_ready: Option<u32>,
}

/// A CloudFormation stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// Such as `ROLLBACK_COMPLETE`.
    pub status: String,
    /// Type of the resource that failed first, such as `AWS::EC2::VPC`.
    pub resource: Option<String>,
    /// Why it failed, in CloudFormation's words.
    pub reason: Option<String>,
}

/// A managed node group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NodeGroup {
    /// Its name.
    pub name: String,
    /// What EKS says of it, such as `ACTIVE` or `CREATE_FAILED`.
    pub status: Option<String>,
    /// How many nodes it should have.
    pub desired: Option<u32>,
    /// How many it has at least.
    pub min: Option<u32>,
    /// How many it has at most.
    pub max: Option<u32>,
    /// What EKS says is wrong with it, each `<code>: <message>`.
    pub issues: Vec<String>,
}

/// Evidence of the `core` phase.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Phase4 {
    /// Whether releases are configured; without any the phase has nothing to do.
    pub configured: bool,
    /// The releases, as far as the run came.
    pub releases: Vec<CoreRelease>,
}

/// A release of the application stack, as last read.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CoreRelease {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The Helm release, read again after every change.
    pub release: ReleaseEvidence,
    /// Whether a release was there before this run changed anything.
    pub existed: Option<bool>,
    /// Whether the release is `deployed`.
    pub installed: Option<bool>,
    /// Whether this run tried to repair the release.
    pub repair_attempted: bool,
    /// Whether the repair ended in a deployed release; `null` when none was tried.
    pub repair_succeeded: Option<bool>,
    /// Version of the chart.
    pub version: Option<String>,
    /// Whether every workload that it is gated on is Ready.
    pub ready: Option<bool>,
    /// The workloads that it is gated on, as last read; `null` when they were not read.
    pub workloads: Option<Vec<WorkloadReport>>,
    /// Its pods that are not Ready, those that were looked at; `null` when they were not read.
    pub pending_pods: Option<Vec<PodReport>>,
    /// Those that were only counted; absent when all were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_besides: Option<PodsBesides>,
}

/// A workload that a release is gated on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadReport {
    /// Its kind, such as `StatefulSet`.
    pub kind: String,
    /// Its namespace; absent for kinds that have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Whether it is as it should be.
    pub ready: bool,
    /// What was read of it, in a few words.
    pub seen: String,
}

/// Evidence of the `compute` phase.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Phase3 {
    /// The cluster that the kubeconfig's context names.
    pub identity: Identity,
    /// What the platform gate read.
    pub platform: Platform,
    /// The release and its controller.
    pub karpenter: Karpenter,
    /// What is not as it should be and does not stop the run.
    pub warnings: Vec<Warning>,
}

/// Something to know about that does not stop the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Warning {
    /// Stable name, such as `NODES_NOT_READY`.
    pub code: String,
    /// What was seen.
    pub message: String,
}

/// Nodes and CoreDNS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Platform {
    /// Nodes.
    pub nodes_total: Option<u32>,
    /// Nodes whose `Ready` condition is true.
    pub nodes_ready: Option<u32>,
    /// Nodes whose `Ready` condition is not true.
    pub nodes_not_ready: Option<u32>,
    /// Whether all of CoreDNS's replicas are ready; `false` when it is absent.
    pub coredns_ready: Option<bool>,
    /// CoreDNS's replicas; `null` when it is absent or was not read.
    pub coredns_replicas: Option<Replicas>,
    /// Whether Karpenter can be installed on it.
    pub platform_healthy: Option<bool>,
    /// The API server's version; absent when there was no reason to ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<String>,
}

/// Replicas of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Replicas {
    /// Ready ones.
    pub ready: u32,
    /// As many as there should be.
    pub desired: u32,
}

/// The release and its controller, as last read.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Karpenter {
    /// The Helm release, read again after every change.
    pub release: ReleaseEvidence,
    /// Whether a release was there before this run changed anything.
    pub existed: Option<bool>,
    /// Whether the release is `deployed`.
    pub installed: Option<bool>,
    /// Whether the release is `failed`.
    pub needs_repair: Option<bool>,
    /// Whether this run tried to repair the release.
    pub repair_attempted: bool,
    /// Whether the repair ended in a deployed release; `null` when none was tried.
    pub repair_succeeded: Option<bool>,
    /// Version of the chart that the controller was rendered from.
    pub version: Option<String>,
    /// Namespace of the release.
    pub namespace: String,
    /// Whether the controller is Ready at its current generation.
    pub controller_ready: Option<bool>,
    /// The controller's Deployment, as last read.
    pub controller: Option<Controller>,
    /// Whether the setup step (a fresh install) was run.
    pub script_ran: bool,
    /// The controller's pods that are not Ready, those that were looked at; `null` when they were not read.
    pub pending_pods: Option<Vec<PodReport>>,
    /// Those that were only counted; absent when all were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_besides: Option<PodsBesides>,
    /// Karpenter's custom resource definitions; absent when there was no reason to look at them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definitions: Option<Definitions>,
    /// What keeps a Ready controller from doing its work, or may.
    pub warnings: Vec<Warning>,
}

/// Karpenter's custom resource definitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Definitions {
    /// Those that the controller needs and the cluster has not, as last read.
    pub missing: Vec<String>,
    /// Whether this run installed their chart.
    pub installed: bool,
}

/// The Helm release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReleaseEvidence {
    /// Whether there is one.
    pub exists: Option<bool>,
    /// Helm's word for its state.
    pub status: Option<String>,
    /// Its newest revision.
    pub revision: Option<u64>,
}

/// The numbers by which a Deployment is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Controller {
    /// Name of the Deployment.
    pub name: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`.
    pub observed_generation: i64,
    /// `spec.replicas`.
    pub desired: u32,
    /// `status.replicas`, old ones included.
    pub replicas: u32,
    /// `status.updatedReplicas`.
    pub updated: u32,
    /// `status.availableReplicas`.
    pub available: u32,
}

/// A pod that is not Ready, with what is known of the reason.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodReport {
    /// Name of the pod.
    pub name: String,
    /// `status.phase`.
    pub phase: String,
    /// Node that it is bound to.
    pub node: Option<String>,
    /// Its last 15 events, oldest first, each `<type> <reason>: <message>`; `null` if they could not be read.
    pub events: Option<Vec<String>>,
    /// Its containers, init containers first.
    pub containers: Vec<Container>,
    /// The end of the log of the container that fails; the previous run's when it restarts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_tail: Option<Vec<String>>,
    /// The classified cause, such as `IMAGE_PULL_FAILED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// Pods that are not Ready and were not looked at one by one, since there are many: neither their events
/// nor their logs were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodsBesides {
    /// How many there are.
    pub pods: u32,
    /// How many of them have which cause, by their status alone. Those of which it says nothing are
    /// `UNKNOWN`.
    pub causes: BTreeMap<String, u32>,
}

/// A container of a pod that is not Ready.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Its name.
    pub name: String,
    /// `waiting`, `running` or `terminated`.
    pub state: String,
    /// The state's reason, such as `CrashLoopBackOff`.
    pub reason: Option<String>,
    /// The state's message.
    pub message: Option<String>,
    /// Whether it is ready.
    pub ready: bool,
    /// How often it was restarted.
    pub restarts: u32,
    /// How it last ended.
    pub last_termination: Option<Termination>,
}

/// How a container ended.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Termination {
    /// Exit code.
    pub exit_code: i32,
    /// Such as `Error` or `OOMKilled`.
    pub reason: Option<String>,
    /// What the container left in its termination log.
    pub message: Option<String>,
}
