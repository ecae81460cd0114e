//! `aws cloudformation`: the stacks that eksctl makes, and what happened to them.

use serde_json::{Value, json};

use super::{Failure, Operation, Session, broken};
use crate::cloud::flags::Flag;

const STACK: &[Flag] = &[("stack-name", None, true)];

pub(super) const OPERATIONS: &[Operation] = &[
    ("cloudformation", "describe-stacks", STACK, &[]),
    ("cloudformation", "describe-stack-events", STACK, &["stack-name"]),
    ("cloudformation", "wait stack-create-complete", STACK, &["stack-name"]),
];

/// A stack, and what became of it.
struct Stack {
    name: String,
    status: String,
    /// Logical id, type, status and reason of what failed, the cause first.
    failures: Vec<(String, String, String)>,
    created: String,
}

pub(super) fn run(session: &Session<'_>, operation: &str, region: &str) -> Result<String, Failure> {
    let mut all = stacks(session, region)?;
    let api = if operation == "describe-stacks" { "DescribeStacks" } else { "DescribeStackEvents" };
    if let Some(name) = session.given.one("stack-name") {
        all.retain(|stack| stack.name == name);
        if all.is_empty() {
            let words = match operation {
                "describe-stacks" => format!("Stack with id {name} does not exist"),
                _ => format!("Stack [{name}] does not exist"),
            };
            return Err(Failure::service("ValidationError", api, &words));
        }
    }
    if operation == "wait stack-create-complete" {
        return match all.first().map(|stack| stack.status.as_str()) {
            Some("CREATE_COMPLETE") => Ok(String::new()),
            status => Err(Failure(
                255,
                format!(
                    "\nWaiter StackCreateComplete failed: Waiter encountered a terminal failure state: For expression \"Stacks[].StackStatus\" we matched expected path: \"{}\" at least once\n",
                    status.unwrap_or("ValidationError")
                ),
            )),
        };
    }
    let id = |stack: &Stack| {
        format!("arn:aws:cloudformation:{region}:{}:stack/{}/example", session.cloud.account(), stack.name)
    };
    if operation == "describe-stacks" {
        let list: Vec<Value> = all
            .iter()
            .map(|stack| {
                json!({
                    "StackId": id(stack),
                    "StackName": stack.name,
                    "CreationTime": stack.created,
                    "StackStatus": stack.status,
                    "DisableRollback": false,
                    "Tags": [],
                })
            })
            .collect();
        return session.print(&json!({ "Stacks": list }));
    }
    let mut events = Vec::new();
    for stack in &all {
        let event = |resource: &str, kind: &str, status: &str, reason: Option<&str>| {
            let mut event = json!({
                "StackId": id(stack),
                "EventId": format!("{resource}-{status}"),
                "StackName": stack.name,
                "LogicalResourceId": resource,
                "ResourceType": kind,
                "Timestamp": stack.created,
                "ResourceStatus": status,
            });
            if let Some(reason) = reason {
                event["ResourceStatusReason"] = json!(reason);
            }
            event
        };
        // Newest first, as CloudFormation lists them.
        events.push(event(&stack.name, "AWS::CloudFormation::Stack", &stack.status, None));
        for (resource, kind, reason) in stack.failures.iter().rev() {
            events.push(event(resource, kind, "CREATE_FAILED", Some(reason)));
        }
        events.push(event(
            &stack.name,
            "AWS::CloudFormation::Stack",
            "CREATE_IN_PROGRESS",
            Some("User Initiated"),
        ));
    }
    session.print(&json!({ "StackEvents": events }))
}

fn stacks(session: &Session<'_>, region: &str) -> Result<Vec<Stack>, Failure> {
    let identity = &session.cloud.identity;
    if region != identity.region || session.cloud.account() != identity.account {
        return Ok(Vec::new());
    }
    let name = format!("eksctl-{}-cluster", identity.name);
    let made = session.cloud.change(|account| account.cluster.clone()).map_err(broken)?;
    let mut all = Vec::new();
    if let Some(failed) = &session.cloud.eks.stack {
        let resource = failed.resource_type.rsplit("::").next().unwrap_or("Resource").to_owned();
        let cancelled = "Resource creation cancelled".to_owned();
        all.push(Stack {
            name,
            status: failed.status.clone(),
            failures: vec![
                (resource, failed.resource_type.clone(), failed.reason.clone()),
                ("ServiceRole".into(), "AWS::IAM::Role".into(), cancelled),
            ],
            created: "2026-01-01T00:00:00+00:00".into(),
        });
    } else if let Some(made) = made {
        let created = made.created_at.to_string();
        all.push(Stack { name, status: "CREATE_COMPLETE".into(), failures: Vec::new(), created });
    }
    for (group, found) in session.cloud.change(|account| account.node_groups.clone()).map_err(broken)? {
        let failed = found.status == "CREATE_FAILED";
        let issue = session.cloud.node_group_issue();
        let reason = format!(
            "Resource handler returned message: \"[Issue(Code={}, Message={}, ResourceIds=[{group}])] (Service: null, Status Code: 0, Request ID: null)\" (RequestToken: example, HandlerErrorCode: GeneralServiceException)",
            issue.code, issue.message
        );
        let failure = ("ManagedNodeGroup".to_owned(), "AWS::EKS::Nodegroup".to_owned(), reason);
        all.push(Stack {
            name: format!("eksctl-{}-nodegroup-{group}", identity.name),
            status: if failed { "ROLLBACK_COMPLETE" } else { "CREATE_COMPLETE" }.into(),
            failures: if failed { vec![failure] } else { Vec::new() },
            created: found.created_at.to_string(),
        });
    }
    Ok(all)
}
