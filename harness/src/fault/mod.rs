//! Faults: what can be wrong with a cluster, its tools or the way to them. Each comes as a pair, `inject`
//! and `heal`, and says what it needs of a backend.
//!
//! A fault is one file and one line in the list below.

mod account;
mod api;
mod clock_jumps;
mod container_log;
mod containers;
mod coredns;
mod credentials;
mod definitions_missing;
mod eks;
mod endpoint;
mod helm_release;
mod nodes;
mod nodes_not_ready;
mod nodes_tainted;
mod objects;
mod registry_token;
mod requests_too_large;
mod rights;
mod tool;

use std::path::Path;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::backend::{Capability, Cluster, ClusterError};
use crate::run::Tools;

/// What a fault may touch.
pub struct Ground<'g> {
    /// The cluster.
    pub cluster: &'g dyn Cluster,
    /// The interposed tools.
    pub tools: &'g mut Tools,
    /// The installer's kubeconfig; there is none yet where the cluster is to be created.
    pub kubeconfig: &'g Path,
    /// See [`Backend::pace`](crate::backend::Backend::pace).
    pub pace: u32,
}

/// The outcome of injecting or healing.
pub type Done<'f> = BoxFuture<'f, Result<(), ClusterError>>;

/// One way for things to be wrong.
pub trait Fault: Send + Sync {
    /// What it needs of a backend.
    fn needs(&self) -> &'static [Capability];

    /// The name that `heal` and a control's `without` know it by, if the scenario gives it one.
    fn label(&self) -> Option<&str> {
        None
    }

    /// Makes things wrong.
    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f>;

    /// Puts them right again, as far as this fault made them wrong. Does nothing if it was not injected.
    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f>;
}

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $variant:ident($name:literal) = $fault:ty;)*) => {
        /// A fault as a scenario file names it, and what it remembers between injecting and healing.
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        pub enum FaultSpec {
            $($(#[doc = $doc])* #[serde(rename = $name)] $variant($fault),)*
        }

        impl FaultSpec {
            /// Name of its kind.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }

            /// The fault.
            #[must_use]
            pub fn fault(&self) -> &dyn Fault {
                match self { $(Self::$variant(fault) => fault,)* }
            }

            /// The fault, to be injected or healed.
            pub fn fault_mut(&mut self) -> &mut dyn Fault {
                match self { $(Self::$variant(fault) => fault,)* }
            }
        }
    };
}

faults! {
    /// Breaks requests to the API server.
    Api("api") = api::Api;
    /// The API server's endpoint is closed: connections are refused.
    Unreachable("api-unreachable") = endpoint::Unreachable;
    /// The installer's credentials are not accepted.
    Unauthorized("api-unauthorized") = credentials::Unauthorized;
    /// CoreDNS is missing or not Ready.
    Coredns("coredns") = coredns::Coredns;
    /// An earlier installation left a Helm release.
    HelmRelease("helm-release") = helm_release::HelmRelease;
    /// The cluster has another number of nodes.
    Nodes("nodes") = nodes::NodeCount;
    /// Nodes are not Ready.
    NodesNotReady("nodes-not-ready") = nodes_not_ready::NodesNotReady;
    /// Nodes have a taint.
    NodesTainted("nodes-tainted") = nodes_tainted::NodesTainted;
    /// Pods of a namespace request more than any node has.
    RequestsTooLarge("requests-too-large") = requests_too_large::RequestsTooLarge;
    /// Images cannot be pulled.
    ImageCannotBePulled("image-cannot-be-pulled") = containers::CannotBePulled;
    /// Containers start, write a log and exit, again and again.
    CrashLoop("crash-loop") = containers::CrashLoop;
    /// Containers run and their readiness probes fail.
    NeverReady("never-ready") = containers::NeverReady;
    /// Containers are ready later than they should be.
    SlowStart("slow-start") = containers::SlowStart;
    /// The controller ends at once while the cluster has no such custom resource definition.
    NeedsDefinition("needs-definition") = containers::NeedsDefinition;
    /// Custom resource definitions have been deleted.
    DefinitionsMissing("definitions-missing") = definitions_missing::DefinitionsMissing;
    /// Containers run, are ready, and complain.
    ContainerLog("container-log") = container_log::ContainerLog;
    /// Somebody else's objects are in the cluster.
    Objects("objects") = objects::Objects;
    /// Helm holds an expired token for a chart registry.
    RegistryToken("registry-token-expired") = registry_token::RegistryTokenExpired;
    /// There is an S3 bucket of that name already.
    Bucket("aws-bucket") = account::Bucket;
    /// There is an IAM policy of that name already.
    Policy("aws-policy") = account::Policy;
    /// There is an IAM role of that name already.
    Role("aws-role") = account::Role;
    /// A service account has a Pod Identity association already.
    Association("aws-association") = account::Association;
    /// The credentials of eksctl and aws are another account's.
    Caller("aws-caller") = account::Caller;
    /// IAM does not allow actions.
    Denied("aws-denied") = account::Denied;
    /// A quota of the account is not the usual one.
    Quota("aws-quota") = account::Quota;
    /// The API server lets the installer do some things only.
    Rights("rights-limited") = rights::RightsLimited;
    /// An add-on of the cluster is missing, or not ACTIVE.
    Addon("eks-addon") = eks::Addon;
    /// Every node group fails.
    NodeGroupsFail("eks-node-groups-fail") = eks::NodeGroupsFail;
    /// EKS says that something is wrong with the cluster itself.
    ClusterIssue("eks-cluster-issue") = eks::ClusterIssue;
    /// EKS gives another endpoint for the cluster.
    Endpoint("eks-endpoint") = eks::Endpoint;
    /// The CloudFormation stack of the cluster did not come to its end.
    StackFailed("eks-stack-failed") = eks::StackFailed;
    /// The cluster's clock is set while it runs.
    ClockJumps("clock-jumps") = clock_jumps::ClockJumps;
    /// Breaks calls of a tool.
    Tool("tool") = tool::ToolCalls;
}

impl FaultSpec {
    /// The name that `heal` and a control's `without` know it by: its label, else its kind.
    #[must_use]
    pub fn label(&self) -> &str {
        self.fault().label().unwrap_or_else(|| self.kind())
    }
}
