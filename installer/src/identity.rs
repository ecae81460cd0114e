//! Which cluster a kubeconfig's context stands for, read from the names that AWS tools give.
//!
//! `aws eks update-kubeconfig` names context, cluster and user by the cluster's ARN;
//! `eksctl` names the cluster `<name>.<region>.eksctl.io` and the context `<user>@` that.

use schemars::JsonSchema;
use serde::Serialize;

/// A cluster's name, region and account, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Name of the EKS cluster.
    pub name: Option<String>,
    /// AWS region.
    pub region: Option<String>,
    /// AWS account, twelve digits.
    pub account: Option<String>,
}

impl Identity {
    /// Reads what the names in a kubeconfig say; the first name that says anything wins.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().map(Self::from_name).find(|found| found.name.is_some()).unwrap_or_default()
    }

    fn from_name(name: &str) -> Self {
        Self::from_arn(name).or_else(|| Self::from_eksctl(name)).unwrap_or_default()
    }

    fn from_arn(name: &str) -> Option<Self> {
        let start = name.find("arn:")?;
        let mut parts = name[start..].splitn(6, ':');
        let (_, _partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        let cluster = resource.strip_prefix("cluster/")?;
        (service == "eks").then(|| Self {
            name: given(cluster),
            region: given(region),
            account: given(account),
        })
    }

    fn from_eksctl(name: &str) -> Option<Self> {
        let host = name.rsplit('@').next()?.strip_suffix(".eksctl.io")?;
        let (cluster, region) = host.rsplit_once('.')?;
        Some(Self { name: given(cluster), region: given(region), account: None })
    }

    /// What differs between the cluster that was asked for and this one; parts that one side does not
    /// know are not compared. Empty when nothing contradicts.
    #[must_use]
    pub fn contradictions(&self, asked: &Identity) -> Vec<String> {
        [
            ("name", &asked.name, &self.name),
            ("region", &asked.region, &self.region),
            ("account", &asked.account, &self.account),
        ]
        .into_iter()
        .filter_map(|(what, asked, found)| match (asked, found) {
            (Some(asked), Some(found)) if asked != found => {
                Some(format!("{what} {asked:?} was asked for, the kubeconfig's context is {found:?}"))
            }
            _ => None,
        })
        .collect()
    }
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: &str, region: &str, account: Option<&str>) -> Identity {
        Identity { name: Some(name.into()), region: Some(region.into()), account: account.map(Into::into) }
    }

    #[test]
    fn both_spellings_of_a_context_are_read() {
        assert_eq!(
            Identity::from_names(["arn:aws:eks:eu-west-1:111122223333:cluster/shop"]),
            identity("shop", "eu-west-1", Some("111122223333"))
        );
        assert_eq!(
            Identity::from_names(["me@shop.eu-west-1.eksctl.io"]),
            identity("shop", "eu-west-1", None)
        );
        assert_eq!(Identity::from_names(["kind-kind", "default"]), Identity::default());
    }

    #[test]
    fn only_what_both_sides_know_can_contradict() {
        let found = identity("shop", "eu-west-1", None);
        assert!(found.contradictions(&identity("shop", "eu-west-1", Some("1"))).is_empty());
        assert!(found.contradictions(&Identity::default()).is_empty());
        assert_eq!(found.contradictions(&identity("shop", "us-east-1", None)).len(), 1);
        assert_eq!(found.contradictions(&identity("other", "us-east-1", None)).len(), 2);
    }
}
