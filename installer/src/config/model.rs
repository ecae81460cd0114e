//! What a configuration file says, as data.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::checked;

/// The configuration of an installation.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// The cluster: which one it is, and how it is made when it is not there.
    pub cluster: ClusterConfig,
    /// Phase 3: Karpenter.
    pub karpenter: KarpenterConfig,
    /// Phase 2: the object store; without it the phase has nothing to do.
    pub storage: Option<StorageConfig>,
    /// Phase 4: the application stack; without it the phase has nothing to do.
    pub core: CoreConfig,
    /// How long things may take.
    pub timeouts: Timeouts,
}

/// The cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// Name of the EKS cluster.
    #[serde(deserialize_with = "checked::cluster_name")]
    pub name: Option<String>,
    /// AWS region, such as `eu-central-1`.
    #[serde(deserialize_with = "checked::region")]
    pub region: Option<String>,
    /// AWS account, twelve digits.
    #[serde(deserialize_with = "checked::account")]
    pub account: Option<String>,
    /// Kubernetes version of a cluster that has to be made, such as `1.33`; eksctl's default when absent.
    #[serde(deserialize_with = "checked::minor_version")]
    pub version: Option<String>,
    /// Node groups of a cluster that has to be made; eksctl's default group when there are none.
    pub node_groups: Vec<NodeGroup>,
    /// An eksctl configuration file for a cluster that has to be made, instead of version and node groups;
    /// a relative path is relative to this file.
    pub eksctl_config: Option<String>,
}

/// A managed node group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeGroup {
    /// Its name.
    #[serde(deserialize_with = "checked::node_group_name")]
    pub name: String,
    /// Instance type; eksctl's default when absent.
    #[serde(default)]
    pub instance_type: Option<String>,
    /// How many nodes it should have.
    pub desired: u32,
    /// How many it has at least; `desired` when absent.
    #[serde(default)]
    pub min: Option<u32>,
    /// How many it has at most; `desired` when absent.
    #[serde(default)]
    pub max: Option<u32>,
}

/// How Karpenter is installed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KarpenterConfig {
    /// Chart reference.
    pub chart: Option<String>,
    /// Chart version, without a `v`.
    #[serde(deserialize_with = "checked::chart_version")]
    pub version: Option<String>,
    /// Namespace of the release.
    #[serde(deserialize_with = "checked::namespace")]
    pub namespace: Option<String>,
    /// Replicas of the controller; the chart's default when absent.
    pub replicas: Option<u32>,
    /// Values for the chart.
    pub values: Option<Map<String, Value>>,
    /// A values file, applied after `values`; a relative path is relative to this file.
    pub values_file: Option<String>,
    /// Whether custom resource definitions that belong to no Helm release are taken into that of their
    /// chart, when it has to be installed (Helm 3.17 or newer).
    pub adopt_crds: bool,
    /// Whether a version that the compatibility table refuses is installed all the same.
    pub any_kubernetes: bool,
}

/// The object store that workloads need.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StorageConfig {
    /// Name of the S3 bucket.
    #[serde(deserialize_with = "checked::bucket_name")]
    pub bucket: String,
    /// Name of the IAM policy; `<cluster>-<bucket>` when absent.
    #[serde(default, deserialize_with = "checked::iam_name")]
    pub policy: Option<String>,
    /// Name of the IAM role; the policy's name when absent.
    #[serde(default, deserialize_with = "checked::role_name")]
    pub role: Option<String>,
    /// Namespace of the workloads that use the bucket.
    #[serde(deserialize_with = "checked::required_namespace")]
    pub namespace: String,
    /// Their service account.
    #[serde(deserialize_with = "checked::object_name")]
    pub service_account: String,
}

/// The application stack.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CoreConfig {
    /// Helm releases, installed in this order, each when the one before it is Ready.
    pub releases: Vec<ReleaseConfig>,
}

/// A Helm release of the application stack.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseConfig {
    /// Name of the release.
    #[serde(deserialize_with = "checked::release_name")]
    pub name: String,
    /// Chart reference.
    pub chart: String,
    /// Chart version, without a `v`; the newest when absent.
    #[serde(default, deserialize_with = "checked::chart_version")]
    pub version: Option<String>,
    /// Namespace of the release.
    #[serde(deserialize_with = "checked::required_namespace")]
    pub namespace: String,
    /// Values for the chart.
    #[serde(default)]
    pub values: Option<Map<String, Value>>,
    /// A values file, applied after `values`; a relative path is relative to this file.
    #[serde(default)]
    pub values_file: Option<String>,
    /// Workloads to gate on besides those that the release owns, such as those that an operator makes.
    #[serde(default)]
    pub workloads: Vec<Workload>,
}

/// A workload, named.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workload {
    /// Its kind, such as `Deployment`.
    pub kind: String,
    /// Its name.
    #[serde(deserialize_with = "checked::object_name")]
    pub name: String,
    /// Its namespace; the release's when absent.
    #[serde(default, deserialize_with = "checked::namespace")]
    pub namespace: Option<String>,
}

/// How long things may take; each has an environment variable of its own, which wins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timeouts {
    /// How long phase 1 waits for nodes and CoreDNS to be Ready.
    pub node_wait: Option<Span>,
    /// Helm's `--timeout`; an older pending release is stale.
    pub helm: Option<Span>,
    /// How long a workload may take to be Ready, and a locked release is waited for.
    pub ready: Option<Span>,
    /// How long one API request may take.
    pub api: Option<Span>,
    /// How long one operation is retried.
    pub retry_budget: Option<Span>,
    /// How long the whole run may take.
    pub deadline: Option<Span>,
    /// How long one phase may take, within the run's deadline.
    pub phase_deadline: Option<Span>,
    /// How long a workload must have been Ready without a break.
    pub stable_span: Option<Span>,
    /// How long `eksctl create cluster` may take.
    pub create: Option<Span>,
}

/// A duration, written `30s`, `10m`, `1h30m`, `250ms` or `600` for seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked::text(deserializer, |text| crate::duration::parse(text).map(Self))
    }
}
