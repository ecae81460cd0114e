//! From what was seen to causes, by the [table](super::table).
//!
//! A row matches by what somebody said (the cluster, a tool, a program in its log), and the cause cites
//! those words, so that no blocker names something that nobody has seen. One line of words makes one
//! cause: that of the first row that it matches.

use super::scheduler::Scheduling;
use super::table::TABLE;
use crate::platform::NodeState;
use crate::result::Container;

/// What a cause means for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// Something that the foundation phase provides is missing.
    Blocked,
    /// The installation itself is wrong.
    Error,
}

/// A classified cause, with the words that it was read from.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Stable name.
    pub code: &'static str,
    /// Position in the table: lower is more telling.
    pub rank: usize,
    /// What it means for the run.
    pub gravity: Gravity,
    /// What it is, for a person.
    pub meaning: &'static str,
    /// The cluster's own words.
    pub cites: String,
    /// What to do about it.
    pub remediation: String,
    /// Commands to type.
    pub commands: Vec<String>,
    /// Whether the words have a row of their own. Those that have none are quoted, and said to be
    /// unrecognised.
    pub recognised: bool,
}

/// What is looked at: it stands in remediations and commands.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    /// Name of the Helm release that it belongs to.
    pub release: &'s str,
    /// Its namespace.
    pub namespace: &'s str,
    /// Label selector of its pods.
    pub selector: &'s str,
}

/// What is known of one pod that is not Ready.
#[derive(Clone, Debug, Default)]
pub struct Symptoms {
    /// The scheduler's message, when the pod has no node.
    pub scheduling: Option<(Scheduling, String)>,
    /// What it asks for and what the largest node offers, for resources that are short.
    pub shortfall: Option<String>,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Log and termination messages, line by line.
    pub said: Vec<String>,
    /// Its events, each with type, reason and message.
    pub events: Vec<String>,
    /// `status.reason` and `status.message` of the pod, such as an eviction's.
    pub status: Option<String>,
    /// What tools and controllers said about the whole, line by line: Helm, eksctl, CloudFormation, the
    /// conditions of a workload.
    pub words: Vec<String>,
}

/// How a row finds its cause. Signs are compared in lower case; the inner lists must occur in one line
/// together, any of the outer ones will do.
pub(super) enum Find {
    Words(&'static [&'static [&'static str]]),
    Text(fn(&str) -> bool),
    Log(&'static [&'static [&'static str]]),
    Waiting { reasons: &'static [&'static str], signs: &'static [&'static [&'static str]] },
    Event { reason: &'static str, signs: &'static [&'static [&'static str]] },
    Scheduler(fn(&Scheduling) -> bool),
    Terminated(&'static str),
    CrashLoop,
    Status(&'static str),
    NotReady,
}

pub(super) struct Row {
    pub(super) code: &'static str,
    pub(super) gravity: Gravity,
    pub(super) find: Find,
    pub(super) meaning: &'static str,
    pub(super) remediation: &'static str,
    pub(super) commands: &'static [&'static str],
}

/// Rows that say how something went wrong and not why: they match what no other row knows.
const UNRECOGNISED: [&str; 5] =
    ["CRASH_LOOP", "UNSCHEDULABLE", "SANDBOX_FAILED", "NOT_READY", "IMAGE_PULL_FAILED"];

impl Cause {
    /// The most telling cause; `None` when nothing in it says anything.
    #[must_use]
    pub fn of(symptoms: &Symptoms, subject: Subject<'_>) -> Option<Self> {
        Self::all(symptoms, subject).into_iter().next()
    }

    /// Every cause, the one that stops the others first. What only says how things went wrong is left out
    /// where something says why.
    #[must_use]
    pub fn all(symptoms: &Symptoms, subject: Subject<'_>) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for (rank, row) in TABLE.iter().enumerate() {
            let symptom = SYMPTOMS.contains(&row.code);
            if symptom && !found.is_empty() {
                continue;
            }
            let Some(cites) = row.find.cite(symptoms) else {
                continue;
            };
            if found.iter().any(|one| same_words(&one.cites, &cites)) {
                continue;
            }
            found.push(Self {
                code: row.code,
                rank,
                gravity: row.gravity,
                meaning: row.meaning,
                cites,
                remediation: filled(row.remediation, subject),
                commands: row.commands.iter().map(|command| filled(command, subject)).collect(),
                recognised: !UNRECOGNISED.contains(&row.code),
            });
        }
        found
    }
}

/// Rows that are the consequence of any other.
const SYMPTOMS: [&str; 3] = ["CRASH_LOOP", "PROBE_FAILING", "NOT_READY"];

/// Whether two citations are of the same words.
fn same_words(one: &str, other: &str) -> bool {
    one == other || (one.len() > 20 && other.contains(one)) || (other.len() > 20 && one.contains(other))
}

fn filled(text: &str, subject: Subject<'_>) -> String {
    text.replace("{namespace}", subject.namespace)
        .replace("{selector}", subject.selector)
        .replace("{release}", subject.release)
}

impl Find {
    /// The words by which a row is found, if it is.
    fn cite(&self, symptoms: &Symptoms) -> Option<String> {
        match self {
            Find::Words(signs) => symptoms.words.iter().rev().find(|line| matches(line, signs)).cloned(),
            Find::Text(fits) => symptoms.words.iter().rev().find(|line| fits(line)).cloned(),
            Find::Log(signs) => symptoms.said.iter().rev().find(|line| matches(line, signs)).cloned(),
            Find::Waiting { reasons, signs } => symptoms.containers.iter().find_map(|container| {
                let reason = container.reason.as_deref().filter(|reason| reasons.contains(reason))?;
                // The kubelet's words about the pull are in the event; "Back-off pulling image" is not.
                let message = container.message.as_deref().unwrap_or("");
                let texts: Vec<&str> = symptoms
                    .events
                    .iter()
                    .rev()
                    .map(String::as_str)
                    .filter(|event| event.starts_with("Warning "))
                    .chain([message])
                    .collect();
                let telling = texts.iter().find(|text| matches(text, signs) && !text.is_empty());
                if telling.is_none() && !signs.iter().any(|all| all.is_empty()) {
                    return None;
                }
                let telling = texts
                    .iter()
                    .find(|text| text.contains("Failed to pull image") && matches(text, signs))
                    .or(telling)
                    .copied()
                    .unwrap_or("");
                Some(format!("container {}: {reason}: {telling}", container.name))
            }),
            Find::Event { reason, signs } => symptoms
                .events
                .iter()
                .rev()
                .find(|event| event.contains(&format!(" {reason}: ")) && matches(event, signs))
                .cloned(),
            Find::Scheduler(matches) => {
                let (scheduling, message) = symptoms.scheduling.as_ref()?;
                matches(scheduling).then(|| {
                    let shortfall = symptoms.shortfall.as_deref().unwrap_or("");
                    format!("{message}{shortfall}")
                })
            }
            Find::Terminated(reason) => symptoms.containers.iter().find_map(|container| {
                let last = container.last_termination.as_ref()?;
                (last.reason.as_deref() == Some(reason))
                    .then(|| format!("container {}: {reason}, exit code {}", container.name, last.exit_code))
            }),
            Find::CrashLoop => symptoms.containers.iter().find_map(|container| {
                let waiting = container.reason.as_deref() == Some("CrashLoopBackOff");
                let ended = container.state == "terminated" || (container.restarts > 0 && !container.ready);
                let last = container.last_termination.as_ref();
                (waiting || (ended && last.is_some())).then(|| {
                    let code =
                        last.map_or_else(String::new, |last| format!(" with exit code {}", last.exit_code));
                    let said = symptoms.said.last().map_or_else(
                        || "and its log is empty".to_owned(),
                        |line| format!("and its last words are: {line}"),
                    );
                    format!(
                        "container {} restarted {} times, ended{code}, {said}",
                        container.name, container.restarts
                    )
                })
            }),
            Find::Status(sign) => {
                symptoms.status.clone().filter(|status| status.to_lowercase().contains(sign))
            }
            Find::NotReady => {
                let container = symptoms.containers.iter().find(|container| !container.ready)?;
                let reason = container.reason.as_deref().map_or_else(String::new, |r| format!(" ({r})"));
                Some(format!("container {} is {}{reason} and not ready", container.name, container.state))
            }
        }
    }
}

/// Whether a line has all the signs of any of the groups.
fn matches(line: &str, groups: &[&[&str]]) -> bool {
    let line = line.to_lowercase();
    groups.iter().any(|signs| signs.iter().all(|sign| line.contains(sign)))
}

/// Why nodes are not Ready: a cause's name, and what to do.
#[must_use]
pub fn node_cause(nodes: &[NodeState]) -> (Option<&'static str>, &'static str) {
    let said = |sign: &str| nodes.iter().filter_map(|node| node.why.as_deref()).any(|why| why.contains(sign));
    if said("cni plugin not initialized") || said("NetworkPluginNotReady") {
        (Some("CNI_MISSING"), "the nodes have no CNI plugin; install or mend the vpc-cni add-on (aws-node)")
    } else if said("Kubelet stopped posting node status") || said("NodeStatusUnknown") {
        (Some("KUBELET_SILENT"), "the nodes' kubelets have fallen silent; see whether the instances run")
    } else {
        (None, "see why the nodes' kubelets are not ready")
    }
}

#[cfg(test)]
#[path = "causes_tests.rs"]
mod tests;
