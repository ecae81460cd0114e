//! What a run is asked to do, and the limits it keeps. Values, not where they come from: that is [`crate::cli`].

use std::time::Duration;

use serde_json::{Map, Value};

use crate::identity::Identity;
use crate::phases::Phase;
use crate::redact::{Redactor, names_a_secret};

/// Everything that a run is told.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The cluster that was asked for.
    pub cluster: Identity,
    /// How Karpenter is installed.
    pub karpenter: KarpenterSettings,
    /// How the cluster is made.
    pub foundation: FoundationSettings,
    /// The object store; phase 2 has nothing to do without one.
    pub storage: Option<StorageSettings>,
    /// The application stack.
    pub core: CoreSettings,
    /// Limits in time.
    pub limits: Limits,
    /// Seed of the retries' jitter.
    pub seed: u64,
    /// The one gate that may be passed although it does not hold.
    pub force: Option<Force>,
    /// Whether the run only says what it would do.
    pub dry_run: bool,
}

impl Settings {
    /// The values files that charts are given.
    pub fn values_files(&self) -> impl Iterator<Item = &str> {
        let releases = self.core.releases.iter().map(|release| &release.values);
        std::iter::once(&self.karpenter.values).chain(releases).filter_map(|values| values.file.as_deref())
    }

    /// Makes known what must not be written: configured values whose names say that they are secret.
    pub fn hide_secrets(&self, redactor: &Redactor) {
        let releases = self.core.releases.iter().map(|release| &release.values);
        for values in std::iter::once(&self.karpenter.values).chain(releases) {
            if let Some(inline) = &values.inline {
                redactor.hide_named(&Value::Object(inline.clone()));
            }
        }
        for (name, value) in self.karpenter.set.iter().filter_map(|set| set.split_once('=')) {
            if names_a_secret(name) {
                redactor.hide(value);
            }
        }
    }
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
    /// Values of the user's own.
    pub values: Values,
    /// More values, each `name=value`, passed on as `--set`.
    pub set: Vec<String>,
    /// Whether definitions that belong to no release are taken into that of their chart.
    pub adopt_crds: bool,
    /// Whether a version that the compatibility table refuses is installed all the same.
    pub any_kubernetes: bool,
}

impl Default for KarpenterSettings {
    fn default() -> Self {
        Self {
            release: "karpenter".into(),
            chart: "oci://public.ecr.aws/karpenter/karpenter".into(),
            version: "1.8.3".into(),
            namespace: "kube-system".into(),
            replicas: None,
            values: Values::default(),
            set: Vec::new(),
            adopt_crds: false,
            any_kubernetes: false,
        }
    }
}

/// Values for a chart, besides those that a release has already: they win over those.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    /// Values in the configuration itself; passed on through standard input.
    pub inline: Option<Map<String, Value>>,
    /// A values file, passed on as `--values` after the inline ones.
    pub file: Option<String>,
}

impl Values {
    /// The inline values on top of those that a release has already, as Helm lays one values file over
    /// another; `None` when there are neither.
    #[must_use]
    pub fn over(&self, kept: Option<&Value>) -> Option<Value> {
        let mut all = kept.cloned();
        if let Some(inline) = &self.inline {
            lay_over(all.get_or_insert_with(|| Value::Object(Map::new())), &Value::Object(inline.clone()));
        }
        all
    }
}

fn lay_over(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (name, value) in above {
                lay_over(below.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above.clone(),
    }
}

/// The object store that workloads need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageSettings {
    /// Name of the S3 bucket.
    pub bucket: String,
    /// Name of the IAM policy; `<cluster>-<bucket>` when absent.
    pub policy: Option<String>,
    /// Name of the IAM role; the policy's name when absent.
    pub role: Option<String>,
    /// Namespace of the workloads that use the bucket.
    pub namespace: String,
    /// Their service account.
    pub service_account: String,
}

/// The application stack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoreSettings {
    /// Its releases, in the order in which they are installed.
    pub releases: Vec<ReleaseSettings>,
}

/// A Helm release of the application stack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReleaseSettings {
    /// Name of the release.
    pub name: String,
    /// Chart reference.
    pub chart: String,
    /// Chart version, without a `v`; the newest when absent.
    pub version: Option<String>,
    /// Namespace of the release.
    pub namespace: String,
    /// Values of the user's own.
    pub values: Values,
    /// Workloads to gate on besides those that the release owns.
    pub workloads: Vec<Workload>,
}

/// A workload, named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its kind, such as `Deployment`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
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
    /// Managed node groups of a new cluster; `nodes` and `node_type` are not passed on when there are any.
    pub node_groups: Vec<NodeGroupSettings>,
}

/// A managed node group of a new cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeGroupSettings {
    /// Its name.
    pub name: String,
    /// Instance type; eksctl's default when absent.
    pub instance_type: Option<String>,
    /// How many nodes it should have.
    pub desired: u32,
    /// How many it has at least.
    pub min: u32,
    /// How many it has at most.
    pub max: u32,
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
    /// How long one phase may take; only the run's deadline holds when absent.
    pub phase_deadline: Option<Duration>,
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
            phase_deadline: None,
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
