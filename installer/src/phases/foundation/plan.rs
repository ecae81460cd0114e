//! What phase 1 would do: everything that can be read is read, and nothing is waited for.

use super::eksctl::Eksctl;
use super::{Found, adopt, node_groups, note, stack, target};
use crate::aws::Aws;
use crate::cluster::Cluster;
use crate::context::Run;
use crate::identity::Identity;
use crate::phases::Phase;
use crate::result::{Blocker, Eks, PlannedAction, PlannedStep, typed};

fn step(action: PlannedAction, what: impl Into<String>, why: impl Into<String>) -> PlannedStep {
    PlannedStep::new(Phase::Foundation, action, what, why)
}

/// Plans the phase. What comes after it can be planned only when the cluster can be read already.
pub(super) async fn plan(run: &Run<'_>, eksctl: &Eksctl<'_>, eks: &mut Eks) -> Result<(), Vec<Blocker>> {
    let name = eks.cluster_name.clone().unwrap_or_default();
    let what = format!("EKS cluster {name}");
    let found = eksctl.get_cluster().await.map_err(|error| vec![error.blocker()])?;
    eks.existed = Some(found.is_some());
    let Some(found) = found else {
        run.cannot_read_on();
        return plan_new(run, eksctl, eks, &name).await;
    };
    note(eks, &found);
    if found.status.as_deref() == Some("CREATING") {
        run.cannot_read_on();
        run.plan(step(PlannedAction::Wait, what, "it is being created; it is adopted once it is ACTIVE"));
        return Ok(());
    }
    adopt(run, eksctl, &found, eks).await?;
    let status = found.status.as_deref().unwrap_or("unknown");
    run.plan(step(PlannedAction::Keep, what, format!("it is there ({status})")));
    let nodes_to_come = plan_node_groups(run, eksctl, &found, eks).await?;
    let Some(cluster) = plan_kubeconfig(run, eksctl, &found).await else {
        run.cannot_read_on();
        return Ok(());
    };
    match super::nodes(run, &cluster, eks).await {
        Ok(()) => Ok(()),
        Err(_) if nodes_to_come => {
            run.plan(step(PlannedAction::Wait, "nodes", "those of the new node groups have to be Ready"));
            Ok(())
        }
        Err(blockers) => Err(blockers),
    }
}

/// The cluster is not there: is the way clear, and what would be made?
async fn plan_new(run: &Run<'_>, eksctl: &Eksctl<'_>, eks: &mut Eks, name: &str) -> Result<(), Vec<Blocker>> {
    let aws = Aws::new(run, eks.region.as_deref());
    if run.settings.cluster.account.is_some() {
        target::right_account(run, &aws, &Identity::default()).await?;
    }
    eks.stack = stack::read(run, &aws, &stack::of_cluster(name)).await;
    match &eks.stack {
        Some(stack) if stack.status == "CREATE_IN_PROGRESS" => {
            let why = "it is being created; what comes of it decides";
            run.plan(step(PlannedAction::Wait, format!("CloudFormation stack {}", stack.name), why));
            return Ok(());
        }
        Some(stack) => {
            run.fail("cloudformation", stack.words());
            return Err(vec![stack::blocker(stack, eksctl, name)]);
        }
        None => {}
    }
    let (args, config) = eksctl.create_call();
    let groups = &run.settings.foundation.node_groups;
    let with = match (&run.settings.foundation.config_file, groups.len()) {
        (Some(path), _) => format!(" as {path} says"),
        (None, 0 | 1) => " with 1 node group".to_owned(),
        (None, count) => format!(" with {count} node groups"),
    };
    let mut why = "EKS knows no such cluster, and no stack of it is in the way".to_owned();
    if config.is_some() {
        why.push_str("; its configuration is passed on through standard input");
    }
    let make = step(PlannedAction::Make, format!("EKS cluster {name}{with}"), why);
    run.plan(make.command(typed("eksctl", &args)));
    plan_new_kubeconfig(run, eksctl, "the cluster is not there yet");
    run.plan(step(PlannedAction::Wait, "nodes", "a new cluster is done when its nodes are Ready"));
    Ok(())
}

/// A cluster that an installer like this one began and did not finish; whether nodes are to come.
async fn plan_node_groups(
    run: &Run<'_>,
    eksctl: &Eksctl<'_>,
    found: &Found,
    eks: &Eks,
) -> Result<bool, Vec<Blocker>> {
    if !found.ours {
        return Ok(false);
    }
    let aws = Aws::new(run, eks.region.as_deref());
    let name = eks.cluster_name.as_deref().unwrap_or_default();
    let groups = node_groups::read(&aws, name).await.map_err(|error| vec![error.blocker()])?;
    let mut to_come = false;
    for group in groups.iter().filter(|group| group.status.as_deref() == Some("CREATING")) {
        to_come = true;
        run.plan(step(PlannedAction::Wait, format!("node group {}", group.name), "it is being created"));
    }
    if groups.is_empty() {
        to_come = true;
        let (args, _) = eksctl.create_node_groups_call();
        let why = "the cluster was begun and has no node group yet";
        run.plan(step(PlannedAction::Make, "node groups", why).command(typed("eksctl", &args)));
    }
    Ok(to_come)
}

/// The cluster, if the kubeconfig leads to it already.
async fn plan_kubeconfig<'r>(run: &'r Run<'r>, eksctl: &Eksctl<'_>, found: &Found) -> Option<Cluster<'r>> {
    if let Some(cluster) = super::leads_there(run, found).await {
        run.plan(step(PlannedAction::Keep, kubeconfig(run), "it leads to the cluster"));
        return Some(cluster);
    }
    plan_new_kubeconfig(run, eksctl, "it does not lead to the cluster");
    None
}

fn plan_new_kubeconfig(run: &Run<'_>, eksctl: &Eksctl<'_>, why: &str) {
    let args = eksctl.write_kubeconfig_args(run.ctx.cluster.kubeconfig_path().as_deref());
    let write = step(PlannedAction::Change, kubeconfig(run), why);
    run.plan(write.command(typed("eksctl", &args)));
}

fn kubeconfig(run: &Run<'_>) -> String {
    let path = run.ctx.cluster.kubeconfig_path();
    path.map_or_else(|| "kubeconfig".to_owned(), |path| format!("kubeconfig {path}"))
}
