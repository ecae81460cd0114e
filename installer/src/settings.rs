//! What a run is asked to do, and the limits it keeps. Values, not where they come from: that is [`crate::cli`].

use std::time::Duration;

use crate::identity::Identity;
use crate::phases::Phase;

/// Everything that a run is told.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The cluster that was asked for.
    pub cluster: Identity,
    /// How Karpenter is installed.
    pub karpenter: KarpenterSettings,
    /// How the cluster is made.
    pub foundation: FoundationSettings,
    /// Limits in time.
    pub limits: Limits,
    /// Seed of the retries' jitter.
    pub seed: u64,
    /// The one gate that may be passed although it does not hold.
    pub force: Option<Force>,
}

/// How Karpenter is installed.
#[derive(Clone, Debug)]
pub struct KarpenterSettings {
    /// Name of the release.
    pub release: String,
    /// Chart reference.
    pub chart: String,
    /// Chart version, without a `v`.
    pub version: String,
    /// Namespace of the release.
    pub namespace: String,
    /// Replicas of the controller; the chart's default when absent.
    pub replicas: Option<u32>,
    /// A values file, passed on as `--values`.
    pub values: Option<String>,
    /// More values, each `name=value`, passed on as `--set`.
    pub set: Vec<String>,
}

impl Default for KarpenterSettings {
    fn default() -> Self {
        Self {
            release: "karpenter".into(),
            chart: "oci://public.ecr.aws/karpenter/karpenter".into(),
            version: "1.8.3".into(),
            namespace: "kube-system".into(),
            replicas: None,
            values: None,
            set: Vec::new(),
        }
    }
}

/// How the cluster is made, when it has to be.
#[derive(Clone, Debug, Default)]
pub struct FoundationSettings {
    /// An eksctl configuration file; the other fields are not passed on when it is given.
    pub config_file: Option<String>,
    /// Nodes of the first node group; eksctl's default when absent.
    pub nodes: Option<u32>,
    /// Instance type of the nodes; eksctl's default when absent.
    pub node_type: Option<String>,
    /// Kubernetes version, such as `1.33`; eksctl's default when absent.
    pub kubernetes_version: Option<String>,
}

/// Limits in time.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long phase 1 waits for nodes.
    pub node_wait: Duration,
    /// What Helm is given as `--timeout`; a pending release older than this is stale.
    pub helm_timeout: Duration,
    /// How long the controller of a deployed release may take to become Ready; also how long a release
    /// that somebody else is changing is waited for.
    pub ready_timeout: Duration,
    /// How long one API request may take.
    pub api_timeout: Duration,
    /// How long one operation may go on failing for passing reasons.
    pub retry_budget: Duration,
    /// How long the whole run may take.
    pub deadline: Duration,
    /// How long the controller must have been Ready without a break.
    pub stable_span: Duration,
    /// How long `eksctl create cluster` may take.
    pub create_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            node_wait: Duration::from_secs(30),
            helm_timeout: Duration::from_secs(600),
            ready_timeout: Duration::from_secs(300),
            api_timeout: Duration::from_secs(30),
            retry_budget: Duration::from_secs(60),
            deadline: Duration::from_secs(3600),
            stable_span: Duration::from_secs(2),
            create_timeout: Duration::from_secs(2400),
        }
    }
}

/// Permission to pass one gate that does not hold.
#[derive(Clone, Debug)]
pub struct Force {
    /// Whose gate.
    pub phase: Phase,
    /// Why; never empty.
    pub reason: String,
}
