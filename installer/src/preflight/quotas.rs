//! The account's quotas, as far as a cluster that is yet to be made needs them: processors for the nodes, and a
//! VPC to put them in. What a quota leaves is only known where AWS tells what is used of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Found;
use crate::aws::{Aws, AwsError};
use crate::result::{Blocker, Code};

/// Running On-Demand instances of the standard families, in virtual processors.
const PROCESSORS: (&str, &str) = ("ec2", "L-1216C47A");

/// VPCs of a region; eksctl makes one for a cluster.
const VPCS: (&str, &str) = ("vpc", "L-F678F1CE");

/// What eksctl takes where nothing is said.
const DEFAULT_TYPE: &str = "m5.large";
const DEFAULT_NODES: u32 = 2;

pub(super) async fn check(found: &mut Found<'_, '_>) {
    let name = "quotas";
    let asked = &found.run.settings.cluster;
    let (Some(cluster), Some(region)) = (asked.name.clone(), asked.region.clone()) else {
        found.skipped(
            name,
            "without the cluster's name and region it is not known whether one has to be made",
        );
        return;
    };
    let aws = Aws::new(found.run, Some(&region));
    match aws.find(&["eks", "describe-cluster", "--name", &cluster]).await {
        Ok(Some(_)) => found.skipped(name, format!("cluster {cluster} is there: none has to be made")),
        Ok(None) => match needed(found, &aws).await {
            Ok(rows) => judge(found, &region, &rows),
            // Whoever may not ask may install all the same.
            Err(error) => found.unknown(name, format!("the quotas could not be read: {error}")),
        },
        Err(error) => found.unknown(name, format!("it is not known whether the cluster is there: {error}")),
    }
}

/// A quota, and what is needed of it.
struct Row {
    quota: (&'static str, &'static str),
    /// What is needed, in words.
    what: String,
    needed: f64,
    allowed: f64,
}

async fn needed(found: &Found<'_, '_>, aws: &Aws<'_>) -> Result<Vec<Row>, AwsError> {
    let mut rows = Vec::new();
    let groups = groups(found);
    let types: Vec<&str> = groups.keys().map(String::as_str).collect();
    if !types.is_empty() {
        let answer =
            aws.read(&[&["ec2", "describe-instance-types", "--instance-types"], &types[..]].concat()).await?;
        let processors = |name: &str| {
            let all = answer["InstanceTypes"].as_array()?;
            let one = all.iter().find(|it| it["InstanceType"] == name)?;
            one["VCpuInfo"]["DefaultVCpus"].as_f64()
        };
        let counted = groups.iter().filter(|(name, _)| standard(name));
        let sum = counted.filter_map(|(name, nodes)| Some(processors(name)? * f64::from(*nodes))).sum();
        let words: Vec<String> = groups.iter().map(|(name, nodes)| format!("{nodes} {name}")).collect();
        let allowed = quota(aws, PROCESSORS).await?;
        let what = format!("{sum} virtual processors for {}", words.join(", "));
        rows.push(Row { quota: PROCESSORS, what, needed: sum, allowed });
    }
    let vpcs = aws.read(&["ec2", "describe-vpcs"]).await?;
    let used = vpcs["Vpcs"]
        .as_array()
        .ok_or_else(|| AwsError::garbage("ec2 describe-vpcs", "it lacks a list of VPCs"))?
        .len();
    let needed = u32::try_from(used + 1).map_or(f64::MAX, f64::from);
    let what = format!("one VPC more than the {used} that there are");
    rows.push(Row { quota: VPCS, what, needed, allowed: quota(aws, VPCS).await? });
    Ok(rows)
}

/// How many nodes of each instance type are asked for.
fn groups(found: &Found<'_, '_>) -> BTreeMap<String, u32> {
    let settings = &found.run.settings.foundation;
    let mut nodes = BTreeMap::new();
    let mut add = |kind: Option<&String>, count: u32| {
        *nodes.entry(kind.map_or_else(|| DEFAULT_TYPE.to_owned(), Clone::clone)).or_insert(0) += count;
    };
    if settings.config_file.is_some() {
        return nodes;
    }
    if settings.node_groups.is_empty() {
        add(settings.node_type.as_ref(), settings.nodes.unwrap_or(DEFAULT_NODES));
    }
    for group in &settings.node_groups {
        add(group.instance_type.as_ref(), group.desired);
    }
    nodes
}

/// Whether an instance type counts against the quota of the standard families.
fn standard(kind: &str) -> bool {
    kind.starts_with(['a', 'c', 'd', 'h', 'i', 'm', 'r', 't', 'z'])
        && !kind.starts_with("dl")
        && !kind.starts_with("trn")
        && !kind.starts_with("inf")
}

async fn quota(aws: &Aws<'_>, (service, code): (&str, &str)) -> Result<f64, AwsError> {
    let args = ["service-quotas", "get-service-quota", "--service-code", service, "--quota-code", code];
    let answer: Value = aws.read(&args).await?;
    answer["Quota"]["Value"]
        .as_f64()
        .ok_or_else(|| AwsError::garbage("service-quotas get-service-quota", "it lacks Quota.Value"))
}

fn judge(found: &mut Found<'_, '_>, region: &str, rows: &[Row]) {
    let name = "quotas";
    let short: Vec<&Row> = rows.iter().filter(|row| row.needed > row.allowed).collect();
    let words = |rows: &[&Row]| {
        let all = rows.iter().map(|row| {
            let (service, code) = row.quota;
            format!("{} ({service} {code} allows {})", row.what, row.allowed)
        });
        all.collect::<Vec<_>>().join("; ")
    };
    if short.is_empty() {
        found.passed(name, words(&rows.iter().collect::<Vec<_>>()));
        return;
    }
    let commands = short.iter().map(|row| {
        let (service, code) = row.quota;
        format!(
            "aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code} --desired-value {} --region {region}",
            row.needed
        )
    });
    let blocker = Blocker::new(
        Code::QuotaTooSmall,
        format!("the account's quotas in {region} do not allow what a new cluster needs: {}", words(&short)),
        "have the quota raised, which can take days, or ask for fewer or smaller nodes",
    )
    .cause(Some("QUOTA_EXCEEDED"))
    .commands(commands.collect::<Vec<_>>());
    found.failed(name, blocker);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_standard_families_count_against_the_quota_of_processors() {
        for kind in ["m5.large", "t3.medium", "c7g.xlarge", "r6i.2xlarge", "i4i.large", "im4gn.large"] {
            assert!(standard(kind), "{kind}");
        }
        for kind in [
            "g5.xlarge",
            "p4d.24xlarge",
            "inf2.xlarge",
            "trn1.2xlarge",
            "dl1.24xlarge",
            "x2gd.medium",
            "u-6tb1.metal",
        ] {
            assert!(!standard(kind), "{kind}");
        }
    }
}
