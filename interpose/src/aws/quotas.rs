//! `aws service-quotas` and what of `aws ec2` tells how much of a quota something needs.

use serde_json::{Value, json};

use super::{Failure, Operation, Session};
use crate::cloud::flags::Flag;

const QUOTA: &[Flag] = &[("service-code", None, true), ("quota-code", None, true)];
const TYPES: &[Flag] = &[("instance-types", None, true)];

pub(super) const OPERATIONS: &[Operation] = &[
    ("service-quotas", "get-service-quota", QUOTA, &["service-code", "quota-code"]),
    ("ec2", "describe-instance-types", TYPES, &[]),
    ("ec2", "describe-vpcs", &[], &[]),
];

/// Service, code, name, and what an account has that nobody has asked for more.
const QUOTAS: &[(&str, &str, &str, u32)] = &[
    ("ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 64),
    ("vpc", "L-F678F1CE", "VPCs per Region", 5),
    ("eks", "L-1194D53C", "Clusters", 100),
];

/// Sizes of instances, and their virtual processors.
const SIZES: &[(&str, u32)] = &[
    ("nano", 2),
    ("micro", 2),
    ("small", 2),
    ("medium", 2),
    ("large", 2),
    ("xlarge", 4),
    ("2xlarge", 8),
    ("4xlarge", 16),
    ("8xlarge", 32),
    ("12xlarge", 48),
    ("16xlarge", 64),
    ("24xlarge", 96),
];

pub(super) fn run(session: &Session<'_>, operation: &str, region: &str) -> Result<String, Failure> {
    match operation {
        "get-service-quota" => quota(session, region),
        "describe-instance-types" => instance_types(session),
        _ => session.print(&json!({ "Vpcs": [{
            "OwnerId": session.cloud.account(),
            "InstanceTenancy": "default",
            "IsDefault": true,
            "VpcId": "vpc-0example",
            "State": "available",
            "CidrBlock": "172.31.0.0/16",
        }] })),
    }
}

fn quota(session: &Session<'_>, region: &str) -> Result<String, Failure> {
    let (service, code) = (session.needed("service-code"), session.needed("quota-code"));
    let known = QUOTAS.iter().find(|it| it.0 == service && it.1 == code);
    let Some((_, _, name, usual)) = known else {
        return Err(Failure::service(
            "NoSuchResourceException",
            "GetServiceQuota",
            "The request failed because the specified service does not exist.",
        ));
    };
    let value = session.cloud.quotas.get(code).unwrap_or(usual);
    session.print(&json!({ "Quota": {
        "ServiceCode": service,
        "QuotaArn": format!("arn:aws:servicequotas:{region}:{}:{service}/{code}", session.cloud.account()),
        "QuotaCode": code,
        "QuotaName": name,
        "Value": f64::from(*value),
        "Unit": "None",
        "Adjustable": true,
        "GlobalQuota": false,
    } }))
}

fn instance_types(session: &Session<'_>) -> Result<String, Failure> {
    let processors = |kind: &str| {
        let (family, size) = kind.split_once('.')?;
        let known = family.len() >= 2 && family.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        SIZES.iter().find(|(name, _)| known && *name == size).map(|(_, count)| *count)
    };
    if session.given.one("instance-types").is_none() {
        return Err(Failure::not_here("ec2 describe-instance-types without --instance-types"));
    }
    let asked = || session.needed("instance-types").lines();
    let unknown: Vec<&str> = asked().filter(|kind| processors(kind).is_none()).collect();
    if !unknown.is_empty() {
        let words = format!("The following supplied instance types do not exist: [{}]", unknown.join(", "));
        return Err(Failure::service("InvalidInstanceType", "DescribeInstanceTypes", &words));
    }
    let described = asked().filter_map(|kind| {
        let count = processors(kind)?;
        Some(
            json!({ "InstanceType": kind, "CurrentGeneration": true, "VCpuInfo": { "DefaultVCpus": count } }),
        )
    });
    session.print(&json!({ "InstanceTypes": described.collect::<Vec<Value>>() }))
}
