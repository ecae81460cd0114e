//! One release of the stack: everything that it runs is waited for, and what is not Ready is diagnosed.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::Value;

use super::workloads::{self, Kind, Owned, State};
use crate::cluster::{Cluster, ReadError};
use crate::context::Run;
use crate::diagnosis::{Diagnosis, Subject, Unready};
use crate::duration;
use crate::helm::{Chart, Helm};
use crate::phases::Phase;
use crate::phases::stability::Lives;
use crate::platform::{Nodes, PlatformHealth};
use crate::release::{Change, Codes, Gate, Work};
use crate::result::{Blocker, Code, CoreRelease, WorkloadReport};
use crate::settings::ReleaseSettings;

const CODES: Codes = Codes {
    setup: Code::ReleaseSetupFailed,
    repair: Code::ReleaseRepairFailed,
    locked: Code::ReleaseLocked,
    elsewhere: Code::ReleaseElsewhere,
};

/// A release of the stack at work.
pub(super) struct Stack<'a, 'r> {
    run: &'r Run<'r>,
    cluster: &'a Cluster<'r>,
    nodes: &'a Nodes,
    settings: &'r ReleaseSettings,
    evidence: &'a mut CoreRelease,
}

/// As many events of an object that is no pod.
const EVENTS: usize = 3;

/// A workload and the verdict on it.
type Judged = (Owned, State);

impl<'a, 'r> Stack<'a, 'r> {
    pub(super) fn new(
        cluster: &'a Cluster<'r>,
        nodes: &'a Nodes,
        settings: &'r ReleaseSettings,
        evidence: &'a mut CoreRelease,
    ) -> Self {
        Self { run: cluster.run, cluster, nodes, settings, evidence }
    }

    fn chart(&self) -> Chart {
        let ReleaseSettings { name, chart, version, namespace, values, .. } = self.settings.clone();
        Chart { release: name, reference: chart, version, namespace, values, ..Chart::default() }
    }

    /// The release, of which nothing is known yet.
    pub(super) fn work(&self) -> Work<'a, 'r> {
        Work::new(self.cluster, Phase::Core, CODES, false, self.chart())
    }

    /// Takes over what is known of the release.
    pub(super) fn note(&mut self, work: &Work<'_, '_>) {
        let (evidence, record) = (&mut *self.evidence, &work.record);
        evidence.release.clone_from(&record.release);
        (evidence.existed, evidence.installed) = (record.existed, record.installed);
        evidence.repair_attempted = record.repair_attempted;
        evidence.repair_succeeded = record.repair_succeeded;
    }

    /// Waits for everything to be Ready and to stay so.
    pub(super) async fn become_ready(&mut self) -> Result<(), Vec<Blocker>> {
        let limit = if self.run.dry() { Duration::ZERO } else { self.run.settings.limits.ready_timeout };
        let owned = self.owned().await?;
        let judged = self.await_ready(&owned, limit).await.map_err(|error| self.unread(&error))?;
        self.report(&judged);
        let name = &self.settings.name;
        let lacking: Vec<String> = judged
            .iter()
            .filter(|(_, state)| !state.is_ready())
            .map(|(owned, state)| format!("{}: {}", owned.described(), state.words()))
            .collect();
        if lacking.is_empty() {
            self.evidence.pending_pods = Some(Vec::new());
            self.run.step("core", format!("release {name}: {} workloads Ready", judged.len()));
            return Ok(());
        }
        let namespace = self.settings.namespace.clone();
        let message = format!(
            "release {name} is deployed and not Ready{}: {}",
            duration::waited(limit),
            lacking.join("; ")
        );
        let blocker = Blocker::new(
            Code::ReleaseNotReady,
            message,
            "see why the workloads are not Ready, mend it, and run the core phase again",
        )
        .commands([
            format!("kubectl -n {namespace} get all -l app.kubernetes.io/instance={name}"),
            format!("helm status {name} --namespace {namespace}"),
        ]);
        let blockers = self.diagnose(blocker, None, &judged).await;
        self.run.fail("core", blockers.first().map_or("", |blocker| &blocker.message));
        Err(blockers)
    }

    fn unread(&mut self, error: &ReadError) -> Vec<Blocker> {
        self.run.fail("core", error.to_string());
        self.evidence.ready = None;
        vec![error.blocker(Some(&self.cluster.connection.server))]
    }

    /// What the release runs: by its manifest, and what the configuration names besides.
    async fn owned(&mut self) -> Result<Vec<Owned>, Vec<Blocker>> {
        let helm = Helm::new(self.run, &self.cluster.connection, self.chart());
        let manifest = helm.manifest().await.map_err(|error| {
            self.run.fail("helm-manifest", error.to_string());
            vec![error.blocker(&helm.chart)]
        })?;
        let namespace = &self.settings.namespace;
        let manifest = workloads::of_manifest(&manifest, namespace).map_err(|error| {
            let name = &self.settings.name;
            vec![
                Blocker::new(
                    Code::HelmStateUnknown,
                    format!("the manifest of release {name} cannot be read: {error}"),
                    "see what the command below prints",
                )
                .commands([format!("helm get manifest {name} --namespace {namespace}")]),
            ]
        })?;
        self.evidence.version = manifest.version;
        let mut owned = manifest.owned;
        for workload in &self.settings.workloads {
            let Some(kind) = workloads::kind(&workload.kind).filter(|kind| *kind != Kind::Webhook) else {
                return Err(vec![Blocker::new(
                    Code::ConfigurationInvalid,
                    format!(
                        "core: release {} is to be gated on a {}, which is not a kind that can be waited for",
                        self.settings.name, workload.kind
                    ),
                    "name a Deployment, StatefulSet, DaemonSet, Job, Service, PersistentVolumeClaim or \
                     CustomResourceDefinition",
                )]);
            };
            let place = (workload.namespace.clone(), workload.name.clone());
            let named = Owned {
                kind,
                word: workload.kind.clone(),
                namespace: if kind == Kind::Definition { String::new() } else { workload.namespace.clone() },
                name: workload.name.clone(),
                none_wanted: false,
                service: (kind == Kind::Service).then_some(place),
            };
            if !owned.iter().any(|known| known.described() == named.described()) {
                owned.push(named);
            }
        }
        Ok(owned)
    }

    /// The verdict on each workload at this moment.
    async fn look(&self, owned: &[Owned]) -> Result<Vec<Judged>, ReadError> {
        let mut judged = Vec::new();
        for one in owned {
            let state = self.watch(one, Duration::ZERO, |_| false).await?;
            judged.push((one.clone(), state));
        }
        Ok(judged)
    }

    /// Watches one workload until `done` says so, or for `limit`; the verdict on what was last seen.
    async fn watch(
        &self,
        owned: &Owned,
        limit: Duration,
        done: impl Fn(&State) -> bool,
    ) -> Result<State, ReadError> {
        let (path, (key, value)) = owned.place();
        let what = format!("read {}", owned.described());
        let query = [(key, value.as_str())];
        let watched = self
            .cluster
            .watch_until::<Value, ()>(&what, &path, &query, limit, |found| {
                done(&owned.judge(found)).then_some(())
            })
            .await?;
        Ok(owned.judge(&watched.objects))
    }

    /// Waits until all are Ready and have been for a while, one has failed, or the time is over. What was
    /// Ready in time may take the span longer to show that it lasts.
    async fn await_ready(&mut self, owned: &[Owned], limit: Duration) -> Result<Vec<Judged>, ReadError> {
        let clock = self.run.ctx.clock.clone();
        let end = clock.elapsed() + limit;
        let mut before: Option<Lives> = None;
        loop {
            let mut judged = self.look(owned).await?;
            let remaining = end.saturating_sub(clock.elapsed());
            let failed = judged.iter().any(|(_, state)| matches!(state, State::Failed(_)));
            let Some((waiting, _)) = judged.iter().find(|(_, state)| !state.is_ready()) else {
                let lives = self.lives(owned).await?;
                let span = self.run.settings.limits.stable_span;
                let lacking = if owned.iter().any(stays) {
                    span.saturating_sub(lives.ready_for())
                } else {
                    Duration::ZERO
                };
                // What was Ready before the span and is the same life after it has been Ready throughout.
                let lasted = before.as_ref().is_some_and(|before| lives.are_still(before));
                if lasted || lacking.is_zero() || limit.is_zero() {
                    return Ok(judged);
                }
                if remaining.is_zero() && before.is_some() {
                    unsteady(&mut judged, span);
                    return Ok(judged);
                }
                before = Some(lives);
                if self.run.sleep(lacking).await.is_err() {
                    return Ok(judged);
                }
                continue;
            };
            before = None;
            if failed || remaining.is_zero() {
                return Ok(judged);
            }
            self.watch(waiting, remaining, |state| !matches!(state, State::Waiting(_))).await?;
        }
    }

    /// The pods of everything that is to stay Ready, as they are now.
    async fn lives(&self, owned: &[Owned]) -> Result<Lives, ReadError> {
        let mut lives = Lives::default();
        for one in owned.iter().filter(|one| stays(one)) {
            self.pods(one, |pod| lives.add(self.run, &pod)).await?;
        }
        Ok(lives)
    }

    /// Lets `see` look at each pod of a workload, and returns the selector that finds them: a DaemonSet has as
    /// many pods as there are nodes, so none is kept here.
    async fn pods(&self, owned: &Owned, mut see: impl FnMut(Pod)) -> Result<String, ReadError> {
        let (path, _) = owned.place();
        let what = format!("read {}", owned.described());
        let object = self.cluster.get::<Value>(&what, &format!("{path}/{}", owned.name)).await?;
        let labels = object.as_ref().and_then(|object| object["spec"]["selector"]["matchLabels"].as_object());
        let selector: Vec<String> = labels
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)))
            .collect();
        let selector = selector.join(",");
        if selector.is_empty() {
            return Ok(selector);
        }
        let path = format!("/api/v1/namespaces/{}/pods", owned.namespace);
        let query = [("labelSelector", selector.as_str())];
        let what = "list the workload's pods";
        let take = |object: Value| {
            see(serde_json::from_value(object).map_err(|error| ReadError::garbage(what, &error))?);
            Ok(())
        };
        self.cluster.list_by(what, &path, &query, take).await?;
        Ok(selector)
    }

    fn report(&mut self, judged: &[Judged]) {
        self.evidence.ready = Some(judged.iter().all(|(_, state)| state.is_ready()));
        let reports = judged.iter().map(|(owned, state)| WorkloadReport {
            kind: owned.word.clone(),
            namespace: (!owned.namespace.is_empty()).then(|| owned.namespace.clone()),
            name: owned.name.clone(),
            ready: state.is_ready(),
            seen: state.words().to_owned(),
        });
        self.evidence.workloads = Some(reports.collect());
    }

    /// Everything that may say why some workloads are not Ready, put to a blocker.
    async fn diagnose(
        &mut self,
        mut blocker: Blocker,
        words: Option<&str>,
        judged: &[Judged],
    ) -> Vec<Blocker> {
        let whole = format!("app.kubernetes.io/instance={}", self.settings.name);
        let namespace = self.settings.namespace.clone();
        let release = self.settings.name.clone();
        let subject = Subject { release: &release, namespace: &namespace, selector: &whole };
        let mut diagnosis = Diagnosis::default();
        let mut own_words = Vec::new();
        for (owned, state) in judged.iter().filter(|(_, state)| !state.is_ready()) {
            diagnosis.heed(&format!("{} {}", owned.word, state.words()), subject);
            let found = match owned.kind {
                Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet | Kind::Job => {
                    let mut pods = Unready::default();
                    self.pods(owned, |pod| pods.add(pod)).await.map(|selector| Some((selector, pods)))
                }
                Kind::Claim => {
                    own_words.extend(self.events_of(owned).await);
                    Ok(None)
                }
                _ => Ok(None),
            };
            match found {
                Ok(Some((selector, pods))) => {
                    let subject = Subject { selector: &selector, namespace: &owned.namespace, ..subject };
                    diagnosis.join(Diagnosis::of(self.cluster, subject, &pods, self.nodes).await);
                    if pods.is_empty() {
                        own_words.extend(self.events_of(owned).await);
                    }
                    for claim in claims_of(pods.looked_at(), owned) {
                        own_words.extend(self.events_of(&claim).await);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    // What is known is said all the same; this one says why there is no more.
                    return vec![blocker, error.blocker(Some(&self.cluster.connection.server))];
                }
            }
        }
        self.evidence.pending_pods = Some(diagnosis.reports.clone());
        self.evidence.pending_besides = diagnosis.besides();
        for said in own_words.iter().map(String::as_str).chain(words) {
            diagnosis.heed(said, subject);
        }
        let why: Vec<String> = own_words.into_iter().chain(diagnosis.explain()).collect();
        if !why.is_empty() {
            blocker.message.push_str(&format!("; {}", why.join("; ")));
        } else if words.is_some() {
            blocker.message.push_str("; the reason is unrecognised: these are its own words");
        }
        let mut blockers = diagnosis.blockers(blocker);
        if let Ok(platform) = PlatformHealth::read(self.cluster).await {
            blockers.extend(platform.blockers);
        }
        blockers
    }

    /// What was last said about an object that is no pod.
    async fn events_of(&self, owned: &Owned) -> Option<String> {
        let path = format!("/api/v1/namespaces/{}/events", owned.namespace);
        let selector = format!("involvedObject.kind={},involvedObject.name={}", owned.word, owned.name);
        let listed =
            self.cluster.list::<Event>("list events", &path, &[("fieldSelector", &selector)]).await.ok()?;
        let mut said: Vec<_> = listed
            .items
            .into_iter()
            .map(|event| {
                let seen = event.last_timestamp.as_ref().map(|time| time.0);
                let part = |text: Option<String>| text.unwrap_or_default();
                (seen, format!("{}: {}", part(event.reason), part(event.message)))
            })
            .collect();
        said.sort();
        let from = said.len().saturating_sub(EVENTS);
        let words: Vec<String> = said.split_off(from).into_iter().map(|(_, text)| text).collect();
        (!words.is_empty()).then(|| format!("{}: {}", owned.described(), words.join("; ")))
    }
}

/// Whether it has pods that are to stay Ready.
fn stays(one: &Owned) -> bool {
    !one.none_wanted && matches!(one.kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet)
}

/// Ready by the numbers, with pods that began anew meanwhile.
fn unsteady(judged: &mut [Judged], span: Duration) {
    let words = format!("does not stay Ready: its pods were not for {} without a break", duration::go(span));
    for (_, state) in judged.iter_mut().filter(|(one, _)| stays(one)) {
        *state = State::Waiting(words.clone());
    }
}

/// The claims of pods that have no node: one that is not bound keeps them from having one.
fn claims_of<'p>(pods: impl IntoIterator<Item = &'p Pod>, owned: &Owned) -> Vec<Owned> {
    let specs = pods.into_iter().filter_map(|pod| pod.spec.as_ref()).filter(|spec| spec.node_name.is_none());
    let claims = specs
        .flat_map(|spec| spec.volumes.iter().flatten())
        .filter_map(|volume| volume.persistent_volume_claim.as_ref())
        .map(|claim| claim.claim_name.as_str());
    let claims: BTreeSet<&str> = claims.collect();
    claims
        .into_iter()
        .map(|name| Owned {
            kind: Kind::Claim,
            word: "PersistentVolumeClaim".into(),
            name: name.to_owned(),
            none_wanted: false,
            service: None,
            namespace: owned.namespace.clone(),
        })
        .collect()
}

impl Gate for Stack<'_, '_> {
    fn forget(&mut self) {
        (self.evidence.ready, self.evidence.workloads) = (None, None);
        (self.evidence.pending_pods, self.evidence.pending_besides) = (None, None);
    }

    async fn before(&mut self, _: Change) -> Result<(), Vec<Blocker>> {
        Ok(())
    }

    async fn is_ready(&mut self, _: &str) -> bool {
        let Ok(owned) = self.owned().await else {
            return false;
        };
        self.look(&owned).await.is_ok_and(|judged| judged.iter().all(|(_, state)| state.is_ready()))
    }

    async fn explain(&mut self, _: &str, blocker: Blocker, words: &str) -> Vec<Blocker> {
        // A release that never came to be has no manifest, and then nothing that it runs.
        let judged = match self.owned().await {
            Ok(owned) => self.look(&owned).await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        if !judged.is_empty() {
            self.report(&judged);
        }
        self.diagnose(blocker, Some(words), &judged).await
    }
}
