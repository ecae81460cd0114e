//! IAM documents: what they should say, and what differs in what they do say.
//!
//! A document is judged by the permissions in it and not by its text: order, names of statements, and
//! whether a single action stands in a list make no difference to anybody.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// What the workloads may do with the bucket.
pub(super) fn access(bucket_arn: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Bucket",
                "Effect": "Allow",
                "Action": ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
                "Resource": bucket_arn,
            },
            {
                "Sid": "Objects",
                "Effect": "Allow",
                "Action": [
                    "s3:AbortMultipartUpload",
                    "s3:DeleteObject",
                    "s3:GetObject",
                    "s3:ListMultipartUploadParts",
                    "s3:PutObject",
                ],
                "Resource": format!("{bucket_arn}/*"),
            },
        ],
    })
}

/// Who may take the role on: pods, through EKS.
pub(super) fn trust() -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "pods.eks.amazonaws.com" },
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }],
    })
}

/// What differs between what a document should say and what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// What is not there and should be.
    pub(super) missing: Vec<String>,
    /// What is there and should not be.
    pub(super) surplus: Vec<String>,
}

impl Difference {
    pub(super) fn between(wanted: &Value, found: &Value) -> Self {
        let (wanted, found) = (permissions(wanted), permissions(found));
        Self {
            missing: wanted.difference(&found).cloned().collect(),
            surplus: found.difference(&wanted).cloned().collect(),
        }
    }

    pub(super) fn is_none(&self) -> bool {
        self.missing.is_empty() && self.surplus.is_empty()
    }

    /// In words.
    pub(super) fn words(&self) -> String {
        let list = |what: &str, all: &[String]| {
            (!all.is_empty()).then(|| {
                let more = all.len().saturating_sub(3);
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                format!("{what} {}{more}", all[..all.len().min(3)].join(", "))
            })
        };
        let parts = [list("it lacks", &self.missing), list("it also has", &self.surplus)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// A document's permissions, one a line: effect, action, on what, by whom, under which condition.
fn permissions(document: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for statement in several(&document["Statement"]) {
        let effect = statement["Effect"].as_str().unwrap_or("?");
        let condition = match &statement["Condition"] {
            Value::Null => String::new(),
            condition => format!(" if {condition}"),
        };
        let who = principals(&statement["Principal"]);
        for (name, not) in [("Action", ""), ("NotAction", "not ")] {
            for action in several(&statement[name]) {
                let action = action.as_str().unwrap_or("?");
                for (resource, on) in [("Resource", " on "), ("NotResource", " on all but ")] {
                    for resource in several(&statement[resource]) {
                        let resource = resource.as_str().unwrap_or("?");
                        all.insert(format!("{effect} {not}{action}{on}{resource}{condition}"));
                    }
                }
                for who in &who {
                    all.insert(format!("{effect} {not}{action} to {who}{condition}"));
                }
            }
        }
    }
    all
}

fn principals(value: &Value) -> Vec<String> {
    match value {
        Value::Object(kinds) => kinds
            .iter()
            .flat_map(|(kind, names)| {
                several(names).into_iter().map(move |name| format!("{kind} {}", name.as_str().unwrap_or("?")))
            })
            .collect(),
        Value::String(name) => vec![name.clone()],
        _ => Vec::new(),
    }
}

/// A list, or the one thing that stands for a list.
fn several(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(all) => all.iter().collect(),
        one => vec![one],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_permissions_in_another_text_are_the_same() {
        let found = json!({
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Principal": { "Service": ["pods.eks.amazonaws.com"] },
                "Action": ["sts:TagSession", "sts:AssumeRole"],
            },
        });
        assert!(Difference::between(&trust(), &found).is_none());
        assert!(Difference::between(&access("arn:aws:s3:::b"), &access("arn:aws:s3:::b")).is_none());
    }

    #[test]
    fn what_is_missing_and_what_is_too_much_is_named() {
        let mut found = access("arn:aws:s3:::b");
        found["Statement"][1]["Action"] = json!(["s3:*"]);
        let difference = Difference::between(&access("arn:aws:s3:::b"), &found);
        assert_eq!(difference.surplus, ["Allow s3:* on arn:aws:s3:::b/*"]);
        assert_eq!(difference.missing.len(), 5);
        let words = difference.words();
        assert!(words.starts_with("it lacks Allow s3:AbortMultipartUpload on arn:aws:s3:::b/*, "), "{words}");
        assert!(words.contains(" and 2 more; it also has Allow s3:* on "), "{words}");
    }

    #[test]
    fn a_condition_is_a_difference() {
        let mut found = trust();
        found["Statement"][0]["Condition"] = json!({ "StringEquals": { "aws:SourceAccount": "1" } });
        assert!(!Difference::between(&trust(), &found).is_none());
        let mut found = trust();
        found["Statement"][0]["Principal"] = json!({ "Service": "ec2.amazonaws.com" });
        let words = Difference::between(&trust(), &found).words();
        assert!(words.contains("Allow sts:AssumeRole to Service pods.eks.amazonaws.com"), "{words}");
    }
}
