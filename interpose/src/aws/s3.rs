//! `aws s3api`: buckets.

use serde_json::{Value, json};

use super::{Failure, Operation, Session, broken, parameters};
use crate::cloud::Bucket;
use crate::cloud::flags::Flag;

const BUCKET: &[Flag] = &[("bucket", None, true), ("expected-bucket-owner", None, true)];
const CREATE: &[Flag] = &[
    ("bucket", None, true),
    ("acl", None, true),
    ("create-bucket-configuration", None, true),
    ("object-lock-enabled-for-bucket", None, false),
    ("no-object-lock-enabled-for-bucket", None, false),
    ("object-ownership", None, true),
];

pub(super) const OPERATIONS: &[Operation] = &[
    ("s3api", "head-bucket", BUCKET, &["bucket"]),
    ("s3api", "get-bucket-location", BUCKET, &["bucket"]),
    ("s3api", "create-bucket", CREATE, &["bucket"]),
    ("s3api", "delete-bucket", BUCKET, &["bucket"]),
    ("s3api", "list-buckets", &[], &[]),
];

pub(super) fn run(session: &Session<'_>, operation: &str, region: &str) -> Result<String, Failure> {
    let account = session.cloud.account().to_owned();
    if operation == "list-buckets" {
        let names = session
            .cloud
            .alter(|holdings| {
                let mine = holdings.buckets.iter().filter(|(_, bucket)| owner(session, bucket) == account);
                mine.map(|(name, _)| json!({ "Name": name })).collect::<Vec<_>>()
            })
            .map_err(broken)?;
        return session.print(&json!({ "Buckets": names, "Owner": { "ID": account } }));
    }
    let name = session.needed("bucket");
    if !valid(name) {
        return Err(Failure(
            252,
            format!(
                "\nParameter validation failed:\nInvalid bucket name \"{name}\": Bucket name must match the regex \"^[a-zA-Z0-9.\\-_]{{1,255}}$\" or be an ARN matching the regex \"^arn:(aws).*:(s3|s3-object-lambda):[a-z\\-0-9]*:[0-9]{{12}}:accesspoint[/:][a-zA-Z0-9\\-.]{{1,63}}$|^arn:(aws).*:s3-outposts:[a-z\\-0-9]+:[0-9]{{12}}:outpost[/:][a-zA-Z0-9\\-]{{1,63}}[/:]accesspoint[/:][a-zA-Z0-9\\-]{{1,63}}$\"\n"
            ),
        ));
    }
    let found = session.cloud.alter(|holdings| holdings.buckets.get(name).cloned()).map_err(broken)?;
    let expected = session.given.one("expected-bucket-owner");
    let mine = |bucket: &Bucket| {
        let owner = owner(session, bucket);
        owner == account && expected.is_none_or(|expected| expected == owner)
    };
    match (operation, found) {
        ("create-bucket", found) => create(session, name, found.as_ref(), region),
        ("head-bucket", None) => Err(Failure::service("404", "HeadBucket", "Not Found")),
        ("head-bucket", Some(bucket)) if !mine(&bucket) => {
            Err(Failure::service("403", "HeadBucket", "Forbidden"))
        }
        ("head-bucket", Some(bucket)) => session.print(&json!({
            "BucketArn": format!("arn:aws:s3:::{name}"),
            "BucketRegion": bucket.region,
            "AccessPointAlias": false,
        })),
        (operation, None) => {
            let words = "The specified bucket does not exist";
            Err(Failure::service("NoSuchBucket", api_name(operation), words))
        }
        (operation, Some(bucket)) if !mine(&bucket) => {
            Err(Failure::service("AccessDenied", api_name(operation), "Access Denied"))
        }
        ("get-bucket-location", Some(bucket)) => {
            // Buckets of the oldest region have no constraint.
            let place = (bucket.region != "us-east-1").then_some(bucket.region);
            session.print(&json!({ "LocationConstraint": place.map_or(Value::Null, Value::String) }))
        }
        ("delete-bucket", Some(_)) => {
            session.cloud.alter(|holdings| holdings.buckets.remove(name)).map_err(broken)?;
            Ok(String::new())
        }
        (other, _) => Err(Failure::not_here(&format!("aws s3api {other}"))),
    }
}

fn owner<'a>(session: &'a Session<'_>, bucket: &'a Bucket) -> &'a str {
    bucket.owner.as_deref().unwrap_or(&session.cloud.identity.account)
}

fn api_name(operation: &str) -> &'static str {
    if operation == "delete-bucket" { "DeleteBucket" } else { "GetBucketLocation" }
}

fn valid(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
}

fn create(
    session: &Session<'_>,
    name: &str,
    found: Option<&Bucket>,
    region: &str,
) -> Result<String, Failure> {
    let failed = |error: &str, words: &str| Err(Failure::service(error, "CreateBucket", words));
    let asked = match session.given.one("create-bucket-configuration") {
        None => None,
        Some(text) => {
            let mut fields = parameters::structure("create-bucket-configuration", text)?;
            let place = fields.remove("LocationConstraint");
            if let Some(unknown) = fields.keys().next() {
                return Err(Failure(
                    252,
                    format!(
                        "\nParameter validation failed:\nUnknown parameter in CreateBucketConfiguration: \"{unknown}\", must be one of: LocationConstraint, Location, Bucket, Tags\n"
                    ),
                ));
            }
            place
        }
    };
    match asked.as_deref() {
        None if region != "us-east-1" => {
            return failed(
                "IllegalLocationConstraintException",
                "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.",
            );
        }
        Some("us-east-1") => {
            return failed("InvalidLocationConstraint", "The specified location-constraint is not valid");
        }
        Some(asked) if asked != region && region != "us-east-1" => {
            let words = format!(
                "The {asked} location constraint is incompatible for the region specific endpoint this request was sent to."
            );
            return failed("IllegalLocationConstraintException", &words);
        }
        _ => {}
    }
    if name.len() < 3 || name.len() > 63 || name.chars().any(|c| c.is_ascii_uppercase() || c == '_') {
        return failed("InvalidBucketName", "The specified bucket is not valid.");
    }
    let place = asked.unwrap_or_else(|| "us-east-1".to_owned());
    match found {
        Some(bucket) if owner(session, bucket) != session.cloud.account() => failed(
            "BucketAlreadyExists",
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.",
        ),
        Some(_) if place != "us-east-1" => failed(
            "BucketAlreadyOwnedByYou",
            "Your previous request to create the named bucket succeeded and you already own it.",
        ),
        _ => {
            let owner = Some(session.cloud.account().to_owned());
            let bucket = Bucket { owner, region: place.clone() };
            session
                .cloud
                .alter(|holdings| holdings.buckets.entry(name.to_owned()).or_insert(bucket).clone())
                .map_err(broken)?;
            let location = if place == "us-east-1" {
                format!("/{name}")
            } else {
                format!("http://{name}.s3.amazonaws.com/")
            };
            session.print(&json!({ "Location": location }))
        }
    }
}
