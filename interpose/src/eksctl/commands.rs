//! `eksctl get`, `scale`, `utils write-kubeconfig`, `version`; creating has a file of its own.

use serde_json::{Value, json};

use super::{Failure, Session, VERSION, create};
use crate::cloud::flags::Flag;
use crate::cloud::{Described, Naming, leave, write_kubeconfig};

const GET_CLUSTER: &[Flag] = &[
    ("name", Some('n'), true),
    ("output", Some('o'), true),
    ("chunk-size", None, true),
    ("all-regions", Some('A'), false),
];

const GET_NODE_GROUP: &[Flag] = &[
    ("cluster", None, true),
    ("name", Some('n'), true),
    ("output", Some('o'), true),
    ("chunk-size", None, true),
];

const SCALE: &[Flag] = &[
    ("cluster", None, true),
    ("name", Some('n'), true),
    ("nodes", Some('N'), true),
    ("nodes-min", Some('m'), true),
    ("nodes-max", Some('M'), true),
    ("wait", Some('w'), false),
];

const WRITE_KUBECONFIG: &[Flag] = &[
    ("cluster", Some('c'), true),
    ("kubeconfig", None, true),
    ("set-kubeconfig-context", None, false),
    ("auto-kubeconfig", None, false),
    ("authenticator-role-arn", None, true),
];

/// Runs the command line.
pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    let words = crate::mutates::words("eksctl", &session.invocation.args);
    let (first, second) = (words.first().copied().unwrap_or(""), words.get(1).copied().unwrap_or(""));
    let drop_words = |count: usize| {
        let mut left = count;
        let args = session.invocation.args.iter();
        args.filter(|argument| {
            let drop = left > 0 && words.get(count - left) == Some(&argument.as_str());
            left -= usize::from(drop);
            !drop
        })
        .cloned()
        .collect::<Vec<_>>()
    };
    let rest = drop_words(2);
    match (first, second) {
        ("version", _) => {
            session.out += &format!("{VERSION}\n");
            Ok(())
        }
        ("get", "cluster" | "clusters") => get_cluster(session, &rest),
        ("get", "nodegroup" | "nodegroups" | "ng") => get_node_group(session, &rest),
        ("create", "cluster") => create::cluster(session, &rest).await,
        ("create", "nodegroup" | "ng") => create::node_group(session, &rest).await,
        ("scale", "nodegroup" | "ng") => scale(session, &rest).await,
        ("utils", "write-kubeconfig") => write(session, &rest),
        (
            "get" | "create" | "delete" | "scale" | "upgrade" | "utils" | "drain" | "enable" | "set"
            | "unset" | "update" | "associate" | "disassociate" | "info" | "completion" | "help" | "",
            _,
        ) => Err(Failure::NotHere(format!("eksctl {first} {second}").trim().to_owned())),
        (other, _) => Err(Failure::Said(format!(
            "unknown command \"{other}\" for \"eksctl\"\nRun 'eksctl --help' for usage."
        ))),
    }
}

/// EKS's answer about a cluster that is not there, as the AWS SDK words it.
pub(super) fn missing(name: &str) -> String {
    format!(
        "operation error EKS: DescribeCluster, https response error StatusCode: 404, RequestID: 00000000-0000-0000-0000-000000000000, ResourceNotFoundException: No cluster found for name: {name}."
    )
}

fn said(words: impl Into<String>) -> Failure {
    Failure::Said(words.into())
}

fn output(session: &mut Session<'_>) -> Result<bool, Failure> {
    match session.given.one("output") {
        None | Some("table") => Ok(false),
        Some("json") => {
            session.document = true;
            Ok(true)
        }
        Some("yaml") => Err(Failure::NotHere("-o yaml".into())),
        Some(other) => Err(said(format!("unknown output printer type: {other}"))),
    }
}

fn get_cluster(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    session.read(args, GET_CLUSTER)?;
    let json = output(session)?;
    let name = session.name("name")?;
    let region = session.region()?;
    let Some(name) = name else { return list_clusters(session, &region, json) };
    let described = session.cloud.describe(&name, &region).map_err(said)?;
    let described = described
        .ok_or_else(|| said(format!("unable to describe control plane \"{name}\": {}", missing(&name))))?;
    if json {
        let value = json!([cluster(session, &described)]);
        session.print(&value);
    } else {
        session.out += &format!(
            "NAME\tVERSION\tSTATUS\tCREATED\tVPC\tSUBNETS\tSECURITYGROUPS\tPROVIDER\n{name}\t{}\t{}\t{}\t-\t-\t-\tEKS\n",
            described.version,
            described.status,
            described.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        );
    }
    Ok(())
}

fn list_clusters(session: &mut Session<'_>, region: &str, json: bool) -> Result<(), Failure> {
    let name = session.cloud.identity.name.clone();
    let found = session.cloud.describe(&name, region).map_err(said)?.is_some();
    let made = session.cloud.change(|account| account.cluster.is_some()).map_err(said)?;
    let owned = if made { "True" } else { "False" };
    if json {
        let one = json!({
            "metadata": { "name": name, "region": region },
            "status": { "eksctlCreated": owned },
        });
        session.print(&if found { json!([one]) } else { json!([]) });
    } else if found {
        session.out += &format!("NAME\tREGION\tEKSCTL CREATED\n{name}\t{region}\t{owned}\n");
    } else {
        session.out += "No clusters found\n";
    }
    Ok(())
}

/// A cluster with the names of the SDK's fields.
fn cluster(session: &Session<'_>, described: &Described) -> Value {
    let identity = &session.cloud.identity;
    json!({
        "AccessConfig": { "AuthenticationMode": "API_AND_CONFIG_MAP" },
        "Arn": identity.arn(),
        "CertificateAuthority": { "Data": described.authority },
        "CreatedAt": described.created_at.to_string(),
        "Endpoint": described.endpoint,
        "Health": { "Issues": issues(&session.cloud.eks.issues) },
        "Name": identity.name,
        "PlatformVersion": "eks.1",
        "RoleArn": format!("arn:aws:iam::{}:role/eksctl-{}-cluster-ServiceRole", identity.account, identity.name),
        "Status": described.status,
        "Tags": described.tags,
        "Version": described.version,
    })
}

fn issues(all: &[crate::cloud::Issue]) -> Value {
    all.iter().map(|it| json!({ "Code": it.code, "Message": it.message, "ResourceIds": [] })).collect()
}

fn get_node_group(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    session.read(args, GET_NODE_GROUP)?;
    let json = output(session)?;
    let region = session.region()?;
    let cluster = session.given.one("cluster").ok_or_else(|| said("--cluster must be set"))?.to_owned();
    let described = session.cloud.describe(&cluster, &region).map_err(said)?;
    let described = described
        .ok_or_else(|| said(format!("unable to describe cluster control plane: {}", missing(&cluster))))?;
    let mut groups = session.cloud.node_groups().map_err(said)?;
    if let Some(name) = session.name("name")? {
        groups.retain(|it, _| *it == name);
        if groups.is_empty() {
            return Err(said(format!("nodegroup with name \"{name}\" not found")));
        }
    }
    let account = session.cloud.identity.account.clone();
    if json {
        let list: Vec<Value> = groups
            .iter()
            .map(|(name, group)| {
                json!({
                    "StackName": format!("eksctl-{cluster}-nodegroup-{name}"),
                    "Cluster": cluster,
                    "Name": name,
                    "Status": group.status,
                    "MaxSize": group.max,
                    "MinSize": group.min,
                    "DesiredCapacity": group.desired,
                    "InstanceType": group.instance_type,
                    "ImageID": "AL2023_x86_64_STANDARD",
                    "CreationTime": group.created_at.to_string(),
                    "NodeInstanceRoleARN": format!("arn:aws:iam::{account}:role/eksctl-{cluster}-nodegroup-{name}-NodeInstanceRole"),
                    "AutoScalingGroupName": format!("eks-{name}"),
                    "Version": described.version,
                    "Type": "managed",
                })
            })
            .collect();
        session.print(&Value::Array(list));
        return Ok(());
    }
    if groups.is_empty() {
        return Err(said("No nodegroups found"));
    }
    session.out += "CLUSTER\tNODEGROUP\tSTATUS\tCREATED\tMIN SIZE\tMAX SIZE\tDESIRED CAPACITY\tINSTANCE TYPE\tIMAGE ID\tASG NAME\tTYPE\n";
    for (name, group) in groups {
        session.out += &format!(
            "{cluster}\t{name}\t{}\t{}\t{}\t{}\t{}\t{}\tAL2023_x86_64_STANDARD\teks-{name}\tmanaged\n",
            group.status,
            group.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            group.min,
            group.max,
            group.desired,
            group.instance_type,
        );
    }
    Ok(())
}

async fn scale(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    session.read(args, SCALE)?;
    let region = session.region()?;
    let cluster = session.given.one("cluster").ok_or_else(|| said("--cluster must be set"))?.to_owned();
    if session.cloud.describe(&cluster, &region).map_err(said)?.is_none() {
        return Err(said(format!("unable to describe cluster control plane: {}", missing(&cluster))));
    }
    let name = session.name("name")?.ok_or_else(|| said("--name must be set"))?;
    let wanted = create::number(session, "nodes")?
        .ok_or_else(|| said("at least one of minimum, maximum and desired nodes must be set"))?;
    let groups = session.cloud.node_groups().map_err(said)?;
    let mut group =
        groups.get(&name).cloned().ok_or_else(|| said(format!("nodegroup with name {name} not found")))?;
    let max = create::number(session, "nodes-max")?.unwrap_or(group.max);
    let min = create::number(session, "nodes-min")?.unwrap_or(group.min);
    if wanted > max || wanted < min {
        return Err(said(format!(
            "the desired nodes {wanted} is not within the nodes-min/nodes-max range of {min}-{max}"
        )));
    }
    session.log('ℹ', &format!("scaling nodegroup \"{name}\" in cluster {cluster}"));
    let before = group.desired;
    (group.desired, group.min, group.max) = (wanted, min, max);
    let kind = group.instance_type.clone();
    session.cloud.change(|account| account.node_groups.insert(name.clone(), group)).map_err(said)?;
    let api = session.cloud.api(super::AGENT).await.map_err(said)?;
    if wanted < before {
        leave(&api, &name, wanted as usize).await.map_err(said)?;
    } else {
        create::nodes(session, &api, &name, &kind, wanted - before).await?;
    }
    session.log('ℹ', &format!("nodegroup \"{name}\" scaled successfully"));
    Ok(())
}

fn write(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    session.read(args, WRITE_KUBECONFIG)?;
    for flag in ["auto-kubeconfig", "authenticator-role-arn"] {
        if session.given.one(flag).is_some() {
            return Err(Failure::NotHere(format!("--{flag}")));
        }
    }
    let region = session.region()?;
    let name = session.name("cluster")?.ok_or_else(|| said("--cluster must be set"))?;
    let described = session.cloud.describe(&name, &region).map_err(said)?;
    let described = described
        .ok_or_else(|| said(format!("unable to describe cluster control plane: {}", missing(&name))))?;
    if !matches!(described.status.as_str(), "ACTIVE" | "UPDATING") {
        return Err(said(format!("cluster \"{name}\" is not active: its status is {}", described.status)));
    }
    save(session, &name, &region)
}

/// Writes the kubeconfig that the flags and the environment name.
pub(super) fn save(session: &mut Session<'_>, name: &str, region: &str) -> Result<(), Failure> {
    let cluster = format!("{name}.{region}.eksctl.io");
    let context = format!("seatrial@{cluster}");
    let naming = Naming { user: context.clone(), context, cluster };
    let explicit = session.given.one("kubeconfig").map(str::to_owned);
    let select = session.given.is("set-kubeconfig-context", true);
    let written =
        write_kubeconfig(session.cloud, &naming, explicit.as_deref(), &session.invocation.env, select)
            .map_err(|error| said(format!("writing kubeconfig: {error}")))?;
    session.log('✔', &format!("saved kubeconfig as \"{}\"", written.path.display()));
    Ok(())
}
