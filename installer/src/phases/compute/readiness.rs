//! Whether the controller is Ready, and why not.
//!
//! Helm's `--wait` is no evidence: Helm 3 is content with `replicas - maxUnavailable`, which is none of
//! one. Ready means that the Deployment's status is about its current generation and that every desired
//! replica is updated and available, and has been for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;

use super::Compute;
use crate::cluster::{ReadError, Watched};
use crate::diagnosis::{Diagnosis, Subject, Unready};
use crate::duration;
use crate::phases::stability::Lives;
use crate::platform::PlatformHealth;
use crate::result::{Blocker, Code, Controller, Platform};

/// The label of the controller's Deployment and pods.
pub(crate) const LABEL: &str = "app.kubernetes.io/name=karpenter";

/// A Deployment, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ControllerState {
    /// There is none.
    Missing,
    /// Nobody wants it to run.
    ScaledToZero,
    /// Its status is about an older generation.
    Stale,
    /// Some replicas are old, missing or not available.
    Short,
    /// All as it should be at this moment, and not for long enough.
    Unsteady,
    /// All as it should be.
    Ready,
}

impl ControllerState {
    /// Judges the numbers as `kubectl rollout status` does.
    pub(crate) fn of(numbers: &Controller) -> Self {
        if numbers.observed_generation < numbers.generation {
            Self::Stale
        } else if numbers.desired == 0 {
            Self::ScaledToZero
        } else if numbers.updated >= numbers.desired
            && numbers.replicas <= numbers.updated
            && numbers.available >= numbers.updated
        {
            Self::Ready
        } else {
            Self::Short
        }
    }
}

/// The numbers of a Deployment.
pub(crate) fn numbers(deployment: &Deployment) -> Controller {
    let status = deployment.status.clone().unwrap_or_default();
    let count = |number: Option<i32>| u32::try_from(number.unwrap_or(0)).unwrap_or(0);
    let desired = deployment.spec.replicas;
    Controller {
        name: deployment.metadata.name.clone().unwrap_or_default(),
        generation: deployment.metadata.generation.unwrap_or(0),
        observed_generation: status.observed_generation.unwrap_or(0),
        desired: count(desired.or(Some(1))),
        replicas: count(status.replicas),
        updated: count(status.updated_replicas),
        available: count(status.available_replicas),
    }
}

/// What was found of a controller that is not Ready.
pub(super) struct Findings {
    diagnosis: Diagnosis,
    /// Causes and the cluster's words, when there are any.
    pub(super) why: Option<String>,
    platform: Option<PlatformHealth>,
}

impl Findings {
    /// Adds to a blocker what was found, and beside it what the foundation phase has to put right.
    pub(super) fn complete(self, blocker: Blocker) -> Vec<Blocker> {
        let mut blockers = self.diagnosis.blockers(blocker);
        if let Some(platform) = self.platform {
            blockers.extend(platform.blockers);
        }
        blockers
    }
}

/// Whether what is in the way is that the definitions are not there.
pub(super) fn definitions_lacking(blockers: &[Blocker]) -> bool {
    blockers.iter().any(|blocker| blocker.cause.as_deref() == Some("CRDS_MISSING"))
}

/// What a watch on the controller saw, and by which of the queries that find it.
struct Seen {
    by: usize,
    watched: Watched<Deployment, ControllerState>,
}

impl Compute<'_, '_> {
    /// What is looked at when the controller is not Ready.
    pub(super) fn subject<'s>(&'s self, namespace: &'s str) -> Subject<'s> {
        Subject { release: &self.run.settings.karpenter.release, namespace, selector: LABEL }
    }

    /// Waits for the controller to be Ready and to stay so. One that lacks its definitions gets them and
    /// another chance.
    pub(super) async fn become_ready(&mut self) -> Result<(), Vec<Blocker>> {
        let limit = self.run.settings.limits.ready_timeout;
        let judged = self.judge_controller(limit).await;
        match judged {
            Err(blockers) if definitions_lacking(&blockers) => {
                if !self.complete_definitions().await? {
                    return Err(blockers);
                }
                self.judge_controller(limit).await
            }
            judged => judged,
        }
    }

    /// Judges the controller, waiting up to `limit` for it to be Ready.
    pub(super) async fn judge_controller(&mut self, limit: Duration) -> Result<(), Vec<Blocker>> {
        let state = self.await_ready(limit).await.map_err(|error| self.unread(&error))?;
        if state != ControllerState::Ready {
            return Err(self.not_ready(state, limit).await);
        }
        let Controller { available, desired, .. } =
            self.evidence.karpenter.controller.clone().unwrap_or_default();
        self.run.gate("controller", "passed");
        self.run.step("controller", format!("{available} of {desired} replicas available"));
        Ok(())
    }

    fn unread(&mut self, error: &ReadError) -> Vec<Blocker> {
        self.run.gate("controller", "unknown");
        self.run.fail("controller", error.to_string());
        self.evidence.karpenter.controller_ready = None;
        vec![error.blocker(Some(&self.cluster.connection.server))]
    }

    /// The blocker of a controller that is not Ready. What it says and what stands in the evidence are of one
    /// look, which is the last one.
    async fn not_ready(&mut self, seen: ControllerState, limit: Duration) -> Vec<Blocker> {
        self.run.gate("controller", "blocked");
        let findings = self.look_at_controller(None).await;
        let state = match &self.evidence.karpenter.controller {
            // The look failed, or there is nothing to look at.
            None => seen,
            Some(numbers) => match ControllerState::of(numbers) {
                // It came up when the time was over, or goes up and down.
                ControllerState::Ready => ControllerState::Unsteady,
                state => state,
            },
        };
        let ready = &mut self.evidence.karpenter.controller_ready;
        *ready = ready.and(Some(false));
        let namespace = self.evidence.karpenter.namespace.clone();
        let waited = duration::waited(limit);
        let numbers = self.evidence.karpenter.controller.clone().unwrap_or_default();
        let Controller { name, desired, updated, available, .. } = &numbers;
        let message = match state {
            ControllerState::Missing => {
                format!("the release is there and its controller Deployment is not, in namespace {namespace}")
            }
            ControllerState::ScaledToZero => {
                format!("the controller Deployment {name} is scaled to 0 replicas")
            }
            ControllerState::Stale => format!(
                "the controller Deployment {name} is at generation {} and its status is about \
                 generation {}{waited}",
                numbers.generation, numbers.observed_generation
            ),
            ControllerState::Unsteady => format!(
                "the controller does not stay Ready: {available} of {desired} replicas are available at this \
                 moment, and were not for {} without a break{waited}",
                duration::go(self.run.settings.limits.stable_span)
            ),
            ControllerState::Short | ControllerState::Ready => format!(
                "the controller is not Ready: {available} of {desired} replicas available, {updated} \
                 updated{waited}"
            ),
        };
        let mut blocker = Blocker::new(
            Code::KarpenterControllerNotReady,
            message,
            match state {
                ControllerState::Missing => {
                    "somebody deleted the Deployment: roll the release back to its own revision"
                }
                ControllerState::ScaledToZero => "scale the Deployment up again",
                _ => "see why the controller's pods are not Ready, mend it, and run the phase again",
            },
        )
        .commands([
            format!("kubectl -n {namespace} get deployments,pods -l {LABEL}"),
            format!("kubectl -n {namespace} describe pods -l {LABEL}"),
        ]);
        let findings = match findings {
            Ok(findings) => findings,
            Err(error) => {
                self.run.fail("controller", &blocker.message);
                return vec![blocker, error.blocker(Some(&self.cluster.connection.server))];
            }
        };
        if let Some(why) = &findings.why {
            blocker.message.push_str(&format!("; {why}"));
        }
        self.run.fail("controller", &blocker.message);
        findings.complete(blocker)
    }

    /// Waits for Ready, and then for Ready to last.
    async fn await_ready(&mut self, limit: Duration) -> Result<ControllerState, ReadError> {
        let clock = self.run.ctx.clock.clone();
        let span = self.run.settings.limits.stable_span;
        let end = clock.elapsed() + limit;
        loop {
            let remaining = end.saturating_sub(clock.elapsed());
            let watched = self.watch_controller(None, remaining, |state| {
                // What will not change by waiting is not waited for.
                (!matches!(state, ControllerState::Short | ControllerState::Stale)).then(|| state.clone())
            });
            let (mut state, mut seen) = watched.await?;
            if matches!(state, ControllerState::Short | ControllerState::Stale) && !remaining.is_zero() {
                // A watch may be late. Whether the controller is Ready in the end is for a list to say.
                (state, seen) = self.watch_controller(None, Duration::ZERO, |_| None).await?;
            }
            if state != ControllerState::Ready {
                return Ok(state);
            }
            let pods = self.pods().await?;
            let before = self.lives(&pods);
            let lacking = span.saturating_sub(before.ready_for());
            if lacking.is_zero() || limit.is_zero() {
                self.report(&pods).await;
                return Ok(ControllerState::Ready);
            }
            let not_ready =
                |state: &ControllerState| (*state != ControllerState::Ready).then(|| state.clone());
            // From where it was seen Ready on, so that no moment in between is missed.
            let (state, _) = self.watch_controller(Some(seen), lacking, not_ready).await?;
            if state == ControllerState::Ready {
                // The pods tell what a late watch does not: whether they have lived through it.
                let pods = self.pods().await?;
                if self.lives(&pods).are_still(&before) {
                    self.report(&pods).await;
                    return Ok(ControllerState::Ready);
                }
            }
            self.run.warn("controller", "was Ready and is not any more");
            if clock.elapsed() >= end {
                return Ok(ControllerState::Unsteady);
            }
        }
    }

    fn lives(&self, pods: &[Pod]) -> Lives {
        let mut lives = Lives::default();
        for pod in pods {
            lives.add(self.run, pod);
        }
        lives
    }

    /// Watches the Deployment until `done` says something, or for `limit`, going on from an earlier watch
    /// if there was one; the state last seen, and what to go on from.
    async fn watch_controller(
        &mut self,
        mut earlier: Option<Seen>,
        limit: Duration,
        done: impl Fn(&ControllerState) -> Option<ControllerState>,
    ) -> Result<(ControllerState, Seen), ReadError> {
        let path = format!("/apis/apps/v1/namespaces/{}/deployments", self.evidence.karpenter.namespace);
        let release = self.run.settings.karpenter.release.clone();
        let by_name = format!("metadata.name={release}");
        let pick = |deployments: &BTreeMap<String, Deployment>| {
            let named = |it: &&Deployment| it.metadata.name.as_deref() == Some(release.as_str());
            deployments.values().find(named).or_else(|| deployments.values().next()).cloned()
        };
        let state_of = |deployment: Option<&Deployment>| {
            deployment.map_or(ControllerState::Missing, |it| ControllerState::of(&numbers(it)))
        };
        // The chart labels its Deployment; one that lost its labels is still found by its name.
        let queries = [("labelSelector", LABEL), ("fieldSelector", by_name.as_str())];
        let mut by = earlier.as_ref().map_or(0, |seen| seen.by);
        let (last, seen) = loop {
            let earlier = earlier.take().map(|seen| seen.watched);
            let watched = self
                .cluster
                .watch_on::<Deployment, _>(
                    earlier,
                    "read the controller",
                    &path,
                    &[queries[by]],
                    limit,
                    |deployments| done(&state_of(pick(deployments).as_ref())),
                )
                .await?;
            let last = pick(&watched.objects);
            if last.is_some() || by + 1 == queries.len() {
                break (last, Seen { by, watched });
            }
            by += 1;
        };
        let state = state_of(last.as_ref());
        let karpenter = &mut self.evidence.karpenter;
        karpenter.controller_ready = Some(state == ControllerState::Ready);
        karpenter.controller = last.as_ref().map(numbers);
        if let Some(version) = last.as_ref().and_then(chart_version) {
            karpenter.version = Some(version);
        }
        Ok((state, seen))
    }

    async fn pods(&self) -> Result<Vec<Pod>, ReadError> {
        let path = format!("/api/v1/namespaces/{}/pods", self.evidence.karpenter.namespace);
        let query = [("labelSelector", LABEL)];
        Ok(self.cluster.list::<Pod>("list the controller's pods", &path, &query).await?.items)
    }

    async fn report(&mut self, pods: &[Pod]) {
        let failed =
            |pod: &&Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Failed");
        // A Ready Deployment may have remains of evicted pods about; they are not pending.
        let pods: Vec<Pod> = pods.iter().filter(|pod| !failed(pod)).cloned().collect();
        self.replicas = pods.iter().filter_map(|pod| pod.metadata.name.clone()).collect();
        self.diagnose(&Unready::of(pods)).await;
    }

    /// Looks at the pods that are not Ready; the evidence takes what is found.
    async fn diagnose(&mut self, unready: &Unready) -> Diagnosis {
        let namespace = self.evidence.karpenter.namespace.clone();
        let diagnosis = Diagnosis::of(self.cluster, self.subject(&namespace), unready, &self.nodes).await;
        self.evidence.karpenter.pending_pods = Some(diagnosis.reports.clone());
        self.evidence.karpenter.pending_besides = diagnosis.besides();
        diagnosis
    }

    /// Whether the controller is Ready at this moment.
    pub(super) async fn controller_is_ready(&mut self) -> bool {
        let now = self.watch_controller(None, Duration::ZERO, |_| None).await;
        matches!(now, Ok((ControllerState::Ready, _)))
    }

    /// Reads everything that may say why the controller is not Ready.
    pub(super) async fn look_at_controller(&mut self, said: Option<&str>) -> Result<Findings, ReadError> {
        let path = format!("/apis/apps/v1/namespaces/{}/deployments", self.evidence.karpenter.namespace);
        self.watch_controller(None, Duration::ZERO, |_| None).await?;
        let unready = Unready::of(self.pods().await?);
        let namespace = self.evidence.karpenter.namespace.clone();
        let mut diagnosis = self.diagnose(&unready).await;
        let mut own_words = None;
        if unready.is_empty() {
            let name = self.evidence.karpenter.controller.as_ref().map(|it| it.name.clone());
            if let Some(name) = name {
                let deployment = self.cluster.get("read the controller", &format!("{path}/{name}")).await?;
                own_words = deployment.as_ref().and_then(no_pods);
            }
        }
        for words in said.into_iter().chain(own_words.as_deref()) {
            diagnosis.heed(words, self.subject(&namespace));
        }
        let why = [own_words, diagnosis.explain()].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let why = (!why.is_empty()).then_some(why);
        // The platform may have changed since the gate; it is cheap to look again, and a failure to do
        // so takes nothing away from what is known.
        let platform = PlatformHealth::read(self.cluster).await.ok();
        if let Some(platform) = &platform {
            let kubernetes = self.evidence.platform.kubernetes.take();
            self.evidence.platform = Platform { kubernetes, ..platform.evidence() };
        }
        let platform = platform.filter(|platform| !platform.healthy);
        Ok(Findings { diagnosis, why, platform })
    }
}

/// Why a Deployment makes no pods, in its own conditions' words.
fn no_pods(deployment: &Deployment) -> Option<String> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let words: Vec<String> = conditions
        .iter()
        .filter(|condition| match condition.type_.as_deref().unwrap_or("") {
            "ReplicaFailure" => condition.status.as_deref() == Some("True"),
            "Available" | "Progressing" => condition.status.as_deref() == Some("False"),
            _ => false,
        })
        .map(|condition| {
            let reason = condition.reason.as_deref().unwrap_or("");
            let kind = condition.type_.as_deref().unwrap_or("");
            format!("{kind} {reason}: {}", condition.message.as_deref().unwrap_or(""))
        })
        .collect();
    (!words.is_empty()).then(|| format!("its Deployment says: {}", words.join("; ")))
}

/// The chart's version, from the labels that every chart made with Helm's own helper carries.
fn chart_version(deployment: &Deployment) -> Option<String> {
    let labels = deployment.metadata.labels.as_ref()?;
    let chart = labels.get("helm.sh/chart").and_then(|chart| chart.split_once('-'));
    chart.map(|(_, version)| version.to_owned()).or_else(|| labels.get("app.kubernetes.io/version").cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controller(generation: i64, observed: i64, counts: [u32; 4]) -> Controller {
        let [desired, replicas, updated, available] = counts;
        Controller {
            name: "karpenter".into(),
            generation,
            observed_generation: observed,
            desired,
            replicas,
            updated,
            available,
        }
    }

    #[test]
    fn ready_is_about_the_current_generation_and_every_replica() {
        for (numbers, state) in [
            (controller(2, 2, [2, 2, 2, 2]), ControllerState::Ready),
            (controller(3, 2, [2, 2, 2, 2]), ControllerState::Stale),
            (controller(1, 1, [1, 1, 1, 0]), ControllerState::Short),
            (controller(1, 1, [2, 2, 2, 1]), ControllerState::Short),
            (controller(2, 2, [2, 3, 2, 3]), ControllerState::Short),
            (controller(2, 2, [2, 2, 1, 2]), ControllerState::Short),
            (controller(1, 1, [0, 0, 0, 0]), ControllerState::ScaledToZero),
        ] {
            assert_eq!(ControllerState::of(&numbers), state, "{numbers:?}");
        }
    }
}
