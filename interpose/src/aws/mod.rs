//! A stand-in for the AWS command line: who one is, and what EKS, S3, IAM and CloudFormation have.
//!
//! Words and exit codes are those of version 2: 252 for a command line that cannot be read, 253 for
//! a missing configuration, 254 for an error of the service, 255 for all else.

mod addons;
mod cloudformation;
mod eks;
mod iam;
mod parameters;
mod query;
mod quotas;
mod s3;

use serde_json::{Value, json};

use crate::cloud::flags::{Flag, Given};
use crate::cloud::{Cloud, Described};
use crate::{Invocation, Output};

/// Exit code for what aws could do and the stand-in cannot.
const NOT_HERE: i32 = 125;

const USAGE: &str = "\nusage: aws [options] <command> <subcommand> [<subcommand> ...] [parameters]\nTo see help text, you can run:\n\n  aws help\n  aws <command> help\n  aws <command> <subcommand> help\n";

const GLOBAL: &[Flag] = &[
    ("region", None, true),
    ("profile", None, true),
    ("output", None, true),
    ("query", None, true),
    ("no-cli-pager", None, false),
    ("no-paginate", None, false),
    ("color", None, true),
    ("cli-read-timeout", None, true),
    ("cli-connect-timeout", None, true),
    ("cli-auto-prompt", None, false),
    ("no-cli-auto-prompt", None, false),
    ("debug", None, false),
];

/// Service, operation, its own flags, those of them that are needed.
type Operation = (&'static str, &'static str, &'static [Flag], &'static [&'static str]);

/// Every operation, by the file that does it.
const OPERATIONS: &[&[Operation]] = &[
    &[("sts", "get-caller-identity", &[], &[])],
    eks::OPERATIONS,
    addons::OPERATIONS,
    s3::OPERATIONS,
    iam::OPERATIONS,
    cloudformation::OPERATIONS,
    quotas::OPERATIONS,
];

/// Flags that take as many words as follow.
const LISTS: &[&str] = &["--action-names", "--instance-types"];

/// Services that can be asked anywhere.
const GLOBAL_SERVICES: &[&str] = &["sts", "iam", "s3api"];

/// Why a command failed: exit code and words.
struct Failure(i32, String);

impl Failure {
    fn usage(words: &str) -> Self {
        Self(252, format!("{USAGE}\naws: error: {words}\n"))
    }

    fn not_here(what: &str) -> Self {
        let words = format!(
            "aws: the stand-in for aws does not do {what}; name a real aws in the plan's tools.aws.real\n"
        );
        Self(NOT_HERE, words)
    }

    fn service(error: &str, operation: &str, words: &str) -> Self {
        Self(254, format!("\nAn error occurred ({error}) when calling the {operation} operation: {words}\n"))
    }
}

/// One run.
struct Session<'a> {
    invocation: &'a Invocation,
    cloud: &'a Cloud,
    given: Given,
}

/// Runs aws with these arguments.
pub async fn run(invocation: &Invocation, cloud: &Cloud) -> Output {
    if invocation.args == ["--version"] {
        return Output::ok("aws-cli/2.31.0 Python/3.13.7 Linux exe/x86_64\n");
    }
    match command(invocation, cloud).await {
        Ok(stdout) => Output::ok(stdout),
        Err(Failure(code, stderr)) => Output { code, stdout: String::new(), stderr },
    }
}

async fn command(invocation: &Invocation, cloud: &Cloud) -> Result<String, Failure> {
    let words = crate::mutates::words("aws", &invocation.args);
    let Some(service) = words.first().copied() else {
        return Err(Failure::usage("the following arguments are required: command"));
    };
    let two = words.iter().skip(1).take(2).copied().collect::<Vec<_>>().join(" ");
    let one = words.get(1).copied().unwrap_or("");
    let found =
        OPERATIONS.iter().copied().flatten().find(|it| it.0 == service && (it.1 == one || it.1 == two));
    let Some((_, operation, flags, needed)) = found else {
        return Err(Failure::not_here(format!("aws {service} {two}").trim()));
    };
    let mut given = Given::read(&joined(&invocation.args), &[GLOBAL, flags]);
    let count = 1 + operation.split(' ').count();
    let surplus = given.words.split_off(count.min(given.words.len()));
    if let Some(name) = given.lacking.first() {
        return Err(Failure::usage(&format!("argument --{name}: expected one argument")));
    }
    let missing: Vec<String> =
        needed.iter().filter(|it| given.one(it).is_none()).map(|it| format!("--{it}")).collect();
    if !missing.is_empty() {
        return Err(Failure::usage(&format!("the following arguments are required: {}", missing.join(", "))));
    }
    let unknown: Vec<String> = given.unknown.iter().chain(&surplus).cloned().collect();
    if !unknown.is_empty() {
        return Err(Failure(252, format!("{USAGE}\nUnknown options: {}\n", unknown.join(", "))));
    }
    let session = Session { invocation, cloud, given };
    session.allowed(service, operation)?;
    session.run(service, operation).await
}

/// The arguments with the words of every list joined to their flag, one a line.
fn joined(args: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut listing = false;
    for argument in args {
        if argument.starts_with("--") {
            listing = LISTS.contains(&argument.as_str());
            all.push(argument.clone());
        } else if let Some(flag) = all.last_mut().filter(|_| listing) {
            flag.push(if flag.contains('=') { '\n' } else { '=' });
            flag.push_str(argument);
        } else {
            all.push(argument.clone());
        }
    }
    all
}

/// The action that an operation needs: `iam:CreateRole` for `iam create-role`.
fn action(service: &str, operation: &str) -> (String, String) {
    let prefix = if service == "s3api" { "s3" } else { service };
    let name: String = operation
        .split('-')
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_uppercase(), rest.to_owned()]
        })
        .collect();
    (format!("{prefix}:{name}"), name)
}

impl Session<'_> {
    /// Sees whether IAM allows the caller to do it.
    fn allowed(&self, service: &str, operation: &str) -> Result<(), Failure> {
        let (action, name) = action(service, operation);
        if !self.cloud.denied.contains(&action) {
            return Ok(());
        }
        // Every protocol has its own word for it.
        let error = match service {
            "eks" | "service-quotas" => "AccessDeniedException",
            "ec2" => "UnauthorizedOperation",
            _ => "AccessDenied",
        };
        let words = format!(
            "User: arn:aws:iam::{}:user/seatrial is not authorized to perform: {action} because no identity-based policy allows the {action} action",
            self.cloud.account()
        );
        Err(Failure::service(error, &name, &words))
    }

    async fn run(&self, service: &str, operation: &str) -> Result<String, Failure> {
        let region = self.region(service)?;
        match (service, operation) {
            ("sts", "get-caller-identity") => {
                let account = self.cloud.account();
                self.print(&json!({
                    "UserId": "AIDASEATRIALEXAMPLE",
                    "Account": account,
                    "Arn": format!("arn:aws:iam::{account}:user/seatrial"),
                }))
            }
            ("eks", "update-kubeconfig") => eks::update_kubeconfig(self, &region),
            ("eks", "wait cluster-active") => eks::wait(self, &region, true).await,
            ("eks", "wait nodegroup-active") => eks::wait_node_group(self, &region).await,
            ("eks", "wait cluster-deleted") => eks::wait(self, &region, false).await,
            ("eks", _) if addons::OPERATIONS.iter().any(|it| it.1 == operation) => {
                addons::run(self, operation, &region)
            }
            ("eks", _) => eks::run(self, operation, &region),
            ("s3api", _) => s3::run(self, operation, &region),
            ("iam", _) => iam::run(self, operation),
            ("cloudformation", _) => cloudformation::run(self, operation, &region),
            ("service-quotas" | "ec2", _) => quotas::run(self, operation, &region),
            _ => Err(Failure::not_here(&format!("aws {service} {operation}"))),
        }
    }

    /// A flag that is sure to be there.
    fn needed(&self, name: &str) -> &str {
        self.given.one(name).unwrap_or_default()
    }

    fn region(&self, service: &str) -> Result<String, Failure> {
        let env = |name: &str| self.invocation.env.get(name).filter(|it| !it.is_empty()).cloned();
        let given = self.given.one("region").map(str::to_owned);
        given.or_else(|| env("AWS_REGION")).or_else(|| env("AWS_DEFAULT_REGION")).map_or_else(
            || {
                if GLOBAL_SERVICES.contains(&service) {
                    return Ok("us-east-1".to_owned());
                }
                let words = "\nYou must specify a region. You can also configure your region by running \"aws configure\".\n";
                Err(Failure(253, words.to_owned()))
            },
            Ok,
        )
    }

    fn find(&self, name: &str, region: &str, operation: &str) -> Result<Described, Failure> {
        let described = self.cloud.describe(name, region).map_err(broken)?;
        described.ok_or_else(|| {
            Failure::service(
                "ResourceNotFoundException",
                operation,
                &format!("No cluster found for name: {name}."),
            )
        })
    }

    /// An answer by `--query` and `--output`.
    fn print(&self, answer: &Value) -> Result<String, Failure> {
        let chosen = match self.given.one("query") {
            Some(expression) => query::choose(answer, expression)
                .ok_or_else(|| Failure::not_here(&format!("--query '{expression}'")))?,
            None => answer.clone(),
        };
        let env = || self.invocation.env.get("AWS_DEFAULT_OUTPUT").map(String::as_str);
        match self.given.one("output").or_else(env).unwrap_or("json") {
            "json" => {
                let mut text = Vec::new();
                let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
                let mut to = serde_json::Serializer::with_formatter(&mut text, format);
                serde::Serialize::serialize(&chosen, &mut to).map_err(|error| broken(error.to_string()))?;
                Ok(String::from_utf8_lossy(&text).into_owned() + "\n")
            }
            "text" => query::text(&chosen).ok_or_else(|| Failure::not_here("--output text of a structure")),
            other @ ("yaml" | "table" | "yaml-stream" | "off") => {
                Err(Failure::not_here(&format!("--output {other}")))
            }
            other => Err(Failure(252, format!("\nUnknown output type: {other}\n"))),
        }
    }
}

fn broken(why: String) -> Failure {
    Failure(255, format!("\n{why}\n"))
}
