//! The AWS account: whether the credentials are accepted, whose they are, and what they may do.

use serde_json::Value;

use super::Found;
use crate::helm::said_last;
use crate::result::{Blocker, Code};
use crate::seams::{ToolError, ToolOutput};

/// What the phases do in the account. Nothing is created here; IAM is only asked.
const ACTIONS: &[&str] = &[
    "eks:DescribeCluster",
    "eks:CreateCluster",
    "eks:CreateNodegroup",
    "cloudformation:CreateStack",
    "ec2:DescribeInstanceTypes",
    "iam:CreateRole",
    "iam:PassRole",
];

/// What phase 2 does besides, where an object store is configured.
const STORAGE_ACTIONS: &[&str] =
    &["s3:CreateBucket", "iam:CreatePolicy", "iam:AttachRolePolicy", "eks:CreatePodIdentityAssociation"];

pub(super) async fn check(found: &mut Found<'_, '_>) {
    let name = "credentials";
    let answer = match ask(found, &["sts", "get-caller-identity", "--output", "json"]).await {
        Ok(output) if output.success() => serde_json::from_str::<Value>(&output.stdout).ok(),
        Ok(output) => {
            let words = said_last(&output);
            found.undetermined(name, refused(&format!("AWS does not accept the credentials: {words}")));
            return;
        }
        Err(ToolError::NotFound { .. }) => {
            found.unknown(name, "aws is not there to ask");
            return;
        }
        Err(ToolError::Stopped { reason, .. }) => {
            found.undetermined(name, Blocker::stopped(reason));
            return;
        }
        Err(error) => {
            found.undetermined(name, refused(&error.to_string()));
            return;
        }
    };
    let text = |field: &str| answer.as_ref()?.get(field)?.as_str().map(str::to_owned);
    let (Some(account), Some(arn)) = (text("Account"), text("Arn")) else {
        found.undetermined(name, refused("aws sts get-caller-identity answered without Account and Arn"));
        return;
    };
    let asked = found.run.settings.cluster.account.clone();
    if let Some(asked) = asked.filter(|asked| *asked != account) {
        let message = format!("account {asked:?} was asked for, the credentials are of account {account:?}");
        let blocker = Blocker::new(
            Code::WrongCluster,
            message,
            "nothing was touched: use a profile of the account that was asked for, or ask for this one",
        )
        .commands(["aws sts get-caller-identity", "aws configure list"]);
        found.failed(name, blocker);
        return;
    }
    found.passed(name, format!("account {account} as {arn}"));
    simulate(found, &arn).await;
}

/// Asks IAM whether the identity may do what the phases do; not everybody may ask.
async fn simulate(found: &mut Found<'_, '_>, arn: &str) {
    let name = "iam";
    let Some(principal) = principal(arn) else {
        found.skipped(name, format!("IAM simulates no policies for {arn}"));
        return;
    };
    let storage = found.run.settings.storage.as_ref().map_or(&[][..], |_| STORAGE_ACTIONS);
    let mut args = vec!["iam", "simulate-principal-policy", "--policy-source-arn", &principal];
    args.push("--action-names");
    args.extend(ACTIONS.iter().chain(storage));
    args.extend(["--output", "json"]);
    let output = match ask(found, &args).await {
        Ok(output) if output.success() => output,
        Ok(output) => {
            found.skipped(name, format!("the policies cannot be simulated: {}", said_last(&output)));
            return;
        }
        Err(error) => {
            found.unknown(name, error.to_string());
            return;
        }
    };
    let answer: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    let Some(results) = answer["EvaluationResults"].as_array() else {
        found.unknown(name, "the simulation answered without EvaluationResults");
        return;
    };
    let denied: Vec<&str> = results
        .iter()
        .filter(|result| result["EvalDecision"] != "allowed")
        .filter_map(|result| result["EvalActionName"].as_str())
        .collect();
    if denied.is_empty() {
        found.passed(name, format!("{} actions are allowed", results.len()));
        return;
    }
    let message = format!("IAM does not allow {principal}: {}", denied.join(", "));
    let blocker = Blocker::new(
        Code::PermissionDenied,
        message,
        "have these actions allowed, or run with an identity that may do them",
    )
    .commands([format!(
        "aws iam simulate-principal-policy --policy-source-arn {principal} --action-names {}",
        denied.join(" ")
    )]);
    found.failed(name, blocker);
}

/// The principal whose policies can be simulated: a user, or the role behind a session.
fn principal(arn: &str) -> Option<String> {
    let mut parts = arn.splitn(6, ':');
    let (_, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (_, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    match (service, resource.split_once('/')) {
        ("iam", Some(("user" | "role", _))) => Some(arn.to_owned()),
        ("sts", Some(("assumed-role", session))) => {
            let role = session.split('/').next()?;
            Some(format!("arn:{partition}:iam::{account}:role/{role}"))
        }
        // The root user, a federated user.
        _ => None,
    }
}

fn refused(message: &str) -> Blocker {
    Blocker::new(
        Code::AwsUnauthorized,
        message,
        "log in again, or choose a profile with AWS_PROFILE whose credentials are accepted",
    )
    .commands(["aws sts get-caller-identity", "aws configure list"])
}

async fn ask(found: &Found<'_, '_>, args: &[&str]) -> Result<ToolOutput, ToolError> {
    let args = args.iter().map(|&arg| arg.to_owned()).collect();
    found.run.tool("aws", args, None, found.run.settings.limits.api_timeout * 2).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_behind_a_session_is_what_can_be_simulated() {
        for (arn, found) in [
            ("arn:aws:iam::111122223333:user/me", Some("arn:aws:iam::111122223333:user/me")),
            (
                "arn:aws:sts::111122223333:assumed-role/Admin/me@example.com",
                Some("arn:aws:iam::111122223333:role/Admin"),
            ),
            ("arn:aws-cn:sts::111122223333:assumed-role/A/b", Some("arn:aws-cn:iam::111122223333:role/A")),
            ("arn:aws:iam::111122223333:root", None),
            ("nonsense", None),
        ] {
            assert_eq!(principal(arn).as_deref(), found, "{arn}");
        }
    }
}
