//! What EKS and CloudFormation have not brought about.

use interpose::cloud;
use interpose::plan::{self, Plan};
use schemars::JsonSchema;
use serde::Deserialize;

use super::account::Planned;
use super::{Done, Fault, Ground};
use crate::backend::Capability;

/// What EKS says is wrong.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Issue {
    /// Such as `AsgInstanceLaunchFailures`.
    code: String,
    /// In EKS's words.
    message: String,
}

impl Issue {
    fn planned(&self) -> cloud::Issue {
        cloud::Issue { code: self.code.clone(), message: self.message.clone() }
    }
}

/// Every node group, those that are yet to be made among them, fails for this reason; none of their
/// nodes join.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct NodeGroupsFail(Issue);

impl Planned for NodeGroupsFail {
    fn write_to(&self, plan: &mut Plan) {
        plan.eks.node_group_issue = Some(self.0.planned());
    }

    fn take_from(&self, plan: &mut Plan) {
        plan.eks.node_group_issue = None;
    }
}

/// EKS says that something is wrong with the cluster itself.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ClusterIssue(Issue);

impl Planned for ClusterIssue {
    fn write_to(&self, plan: &mut Plan) {
        plan.eks.issues.push(self.0.planned());
    }

    fn take_from(&self, plan: &mut Plan) {
        plan.eks.issues.retain(|it| *it != self.0.planned());
    }
}

/// EKS gives another endpoint for the cluster than the one that the kubeconfig leads to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoint {
    /// The endpoint that EKS gives.
    url: String,
    #[serde(skip)]
    before: Option<String>,
}

impl Fault for Endpoint {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Tools]
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            ground.tools.change(|plan| self.before = plan.cluster.endpoint.replace(self.url.clone()))
        })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            let Some(before) = self.before.take() else { return Ok(()) };
            ground.tools.change(|plan| plan.cluster.endpoint = Some(before))
        })
    }
}

/// The CloudFormation stack of the cluster did not come to its end.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StackFailed {
    /// Such as `ROLLBACK_COMPLETE`.
    status: String,
    /// Type of the resource that failed, such as `AWS::EC2::VPC`.
    resource_type: String,
    /// Why, in CloudFormation's words.
    reason: String,
}

impl Planned for StackFailed {
    fn write_to(&self, plan: &mut Plan) {
        plan.eks.stack = Some(plan::Stack {
            status: self.status.clone(),
            resource_type: self.resource_type.clone(),
            reason: self.reason.clone(),
        });
    }

    fn take_from(&self, plan: &mut Plan) {
        plan.eks.stack = None;
    }
}

/// An add-on of the cluster is missing, or not ACTIVE.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Addon {
    name: String,
    /// Such as `DEGRADED`; it is missing when not given.
    status: Option<String>,
    /// What EKS says is wrong with it.
    issue: Option<Issue>,
}

impl Planned for Addon {
    fn write_to(&self, plan: &mut Plan) {
        match &self.status {
            None => drop(plan.eks.without_addons.insert(self.name.clone())),
            Some(status) => {
                let issues = self.issue.iter().map(Issue::planned).collect();
                let addon = cloud::Addon { status: status.clone(), issues };
                plan.holdings.addons.insert(self.name.clone(), addon);
            }
        }
    }

    fn take_from(&self, plan: &mut Plan) {
        plan.eks.without_addons.remove(&self.name);
        plan.holdings.addons.remove(&self.name);
    }
}
