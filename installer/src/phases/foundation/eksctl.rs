//! eksctl, as phase 1 uses it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::context::Run;
use crate::duration;
use crate::helm::said_last;
use crate::identity::Identity;
use crate::result::{Blocker, Code};
use crate::retry::{Retryable, Target};
use crate::seams::{ToolError, ToolOutput};

/// eksctl for one cluster.
pub(super) struct Eksctl<'a> {
    run: &'a Run<'a>,
    name: String,
    region: String,
}

/// A cluster as EKS describes it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) status: Option<String>,
    pub(super) version: Option<String>,
    pub(super) endpoint: Option<String>,
    /// Whose it is, by its ARN.
    pub(super) identity: Identity,
    /// Whether an installer like this one made it: it has our tag.
    pub(super) ours: bool,
    /// What EKS says is wrong with it.
    pub(super) issues: Vec<String>,
}

/// The tag of clusters that this installer makes.
const TAG: &str = "eks-installer/cluster";

/// Why AWS could not say whether the cluster exists.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum EksError {
    #[error("{0}")]
    Tool(ToolError),
    #[error("eksctl get cluster failed: {0}")]
    Refused(String),
    #[error("eksctl get cluster failed: {0}")]
    Passing(String),
    #[error("eksctl get cluster was denied: {0}")]
    Denied(String),
    #[error("eksctl get cluster answered something that cannot be read: {0}")]
    Garbage(String),
}

impl Retryable for EksError {
    const TARGET: Target = Target::Eksctl;

    fn withheld(_: &str, wait: Duration) -> Self {
        Self::Passing(format!("it has asked for no more calls for another {wait:.0?}"))
    }

    fn transient(&self) -> Option<Option<Duration>> {
        matches!(self, Self::Passing(_) | Self::Tool(ToolError::TimedOut { .. })).then_some(None)
    }
}

impl EksError {
    pub(super) fn blocker(&self) -> Blocker {
        match self {
            Self::Tool(ToolError::Stopped { reason, .. }) => Blocker::stopped(*reason),
            Self::Denied(_) => Blocker::new(
                Code::AwsUnauthorized,
                format!("it is not known whether the cluster exists: {self}"),
                "use credentials that may call eks:DescribeCluster",
            )
            .commands(["aws sts get-caller-identity"]),
            _ => Blocker::new(
                Code::EksStateUnknown,
                format!("it is not known whether the cluster exists: {self}"),
                "nothing was created, because a cluster that cannot be asked for is not a cluster that \
                 is not there: see that the command below answers, then run again",
            )
            .commands(["eksctl get cluster --name \"$CLUSTER_NAME\" --region \"$AWS_REGION\" -o json"]),
        }
    }
}

/// eksctl is given its timeout; the process a little more, so that eksctl can say what timed out.
const MARGIN: Duration = Duration::from_secs(30);

const DENIED: &[&str] = &[
    "accessdenied",
    "unrecognizedclient",
    "expiredtoken",
    "invalidclienttokenid",
    "security token included in the request",
    "not authorized to perform",
    "no valid credential",
    "failed to refresh cached credentials",
    "nocredentialproviders",
    "checking aws sts access",
    "signaturedoesnotmatch",
];

const PASSING: &[&str] = &[
    "throttl",
    "rate exceeded",
    "requestlimitexceeded",
    "toomanyrequests",
    "statuscode: 429",
    "statuscode: 500",
    "statuscode: 502",
    "statuscode: 503",
    "statuscode: 504",
    "connection reset",
    "connection refused",
    "i/o timeout",
    "tls handshake timeout",
    "unexpected eof",
    "no such host",
];

impl<'a> Eksctl<'a> {
    pub(super) fn new(run: &'a Run<'a>, name: &str, region: &str) -> Self {
        Self { run, name: name.to_owned(), region: region.to_owned() }
    }

    /// A command for a person to type.
    pub(super) fn command(&self, what: &str) -> String {
        format!("eksctl {what} {} --region {}", self.name, self.region)
    }

    pub(super) fn describe_stacks(&self) -> String {
        format!("eksctl utils describe-stacks --cluster {} --region {}", self.name, self.region)
    }

    /// The cluster, or `None` only when EKS says in so many words that there is none.
    pub(super) async fn get_cluster(&self) -> Result<Option<Found>, EksError> {
        self.run
            .retrying("eksctl get cluster", || async {
                let args = ["get", "cluster", "--name", &self.name, "--region", &self.region, "-o", "json"];
                let args = args.iter().map(|arg| (*arg).to_owned()).collect();
                let timeout = self.run.settings.limits.api_timeout * 2;
                let output = self.run.tool("eksctl", args, None, timeout).await.map_err(EksError::Tool)?;
                if output.success() { found(&output) } else { refused(&output) }
            })
            .await
    }

    /// `aws eks wait cluster-active`: AWS's own way of waiting.
    pub(super) async fn wait_active(&self) -> Result<ToolOutput, ToolError> {
        let args = ["eks", "wait", "cluster-active", "--name", &self.name, "--region", &self.region];
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self.run.tool("aws", args, None, self.run.settings.limits.create_timeout).await
    }

    /// `aws cloudformation wait stack-create-complete`.
    pub(super) async fn wait_stack(&self, stack: &str) -> Result<ToolOutput, ToolError> {
        self.wait(&["cloudformation", "wait", "stack-create-complete", "--stack-name", stack]).await
    }

    /// `aws eks wait nodegroup-active`.
    pub(super) async fn wait_node_group(&self, group: &str) -> Result<ToolOutput, ToolError> {
        let name = ["--cluster-name", &self.name, "--nodegroup-name", group];
        self.wait(&[&["eks", "wait", "nodegroup-active"][..], &name].concat()).await
    }

    async fn wait(&self, args: &[&str]) -> Result<ToolOutput, ToolError> {
        let args = args.iter().copied().chain(["--region", &self.region]);
        let args = args.map(str::to_owned).collect();
        self.run.tool("aws", args, None, self.run.settings.limits.create_timeout).await
    }

    /// An eksctl configuration, when the flags cannot say all that is asked for.
    fn config(&self) -> Option<String> {
        let settings = &self.run.settings.foundation;
        let storage = self.run.settings.storage.is_some();
        if settings.node_groups.is_empty() && !storage {
            return None;
        }
        let group = |name: &str, kind: &Option<String>, desired: Option<u32>, min, max| {
            let mut group = json!({ "name": name });
            for (field, value) in [("desiredCapacity", desired), ("minSize", min), ("maxSize", max)] {
                if let Some(value) = value {
                    group[field] = json!(value);
                }
            }
            if let Some(kind) = kind {
                group["instanceType"] = json!(kind);
            }
            group
        };
        let groups: Vec<Value> = if settings.node_groups.is_empty() {
            vec![group("base", &settings.node_type, settings.nodes, None, None)]
        } else {
            let groups = settings.node_groups.iter();
            groups
                .map(|it| group(&it.name, &it.instance_type, Some(it.desired), Some(it.min), Some(it.max)))
                .collect()
        };
        let mut metadata = json!({ "name": self.name, "region": self.region, "tags": { TAG: self.name } });
        if let Some(version) = &settings.kubernetes_version {
            metadata["version"] = json!(version);
        }
        let mut config = json!({
            "apiVersion": "eksctl.io/v1alpha5",
            "kind": "ClusterConfig",
            "metadata": metadata,
            "managedNodeGroups": groups,
        });
        if storage {
            // Phase 2 needs the agent; the others are those that every cluster has.
            let names = ["vpc-cni", "coredns", "kube-proxy", "eks-pod-identity-agent"];
            config["addons"] = names.iter().map(|name| json!({ "name": name })).collect();
        }
        Some(config.to_string())
    }

    /// `eksctl create nodegroup`, for those that are asked for and not there.
    pub(super) async fn create_node_groups(&self) -> Result<ToolOutput, ToolError> {
        let (args, config) = self.create_node_groups_call();
        let timeout = self.run.settings.limits.create_timeout + MARGIN;
        self.run.changing_tool("eksctl", args, config, timeout).await
    }

    /// Its arguments, and what it reads from standard input.
    pub(super) fn create_node_groups_call(&self) -> (Vec<String>, Option<String>) {
        let (settings, limits) = (&self.run.settings.foundation, &self.run.settings.limits);
        let mut args: Vec<String> = vec!["create".into(), "nodegroup".into()];
        let mut flag = |name: &str, value: &str| args.extend([name.to_owned(), value.to_owned()]);
        let config = self.config();
        if config.is_some() {
            flag("--config-file", "-");
        } else {
            flag("--cluster", &self.name);
            flag("--region", &self.region);
            if let Some(nodes) = settings.nodes {
                flag("--nodes", &nodes.to_string());
            }
            if let Some(kind) = &settings.node_type {
                flag("--node-type", kind);
            }
        }
        flag("--timeout", &duration::go(limits.create_timeout));
        (args, config)
    }

    /// `eksctl create cluster`. It does not touch the kubeconfig: that is a step of its own.
    pub(super) async fn create(&self) -> Result<ToolOutput, ToolError> {
        let (args, config) = self.create_call();
        let timeout = self.run.settings.limits.create_timeout + MARGIN;
        self.run.changing_tool("eksctl", args, config, timeout).await
    }

    /// Its arguments, and what it reads from standard input.
    pub(super) fn create_call(&self) -> (Vec<String>, Option<String>) {
        let (settings, limits) = (&self.run.settings.foundation, &self.run.settings.limits);
        let timeout = duration::go(limits.create_timeout);
        let mut args: Vec<String> = vec!["create".into(), "cluster".into()];
        let mut flag = |name: &str, value: &str| args.extend([name.to_owned(), value.to_owned()]);
        let config = if settings.config_file.is_none() { self.config() } else { None };
        if let Some(path) = &settings.config_file {
            flag("--config-file", path);
        } else if config.is_some() {
            flag("--config-file", "-");
        } else {
            flag("--name", &self.name);
            flag("--region", &self.region);
            if let Some(version) = &settings.kubernetes_version {
                flag("--version", version);
            }
            if let Some(nodes) = settings.nodes {
                flag("--nodes", &nodes.to_string());
            }
            if let Some(kind) = &settings.node_type {
                flag("--node-type", kind);
            }
            flag("--tags", &format!("{TAG}={}", self.name));
        }
        flag("--timeout", &timeout);
        args.push("--write-kubeconfig=false".into());
        (args, config)
    }

    /// `eksctl utils write-kubeconfig`.
    pub(super) async fn write_kubeconfig(&self, path: Option<&str>) -> Result<ToolOutput, ToolError> {
        let args = self.write_kubeconfig_args(path);
        self.run.changing_tool("eksctl", args, None, self.run.settings.limits.api_timeout * 2).await
    }

    /// Its arguments.
    pub(super) fn write_kubeconfig_args(&self, path: Option<&str>) -> Vec<String> {
        let mut args: Vec<String> =
            ["utils", "write-kubeconfig", "--cluster", &self.name, "--region", &self.region]
                .iter()
                .map(|arg| (*arg).to_owned())
                .collect();
        if let Some(path) = path {
            args.extend(["--kubeconfig".to_owned(), path.to_owned()]);
        }
        args
    }
}

fn found(output: &ToolOutput) -> Result<Option<Found>, EksError> {
    let answer: Value =
        serde_json::from_str(&output.stdout).map_err(|error| EksError::Garbage(error.to_string()))?;
    let clusters = answer.as_array().ok_or_else(|| EksError::Garbage("it is not a JSON array".to_owned()))?;
    let Some(cluster) = clusters.first() else {
        return Ok(None);
    };
    // `Name` in a description, `metadata.name` in the short form.
    let name = cluster["Name"].as_str().or(cluster["metadata"]["name"].as_str());
    let name = name.ok_or_else(|| EksError::Garbage("the cluster has no name".to_owned()))?;
    let text = |name: &str| cluster[name].as_str().map(str::to_owned);
    let issues = cluster["Health"]["Issues"].as_array().into_iter().flatten();
    Ok(Some(Found {
        status: text("Status"),
        version: text("Version"),
        endpoint: text("Endpoint"),
        identity: Identity::from_names(cluster["Arn"].as_str()),
        ours: cluster["Tags"][TAG] == name,
        issues: issues
            .filter_map(|it| Some(format!("{}: {}", it["Code"].as_str()?, it["Message"].as_str()?)))
            .collect(),
    }))
}

fn refused(output: &ToolOutput) -> Result<Option<Found>, EksError> {
    let words = said_last(output);
    let text = output.stderr.to_lowercase() + &output.stdout.to_lowercase();
    let has = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    if has(&["resourcenotfoundexception", "no cluster found for name"]) {
        Ok(None)
    } else if has(DENIED) {
        Err(EksError::Denied(words))
    } else if has(PASSING) {
        Err(EksError::Passing(words))
    } else {
        Err(EksError::Refused(words))
    }
}

/// Whether eksctl did not live to say what came of it.
pub(super) fn answer_is_lost(answer: &Result<ToolOutput, ToolError>) -> bool {
    matches!(answer, Ok(output) if output.signal.is_some())
}

/// Whether eksctl says that there is such a stack already: somebody else makes the same cluster.
pub(super) fn name_is_taken(answer: &Result<ToolOutput, ToolError>) -> bool {
    matches!(answer, Ok(output) if !output.success()
        && [&output.stdout, &output.stderr].iter().any(|text| text.contains("AlreadyExistsException")))
}

/// The blocker of a creation that failed, with the cause that eksctl's words name.
pub(super) fn create_failure(eksctl: &Eksctl<'_>, answer: &Result<ToolOutput, ToolError>) -> Option<Blocker> {
    let (words, all) = match answer {
        Ok(output) if output.success() => return None,
        Ok(output) => (said_last(output), format!("{}{}", output.stdout, output.stderr)),
        Err(error) => (error.to_string(), error.to_string()),
    };
    let (cause, remediation) = if all.contains("AsgInstanceLaunchFailures") {
        ("INSTANCES_NOT_LAUNCHED", "raise the quota, or choose an instance type that is to be had")
    } else if all.contains("NodeCreationFailure") || all.contains("failed to join the kubernetes") {
        ("NODES_DID_NOT_JOIN", "see the nodes' route to the API server, and their role and access entry")
    } else if all.contains("timed out waiting for addon") {
        ("ADDON_DEGRADED", "add-ons need nodes to run on: see the node groups first")
    } else if all.contains("timed out waiting for at least") {
        ("NODES_DID_NOT_JOIN", "see the nodes' route to the API server, and their role and access entry")
    } else {
        ("", "see eksctl's log and CloudFormation's events, mend what they name, and run again")
    };
    Some(
        Blocker::new(
            Code::EksCreateFailed,
            format!("eksctl could not create the cluster: {words}"),
            remediation,
        )
        .cause((!cause.is_empty()).then_some(cause))
        .commands([eksctl.describe_stacks()]),
    )
}
