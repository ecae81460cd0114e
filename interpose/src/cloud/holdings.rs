//! What an account holds beside its cluster: buckets, policies, roles, add-ons, associations.
//!
//! The plan says what is there from the start; what calls change is kept as differences from that, so
//! that a fault may still change the plan while the installer runs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that an account holds, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Holdings {
    /// S3 buckets, those of other accounts that are in the way among them.
    pub buckets: BTreeMap<String, Bucket>,
    /// IAM policies of the account's own.
    pub policies: BTreeMap<String, Policy>,
    /// IAM roles.
    pub roles: BTreeMap<String, Role>,
    /// Add-ons of the cluster.
    pub addons: BTreeMap<String, Addon>,
    /// Pod Identity associations of the cluster, by id.
    pub associations: BTreeMap<String, Association>,
}

/// An S3 bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bucket {
    /// Account that it belongs to; the caller's own when absent.
    #[serde(default)]
    pub owner: Option<String>,
    /// Its region.
    pub region: String,
}

/// An IAM policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// Documents by version, such as `v1`.
    pub versions: BTreeMap<String, Value>,
    /// The version that counts.
    pub default_version: String,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An IAM role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Role {
    /// Who may take it on.
    pub trust: Value,
    /// ARNs of its policies.
    #[serde(default)]
    pub attached: Vec<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An EKS add-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Addon {
    /// `ACTIVE`, `DEGRADED`, `CREATE_FAILED`….
    pub status: String,
    /// What EKS says is wrong with it.
    #[serde(default)]
    pub issues: Vec<Issue>,
}

/// What EKS says is wrong with a cluster, a node group or an add-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Issue {
    /// Such as `AsgInstanceLaunchFailures`.
    pub code: String,
    /// In EKS's words.
    pub message: String,
}

/// A Pod Identity association.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Association {
    /// Namespace of the service account.
    pub namespace: String,
    /// The service account.
    pub service_account: String,
    /// ARN of the role.
    pub role_arn: String,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// Differences from the plan: what is there now, or `None` for what is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Changes {
    buckets: BTreeMap<String, Option<Bucket>>,
    policies: BTreeMap<String, Option<Policy>>,
    roles: BTreeMap<String, Option<Role>>,
    addons: BTreeMap<String, Option<Addon>>,
    associations: BTreeMap<String, Option<Association>>,
}

impl Changes {
    /// What there is now.
    pub(super) fn applied_to(&self, start: &Holdings) -> Holdings {
        let mut now = start.clone();
        apply(&self.buckets, &mut now.buckets);
        apply(&self.policies, &mut now.policies);
        apply(&self.roles, &mut now.roles);
        apply(&self.addons, &mut now.addons);
        apply(&self.associations, &mut now.associations);
        now
    }

    /// Notes what differs between two states.
    pub(super) fn note(&mut self, before: &Holdings, after: &Holdings) {
        note(&mut self.buckets, &before.buckets, &after.buckets);
        note(&mut self.policies, &before.policies, &after.policies);
        note(&mut self.roles, &before.roles, &after.roles);
        note(&mut self.addons, &before.addons, &after.addons);
        note(&mut self.associations, &before.associations, &after.associations);
    }
}

fn apply<T: Clone>(changes: &BTreeMap<String, Option<T>>, to: &mut BTreeMap<String, T>) {
    for (name, change) in changes {
        match change {
            Some(value) => drop(to.insert(name.clone(), value.clone())),
            None => drop(to.remove(name)),
        }
    }
}

fn note<T: Clone + PartialEq>(
    changes: &mut BTreeMap<String, Option<T>>,
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
) {
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        changes.insert(name.clone(), None);
    }
    for (name, value) in after.iter().filter(|(name, value)| before.get(*name) != Some(*value)) {
        changes.insert(name.clone(), Some(value.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_calls_changed_outlasts_a_change_of_the_plan_and_the_rest_follows_it() {
        let bucket = |region: &str| Bucket { owner: None, region: region.into() };
        let start = |names: &[&str]| Holdings {
            buckets: names.iter().map(|name| ((*name).to_owned(), bucket("eu-central-1"))).collect(),
            ..Holdings::default()
        };
        let (before, mut changes) = (start(&["a", "b"]), Changes::default());
        let mut after = before.clone();
        after.buckets.remove("a");
        after.buckets.insert("c".into(), bucket("us-east-1"));
        changes.note(&before, &after);
        assert_eq!(changes.applied_to(&before), after);
        let later = changes.applied_to(&start(&["a", "d"]));
        assert_eq!(later.buckets.keys().collect::<Vec<_>>(), ["c", "d"]);
    }
}
