//! Nodes that Karpenter made: their claims are deleted, and Karpenter ends the instances.
//!
//! A claim goes when Karpenter's finalizer has done its work. Finalizers are never stripped: that would
//! leave an instance behind that nobody knows of any more. What does not go in time is reported, with its
//! finalizers and with what its conditions say.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::cluster::{Cluster, ReadError};
use crate::duration;
use crate::phases::right_endpoint;
use crate::result::{Blocker, Cleanup, Code};

const CLAIMS: &str = "/apis/karpenter.sh/v1/nodeclaims";
const POOLS: &str = "/apis/karpenter.sh/v1/nodepools";

/// As many claims that would not go are described.
const SHOWN: usize = 10;

/// What is kept of a claim while it is waited for.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Value")]
struct Claim {
    name: String,
    /// Its finalizers and complaints.
    words: String,
}

impl From<Value> for Claim {
    fn from(claim: Value) -> Self {
        Self { name: name(&claim), words: describe(&claim) }
    }
}

/// Deletes every claim and waits until they are gone.
pub(super) async fn remove(cluster: &Cluster<'_>, evidence: &mut Cleanup) -> Result<(), Vec<Blocker>> {
    let run = cluster.run;
    let unread = |error: ReadError| vec![error.blocker(Some(&cluster.connection.server))];
    let names = match cluster.list_by("list node claims", CLAIMS, &[], |claim| Ok(name(&claim))).await {
        Ok(listed) => listed.items,
        // There is no such kind: there was never a Karpenter.
        Err(ReadError::Missing { .. }) => return Ok(()),
        Err(error) => return Err(unread(error)),
    };
    if names.is_empty() {
        run.step("nodes", "Karpenter has no nodes of its own");
        return Ok(());
    }
    right_endpoint(run, cluster).await?;
    run.step("nodes", format!("deleting {} node claims; Karpenter ends their instances", names.len()));
    for claim in &names {
        cluster.delete("delete a node claim", &format!("{CLAIMS}/{claim}")).await.map_err(unread)?;
    }
    let limit = run.settings.limits.ready_timeout;
    let asked: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let mine = |claims: &BTreeMap<String, Claim>| {
        claims.values().filter(|claim| asked.contains(claim.name.as_str())).cloned().collect::<Vec<Claim>>()
    };
    let watched = cluster
        .watch_until::<Claim, ()>("watch node claims", CLAIMS, &[], limit, |objects| {
            mine(objects).is_empty().then_some(())
        })
        .await
        .map_err(unread)?;
    let left = mine(&watched.objects);
    let still: BTreeSet<&str> = left.iter().map(|claim| claim.name.as_str()).collect();
    let gone = names.iter().filter(|claim| !still.contains(claim.as_str()));
    evidence.removed.extend(gone.map(|claim| format!("node claim {claim}")));
    if left.is_empty() {
        run.step("nodes", "the node claims are gone");
        return Ok(());
    }
    let stuck: Vec<&str> = left.iter().take(SHOWN).map(|claim| claim.words.as_str()).collect();
    let more = left.len().saturating_sub(SHOWN);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    let message = format!(
        "{} of {} node claims were still there after {}: {}{more}",
        left.len(),
        names.len(),
        duration::go(limit),
        stuck.join("; ")
    );
    run.fail("nodes", &message);
    let pools = cluster.list_by("list node pools", POOLS, &[], |_| Ok(())).await.map(|it| it.items.len());
    let hint = match pools {
        Ok(pools @ 1..) => format!(
            "; {pools} NodePools go on making nodes for pods that wait: set their limits to 0, or delete them"
        ),
        _ => String::new(),
    };
    Err(vec![
        Blocker::new(
            Code::CleanupIncomplete,
            message,
            format!(
                "Karpenter was left where it is, because only it can end these instances; finalizers are not \
                 stripped. See why its controller does not, and run cleanup again{hint}"
            ),
        )
        .cause(Some("FINALIZERS_PENDING"))
        .commands([
            "kubectl get nodeclaims -o wide".to_owned(),
            "kubectl describe nodeclaims".to_owned(),
            format!(
                "kubectl -n {} logs -l app.kubernetes.io/name=karpenter --tail 50",
                run.settings.karpenter.namespace
            ),
        ]),
    ])
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// A claim, its finalizers, and the conditions that say that something is not as it should be.
fn describe(claim: &Value) -> String {
    let finalizers: Vec<&str> =
        claim["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let conditions: Vec<String> = claim["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|condition| condition["status"] != "True")
        .filter_map(|condition| {
            let message = condition["message"].as_str().filter(|message| !message.is_empty())?;
            Some(format!("{}: {message}", condition["type"].as_str().unwrap_or_default()))
        })
        .collect();
    let mut text = format!("{} (finalizers {})", name(claim), finalizers.join(", "));
    if !conditions.is_empty() {
        text.push_str(&format!(", {}", conditions.join(", ")));
    }
    text
}
