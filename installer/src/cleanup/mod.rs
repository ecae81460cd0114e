//! `cleanup`: takes down what this installer made, in the reverse order, and nothing else.
//!
//! What was made is known by what it is: releases by the names that they are configured with, nodes by
//! Karpenter's own claims. What cannot be told from somebody else's is left, and said so. A part that fails
//! does not keep the others from being tried, unless they need it; the first failure stays the first.

mod nodes;
mod releases;

use crate::cluster::Cluster;
use crate::context::{Context, Run};
use crate::install::{self, Scope};
use crate::phases::{Phase, right_cluster};
use crate::result::{Blocker, Cleanup, LeftBehind, Outcome};
use crate::settings::Settings;

/// Takes down what the phases in scope made.
pub async fn run(ctx: &Context, settings: &Settings, scope: Scope) -> Outcome {
    let run = Run::new(ctx, settings);
    install::cleaned_up(&run, async {
        let mut evidence = Cleanup::default();
        let mut blockers = Vec::new();
        let mut phases = scope.phases();
        phases.reverse();
        match connect(&run).await {
            Err(more) => blockers = more,
            Ok(cluster) => {
                for phase in &phases {
                    let done = take_down(&run, &cluster, *phase, &mut evidence).await;
                    let failed = done.is_err();
                    blockers.extend(done.err().unwrap_or_default());
                    // What a later phase made stands on what an earlier one did.
                    if failed || run.ctx.stop.reason().is_some() {
                        break;
                    }
                }
            }
        }
        (evidence, blockers, phases.last().copied())
    })
    .await
}

async fn connect<'r>(run: &'r Run<'r>) -> Result<Cluster<'r>, Vec<Blocker>> {
    let cluster = Cluster::connect(run).await.map_err(|error| {
        run.fail("connect", error.to_string());
        vec![error.blocker(None)]
    })?;
    right_cluster(run, &cluster)?;
    Ok(cluster)
}

async fn take_down(
    run: &Run<'_>,
    cluster: &Cluster<'_>,
    phase: Phase,
    evidence: &mut Cleanup,
) -> Result<(), Vec<Blocker>> {
    match phase {
        Phase::Core => {
            for release in run.settings.core.releases.iter().rev() {
                releases::remove(cluster, &release.name, &release.namespace, evidence).await?;
            }
            Ok(())
        }
        Phase::Compute => {
            let karpenter = &run.settings.karpenter;
            // The controller ends its nodes' instances; without it they would run on, and cost.
            nodes::remove(cluster, evidence).await?;
            releases::remove(cluster, &karpenter.release, &karpenter.namespace, evidence).await?;
            let definitions = format!("{}-crd", karpenter.release);
            leave(
                run,
                evidence,
                format!("release {definitions} and the definitions of NodePool, NodeClaim and EC2NodeClass"),
                "with them every NodePool of the cluster would go, and those are not this installer's",
            );
            Ok(())
        }
        Phase::Storage => {
            if let Some(storage) = &run.settings.storage {
                leave(
                    run,
                    evidence,
                    format!(
                        "bucket {}, its policy, its role and its Pod Identity association",
                        storage.bucket
                    ),
                    "they hold or guard data: remove them by hand once nobody needs it",
                );
            }
            Ok(())
        }
        Phase::Foundation => {
            let name = run.settings.cluster.name.clone().or(cluster.connection.identity.name.clone());
            let name = name.unwrap_or_else(|| "\"$CLUSTER_NAME\"".to_owned());
            leave(
                run,
                evidence,
                format!("EKS cluster {name} and its node groups"),
                "whether it was there before cannot be told from the cluster; to remove it: eksctl delete cluster",
            );
            Ok(())
        }
    }
}

fn leave(run: &Run<'_>, evidence: &mut Cleanup, what: impl Into<String>, why: &str) {
    let what = what.into();
    run.step("left", format!("{what}: {why}"));
    evidence.left.push(LeftBehind { what, why: why.to_owned() });
}
