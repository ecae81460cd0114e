//! Why a run cannot go on: the codes, and what each says about the run as a whole.

use schemars::JsonSchema;
use serde::Serialize;

use crate::phases::Phase;
use crate::stop::StopReason;

/// The stable name of a blocker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// The cluster has no Node.
    NoNodesAvailable,
    /// There are Nodes and none is Ready.
    NoReadyNodes,
    /// Something that phase 1 provides is missing.
    #[serde(rename = "PHASE1_INCOMPLETE")]
    Phase1Incomplete,
    /// Phase 3 is not done, and what comes after it cannot begin.
    #[serde(rename = "PHASE3_INCOMPLETE")]
    Phase3Incomplete,
    /// CoreDNS is absent or not Ready.
    CorednsNotReady,
    /// Phase 1 created the cluster and it has no Node.
    NoNodesCreated,
    /// eksctl could not create the cluster.
    EksCreateFailed,
    /// The EKS cluster is in a state in which nothing can be installed.
    EksClusterFailed,
    /// The cluster is not there, and its CloudFormation stack is.
    EksStackFailed,
    /// The kubeconfig could not be written.
    KubeconfigUpdateFailed,
    /// The first installation failed.
    KarpenterSetupFailed,
    /// The repair of a failed release failed.
    KarpenterRepairFailed,
    /// The release is there and the controller is not Ready.
    KarpenterControllerNotReady,
    /// Somebody else is, or may be, changing the release.
    KarpenterReleaseLocked,
    /// The release is in another namespace than the configured one, and not healthy there.
    KarpenterReleaseElsewhere,
    /// `status` only: the release is there and has failed.
    KarpenterReleaseFailed,
    /// The Karpenter that is asked for does not run on the cluster's Kubernetes.
    KarpenterIncompatible,
    /// The first installation of a release of the application stack failed.
    ReleaseSetupFailed,
    /// The repair of a failed release of the application stack failed.
    ReleaseRepairFailed,
    /// A release of the application stack is there and something that it runs is not Ready.
    ReleaseNotReady,
    /// Somebody else is, or may be, changing a release of the application stack.
    ReleaseLocked,
    /// A release of the application stack is in another namespace than the configured one.
    ReleaseElsewhere,
    /// The kubeconfig leads to another cluster than the one asked for.
    WrongCluster,
    /// A file that the configuration names cannot be used.
    ConfigurationInvalid,
    /// Something of the object store could not be made.
    StorageSetupFailed,
    /// The bucket is somebody else's, or may not be seen.
    BucketNotOwned,
    /// The bucket's name is taken.
    BucketNameTaken,
    /// The bucket is in another region than the cluster.
    BucketInOtherRegion,
    /// The policy's default version does not say what it should.
    PolicyDrifted,
    /// Pods cannot take the role on.
    RoleTrustDrifted,
    /// The service account's association gives another role.
    AssociationDrifted,
    /// The cluster lacks the add-on that gives pods their credentials.
    PodIdentityAgentMissing,
    /// The API server does not answer, or not usefully.
    ClusterUnreachable,
    /// The API server refuses the credentials, or what they may do.
    ClusterUnauthorized,
    /// The API server answered something that cannot be understood.
    ClusterStateUnknown,
    /// The kubeconfig cannot be read.
    KubeconfigUnreadable,
    /// Helm could not say what state the release is in.
    HelmStateUnknown,
    /// AWS could not say whether the cluster exists.
    EksStateUnknown,
    /// AWS could not say what there is.
    AwsStateUnknown,
    /// AWS refuses the credentials, or what they may do.
    AwsUnauthorized,
    /// `preflight`: a tool is not there, or too old.
    ToolMissing,
    /// `preflight`: the identity may not do what an installation does.
    PermissionDenied,
    /// `preflight`: the account's quotas do not allow what has to be made.
    QuotaTooSmall,
    /// `preflight`: the chart cannot be pulled.
    ChartUnreachable,
    /// `cleanup`: something would not go.
    CleanupIncomplete,
    /// `EKS_INSTALLER_DEADLINE` or `EKS_INSTALLER_PHASE_DEADLINE` passed; the cause says which.
    DeadlineExceeded,
    /// `--dry-run`: there is something to do, and it was not done.
    ChangesPlanned,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// The command line or a variable is wrong.
    Usage,
}

/// What a code means for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The work of this earlier phase is missing.
    Dependency(Phase),
    /// Phase 1 itself fell short.
    Foundation,
    /// An installation failed, or must not begin.
    Failure,
    /// The state could not be determined.
    Unknown,
    /// Nothing is wrong, and what was asked for is not done.
    Planned,
    /// A signal, with the exit code that goes with it.
    Signal(u8),
    /// The caller's mistake.
    Usage,
}

impl Code {
    /// What the code means for the run.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Code::NoNodesAvailable | Code::NoReadyNodes | Code::Phase1Incomplete => {
                Class::Dependency(Phase::Foundation)
            }
            Code::Phase3Incomplete => Class::Dependency(Phase::Compute),
            Code::NoNodesCreated => Class::Foundation,
            Code::CorednsNotReady
            | Code::EksCreateFailed
            | Code::EksClusterFailed
            | Code::EksStackFailed
            | Code::KubeconfigUpdateFailed
            | Code::KarpenterSetupFailed
            | Code::KarpenterRepairFailed
            | Code::KarpenterControllerNotReady
            | Code::KarpenterReleaseLocked
            | Code::KarpenterReleaseElsewhere
            | Code::KarpenterReleaseFailed
            | Code::KarpenterIncompatible
            | Code::ReleaseSetupFailed
            | Code::ReleaseRepairFailed
            | Code::ReleaseNotReady
            | Code::ReleaseLocked
            | Code::ReleaseElsewhere
            | Code::StorageSetupFailed
            | Code::BucketNotOwned
            | Code::BucketNameTaken
            | Code::BucketInOtherRegion
            | Code::PolicyDrifted
            | Code::RoleTrustDrifted
            | Code::AssociationDrifted
            | Code::PodIdentityAgentMissing
            | Code::WrongCluster
            | Code::ToolMissing
            | Code::PermissionDenied
            | Code::QuotaTooSmall
            | Code::ChartUnreachable
            | Code::CleanupIncomplete
            | Code::DeadlineExceeded => Class::Failure,
            Code::ClusterUnreachable
            | Code::ClusterUnauthorized
            | Code::ClusterStateUnknown
            | Code::KubeconfigUnreadable
            | Code::HelmStateUnknown
            | Code::EksStateUnknown
            | Code::AwsStateUnknown
            | Code::AwsUnauthorized => Class::Unknown,
            Code::ChangesPlanned => Class::Planned,
            Code::Interrupted => Class::Signal(130),
            Code::Terminated => Class::Signal(143),
            Code::Usage | Code::ConfigurationInvalid => Class::Usage,
        }
    }

    /// The code as it is written in the result.
    #[must_use]
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => format!("{self:?}"),
        }
    }
}

/// One reason why a run cannot go on.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Blocker {
    /// Stable name.
    pub code: Code,
    /// What was seen, in the words of whoever said it.
    pub message: String,
    /// What to do about it.
    pub remediation: String,
    /// Commands to type, in order.
    pub commands: Vec<String>,
    /// The classified cause, such as `UNTOLERATED_TAINT`, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl Blocker {
    /// A blocker with a message and what to do about it.
    pub fn new(code: Code, message: impl Into<String>, remediation: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            remediation: remediation.into(),
            commands: Vec::new(),
            cause: None,
        }
    }

    /// Adds commands to type.
    #[must_use]
    pub fn commands<T: Into<String>>(mut self, commands: impl IntoIterator<Item = T>) -> Self {
        self.commands.extend(commands.into_iter().map(Into::into));
        self
    }

    /// Names the classified cause.
    #[must_use]
    pub fn cause(mut self, cause: Option<&str>) -> Self {
        self.cause = cause.map(str::to_owned);
        self
    }

    /// The blocker of a run that was ended early.
    #[must_use]
    pub fn stopped(reason: StopReason) -> Self {
        match reason {
            StopReason::Interrupted => Self::new(
                Code::Interrupted,
                "the run was interrupted (SIGINT); tools that were running have been stopped",
                "run the same command again: it continues from what the cluster says",
            ),
            StopReason::Terminated => Self::new(
                Code::Terminated,
                "the run was terminated (SIGTERM); tools that were running have been stopped",
                "run the same command again: it continues from what the cluster says",
            ),
            StopReason::Deadline => Self::new(
                Code::DeadlineExceeded,
                "the run did not end within EKS_INSTALLER_DEADLINE and was stopped",
                "run the same command again, or allow more time with EKS_INSTALLER_DEADLINE",
            )
            .cause(Some("RUN_DEADLINE")),
            StopReason::PhaseDeadline(phase) => Self::new(
                Code::DeadlineExceeded,
                format!(
                    "the {} phase did not end within EKS_INSTALLER_PHASE_DEADLINE and was stopped",
                    phase.name()
                ),
                "run the same command again, or allow more time with EKS_INSTALLER_PHASE_DEADLINE",
            )
            .cause(Some("PHASE_DEADLINE")),
        }
    }
}
