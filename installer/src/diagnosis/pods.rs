//! Gathering what the cluster knows of pods that are not Ready.
//!
//! A few of them are looked at in full, one of each kind first; each costs up to three requests, and of
//! thousands that are not Ready for one reason the first tell as much as all. The rest are counted.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Event, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::causes::{Cause, Gravity, Subject, Symptoms};
use super::scheduler::{Reason, Scheduling};
use crate::cluster::Cluster;
use crate::platform::Nodes;
use crate::result::{Blocker, Code, Container, PodReport, PodsBesides, Termination};

/// As many events of a pod as go into the evidence.
const EVENTS: usize = 15;
/// As many lines of a log.
const LOG_LINES: &str = "20";

/// As many pods of a workload as are looked at in full.
const LOOKED_AT: usize = 6;
/// The cause of a pod whose status does not say any.
const UNKNOWN: &str = "UNKNOWN";

/// The pods of a workload that are not Ready: how many of each kind, and enough of each to look at.
#[derive(Clone, Debug, Default)]
pub struct Unready {
    kinds: Vec<Kind>,
    seen: usize,
}

/// Pods whose status says the same.
#[derive(Clone, Debug)]
struct Kind {
    sign: Vec<String>,
    /// The first of them, each with its place among all.
    first: Vec<(usize, Pod)>,
    count: usize,
}

impl Unready {
    /// Those of `pods` that are not Ready.
    #[must_use]
    pub fn of(pods: impl IntoIterator<Item = Pod>) -> Self {
        let mut all = Self::default();
        for pod in pods {
            all.add(pod);
        }
        all
    }

    /// Adds a pod if it is not Ready. Only as many are kept as may be looked at.
    pub fn add(&mut self, pod: Pod) {
        if !unready(&pod) {
            return;
        }
        let (place, sign) = (self.seen, sign(&pod));
        self.seen += 1;
        let kind = match self.kinds.iter_mut().find(|kind| kind.sign == sign) {
            Some(kind) => kind,
            None => {
                self.kinds.push(Kind { sign, first: Vec::new(), count: 0 });
                let Some(kind) = self.kinds.last_mut() else { return };
                kind
            }
        };
        kind.count += 1;
        if kind.first.len() < LOOKED_AT {
            kind.first.push((place, pod));
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen == 0
    }

    /// Those to look at, in their order: the first of each kind, then the second of each, and so on.
    #[must_use]
    pub fn looked_at(&self) -> Vec<&Pod> {
        let rounds =
            (0..LOOKED_AT).flat_map(|round| self.kinds.iter().filter_map(move |it| it.first.get(round)));
        let mut chosen: Vec<&(usize, Pod)> = rounds.take(LOOKED_AT).collect();
        chosen.sort_by_key(|(place, _)| *place);
        chosen.into_iter().map(|(_, pod)| pod).collect()
    }

    /// How many of the others have which cause, by their status alone.
    fn besides(&self, subject: Subject<'_>, nodes: &Nodes) -> BTreeMap<String, u32> {
        let looked_at = self.looked_at();
        let mut causes = BTreeMap::new();
        for kind in &self.kinds {
            let of_it = |pod: &&&Pod| kind.first.iter().any(|(_, one)| std::ptr::eq(one, **pod));
            let rest = kind.count - looked_at.iter().filter(of_it).count();
            let Some((_, one)) = kind.first.first().filter(|_| rest > 0) else { continue };
            let cause = Cause::of(&symptoms(one, nodes, None, None), subject);
            let cause = cause.map_or(UNKNOWN, |cause| cause.code);
            *causes.entry(cause.to_owned()).or_default() += u32::try_from(rest).unwrap_or(u32::MAX);
        }
        causes
    }
}

/// What a pod's status says, without what is drawn for each pod: the words in which two of one kind agree.
fn sign(pod: &Pod) -> Vec<String> {
    let status = pod.status.as_ref();
    let mut sign: Vec<String> =
        [status.and_then(|it| it.phase.clone()), status.and_then(|it| it.reason.clone())]
            .into_iter()
            .map(Option::unwrap_or_default)
            .collect();
    sign.extend(scheduling(pod, &[]).map(|(_, message)| message));
    for container in containers(pod) {
        let Container { name, state, reason, last_termination, .. } = container;
        let ended = last_termination.map_or(0, |it| it.exit_code);
        sign.push(format!("{name} {state} {} {ended}", reason.unwrap_or_default()));
    }
    sign
}

/// The pods that are not Ready, and why.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    /// For the evidence.
    pub reports: Vec<PodReport>,
    /// Each with the pod that showed it; `None` for what was said about the whole.
    causes: Vec<(Option<String>, Cause)>,
    /// How many pods that were not looked at have which cause.
    besides: BTreeMap<String, u32>,
}

/// Whether a pod is Pending, has a waiting container, or is not Ready. Pods that have done their work or
/// are going away are not.
fn unready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    if phase == Some("Succeeded") || pod.metadata.deletion_timestamp.is_some() {
        return false;
    }
    !status
        .and_then(|status| status.conditions.as_ref())
        .is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}

impl Diagnosis {
    /// Looks at pods that are not Ready, and counts the rest of them. What cannot be read is left out of the
    /// evidence; it never hides what was already known.
    pub async fn of(cluster: &Cluster<'_>, subject: Subject<'_>, pods: &Unready, nodes: &Nodes) -> Self {
        let mut diagnosis = Self { besides: pods.besides(subject, nodes), ..Self::default() };
        for pod in pods.looked_at() {
            let (report, causes) = examine(cluster, subject, pod, nodes).await;
            diagnosis.causes.extend(causes.into_iter().map(|cause| (Some(report.name.clone()), cause)));
            diagnosis.reports.push(report);
        }
        diagnosis
    }

    /// The pods that were not looked at, for the evidence; `None` when all were.
    #[must_use]
    pub fn besides(&self) -> Option<PodsBesides> {
        let pods = self.besides.values().fold(0_u32, |sum, count| sum.saturating_add(*count));
        (pods > 0).then(|| PodsBesides { pods, causes: self.besides.clone() })
    }

    /// Adds what a tool or a controller said about the whole; `true` when it was recognised.
    pub fn heed(&mut self, words: &str, subject: Subject<'_>) -> bool {
        let words = words.split("; ").flat_map(str::lines).map(str::to_owned).collect();
        let causes = Cause::all(&Symptoms { words, ..Symptoms::default() }, subject);
        let recognised = !causes.is_empty();
        self.causes.extend(causes.into_iter().map(|cause| (None, cause)));
        recognised
    }

    /// The most telling cause.
    #[must_use]
    pub fn primary(&self) -> Option<&Cause> {
        self.causes.iter().map(|(_, cause)| cause).min_by_key(|cause| cause.rank)
    }

    /// The blockers of something that is not Ready: the given one with the most telling cause, and beside
    /// it what the foundation phase has to put right.
    #[must_use]
    pub fn blockers(&self, mut blocker: Blocker) -> Vec<Blocker> {
        let mut incomplete = None;
        if let Some(cause) = self.primary() {
            blocker.cause = Some(cause.code.to_owned());
            blocker.remediation.clone_from(&cause.remediation);
            blocker.commands.splice(0..0, cause.commands.iter().cloned());
            incomplete = (cause.gravity == Gravity::Blocked).then(|| {
                Blocker::new(
                    Code::Phase1Incomplete,
                    format!("the foundation phase is not complete: {}: {}", cause.meaning, cause.cites),
                    cause.remediation.clone(),
                )
                .cause(Some(cause.code))
                .commands(cause.commands.iter().cloned())
            });
        }
        [blocker].into_iter().chain(incomplete).collect()
    }

    /// Adds what was found of other pods.
    pub fn join(&mut self, other: Self) {
        self.reports.extend(other.reports);
        self.causes.extend(other.causes);
        for (cause, count) in other.besides {
            let sum = self.besides.entry(cause).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    /// Every cause with its pods and the cluster's words, the most telling first. What no row of the table
    /// knows is quoted and said to be unrecognised.
    #[must_use]
    pub fn explain(&self) -> Option<String> {
        let mut grouped: BTreeMap<(usize, &str), (&Cause, Vec<&str>)> = BTreeMap::new();
        for (pod, cause) in &self.causes {
            let (_, pods) =
                grouped.entry((cause.rank, cause.cites.as_str())).or_insert_with(|| (cause, Vec::new()));
            pods.extend(pod.as_deref());
        }
        let mut parts: Vec<String> = grouped
            .values()
            .map(|(cause, pods)| {
                let Cause { meaning, code, cites, .. } = cause;
                let unrecognised = if cause.recognised { "" } else { ", for a reason that is unrecognised" };
                match pods.len() {
                    // The words themselves stand before this.
                    0 => format!("{meaning} ({code})"),
                    1 => format!("pod {}: {meaning}{unrecognised} ({code}): {cites}", pods[0]),
                    _ => format!("pods {}: {meaning}{unrecognised} ({code}): {cites}", pods.join(", ")),
                }
            })
            .collect();
        if let Some(PodsBesides { pods, causes }) = self.besides() {
            let mut causes: Vec<(&String, &u32)> = causes.iter().collect();
            causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let causes: Vec<String> =
                causes.iter().map(|(cause, count)| format!("{count} {cause}")).collect();
            parts.push(format!("{pods} pods more are not Ready, by their status: {}", causes.join(", ")));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

async fn examine(
    cluster: &Cluster<'_>,
    subject: Subject<'_>,
    pod: &Pod,
    nodes: &Nodes,
) -> (PodReport, Vec<Cause>) {
    let namespace = subject.namespace;
    let name = pod.metadata.name.clone().unwrap_or_default();
    let status = pod.status.as_ref();
    let containers = containers(pod);
    let events = events(cluster, namespace, pod).await;
    let log = match failing(&containers) {
        Some(container) => log_tail(cluster, namespace, &name, container).await,
        None => None,
    };
    let symptoms = symptoms(pod, nodes, events.as_deref(), log.as_deref());
    let causes = Cause::all(&symptoms, subject);
    let report = PodReport {
        name,
        phase: status.and_then(|status| status.phase.clone()).unwrap_or_else(|| "Unknown".into()),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        events,
        containers,
        log_tail: log,
        cause: causes.first().map(|cause| cause.code.to_owned()),
    };
    (report, causes)
}

/// What a pod's status says, and its events and the end of its log if they were read.
fn symptoms(pod: &Pod, nodes: &Nodes, events: Option<&[String]>, log: Option<&[String]>) -> Symptoms {
    let containers = containers(pod);
    let events = events.unwrap_or_default();
    let ended = containers.iter().filter_map(|it| it.last_termination.as_ref()?.message.as_deref());
    let mut said: Vec<String> = ended.flat_map(str::lines).map(str::to_owned).collect();
    said.extend(log.into_iter().flatten().filter(|line| !line.trim().is_empty()).cloned());
    let scheduling = scheduling(pod, events);
    Symptoms {
        shortfall: scheduling.as_ref().and_then(|(read, _)| shortfall(pod, nodes, read)),
        scheduling,
        said,
        events: events.to_vec(),
        status: pod.status.as_ref().map(|status| {
            let parts = [status.reason.as_deref(), status.message.as_deref()];
            parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
        }),
        words: Vec::new(),
        containers,
    }
}

fn containers(pod: &Pod) -> Vec<Container> {
    let Some(status) = pod.status.as_ref() else {
        return Vec::new();
    };
    let init = status.init_container_statuses.iter().flatten();
    init.chain(status.container_statuses.iter().flatten()).map(container).collect()
}

fn container(status: &ContainerStatus) -> Container {
    let mut container = Container {
        name: status.name.clone(),
        state: "unknown".into(),
        ready: status.ready,
        restarts: u32::try_from(status.restart_count).unwrap_or(0),
        last_termination: status.last_state.as_ref().and_then(termination),
        ..Container::default()
    };
    if let Some(state) = &status.state {
        if let Some(waiting) = &state.waiting {
            container.state = "waiting".into();
            container.reason.clone_from(&waiting.reason);
            container.message.clone_from(&waiting.message);
        } else if state.running.is_some() {
            container.state = "running".into();
        } else if let Some(terminated) = &state.terminated {
            container.state = "terminated".into();
            container.reason.clone_from(&terminated.reason);
            container.message.clone_from(&terminated.message);
            container.last_termination = termination(state).or(container.last_termination);
        }
    }
    container
}

fn termination(state: &ContainerState) -> Option<Termination> {
    state.terminated.as_ref().map(|terminated| Termination {
        exit_code: terminated.exit_code,
        reason: terminated.reason.clone(),
        message: terminated.message.clone(),
    })
}

/// The container whose log may say why: one that has run and is not well now.
fn failing(containers: &[Container]) -> Option<&Container> {
    let has_run = |container: &&Container| {
        container.state != "waiting" || container.restarts > 0 || container.last_termination.is_some()
    };
    containers.iter().filter(|container| !container.ready).find(has_run)
}

/// The end of a log: of the run before this one when the container restarts, since this one has hardly begun.
async fn log_tail(
    cluster: &Cluster<'_>,
    namespace: &str,
    pod: &str,
    container: &Container,
) -> Option<Vec<String>> {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/log");
    let what = format!("read the log of {pod}");
    let query = [("container", container.name.as_str()), ("tailLines", LOG_LINES)];
    let previous = [query[0], query[1], ("previous", "true")];
    let mut text = None;
    if container.restarts > 0 && container.state != "terminated" {
        text = cluster.text(&what, &path, &previous).await.ok();
    }
    if text.as_deref().is_none_or(|text| text.trim().is_empty()) {
        text = cluster.text(&what, &path, &query).await.ok().or(text);
    }
    text.map(|text| text.lines().map(|line| line.chars().take(1000).collect()).collect())
}

/// The pod's last events, oldest first.
async fn events(cluster: &Cluster<'_>, namespace: &str, pod: &Pod) -> Option<Vec<String>> {
    let name = pod.metadata.name.as_deref().unwrap_or("");
    let path = format!("/api/v1/namespaces/{namespace}/events");
    let selector = format!("involvedObject.kind=Pod,involvedObject.name={name}");
    let what = format!("list events of {name}");
    let listed = cluster.list::<Event>(&what, &path, &[("fieldSelector", &selector)]).await.ok()?;
    let mut events: Vec<(Timestamp, String)> = listed
        .items
        .iter()
        // A pod of the same name that was there before has another uid.
        .filter(|event| event.involved_object.uid.is_none() || event.involved_object.uid == pod.metadata.uid)
        .map(|event| (last_seen(event), describe(event)))
        .collect();
    events.sort_by_key(|(seen, _)| *seen);
    let from = events.len().saturating_sub(EVENTS);
    Some(events.split_off(from).into_iter().map(|(_, text)| text).collect())
}

fn last_seen(event: &Event) -> Timestamp {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    let micro = series.or(event.event_time.as_ref()).map(|time| time.0);
    let plain = event.last_timestamp.as_ref().or(event.first_timestamp.as_ref()).map(|time| time.0);
    let created = event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    micro.max(plain).or(created).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn describe(event: &Event) -> String {
    let kind = event.type_.as_deref().unwrap_or("Normal");
    let reason = event.reason.as_deref().unwrap_or("Unknown");
    let message = event.message.as_deref().unwrap_or("").trim();
    let count = event.count.or(event.series.as_ref().and_then(|series| series.count)).unwrap_or(1);
    let times = if count > 1 { format!(" (x{count})") } else { String::new() };
    format!("{kind} {reason}: {message}{times}")
}

/// The scheduler's words about a pod that has no node: its condition, or else its last event.
fn scheduling(pod: &Pod, events: &[String]) -> Option<(Scheduling, String)> {
    if pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()) {
        return None;
    }
    let condition = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref())
        .and_then(|all| all.iter().find(|one| one.type_ == "PodScheduled" && one.status == "False"))
        .and_then(|condition| condition.message.clone());
    let event = events
        .iter()
        .rev()
        .find_map(|event| event.split_once(" FailedScheduling: ").map(|(_, message)| message.to_owned()));
    condition
        .into_iter()
        .chain(event)
        .find_map(|message| Scheduling::parse(&message).map(|read| (read, message)))
}

/// What the pod asks for of the resources that are short, and what the largest node offers.
fn shortfall(pod: &Pod, nodes: &Nodes, scheduling: &Scheduling) -> Option<String> {
    let short: BTreeSet<&str> = scheduling
        .reasons
        .iter()
        .filter_map(|(_, reason)| match reason {
            Reason::Insufficient(resource) => Some(resource.as_str()),
            _ => None,
        })
        .collect();
    let parts: Vec<String> = short
        .into_iter()
        .map(|resource| {
            let asked: Vec<String> = pod
                .spec
                .iter()
                .flat_map(|spec| &spec.containers)
                .filter_map(|container| {
                    let requests = container.resources.as_ref()?.requests.as_ref()?;
                    Some(requests.get(resource)?.0.clone())
                })
                .collect();
            let largest = nodes
                .all
                .iter()
                .filter_map(|node| Some((node, node.allocatable.get(resource)?)))
                .max_by(|a, b| number(a.1).total_cmp(&number(b.1)));
            let asked = if asked.is_empty() { "none".to_owned() } else { asked.join(" + ") };
            let offers = largest.map_or_else(String::new, |(node, quantity)| {
                format!(", the largest node ({}) offers {}", node.name, quantity.0)
            });
            format!("{resource}: the pod requests {asked}{offers}")
        })
        .collect();
    (!parts.is_empty()).then(|| format!(" [{}]", parts.join("; ")))
}

/// A quantity as a number, to compare by; what cannot be read counts as nothing.
fn number(quantity: &Quantity) -> f64 {
    let text = quantity.0.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let scale = match &text[digits..] {
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1024.0_f64.powi(2),
        "Gi" => 1024.0_f64.powi(3),
        "Ti" => 1024.0_f64.powi(4),
        _ => 1.0,
    };
    text[..digits].parse::<f64>().unwrap_or(0.0) * scale
}
