//! A stand-in for the AWS command line: who one is, and what EKS has.
//!
//! Words and exit codes are those of version 2: 252 for a command line that cannot be read, 253 for
//! a missing configuration, 254 for an error of the service, 255 for all else.

mod query;

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::flags::{Flag, Given};
use crate::cloud::{Cloud, Described, Naming, write_kubeconfig};
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

const NAME: &[Flag] = &[("name", None, true)];
const CLUSTER_NAME: &[Flag] = &[("cluster-name", None, true)];
const NODE_GROUP: &[Flag] = &[("cluster-name", None, true), ("nodegroup-name", None, true)];
const KUBECONFIG: &[Flag] = &[
    ("name", None, true),
    ("kubeconfig", None, true),
    ("alias", None, true),
    ("user-alias", None, true),
    ("role-arn", None, true),
    ("dry-run", None, false),
    ("verbose", None, false),
];

/// Service, operation, its own flags, those of them that are needed.
type Operation = (&'static str, &'static str, &'static [Flag], &'static [&'static str]);

const OPERATIONS: &[Operation] = &[
    ("sts", "get-caller-identity", &[], &[]),
    ("eks", "describe-cluster", NAME, &["name"]),
    ("eks", "list-clusters", &[], &[]),
    ("eks", "list-nodegroups", CLUSTER_NAME, &["cluster-name"]),
    ("eks", "describe-nodegroup", NODE_GROUP, &["cluster-name", "nodegroup-name"]),
    ("eks", "update-kubeconfig", KUBECONFIG, &["name"]),
    ("eks", "wait cluster-active", NAME, &["name"]),
    ("eks", "wait cluster-deleted", NAME, &["name"]),
];

/// How often and how many times the CLI's waiters look.
const WAITER: (Duration, u32) = (Duration::from_secs(30), 40);

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
    let found = OPERATIONS.iter().find(|it| it.0 == service && (it.1 == one || it.1 == two));
    let Some((_, operation, flags, needed)) = found else {
        return Err(Failure::not_here(format!("aws {service} {two}").trim()));
    };
    let mut given = Given::read(&invocation.args, &[GLOBAL, flags]);
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
    session.run(service, operation).await
}

impl Session<'_> {
    async fn run(&self, service: &str, operation: &str) -> Result<String, Failure> {
        let region = self.region(service)?;
        match operation {
            "get-caller-identity" => {
                let account = &self.cloud.identity.account;
                self.print(&json!({
                    "UserId": "AIDASEATRIALEXAMPLE",
                    "Account": account,
                    "Arn": format!("arn:aws:iam::{account}:user/seatrial"),
                }))
            }
            "describe-cluster" => {
                let name = self.given.one("name").unwrap_or_default();
                let described = self.find(name, &region, "DescribeCluster")?;
                self.print(&json!({ "cluster": self.cluster(&described) }))
            }
            "list-clusters" => {
                let identity = &self.cloud.identity;
                let there = self.cloud.describe(&identity.name, &region).map_err(broken)?.is_some();
                let names: Vec<&str> = there.then_some(identity.name.as_str()).into_iter().collect();
                self.print(&json!({ "clusters": names }))
            }
            "list-nodegroups" => {
                self.find(self.given.one("cluster-name").unwrap_or_default(), &region, "ListNodegroups")?;
                let groups = self.cloud.node_groups().map_err(broken)?;
                self.print(&json!({ "nodegroups": groups.keys().collect::<Vec<_>>() }))
            }
            "describe-nodegroup" => self.node_group(&region),
            "update-kubeconfig" => self.update_kubeconfig(&region),
            "wait cluster-active" => self.wait(&region, true).await,
            "wait cluster-deleted" => self.wait(&region, false).await,
            other => Err(Failure::not_here(&format!("aws {service} {other}"))),
        }
    }

    fn region(&self, service: &str) -> Result<String, Failure> {
        let env = |name: &str| self.invocation.env.get(name).filter(|it| !it.is_empty()).cloned();
        let given = self.given.one("region").map(str::to_owned);
        given.or_else(|| env("AWS_REGION")).or_else(|| env("AWS_DEFAULT_REGION")).map_or_else(
            || {
                // Who one is can be asked anywhere.
                if service == "sts" {
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

    fn cluster(&self, described: &Described) -> Value {
        let identity = &self.cloud.identity;
        json!({
            "name": identity.name,
            "arn": identity.arn(),
            "createdAt": described.created_at.to_string(),
            "version": described.version,
            "endpoint": described.endpoint,
            "roleArn": format!("arn:aws:iam::{}:role/eksctl-{}-cluster-ServiceRole", identity.account, identity.name),
            "status": described.status,
            "certificateAuthority": { "data": described.authority },
            "platformVersion": "eks.1",
            "tags": {},
            "health": { "issues": [] },
            "accessConfig": { "authenticationMode": "API_AND_CONFIG_MAP" },
        })
    }

    fn node_group(&self, region: &str) -> Result<String, Failure> {
        let cluster = self.given.one("cluster-name").unwrap_or_default();
        let name = self.given.one("nodegroup-name").unwrap_or_default();
        let described = self.find(cluster, region, "DescribeNodegroup")?;
        let groups = self.cloud.node_groups().map_err(broken)?;
        let group = groups.get(name).ok_or_else(|| {
            let words = format!("No node group found for name: {name}.");
            Failure::service("ResourceNotFoundException", "DescribeNodegroup", &words)
        })?;
        let identity = &self.cloud.identity;
        self.print(&json!({ "nodegroup": {
            "nodegroupName": name,
            "nodegroupArn": format!("arn:aws:eks:{region}:{}:nodegroup/{cluster}/{name}", identity.account),
            "clusterName": cluster,
            "version": described.version,
            "status": group.status,
            "createdAt": group.created_at.to_string(),
            "scalingConfig": { "minSize": group.min, "maxSize": group.max, "desiredSize": group.desired },
            "instanceTypes": [group.instance_type],
            "amiType": "AL2023_x86_64_STANDARD",
            "health": { "issues": [] },
        } }))
    }

    fn update_kubeconfig(&self, region: &str) -> Result<String, Failure> {
        for flag in ["role-arn", "dry-run", "verbose"] {
            if self.given.one(flag).is_some() {
                return Err(Failure::not_here(&format!("--{flag}")));
            }
        }
        let described = self.find(self.given.one("name").unwrap_or_default(), region, "DescribeCluster")?;
        if !matches!(described.status.as_str(), "ACTIVE" | "UPDATING") {
            return Err(Failure(255, format!("\nCluster status is {}\n", described.status)));
        }
        let arn = self.cloud.identity.arn();
        let named = |flag: &str| self.given.one(flag).map_or_else(|| arn.clone(), str::to_owned);
        let naming = Naming { context: named("alias"), cluster: arn.clone(), user: named("user-alias") };
        let explicit = self.given.one("kubeconfig");
        let written = write_kubeconfig(self.cloud, &naming, explicit, &self.invocation.env, true)
            .map_err(|error| Failure(255, format!("\n{error}\n")))?;
        let (what, to) = if written.updated { ("Updated", "in") } else { ("Added new", "to") };
        Ok(format!("{what} context {} {to} {}\n", naming.context, written.path.display()))
    }

    async fn wait(&self, region: &str, active: bool) -> Result<String, Failure> {
        let name = self.given.one("name").unwrap_or_default();
        let waiter = if active { "ClusterActive" } else { "ClusterDeleted" };
        let failed = |why: String| Failure(255, format!("\nWaiter {waiter} failed: {why}\n"));
        let (interval, times) = WAITER;
        for time in 0..times {
            let status = self.cloud.describe(name, region).map_err(broken)?.map(|it| it.status);
            match (status.as_deref(), active) {
                (Some("ACTIVE"), true) | (None, false) => return Ok(String::new()),
                (None, true) => {
                    return Err(failed(format!(
                        "An error occurred (ResourceNotFoundException): No cluster found for name: {name}."
                    )));
                }
                (Some(status @ ("FAILED" | "DELETING")), true) => {
                    return Err(failed(format!(
                        "Waiter encountered a terminal failure state: For expression \"cluster.status\" we matched expected path: \"{status}\""
                    )));
                }
                _ if time + 1 < times => tokio::time::sleep(interval).await,
                _ => {}
            }
        }
        Err(failed("Max attempts exceeded".into()))
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
