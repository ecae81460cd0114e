//! What the values of a configuration file must look like: whoever makes the objects would refuse them
//! too, half an hour later.

use serde::{Deserialize, Deserializer, de::Error};

/// Reads a text and makes something of it; the error is told where the text stands.
pub(super) fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    make: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    make(&text).map_err(D::Error::custom)
}

/// A rule: `None` when the text keeps it, or else what it should look like.
type Rule = fn(&str) -> Option<&'static str>;

fn keep<'de, D: Deserializer<'de>>(deserializer: D, rule: Rule) -> Result<String, D::Error> {
    text(deserializer, |text| match rule(text) {
        None => Ok(text.to_owned()),
        Some(wanted) => Err(format!("{text:?}: {wanted}")),
    })
}

macro_rules! required {
    ($($name:ident: $rule:expr;)*) => {$(
        pub(super) fn $name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
            keep(deserializer, $rule)
        }
    )*};
}

macro_rules! optional {
    ($($name:ident: $rule:expr;)*) => {$(
        pub(super) fn $name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
            keep(deserializer, $rule).map(Some)
        }
    )*};
}

required! {
    bucket_name: bucket_rule;
    node_group_name: node_group_rule;
    required_namespace: label_rule;
    object_name: subdomain_rule;
    release_name: release_rule;
}

optional! {
    cluster_name: cluster_rule;
    region: region_rule;
    account: account_rule;
    minor_version: minor_rule;
    chart_version: chart_version_rule;
    namespace: label_rule;
    iam_name: policy_rule;
    role_name: role_rule;
}

fn unless(kept: bool, wanted: &'static str) -> Option<&'static str> {
    (!kept).then_some(wanted)
}

fn alphanumeric(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn ends_alphanumeric(text: &str) -> bool {
    text.starts_with(alphanumeric) && text.ends_with(alphanumeric)
}

/// The rule of EKS for a cluster's name.
pub(crate) fn cluster_rule(text: &str) -> Option<&'static str> {
    unless(
        text.len() <= 100
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'),
        "EKS names begin with a letter or digit, go on with letters, digits, - and _, and have at most \
         100 characters",
    )
}

fn region_rule(text: &str) -> Option<&'static str> {
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
    let kept = parts.len() >= 3
        && parts.last().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()) && !last.is_empty())
        && parts[..parts.len() - 1].iter().all(|part| letters(part));
    unless(kept, "a region is written as eu-central-1")
}

/// The rule of AWS for an account's id.
pub(crate) fn account_rule(text: &str) -> Option<&'static str> {
    unless(
        text.len() == 12 && text.chars().all(|c| c.is_ascii_digit()),
        "an account has twelve digits; write them in quotes",
    )
}

fn minor_rule(text: &str) -> Option<&'static str> {
    let kept = text.split_once('.').is_some_and(|(major, minor)| {
        [major, minor].iter().all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()))
    });
    unless(kept, "write a minor version of Kubernetes in quotes, such as \"1.33\"")
}

/// The rule of the charts' authors for a version.
pub(crate) fn chart_version_rule(text: &str) -> Option<&'static str> {
    unless(
        text.starts_with(|c: char| c.is_ascii_digit()),
        "a chart's version has no v in front; write it as 1.8.3",
    )
}

fn label_rule(text: &str) -> Option<&'static str> {
    unless(
        text.len() <= 63 && ends_alphanumeric(text) && text.chars().all(|c| alphanumeric(c) || c == '-'),
        "a namespace has lower-case letters, digits and -, begins and ends with a letter or digit, and has \
         at most 63 characters",
    )
}

fn subdomain_rule(text: &str) -> Option<&'static str> {
    unless(
        text.len() <= 253
            && text
                .split('.')
                .all(|part| ends_alphanumeric(part) && part.chars().all(|c| alphanumeric(c) || c == '-')),
        "a name has lower-case letters, digits, - and ., and begins and ends with a letter or digit",
    )
}

fn release_rule(text: &str) -> Option<&'static str> {
    if text.len() > 53 { Some("a release's name has at most 53 characters") } else { subdomain_rule(text) }
}

fn node_group_rule(text: &str) -> Option<&'static str> {
    unless(
        text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'),
        "a node group's name has letters, digits, - and _, and at most 63 characters",
    )
}

fn bucket_rule(text: &str) -> Option<&'static str> {
    let address = text.split('.').count() == 4
        && text.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()));
    unless(
        (3..=63).contains(&text.len())
            && ends_alphanumeric(text)
            && text.chars().all(|c| alphanumeric(c) || c == '-' || c == '.')
            && !text.contains("..")
            && !address
            && !text.starts_with("xn--")
            && !text.ends_with("-s3alias"),
        "a bucket's name has 3 to 63 lower-case letters, digits, - and ., begins and ends with a letter or \
         digit, and is no address",
    )
}

fn iam(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c))
}

fn policy_rule(text: &str) -> Option<&'static str> {
    unless(iam(text, 128), "a policy's name has letters, digits and +=,.@_-, and at most 128 characters")
}

fn role_rule(text: &str) -> Option<&'static str> {
    unless(iam(text, 64), "a role's name has letters, digits and +=,.@_-, and at most 64 characters")
}
