//! Phase 1: the EKS cluster and its nodes.

mod eksctl;
mod node_groups;
mod plan;
mod stack;

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;

use self::eksctl::{Eksctl, Found};
use self::node_groups::Why;
use super::compute::Ended;
use super::force::pass;
use super::target;
use crate::aws::Aws;
use crate::cluster::{Cluster, ReadError};
use crate::context::Run;
use crate::duration;
use crate::identity::Identity;
use crate::phases::Phase;
use crate::platform::{self, Coredns, NodeState, Nodes};
use crate::result::{Blocker, Class, Code, Eks, Phase1, Replicas};
use crate::seams::ToolError;

/// Runs the phase; what it reads goes into `evidence`.
pub async fn run(run: &Run<'_>, evidence: &mut Phase1) -> Ended {
    let blockers = steps(run, &mut evidence.eks).await.err().unwrap_or_default();
    let gated = |it: &Blocker| matches!(it.code.class(), Class::Dependency(_) | Class::Foundation);
    if !blockers.first().is_some_and(gated) {
        return Ended { blockers, forced: None };
    }
    pass(run, Phase::Foundation, "nodes", blockers).into()
}

async fn steps(run: &Run<'_>, eks: &mut Eks) -> Result<(), Vec<Blocker>> {
    let asked = &run.settings.cluster;
    let (Some(name), Some(region)) = (asked.name.clone(), asked.region.clone()) else {
        return Err(vec![Blocker::new(
            Code::Usage,
            "the foundation phase needs to know which cluster: CLUSTER_NAME and AWS_REGION",
            "set both, or pass --cluster-name and --region",
        )]);
    };
    eks.cluster_name = Some(name.clone());
    eks.region = Some(region.clone());
    // A kubeconfig that is there and leads elsewhere is somebody's word for another cluster.
    if let Ok(connection) = run.ctx.cluster.connect().await {
        super::right_cluster(run, &Cluster::new(run, connection))?;
    }
    let eksctl = Eksctl::new(run, &name, &region);
    if run.dry() {
        return plan::plan(run, &eksctl, eks).await;
    }
    let found = find(run, &eksctl, eks).await?;
    // Creating may fail after the cluster is there, on a node group say. What is there is looked at all
    // the same: the nodes, or their absence, say more than eksctl's exit code.
    let (found, create_failed) = match found {
        Some(found) => {
            let failed = finish(run, &eksctl, &found, eks).await?;
            (found, failed)
        }
        None => create(run, &eksctl, eks).await?,
    };
    let cluster = kubeconfig(run, &eksctl, &found, eks).await;
    let cluster = match (cluster, create_failed.clone()) {
        (Ok(cluster), _) => cluster,
        (Err(mut blockers), Some(first)) => {
            blockers.insert(0, first);
            return Err(blockers);
        }
        (Err(blockers), None) => return Err(blockers),
    };
    let judged = nodes(run, &cluster, eks).await;
    match (judged, create_failed) {
        (judged, None) => judged,
        (Ok(()), Some(first)) => Err(vec![first]),
        (Err(mut blockers), Some(first)) => {
            blockers.insert(0, first);
            Err(blockers)
        }
    }
}

/// Asks whether the cluster exists, and waits for one that somebody is creating.
async fn find(run: &Run<'_>, eksctl: &Eksctl<'_>, eks: &mut Eks) -> Result<Option<Found>, Vec<Blocker>> {
    let mut found = eksctl.get_cluster().await.map_err(|error| vec![error.blocker()])?;
    if found.as_ref().and_then(|it| it.status.as_deref()) == Some("CREATING") {
        run.step("eks", "the cluster is being created; waiting for it");
        let answer = eksctl.wait_active().await;
        if let Err(ToolError::Stopped { reason, .. }) = answer {
            return Err(vec![Blocker::stopped(reason)]);
        }
        found = eksctl.get_cluster().await.map_err(|error| vec![error.blocker()])?;
    }
    eks.existed = Some(found.is_some());
    if found.is_none() {
        run.step("eks", "the cluster does not exist");
        found = way_is_clear(run, eksctl, eks).await?;
    }
    let Some(cluster) = &found else { return Ok(None) };
    note(eks, cluster);
    adopt(run, eksctl, cluster, eks).await?;
    Ok(found)
}

/// Sees that a cluster that is there is the right one, and in a state in which something can be installed.
async fn adopt(
    run: &Run<'_>,
    eksctl: &Eksctl<'_>,
    cluster: &Found,
    eks: &mut Eks,
) -> Result<(), Vec<Blocker>> {
    let contradictions = cluster.identity.contradictions(&run.settings.cluster);
    if !contradictions.is_empty() {
        return Err(target::wrong(run, &contradictions.join("; ")));
    }
    let status = cluster.status.clone().unwrap_or_else(|| "unknown".into());
    run.step("eks", format!("the cluster exists ({status}) and is adopted as it is"));
    if matches!(status.as_str(), "CREATING" | "FAILED" | "DELETING") {
        let mut words = format!("EKS says that the cluster is {status}");
        for issue in &cluster.issues {
            words.push_str(&format!("; {issue}"));
        }
        if status == "FAILED" {
            let (name, region) = (eks.cluster_name.clone(), eks.region.clone());
            let aws = Aws::new(run, region.as_deref());
            eks.stack = stack::read(run, &aws, &stack::of_cluster(&name.unwrap_or_default())).await;
            if let Some(stack) = eks.stack.as_ref().filter(|stack| stack.failed()) {
                words.push_str(&format!("; {}", stack.words()));
            }
        }
        return Err(vec![
            Blocker::new(
                Code::EksClusterFailed,
                words.clone(),
                "nothing was changed: let it come to rest, or remove it, and run again",
            )
            .cause(stack::cause(&words))
            .commands([eksctl.command("get cluster --name"), eksctl.describe_stacks()]),
        ]);
    }
    Ok(())
}

/// The cluster is not there: is an attempt to make it on its way, or in the way? Gives the cluster when
/// the attempt of somebody else has come to its end meanwhile.
async fn way_is_clear(
    run: &Run<'_>,
    eksctl: &Eksctl<'_>,
    eks: &mut Eks,
) -> Result<Option<Found>, Vec<Blocker>> {
    let name = eks.cluster_name.clone().unwrap_or_default();
    let aws = Aws::new(run, eks.region.as_deref());
    if run.settings.cluster.account.is_some() {
        target::right_account(run, &aws, &Identity::default()).await?;
    }
    eks.stack = stack::in_the_way(run, &aws, eksctl, &name).await?;
    let Some(stack) = &eks.stack else { return Ok(None) };
    let found = eksctl.get_cluster().await.map_err(|error| vec![error.blocker()])?;
    if found.is_none() {
        run.fail("cloudformation", stack.words());
        return Err(vec![stack::blocker(stack, eksctl, &name)]);
    }
    Ok(found)
}

/// Finishes a cluster that an installer like this one began and did not finish: a control plane without
/// any node group. A cluster that somebody else made is adopted as it is, whatever it lacks.
async fn finish(
    run: &Run<'_>,
    eksctl: &Eksctl<'_>,
    found: &Found,
    eks: &Eks,
) -> Result<Option<Blocker>, Vec<Blocker>> {
    if !found.ours {
        return Ok(None);
    }
    let (name, region) = (eks.cluster_name.as_deref().unwrap_or_default(), eks.region.as_deref());
    let aws = Aws::new(run, region);
    let groups = node_groups::read(&aws, name).await.map_err(|error| vec![error.blocker()])?;
    for group in groups.iter().filter(|group| group.status.as_deref() == Some("CREATING")) {
        run.step("node-groups", format!("node group {} is being created; waiting for it", group.name));
        if let Err(ToolError::Stopped { reason, .. }) = eksctl.wait_node_group(&group.name).await {
            return Err(vec![Blocker::stopped(reason)]);
        }
    }
    if !groups.is_empty() {
        return Ok(None);
    }
    run.step("node-groups", "the cluster was begun and has no node group yet; creating what is missing");
    let answer = eksctl.create_node_groups().await;
    if let Err(ToolError::Stopped { reason, .. }) = answer {
        return Err(vec![Blocker::stopped(reason)]);
    }
    let failed = eksctl::create_failure(eksctl, &answer);
    if let Some(blocker) = &failed {
        run.fail("node-groups", &blocker.message);
    }
    Ok(failed)
}

fn note(eks: &mut Eks, found: &Found) {
    eks.status.clone_from(&found.status);
    eks.version.clone_from(&found.version);
}

/// Creates the cluster, and reads it back whatever eksctl says.
async fn create(
    run: &Run<'_>,
    eksctl: &Eksctl<'_>,
    eks: &mut Eks,
) -> Result<(Found, Option<Blocker>), Vec<Blocker>> {
    run.step("eks", "creating the cluster; this takes a quarter of an hour");
    let answer = eksctl.create().await;
    if let Err(ToolError::Stopped { reason, .. }) = answer {
        return Err(vec![Blocker::stopped(reason)]);
    }
    let failed = eksctl::create_failure(eksctl, &answer);
    match eksctl.get_cluster().await {
        Ok(Some(found)) => {
            note(eks, &found);
            let lost = eksctl::answer_is_lost(&answer);
            let taken = eksctl::name_is_taken(&answer);
            eks.created = !taken;
            match &failed {
                None => run.step("eks", "the cluster is created"),
                // What eksctl did not live to say is read; what somebody else made meanwhile is taken as it is.
                Some(blocker) if lost || taken => {
                    run.warn(
                        "eks",
                        format!("{}; the cluster is there, and is gone on with", blocker.message),
                    );
                    let failed = finish(run, eksctl, &found, eks).await?;
                    return Ok((found, failed));
                }
                Some(blocker) => run.fail("eks", &blocker.message),
            }
            Ok((found, failed))
        }
        Ok(None) => Err(vec![failed.unwrap_or_else(|| {
            Blocker::new(
                Code::EksCreateFailed,
                "eksctl ended with success, and EKS knows no such cluster",
                "see whether eksctl and this run use the same region and account",
            )
            .commands([eksctl.describe_stacks()])
        })]),
        Err(error) => Err([failed, Some(error.blocker())].into_iter().flatten().collect()),
    }
}

/// The cluster, if the kubeconfig as it is leads to it.
async fn leads_there<'r>(run: &'r Run<'r>, found: &Found) -> Option<Cluster<'r>> {
    let connection = run.ctx.cluster.connect().await.ok()?;
    let right = connection.identity.name.is_some()
        && connection.identity.contradictions(&run.settings.cluster).is_empty()
        && found.endpoint.as_deref().is_none_or(|it| target::same_server(it, &connection.server));
    right.then(|| Cluster::new(run, connection))
}

/// Makes the kubeconfig lead to the cluster, and connects.
async fn kubeconfig<'r>(
    run: &'r Run<'r>,
    eksctl: &Eksctl<'_>,
    found: &Found,
    eks: &mut Eks,
) -> Result<Cluster<'r>, Vec<Blocker>> {
    if let Some(cluster) = leads_there(run, found).await {
        run.step("kubeconfig", "the kubeconfig leads to the cluster already");
        return Ok(cluster);
    }
    let failed = |message: String| {
        vec![
            Blocker::new(Code::KubeconfigUpdateFailed, message, "write the kubeconfig by hand and run again")
                .commands([eksctl.command("utils write-kubeconfig --cluster")]),
        ]
    };
    match eksctl.write_kubeconfig(run.ctx.cluster.kubeconfig_path().as_deref()).await {
        // When eksctl did not live to say so, what it wrote is read all the same.
        Ok(output) if output.success() || output.signal.is_some() => {
            eks.kubeconfig_updated = output.success();
        }
        Ok(output) => {
            let words = crate::helm::said_last(&output);
            return Err(failed(format!("eksctl could not write the kubeconfig: {words}")));
        }
        Err(ToolError::Stopped { reason, .. }) => return Err(vec![Blocker::stopped(reason)]),
        Err(error) => return Err(failed(error.to_string())),
    }
    let cluster = Cluster::connect(run).await.map_err(|error| vec![error.blocker(None)])?;
    super::right_cluster(run, &cluster)?;
    eks.kubeconfig_updated = true;
    run.step("kubeconfig", "the kubeconfig is written");
    Ok(cluster)
}

/// Waits for the nodes, and counts them.
async fn nodes(run: &Run<'_>, cluster: &Cluster<'_>, eks: &mut Eks) -> Result<(), Vec<Blocker>> {
    let limit = if run.dry() { Duration::ZERO } else { run.settings.limits.node_wait };
    let patience = run.ctx.clock.elapsed() + limit;
    // A cluster that this run made has as many nodes as were asked for; of an adopted one we only know
    // that those that are there should be Ready.
    let wanted = if eks.created { run.settings.foundation.nodes.unwrap_or(1).max(1) } else { 1 };
    let watched = cluster
        .watch_until::<NodeState, ()>("watch nodes", "/api/v1/nodes", &[], limit, |nodes| {
            let nodes = Nodes::of(nodes.values().cloned());
            (nodes.total() >= wanted && nodes.ready() == nodes.total()).then_some(())
        })
        .await
        .map_err(|error| {
            run.gate("nodes", "unknown");
            run.fail("nodes", error.to_string());
            vec![error.blocker(Some(&cluster.connection.server))]
        })?;
    let nodes = Nodes::of(watched.objects.into_values());
    eks.node_count = Some(nodes.total());
    eks.nodes_ready = Some(nodes.ready());
    let counted = format!("{} of {} nodes Ready", nodes.ready(), nodes.total());
    let Some(blocker) = nodes.blocker() else {
        run.gate("nodes", "passed");
        run.step("nodes", counted);
        return coredns(run, cluster, patience.saturating_sub(run.ctx.clock.elapsed())).await;
    };
    run.gate("nodes", "blocked");
    run.fail("nodes", format!("{counted}{}", duration::waited(limit)));
    let name = eks.cluster_name.clone().unwrap_or_default();
    let region = eks.region.clone().unwrap_or_default();
    let aws = Aws::new(run, Some(&region));
    eks.node_groups = node_groups::explain(run, &aws, &name).await;
    let why = eks.node_groups.as_ref().and_then(|groups| node_groups::why(groups, &name, &region));
    if eks.created && nodes.total() == 0 {
        return Err(vec![because(
            why,
            Blocker::new(
                Code::NoNodesCreated,
                "EKS cluster created but no worker nodes found. Check eksctl logs.",
                "give the cluster a node group with a desired size above zero, and see in \
                 CloudFormation's events why instances were not launched or did not join",
            )
            .commands([
                "kubectl get nodes".to_owned(),
                eksctl_command(eks, "get nodegroup --cluster"),
                eksctl_command(eks, "create nodegroup --cluster"),
            ]),
        )]);
    }
    Err(vec![because(why, blocker)])
}

/// Waits for CoreDNS: the first nodes of a cluster are Ready some seconds before its pods are, and a run that goes on to
/// Karpenter would be blocked for it. It decides nothing: that is the platform gate's.
async fn coredns(run: &Run<'_>, cluster: &Cluster<'_>, limit: Duration) -> Result<(), Vec<Blocker>> {
    let query = &[platform::COREDNS_NAME];
    let watched = cluster
        .watch_until::<Deployment, ()>("watch CoreDNS", platform::DEPLOYMENTS, query, limit, |found| {
            // Where there is none, none is being started.
            found.values().all(|deployment| Coredns::of(deployment).ready).then_some(())
        })
        .await;
    match watched.map(|watched| watched.objects.values().next().map(Coredns::of)) {
        Ok(Some(Coredns { replicas: Replicas { ready, desired }, ready: is_ready })) => {
            let counted = format!("CoreDNS {ready}/{desired}");
            if is_ready {
                run.step("coredns", counted);
            } else {
                run.warn("coredns", format!("{counted}{}", duration::waited(limit)));
            }
        }
        Ok(None) => run.warn("coredns", "there is no CoreDNS"),
        Err(ReadError::Stopped(reason)) => return Err(vec![Blocker::stopped(reason)]),
        Err(error) => run.warn("coredns", error.to_string()),
    }
    Ok(())
}

/// A blocker about nodes, with what the node groups say of the reason.
fn because(why: Option<Why>, mut blocker: Blocker) -> Blocker {
    let Some(why) = why else { return blocker };
    let full_stop = if blocker.message.ends_with('.') { "" } else { "." };
    blocker.message = format!("{}{full_stop} Seen: {}", blocker.message, why.words);
    if blocker.cause.is_none() {
        blocker = blocker.cause(why.cause);
    }
    blocker.commands(why.commands)
}

fn eksctl_command(eks: &Eks, what: &str) -> String {
    let name = eks.cluster_name.as_deref().unwrap_or("$CLUSTER_NAME");
    let region = eks.region.as_deref().unwrap_or("$AWS_REGION");
    format!("eksctl {what} {name} --region {region}")
}
