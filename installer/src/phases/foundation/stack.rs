//! CloudFormation: what eksctl's stacks say when a cluster is only half there.

use serde_json::Value;

use super::eksctl::Eksctl;
use crate::aws::Aws;
use crate::context::Run;
use crate::result::{Blocker, Code, Stack};
use crate::seams::ToolError;

/// What CloudFormation writes of resources that it gave up because of another one.
const CANCELLED: &str = "Resource creation cancelled";

/// The stack that eksctl makes the control plane with.
pub(super) fn of_cluster(name: &str) -> String {
    format!("eksctl-{name}-cluster")
}

/// The stack that eksctl makes a node group with.
pub(super) fn of_node_group(name: &str, group: &str) -> String {
    format!("eksctl-{name}-nodegroup-{group}")
}

/// Reads a stack, with the resource that failed first if one did. `None` when there is none, or when it
/// could not be read: what a stack says explains something and decides nothing.
pub(super) async fn read(run: &Run<'_>, aws: &Aws<'_>, name: &str) -> Option<Stack> {
    let told = |error: &dyn std::fmt::Display| {
        run.warn("cloudformation", format!("stack {name} could not be read: {error}"));
    };
    let found = match aws.find(&["cloudformation", "describe-stacks", "--stack-name", name]).await {
        Ok(found) => found?,
        Err(error) => {
            told(&error);
            return None;
        }
    };
    let status = found["Stacks"][0]["StackStatus"].as_str()?.to_owned();
    let mut stack = Stack { name: name.to_owned(), status, resource: None, reason: None };
    if stack.failed() {
        match aws.find(&["cloudformation", "describe-stack-events", "--stack-name", name]).await {
            Ok(Some(events)) => {
                if let Some((resource, reason)) = first_failure(&events) {
                    (stack.resource, stack.reason) = (Some(resource), Some(reason));
                }
            }
            Ok(None) => {}
            Err(error) => told(&error),
        }
    }
    Some(stack)
}

/// Type and reason of the resource that failed first: the others were only given up.
fn first_failure(events: &Value) -> Option<(String, String)> {
    let events = events["StackEvents"].as_array()?;
    // Newest first, as CloudFormation lists them.
    events.iter().rev().find_map(|event| {
        let status = event["ResourceStatus"].as_str()?;
        let reason = event["ResourceStatusReason"].as_str()?;
        let failed = status.ends_with("_FAILED") && !reason.starts_with(CANCELLED);
        failed.then(|| Some((event["ResourceType"].as_str()?.to_owned(), reason.to_owned())))?
    })
}

impl Stack {
    pub(super) fn failed(&self) -> bool {
        self.status.contains("FAILED") || self.status.contains("ROLLBACK")
    }

    /// In words, with the reason.
    pub(super) fn words(&self) -> String {
        let mut words = format!("CloudFormation stack {} is {}", self.name, self.status);
        if let (Some(resource), Some(reason)) = (&self.resource, &self.reason) {
            words.push_str(&format!(": {resource} failed first: {reason}"));
        }
        words
    }
}

/// EKS knows no such cluster. A stack of it may be there all the same: on its way, or what is left of an
/// attempt that failed. The first is waited for; the other is in the way of every further attempt.
pub(super) async fn in_the_way(
    run: &Run<'_>,
    aws: &Aws<'_>,
    eksctl: &Eksctl<'_>,
    name: &str,
) -> Result<Option<Stack>, Vec<Blocker>> {
    let stack_name = of_cluster(name);
    let Some(mut stack) = read(run, aws, &stack_name).await else { return Ok(None) };
    if stack.status == "CREATE_IN_PROGRESS" {
        run.step("cloudformation", format!("stack {stack_name} is being created; waiting for it"));
        if let Err(ToolError::Stopped { reason, .. }) = eksctl.wait_stack(&stack_name).await {
            return Err(vec![Blocker::stopped(reason)]);
        }
        let Some(later) = read(run, aws, &stack_name).await else { return Ok(None) };
        stack = later;
        if !stack.failed() {
            return Ok(Some(stack));
        }
    }
    Ok(Some(stack))
}

/// The blocker of a cluster that is not there and whose stack is.
pub(super) fn blocker(stack: &Stack, eksctl: &Eksctl<'_>, name: &str) -> Blocker {
    let remediation = if stack.failed() {
        "nothing was changed: mend what the reason names, remove what is left of the attempt with the \
         second command, and run again"
    } else {
        "nothing was changed: EKS knows no such cluster although its stack is there; let the stack come to \
         rest, or remove it with the second command, and run again"
    };
    Blocker::new(
        Code::EksStackFailed,
        format!("EKS knows no cluster {name}, and {}", stack.words()),
        remediation,
    )
    .cause(stack.reason.as_deref().and_then(cause))
    .commands([
        eksctl.describe_stacks(),
        eksctl.command("delete cluster --name"),
        "eks-installer install --phase foundation".to_owned(),
    ])
}

/// The classified cause of a reason that CloudFormation or EKS gives.
pub(super) fn cause(reason: &str) -> Option<&'static str> {
    const CAUSES: &[(&str, &[&str])] = &[
        (
            "QUOTA_EXCEEDED",
            &[
                "LimitExceeded",
                "VcpuLimitExceeded",
                "maximum number of",
                "limit exceeded",
                "quota",
                "NotStabilized: limit",
            ],
        ),
        (
            "NO_CAPACITY",
            &["InsufficientInstanceCapacity", "UnsupportedAvailabilityZone", "sufficient capacity"],
        ),
        ("AWS_ACCESS_DENIED", &["not authorized to perform", "AccessDenied", "UnauthorizedOperation"]),
        ("INSTANCES_NOT_LAUNCHED", &["AsgInstanceLaunchFailures"]),
        ("NODES_DID_NOT_JOIN", &["NodeCreationFailure", "failed to join the kubernetes cluster"]),
        ("SUBNETS_EXHAUSTED", &["InsufficientFreeAddresses", "Ec2SubnetInvalidConfiguration"]),
        ("NAME_TAKEN", &["already exists", "AlreadyExists"]),
    ];
    let found = CAUSES.iter().find(|(_, signs)| signs.iter().any(|sign| reason.contains(sign)));
    found.map(|(cause, _)| *cause)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_resource_that_failed_is_named_and_not_those_that_were_given_up() {
        let event = |kind: &str, status: &str, reason: Option<&str>| json!({ "ResourceType": kind, "ResourceStatus": status, "ResourceStatusReason": reason });
        let events = json!({ "StackEvents": [
            event("AWS::CloudFormation::Stack", "ROLLBACK_COMPLETE", None),
            event("AWS::EKS::Cluster", "CREATE_FAILED", Some("Resource creation cancelled")),
            event("AWS::EC2::NatGateway", "CREATE_FAILED", Some("something else")),
            event("AWS::EC2::VPC", "CREATE_FAILED", Some("The maximum number of VPCs has been reached.")),
            event("AWS::IAM::Role", "CREATE_FAILED", Some("Resource creation cancelled")),
            event("AWS::CloudFormation::Stack", "CREATE_IN_PROGRESS", Some("User Initiated")),
        ] });
        let (resource, reason) = first_failure(&events).expect("one failed");
        assert_eq!(resource, "AWS::EC2::VPC");
        assert_eq!(cause(&reason), Some("QUOTA_EXCEEDED"));
        assert_eq!(first_failure(&json!({ "StackEvents": [] })), None);
        assert_eq!(cause("something that nobody has seen"), None);
    }
}
