//! What is in the cloud account that should not be, or is not as it should be.

use interpose::cloud;
use interpose::plan::Plan;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Done, Fault, Ground};
use crate::backend::Capability;

/// A change of the plan, and the way back.
pub(super) trait Planned: Send + Sync {
    /// Makes the plan say so.
    fn write_to(&self, plan: &mut Plan);
    /// Takes it back.
    fn take_from(&self, plan: &mut Plan);
}

impl<T: Planned> Fault for T {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Tools]
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move { ground.tools.change(|plan| self.write_to(plan)) })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move { ground.tools.change(|plan| self.take_from(plan)) })
    }
}

/// There is an S3 bucket of that name already.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bucket {
    name: String,
    /// Account that it belongs to; the cluster's own when not given.
    owner: Option<String>,
    /// Its region; the cluster's when not given.
    region: Option<String>,
}

impl Planned for Bucket {
    fn write_to(&self, plan: &mut Plan) {
        let region = self.region.clone().unwrap_or_else(|| plan.cluster.region.clone());
        let bucket = cloud::Bucket { owner: self.owner.clone(), region };
        plan.holdings.buckets.insert(self.name.clone(), bucket);
    }

    fn take_from(&self, plan: &mut Plan) {
        plan.holdings.buckets.remove(&self.name);
    }
}

/// There is an IAM policy of that name already.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    name: String,
    /// Its documents, oldest first; the last one counts.
    versions: Vec<Value>,
}

impl Planned for Policy {
    fn write_to(&self, plan: &mut Plan) {
        let numbered = self.versions.iter().cloned().zip(1..);
        let policy = cloud::Policy {
            default_version: format!("v{}", self.versions.len()),
            versions: numbered.map(|(document, number)| (format!("v{number}"), document)).collect(),
            tags: Default::default(),
            created_at: jiff::Timestamp::UNIX_EPOCH,
        };
        plan.holdings.policies.insert(self.name.clone(), policy);
    }

    fn take_from(&self, plan: &mut Plan) {
        plan.holdings.policies.remove(&self.name);
    }
}

/// There is an IAM role of that name already.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Role {
    name: String,
    /// Its trust policy.
    trust: Value,
}

impl Planned for Role {
    fn write_to(&self, plan: &mut Plan) {
        let role = cloud::Role {
            trust: self.trust.clone(),
            attached: Vec::new(),
            tags: Default::default(),
            created_at: jiff::Timestamp::UNIX_EPOCH,
        };
        plan.holdings.roles.insert(self.name.clone(), role);
    }

    fn take_from(&self, plan: &mut Plan) {
        plan.holdings.roles.remove(&self.name);
    }
}

/// A service account has a Pod Identity association already.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Association {
    namespace: String,
    service_account: String,
    /// Name of the role that it gives.
    role: String,
}

/// Id of the association that the fault makes.
const PLANTED: &str = "a-planted00000001";

impl Planned for Association {
    fn write_to(&self, plan: &mut Plan) {
        let association = cloud::Association {
            namespace: self.namespace.clone(),
            service_account: self.service_account.clone(),
            role_arn: format!("arn:aws:iam::{}:role/{}", plan.cluster.account, self.role),
            tags: Default::default(),
        };
        plan.holdings.associations.insert(PLANTED.to_owned(), association);
    }

    fn take_from(&self, plan: &mut Plan) {
        plan.holdings.associations.remove(PLANTED);
    }
}

/// IAM does not allow whoever calls aws to do these things: the calls are refused, and a simulation says so.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Denied {
    /// Such as `iam:CreateRole`.
    actions: Vec<String>,
}

impl Planned for Denied {
    fn write_to(&self, plan: &mut Plan) {
        plan.denied.extend(self.actions.iter().cloned());
    }

    fn take_from(&self, plan: &mut Plan) {
        plan.denied.retain(|action| !self.actions.contains(action));
    }
}

/// A quota of the account is not the usual one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quota {
    /// Its code, such as `L-1216C47A`: virtual processors of running On-Demand instances.
    code: String,
    /// What it allows.
    value: u32,
}

impl Planned for Quota {
    fn write_to(&self, plan: &mut Plan) {
        plan.quotas.insert(self.code.clone(), self.value);
    }

    fn take_from(&self, plan: &mut Plan) {
        plan.quotas.remove(&self.code);
    }
}

/// The credentials of eksctl and aws are another account's.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Caller {
    /// Twelve digits.
    account: String,
}

impl Planned for Caller {
    fn write_to(&self, plan: &mut Plan) {
        plan.caller = Some(self.account.clone());
    }

    fn take_from(&self, plan: &mut Plan) {
        plan.caller = None;
    }
}
