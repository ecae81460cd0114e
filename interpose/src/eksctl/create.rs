//! `eksctl create cluster` and `create nodegroup`.
//!
//! The control plane is there before its nodes are: a call that is killed in between leaves a cluster
//! without nodes, and running it again meets a stack that exists.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::{AGENT, Failure, Session, commands};
use crate::cloud::flags::Flag;
use crate::cloud::{Made, NodeGroup, NodesError, join};
use crate::cluster::Api;

const NODES: &[Flag] = &[
    ("nodes", Some('N'), true),
    ("nodes-min", Some('m'), true),
    ("nodes-max", Some('M'), true),
    ("node-type", Some('t'), true),
    ("instance-types", None, true),
    ("node-volume-size", None, true),
    ("node-volume-type", None, true),
    ("node-private-networking", Some('P'), false),
    ("node-zones", None, true),
    ("node-labels", None, true),
    ("ssh-access", None, false),
    ("spot", None, false),
    ("managed", None, false),
    ("asg-access", None, false),
    ("external-dns-access", None, false),
    ("full-ecr-access", None, false),
    ("appmesh-access", None, false),
    ("alb-ingress-access", None, false),
    ("tags", None, true),
    ("config-file", Some('f'), true),
    ("version", None, true),
];

const CLUSTER: &[Flag] = &[
    ("name", Some('n'), true),
    ("zones", None, true),
    ("nodegroup-name", None, true),
    ("without-nodegroup", None, false),
    ("with-oidc", None, false),
    ("vpc-cidr", None, true),
    ("vpc-nat-mode", None, true),
    ("vpc-private-subnets", None, true),
    ("vpc-public-subnets", None, true),
    ("write-kubeconfig", None, false),
    ("kubeconfig", None, true),
    ("set-kubeconfig-context", None, false),
];

const NODE_GROUP: &[Flag] = &[("cluster", None, true), ("name", Some('n'), true)];

/// Kubernetes version of a cluster for which none is asked.
const DEFAULT_VERSION: &str = "1.37";

const SUPPORTED: &[&str] = &["1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"];

/// A node group that is asked for.
struct Wanted {
    name: String,
    count: u32,
    min: u32,
    max: u32,
    instance_type: String,
}

fn said(words: impl Into<String>) -> Failure {
    Failure::Said(words.into())
}

/// A flag that is a number.
pub(super) fn number(session: &Session<'_>, name: &str) -> Result<Option<u32>, Failure> {
    let Some(text) = session.given.one(name) else { return Ok(None) };
    let number = text.parse().map_err(|_| {
        said(format!("invalid argument \"{text}\" for \"--{name}\" flag: strconv.ParseInt: parsing \"{text}\": invalid syntax"))
    })?;
    Ok(Some(number))
}

fn timeout(session: &Session<'_>) -> Result<Duration, Failure> {
    let Some(text) = session.given.one("timeout") else { return Ok(Duration::from_secs(25 * 60)) };
    crate::helm::duration(text).map_err(|why| {
        said(format!("invalid argument \"{text}\" for \"--timeout\" flag: time: {why} \"{text}\""))
    })
}

pub(super) async fn cluster(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    session.read(args, &[CLUSTER, NODES].concat())?;
    let timeout = timeout(session)?;
    let file = config_file(session)?;
    let tags = tags(session, file.as_ref())?;
    let (name, region, version, groups) = match &file {
        Some(file) => from_file(session, file)?,
        None => from_flags(session)?,
    };
    let version = version.unwrap_or_else(|| DEFAULT_VERSION.into());
    if !SUPPORTED.contains(&version.as_str()) {
        return Err(said(format!("invalid version {version}, supported values: {}", SUPPORTED.join(", "))));
    }
    let identity = session.cloud.identity.clone();
    if (&name, &region) != (&identity.name, &identity.region) {
        return Err(Failure::NotHere(format!(
            "a cluster \"{name}\" in {region}: the account can hold \"{}\" in {} and no other",
            identity.name, identity.region
        )));
    }
    session.log('ℹ', &format!("eksctl version {}", super::VERSION));
    session.log('ℹ', &format!("using region {region}"));
    session.log('ℹ', &format!("using Kubernetes version {version}"));
    session.log('ℹ', &format!("creating EKS cluster \"{name}\" in \"{region}\" region with managed nodes"));
    session.log('ℹ', &format!("if you encounter any issues, check CloudFormation console or try 'eksctl utils describe-stacks --region={region} --cluster={name}'"));
    let failed = |session: &mut Session<'_>, why: &str| {
        session.log('!', "1 error(s) occurred and cluster hasn't been created properly, you may wish to check CloudFormation console");
        session.log(
            'ℹ',
            &format!("to cleanup resources, run 'eksctl delete cluster --region={region} --name={name}'"),
        );
        session.log('✖', why);
        said(format!("failed to create cluster \"{name}\""))
    };
    if session.cloud.describe(&name, &region).map_err(said)?.is_some() || session.cloud.eks.stack.is_some() {
        let why = format!(
            "creating CloudFormation stack \"eksctl-{name}-cluster\": operation error CloudFormation: CreateStack, https response error StatusCode: 400, RequestID: 00000000-0000-0000-0000-000000000000, AlreadyExistsException: Stack [eksctl-{name}-cluster] already exists"
        );
        return Err(failed(session, &why));
    }
    session.log('ℹ', &format!("deploying stack \"eksctl-{name}-cluster\""));
    let made = Made { status: "ACTIVE".into(), version, created_at: session.cloud.now(), tags };
    session.cloud.change(|account| account.cluster = Some(made)).map_err(said)?;
    session.log('ℹ', "waiting for the control plane to become ready");
    let writes = session.given.is("write-kubeconfig", true);
    if writes {
        // eksctl warns of a kubeconfig that cannot be written, and goes on.
        if let Err(Failure::Said(why)) = commands::save(session, &name, &region) {
            session.log('!', &format!("unable to write kubeconfig, please retry with 'eksctl utils write-kubeconfig -n {name}': {why}"));
        }
    }
    for group in groups {
        if let Err(error) = make(session, &name, group, timeout).await {
            return Err(match error {
                Failure::Said(why) => failed(session, &why),
                other => other,
            });
        }
    }
    session.log('✔', &format!("all EKS cluster resources for \"{name}\" have been created"));
    session.log('✔', &format!("EKS cluster \"{name}\" in \"{region}\" region is ready"));
    Ok(())
}

pub(super) async fn node_group(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    session.read(args, &[NODE_GROUP, NODES].concat())?;
    let timeout = timeout(session)?;
    if let Some(file) = config_file(session)? {
        return node_groups(session, &file, timeout).await;
    }
    let region = session.region()?;
    let cluster = session.given.one("cluster").ok_or_else(|| said("--cluster must be set"))?.to_owned();
    if session.cloud.describe(&cluster, &region).map_err(said)?.is_none() {
        return Err(said(format!(
            "unable to describe cluster control plane: {}",
            commands::missing(&cluster)
        )));
    }
    let name = session.name("name")?.unwrap_or_else(|| "ng-1".into());
    if session.cloud.node_groups().map_err(said)?.contains_key(&name) {
        session.log('ℹ', &format!("1 existing nodegroup(s) ({name}) will be excluded"));
        return Ok(());
    }
    let group = wanted(session, name)?;
    make_in(session, &cluster, group, timeout).await?;
    session.log('✔', &format!("created 1 managed nodegroup(s) in cluster \"{cluster}\""));
    Ok(())
}

/// Those node groups of a file that are not there yet.
async fn node_groups(session: &mut Session<'_>, file: &Value, timeout: Duration) -> Result<(), Failure> {
    let (cluster, region, _, groups) = from_file(session, file)?;
    if session.cloud.describe(&cluster, &region).map_err(said)?.is_none() {
        return Err(said(format!(
            "unable to describe cluster control plane: {}",
            commands::missing(&cluster)
        )));
    }
    let there = session.cloud.node_groups().map_err(said)?;
    let (old, new): (Vec<_>, Vec<_>) = groups.into_iter().partition(|it| there.contains_key(&it.name));
    let names: Vec<&str> = old.iter().map(|it| it.name.as_str()).collect();
    session.log('ℹ', &format!("{} existing nodegroup(s) ({}) will be excluded", old.len(), names.join(",")));
    let count = new.len();
    for group in new {
        make_in(session, &cluster, group, timeout).await?;
    }
    session.log('✔', &format!("created {count} managed nodegroup(s) in cluster \"{cluster}\""));
    Ok(())
}

/// Makes a node group in a cluster that is there; a failure is told twice, as eksctl tells it.
async fn make_in(
    session: &mut Session<'_>,
    cluster: &str,
    group: Wanted,
    timeout: Duration,
) -> Result<(), Failure> {
    make(session, cluster, group, timeout).await.map_err(|error| match error {
        Failure::Said(why) => {
            session.log('✖', &why);
            said(format!("failed to create nodegroups for cluster \"{cluster}\""))
        }
        other => other,
    })
}

type Asked = (String, String, Option<String>, Vec<Wanted>);

fn from_flags(session: &Session<'_>) -> Result<Asked, Failure> {
    let name = session.name("name")?.unwrap_or_else(|| session.cloud.identity.name.clone());
    let version = session.given.one("version").map(str::to_owned);
    let mut groups = Vec::new();
    if !session.given.is("without-nodegroup", false) {
        let group = session.given.one("nodegroup-name").unwrap_or("ng-1").to_owned();
        groups.push(wanted(session, group)?);
    }
    Ok((name, session.region()?, version, groups))
}

/// Tags of the cluster: a flag, or what the file says.
fn tags(session: &Session<'_>, file: Option<&Value>) -> Result<BTreeMap<String, String>, Failure> {
    if let Some(text) = session.given.one("tags") {
        return text
            .split(',')
            .map(|pair| {
                let (name, value) = pair.split_once('=').ok_or_else(|| {
                    said(format!("invalid argument \"{text}\" for \"--tags\" flag: {pair} must be formatted as key=value"))
                })?;
                Ok((name.to_owned(), value.to_owned()))
            })
            .collect();
    }
    let tags = file.and_then(|file| file["metadata"]["tags"].as_object());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(tags.into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect())
}

fn wanted(session: &Session<'_>, name: String) -> Result<Wanted, Failure> {
    let count = number(session, "nodes")?;
    let (min, max) = (number(session, "nodes-min")?, number(session, "nodes-max")?);
    // eksctl: two nodes unless the limits say otherwise.
    let count = count.or(min).unwrap_or_else(|| max.map_or(2, |max| max.min(2)));
    let (min, max) = (min.unwrap_or(count), max.unwrap_or(count));
    if min > count || max < count {
        return Err(said(format!(
            "cannot use --nodes-min={min}, --nodes-max={max} and --nodes={count} at the same time"
        )));
    }
    let instance_type =
        session.given.one("node-type").or(session.given.one("instance-types")).unwrap_or("m5.large");
    Ok(Wanted { name, count, min, max, instance_type: instance_type.to_owned() })
}

fn config_file(session: &Session<'_>) -> Result<Option<Value>, Failure> {
    let Some(path) = session.given.one("config-file") else { return Ok(None) };
    for flag in ["cluster", "name", "region", "version", "nodes", "node-type", "nodegroup-name", "tags"] {
        if session.given.one(flag).is_some() {
            return Err(said(format!("cannot use --{flag} when --config-file/-f is set")));
        }
    }
    let text = if path == "-" {
        session.invocation.stdin.clone()
    } else {
        std::fs::read_to_string(path)
            .map_err(|error| said(format!("reading config file \"{path}\": open {path}: {error}")))?
    };
    let file = serde_saphyr::from_str(&text)
        .map_err(|error| said(format!("loading config file \"{path}\": {error}")))?;
    Ok(Some(file))
}

fn from_file(session: &Session<'_>, file: &Value) -> Result<Asked, Failure> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if file["kind"] != "ClusterConfig" {
        return Err(said("loading config file: the kind has to be ClusterConfig"));
    }
    let name = text(&file["metadata"]["name"]).ok_or_else(|| said("metadata.name must be set"))?;
    let region = text(&file["metadata"]["region"]).map_or_else(|| session.region(), Ok)?;
    let mut groups = Vec::new();
    for list in ["managedNodeGroups", "nodeGroups"] {
        for group in file[list].as_array().into_iter().flatten() {
            let size = |name: &str| group[name].as_u64().and_then(|it| u32::try_from(it).ok());
            let (min, max) = (size("minSize"), size("maxSize"));
            let count = size("desiredCapacity").or(min).unwrap_or(2);
            groups.push(Wanted {
                name: text(&group["name"])
                    .ok_or_else(|| said(format!("{list}[{}].name must be set", groups.len())))?,
                count,
                min: min.unwrap_or(count),
                max: max.unwrap_or(count),
                instance_type: text(&group["instanceType"]).unwrap_or_else(|| "m5.large".into()),
            });
        }
    }
    Ok((name, region, text(&file["metadata"]["version"]), groups))
}

/// Makes one node group and waits for its nodes.
async fn make(
    session: &mut Session<'_>,
    cluster: &str,
    group: Wanted,
    timeout: Duration,
) -> Result<(), Failure> {
    let stack = format!("eksctl-{cluster}-nodegroup-{}", group.name);
    session.log('ℹ', &format!("building managed nodegroup stack \"{stack}\""));
    session.log('ℹ', &format!("deploying stack \"{stack}\""));
    let stored = NodeGroup {
        min: group.min,
        max: group.max,
        desired: group.count,
        instance_type: group.instance_type.clone(),
        status: "CREATING".into(),
        created_at: session.cloud.now(),
    };
    session.cloud.change(|account| account.node_groups.insert(group.name.clone(), stored)).map_err(said)?;
    let done = if group.count == 0 {
        Ok(())
    } else {
        match session.cloud.api(AGENT).await {
            Ok(api) => wait(session, &api, &group.name, &group.instance_type, group.count, timeout).await,
            Err(why) => Err(said(why)),
        }
    };
    let status = if done.is_ok() { "ACTIVE" } else { "CREATE_FAILED" };
    session
        .cloud
        .change(|account| {
            if let Some(group) = account.node_groups.get_mut(&group.name) {
                group.status = status.into();
            }
        })
        .map_err(said)?;
    done
}

/// Nodes of a group that is scaled up.
pub(super) async fn nodes(
    session: &mut Session<'_>,
    api: &Api,
    group: &str,
    kind: &str,
    count: u32,
) -> Result<(), Failure> {
    let timeout = timeout(session)?;
    wait(session, api, group, kind, count, timeout).await
}

async fn wait(
    session: &mut Session<'_>,
    api: &Api,
    group: &str,
    kind: &str,
    count: u32,
    timeout: Duration,
) -> Result<(), Failure> {
    session.log('ℹ', &format!("waiting for at least {count} node(s) to become ready in \"{group}\""));
    match join(session.cloud, api, group, kind, count, timeout).await {
        Ok(names) => {
            session.log('ℹ', &format!("nodegroup \"{group}\" has {count} node(s)"));
            for name in names {
                session.log('ℹ', &format!("node \"{name}\" is ready"));
            }
            Ok(())
        }
        Err(NodesError::Failed) => {
            session.log('✖', "unexpected status \"CREATE_FAILED\" while waiting for CloudFormation stack");
            let issue = session.cloud.node_group_issue();
            Err(said(format!(
                "AWS::EKS::Nodegroup/ManagedNodeGroup: CREATE_FAILED – \"Resource handler returned message: \\\"[Issue(Code={}, Message={}, ResourceIds=[{group}])]\\\"\"",
                issue.code, issue.message
            )))
        }
        Err(NodesError::TimedOut) => Err(said(format!(
            "timed out waiting for at least {count} nodes to join the cluster and become ready in \"{group}\": context deadline exceeded"
        ))),
        Err(NodesError::Api(why)) => Err(said(format!("listing nodes: {why}"))),
    }
}
