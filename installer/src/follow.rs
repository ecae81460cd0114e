//! `status --watch`: what there is, and from then on each change of it as it happens.
//!
//! Four watches run side by side: nodes, CoreDNS, the release (by the labels of Helm's Secrets, whose
//! contents are never fetched) and the controller. A part is printed when its words change and at no other
//! time. What cannot be read for a passing reason is said once and asked again, however long it takes: the
//! command ends when it is told to, and the run's deadline does not apply to it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cluster::{Cluster, Query, ReadError};
use crate::context::{Context, Run};
use crate::helm::ReleaseStatus;
use crate::phases::{compute, right_cluster};
use crate::platform::{self, Coredns, NodeState, Nodes};
use crate::result::{Blocker, Evidence, Outcome, Phase3, Platform};
use crate::retry::Retryable;
use crate::settings::Settings;
use crate::{install, log::Level};

/// Longer than anybody watches; a clock can still add it to now.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How long a part that cannot be read is left alone; doubled up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Follows the cluster until the run is stopped.
pub async fn run(ctx: &Context, settings: &Settings) -> Outcome {
    let mut settings = settings.clone();
    // A part that cannot be read is asked again for ever, at a pace of its own, and not within a budget.
    settings.limits.retry_budget = Duration::ZERO;
    let run = Run::new(ctx, &settings);
    let board = Board { run: &run, parts: Mutex::default(), evidence: Mutex::default() };
    let blockers = match follow(&board).await {
        Ok(()) => Vec::new(),
        Err(blockers) => blockers,
    };
    let evidence = board.evidence.into_inner().unwrap_or_else(PoisonError::into_inner);
    install::followed(&run, Evidence { phase3: Some(evidence), ..Evidence::default() }, blockers)
}

async fn follow(board: &Board<'_>) -> Result<(), Vec<Blocker>> {
    let run = board.run;
    let cluster = Cluster::connect(run).await.map_err(|error| {
        run.fail("connect", error.to_string());
        vec![error.blocker(None)]
    })?;
    board.note(|evidence| {
        evidence.identity = cluster.connection.identity.clone();
        evidence.karpenter.namespace.clone_from(&run.settings.karpenter.namespace);
    });
    right_cluster(run, &cluster)?;
    let (namespace, release) = (&run.settings.karpenter.namespace, &run.settings.karpenter.release);
    let deployments = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
    let of_release = format!("owner=helm,name={release}");
    let [nodes, coredns, revisions, controller] = [
        Part { step: "nodes", what: "watch nodes", path: "/api/v1/nodes", query: &[] },
        Part {
            step: "coredns",
            what: "watch CoreDNS",
            path: platform::DEPLOYMENTS,
            query: &[platform::COREDNS_NAME],
        },
        Part {
            step: "release",
            what: "watch the release",
            path: &secrets,
            query: &[("labelSelector", &of_release)],
        },
        Part {
            step: "controller",
            what: "watch the controller",
            path: &deployments,
            query: &[("labelSelector", compute::LABEL)],
        },
    ];
    let metadata = cluster.only_metadata();
    let ended = futures::future::join_all([
        board.boxed(&cluster, nodes, see_nodes),
        board.boxed(&cluster, coredns, see_coredns),
        board.boxed(&metadata, revisions, see_release),
        board.boxed(&cluster, controller, see_controller),
    ])
    .await;
    if let Some(reason) = run.ctx.stop.reason() {
        return Err(vec![Blocker::stopped(reason)]);
    }
    // Each has met something that no asking again will change.
    Err(ended.iter().flatten().take(1).map(|error| error.blocker(Some(&cluster.connection.server))).collect())
}

/// What is watched of one part.
struct Part<'p> {
    step: &'static str,
    what: &'static str,
    path: &'p str,
    query: Query<'p>,
}

/// What was last said of each part, and what is known.
struct Board<'r> {
    run: &'r Run<'r>,
    parts: Mutex<BTreeMap<&'static str, String>>,
    evidence: Mutex<Phase3>,
}

/// A part in words, and whether it is as it should be.
struct Seen {
    well: bool,
    words: String,
}

type Ended<'f> = futures::future::BoxFuture<'f, Option<ReadError>>;

impl<'r> Board<'r> {
    fn note(&self, change: impl FnOnce(&mut Phase3)) {
        change(&mut self.evidence.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Says it, if it is not what was said before.
    fn say(&self, part: &'static str, level: Level, words: String) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let before = parts.insert(part, words.clone());
        match before {
            Some(before) if before == words => return,
            _ => {}
        }
        drop(parts);
        match level {
            Level::Info => self.run.step(part, words),
            Level::Warn | Level::Error => self.run.warn(part, words),
        }
    }

    fn boxed<'f, T: DeserializeOwned + Send + 'f>(
        &'f self,
        cluster: &'f Cluster<'r>,
        part: Part<'f>,
        see: fn(&mut Phase3, &BTreeMap<String, T>) -> Seen,
    ) -> Ended<'f> {
        Box::pin(self.follow(cluster, part, see))
    }

    /// Follows one part until the run is stopped (`None`), or for as long as asking can help.
    async fn follow<T: DeserializeOwned>(
        &self,
        cluster: &Cluster<'r>,
        part: Part<'_>,
        see: fn(&mut Phase3, &BTreeMap<String, T>) -> Seen,
    ) -> Option<ReadError> {
        let mut pause = PAUSES.0;
        loop {
            let mut answered = false;
            let watched = cluster
                .watch_until::<T, Infallible>(part.what, part.path, part.query, FOREVER, |objects| {
                    answered = true;
                    let mut seen = None;
                    self.note(|evidence| seen = Some(see(evidence, objects)));
                    if let Some(Seen { well, words }) = seen {
                        self.say(part.step, if well { Level::Info } else { Level::Warn }, words);
                    }
                    None
                })
                .await;
            let error = match watched {
                Ok(_) => None,
                Err(ReadError::Stopped(_)) => return None,
                Err(error) => Some(error),
            };
            if answered {
                pause = PAUSES.0;
            }
            if let Some(error) = error {
                self.say(part.step, Level::Warn, error.to_string());
                let asked = match &error {
                    ReadError::Withheld { wait, .. } => Some(*wait),
                    ReadError::Expired { .. } => None,
                    error => match error.transient() {
                        Some(asked) => asked,
                        None => return Some(error.clone()),
                    },
                };
                pause = pause.max(asked.unwrap_or_default());
            }
            self.run.sleep(pause).await.ok()?;
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

fn see_nodes(evidence: &mut Phase3, nodes: &BTreeMap<String, NodeState>) -> Seen {
    let (total, ready) = (nodes.len(), nodes.values().filter(|node| node.ready).count());
    let count = |number: usize| Some(u32::try_from(number).unwrap_or(u32::MAX));
    evidence.platform = Platform {
        nodes_total: count(total),
        nodes_ready: count(ready),
        nodes_not_ready: count(total - ready),
        ..evidence.platform.clone()
    };
    judge_platform(evidence);
    let unready: Vec<NodeState> = nodes.values().filter(|node| !node.ready).take(4).cloned().collect();
    let mut words = format!("{ready} of {total} nodes Ready");
    if !unready.is_empty() {
        words.push_str(&format!("; {}", Nodes::of(unready).why_not_ready()));
    }
    Seen { well: total > 0 && ready == total, words }
}

fn see_coredns(evidence: &mut Phase3, found: &BTreeMap<String, Deployment>) -> Seen {
    let coredns = found.values().next().map(Coredns::of);
    evidence.platform.coredns_ready = Some(coredns.as_ref().is_some_and(|coredns| coredns.ready));
    evidence.platform.coredns_replicas = coredns.as_ref().map(|coredns| coredns.replicas);
    judge_platform(evidence);
    match coredns {
        Some(Coredns { ready, replicas }) => {
            Seen { well: ready, words: format!("{} of {} replicas ready", replicas.ready, replicas.desired) }
        }
        None => Seen { well: false, words: "there is no CoreDNS".to_owned() },
    }
}

fn judge_platform(evidence: &mut Phase3) {
    let Platform { nodes_ready, coredns_ready, .. } = evidence.platform;
    let both = nodes_ready.zip(coredns_ready);
    evidence.platform.platform_healthy = both.map(|(nodes, coredns)| nodes > 0 && coredns);
}

/// A Secret of Helm's, without its contents.
#[derive(Clone, Debug, Deserialize)]
struct Revision {
    metadata: ObjectMeta,
}

impl Revision {
    fn label(&self, name: &str) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(name).map(String::as_str)
    }
}

fn see_release(evidence: &mut Phase3, revisions: &BTreeMap<String, Revision>) -> Seen {
    let number = |it: &Revision| it.label("version").and_then(|text| text.parse::<u64>().ok());
    let newest = revisions.values().max_by_key(|it| number(it));
    let (status, revision) = (newest.and_then(|it| it.label("status")), newest.and_then(number));
    let karpenter = &mut evidence.karpenter;
    karpenter.release.exists = Some(newest.is_some());
    karpenter.release.status = status.map(str::to_owned);
    karpenter.release.revision = revision;
    let is = |wanted| status.map(ReleaseStatus::parse) == Some(wanted);
    karpenter.installed = Some(is(ReleaseStatus::Deployed));
    karpenter.needs_repair = Some(is(ReleaseStatus::Failed));
    match (status, revision) {
        (Some(status), Some(revision)) => Seen {
            well: is(ReleaseStatus::Deployed),
            words: format!("release is {status} at revision {revision}"),
        },
        (None, None) if newest.is_none() => Seen { well: false, words: "there is no release".to_owned() },
        _ => Seen { well: false, words: "there is a release, and its labels do not say which".to_owned() },
    }
}

fn see_controller(evidence: &mut Phase3, found: &BTreeMap<String, Deployment>) -> Seen {
    let controller = found.values().next().map(compute::numbers);
    let state = controller.as_ref().map(compute::ControllerState::of);
    let well = state == Some(compute::ControllerState::Ready);
    evidence.karpenter.controller_ready = Some(well);
    let words = match &controller {
        None => "there is no controller".to_owned(),
        Some(it) if state == Some(compute::ControllerState::Stale) => {
            format!("{} is at generation {}, its status is older", it.name, it.generation)
        }
        Some(it) => {
            let ready = if well { "Ready" } else { "not Ready" };
            format!("{ready}: {} of {} replicas available, {} updated", it.available, it.desired, it.updated)
        }
    };
    evidence.karpenter.controller = controller;
    Seen { well, words }
}
