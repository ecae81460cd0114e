//! What keeps a Ready controller from making nodes. The installation is done all the same: each finding
//! is a warning in the evidence.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Compute;
use crate::result::Warning;

/// As many objects of a kind as are looked at: the first show what is wrong with all.
const LIMIT: &str = "100";
/// As many lines of each replica's log.
const LINES: (&str, &str) = ("tailLines", "50");

/// One row: what is said, in lower case and all in one line, and what it means.
struct Row {
    code: &'static str,
    signs: &'static [&'static str],
    advice: &'static str,
}

const TABLE: &[Row] = &[
    Row {
        code: "INTERRUPTION_QUEUE_MISSING",
        signs: &["nonexistentqueue"],
        advice: "create the queue that settings.interruptionQueue names, or leave the value out: interruptions \
                 go unnoticed",
    },
    Row {
        code: "SPOT_ROLE_MISSING",
        signs: &["servicelinkedrolecreationnotpermitted"],
        advice: "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
    },
    Row {
        code: "SUBNETS_NOT_FOUND",
        signs: &["subnetsready=false"],
        advice: "tag the subnets as the EC2NodeClass's subnetSelectorTerms ask",
    },
    Row {
        code: "SECURITY_GROUPS_NOT_FOUND",
        signs: &["securitygroupsready=false"],
        advice: "tag the security groups as the EC2NodeClass's securityGroupSelectorTerms ask",
    },
    Row {
        code: "AMIS_NOT_FOUND",
        signs: &["amisready=false"],
        advice: "see the EC2NodeClass's amiSelectorTerms",
    },
    Row {
        code: "INSTANCE_PROFILE_NOT_READY",
        signs: &["instanceprofileready=false"],
        advice: "see that the EC2NodeClass's role exists and that the controller may pass it",
    },
    Row {
        code: "NODE_NOT_REGISTERED",
        signs: &["registered=", "not registered with cluster"],
        advice: "give the nodes' role an access entry (aws eks create-access-entry --type EC2_LINUX)",
    },
    Row {
        code: "IAM_DENIED",
        signs: &["unauthorizedoperation"],
        advice: "attach Karpenter's controller policy to the controller's role",
    },
    Row { code: "NODE_LAUNCH_FAILED", signs: &["launched=false"], advice: "see the NodeClaim's message" },
];

/// The conditions of an object that are not true, each as one line.
fn complaints(kind: &str, object: &Value) -> Vec<String> {
    let name = object["metadata"]["name"].as_str().unwrap_or("");
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|condition| condition["status"] != "True")
        .map(|condition| {
            let [of, status, reason, message] =
                ["type", "status", "reason", "message"].map(|field| text(&condition[field]));
            format!("{kind} {name}: {of}={status} {reason}: {message}").trim_end().to_owned()
        })
        .collect()
}

/// The warnings that lines make: the first line of each row, with how many more say the same.
fn warnings(lines: &[String]) -> Vec<Warning> {
    let mut found: BTreeMap<usize, (&str, usize)> = BTreeMap::new();
    for line in lines {
        let lower = line.to_lowercase();
        let fits = |row: &Row| row.signs.iter().all(|sign| lower.contains(sign));
        if let Some(at) = TABLE.iter().position(fits) {
            found.entry(at).or_insert((line, 0)).1 += 1;
        }
    }
    found
        .into_iter()
        .map(|(at, (line, count))| {
            let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
            Warning { code: TABLE[at].code.into(), message: format!("{line}{more}; {}", TABLE[at].advice) }
        })
        .collect()
}

impl Compute<'_, '_> {
    /// Looks at what the Ready controller says of its work. What cannot be read is passed over, aloud.
    pub(super) async fn look_around(&mut self) {
        let mut lines = Vec::new();
        for (kind, path) in [
            ("EC2NodeClass", "/apis/karpenter.k8s.aws/v1/ec2nodeclasses"),
            ("NodeClaim", "/apis/karpenter.sh/v1/nodeclaims"),
        ] {
            let what = format!("list {kind}s");
            match self.cluster.first(&what, path, LIMIT, |object| complaints(kind, object)).await {
                Ok(found) => lines.extend(found.into_iter().flatten()),
                Err(error) => self.run.warn("provisioning", format!("{kind}s are not looked at: {error}")),
            }
        }
        for name in &self.replicas {
            lines.extend(self.log_of(name).await);
        }
        for warning in warnings(&lines) {
            self.run.warn("provisioning", format!("{}: {}", warning.code, warning.message));
            self.evidence.karpenter.warnings.push(warning);
        }
    }

    async fn log_of(&self, name: &str) -> Vec<String> {
        let path = format!("/api/v1/namespaces/{}/pods/{name}/log", self.evidence.karpenter.namespace);
        let what = format!("read the log of {name}");
        match self.cluster.text(&what, &path, &[("container", "controller"), LINES]).await {
            Ok(text) => text.lines().map(|line| line.chars().take(600).collect()).collect(),
            Err(error) => {
                self.run.warn("provisioning", format!("the log of {name} is not looked at: {error}"));
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn codes(lines: &[&str]) -> Vec<String> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        warnings(&lines).into_iter().map(|warning| warning.code).collect()
    }

    #[test]
    fn conditions_that_are_not_true_are_read_as_lines() {
        let class = json!({ "metadata": { "name": "default" }, "status": { "conditions": [
            { "type": "SubnetsReady", "status": "False", "reason": "SubnetsNotFound",
              "message": "SubnetSelector did not match any Subnets" },
            { "type": "AMIsReady", "status": "True", "reason": "AMIsReady", "message": "" },
        ] } });
        let lines = complaints("EC2NodeClass", &class);
        assert_eq!(
            lines,
            [
                "EC2NodeClass default: SubnetsReady=False SubnetsNotFound: SubnetSelector did not match any Subnets"
            ]
        );
        assert_eq!(warnings(&lines)[0].code, "SUBNETS_NOT_FOUND");
    }

    #[test]
    fn the_controllers_and_the_claims_words_are_told_apart() {
        for (line, code) in [
            ("{\"error\":\"AWS.SimpleQueueService.NonExistentQueue: no\"}", "INTERRUPTION_QUEUE_MISSING"),
            (
                "NodeClaim x: Launched=False LaunchFailed: AuthFailure.ServiceLinkedRoleCreationNotPermitted: no",
                "SPOT_ROLE_MISSING",
            ),
            (
                "NodeClaim x: Registered=Unknown NodeNotFound: Node not registered with cluster",
                "NODE_NOT_REGISTERED",
            ),
            ("NodeClaim x: Launched=False InsufficientCapacity: none", "NODE_LAUNCH_FAILED"),
        ] {
            assert_eq!(codes(&[line]), [code]);
        }
        assert!(
            codes(&["all is well", "NodeClaim x: Initialized=Unknown AwaitingReconciliation: "]).is_empty()
        );
    }

    #[test]
    fn a_thousand_of_the_same_make_one_warning() {
        let lines = vec!["NonExistentQueue".to_owned(); 1000];
        let found = warnings(&lines);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("and 999 more"), "{}", found[0].message);
    }
}
