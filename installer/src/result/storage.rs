//! Evidence of the `storage` phase.

use schemars::JsonSchema;
use serde::Serialize;

use super::Warning;
use crate::identity::Identity;

/// Evidence of the `storage` phase: each thing as it was read after the last write that concerned it.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Phase2 {
    /// Whether an object store is configured; without one the phase has nothing to do.
    pub configured: bool,
    /// The cluster that the kubeconfig's context names.
    pub identity: Identity,
    /// The account of the credentials.
    pub account: Option<String>,
    /// What EKS says of the add-on `eks-pod-identity-agent`; `null` when it is not an add-on here.
    pub pod_identity_agent: Option<String>,
    /// The S3 bucket.
    pub bucket: Bucket,
    /// The IAM policy.
    pub policy: IamPolicy,
    /// The IAM role.
    pub role: IamRole,
    /// The namespace.
    pub namespace: Object,
    /// The service account.
    pub service_account: Object,
    /// The Pod Identity association.
    pub association: Association,
    /// What is not as it should be and does not stop the run.
    pub warnings: Vec<Warning>,
}

/// The S3 bucket.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// Its name.
    pub name: Option<String>,
    /// Whether it was there before this run.
    pub existed: Option<bool>,
    /// Whether this run made it.
    pub created: bool,
    /// Its region.
    pub region: Option<String>,
}

/// The IAM policy.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IamPolicy {
    /// Its ARN.
    pub arn: Option<String>,
    /// Whether it was there before this run.
    pub existed: Option<bool>,
    /// Whether this run made it.
    pub created: bool,
    /// Its default version, such as `v1`.
    pub version: Option<String>,
    /// Whether that version says what it should.
    pub current: Option<bool>,
}

/// The IAM role.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IamRole {
    /// Its ARN.
    pub arn: Option<String>,
    /// Whether it was there before this run.
    pub existed: Option<bool>,
    /// Whether this run made it.
    pub created: bool,
    /// Whether it can be taken on by pods of the cluster.
    pub trusts_pods: Option<bool>,
    /// Whether the policy is attached to it.
    pub policy_attached: Option<bool>,
}

/// A Kubernetes object.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// Its name.
    pub name: Option<String>,
    /// Whether it was there before this run.
    pub existed: Option<bool>,
    /// Whether this run made it.
    pub created: bool,
}

/// The Pod Identity association.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Association {
    /// Its id.
    pub id: Option<String>,
    /// Whether it was there before this run.
    pub existed: Option<bool>,
    /// Whether this run made it.
    pub created: bool,
    /// ARN of the role that it gives.
    pub role_arn: Option<String>,
}
