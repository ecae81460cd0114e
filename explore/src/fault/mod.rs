//! Faults as data: what goes wrong, from when, until when.
//!
//! A fault that breaks calls (of the API, of a tool) is keyed by what the call is and how many like it came
//! before, never by the order of random draws; so the same schedule breaks the same calls whatever else
//! changes beside it.

mod inject;

use std::time::Duration;

use interpose::plan::ToolFault;
use kubesim::kubelet::Behaviour;
use kubesim::tap::{Action, Rule, When};
use serde::Serialize;

pub(crate) use inject::{Injected, heal, inject};

/// A fault and the time that it lasts.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scheduled {
    /// When it begins.
    pub from: Moment,
    /// When it is healed, at the end of the run at the latest; `None`: it outlasts the run.
    pub until: Option<Moment>,
    /// What goes wrong.
    pub fault: Fault,
}

/// A moment of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Before the run begins, the cluster having come to rest with it.
    Start,
    /// So many milliseconds of virtual time after the run began.
    Ms(u64),
    /// As soon as so many of the run's writes have been answered.
    Writes(u32),
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Requests to the API are broken.
    Requests(RequestFault),
    /// Calls of a tool are broken.
    Tool(ToolFault),
    /// Containers of an image misbehave.
    Container {
        /// Part of the image's reference.
        image: String,
        /// What they do.
        does: Container,
    },
    /// The cluster has another number of nodes.
    Nodes(u32),
    /// Every node's kubelet says that it is not ready.
    NodesNotReady,
    /// Every node has a NoSchedule taint of this key.
    NodesTainted(String),
    /// CoreDNS's Deployment is gone.
    CorednsMissing,
    /// Karpenter's custom resource definitions are gone.
    DefinitionsMissing,
}

/// Part of the image reference of Karpenter's controller.
const CONTROLLER: &str = "karpenter/controller";

/// Part of CoreDNS's image reference.
const COREDNS: &str = "coredns";

impl Fault {
    /// Karpenter's controller misbehaves.
    #[must_use]
    pub fn controller(does: Container) -> Self {
        Self::Container { image: CONTROLLER.into(), does }
    }

    /// CoreDNS's pods run and are not Ready.
    #[must_use]
    pub fn coredns_never_ready() -> Self {
        Self::Container { image: COREDNS.into(), does: Container::never_ready() }
    }

    /// From before the run, and for good.
    #[must_use]
    pub fn throughout(self) -> Scheduled {
        Scheduled { from: Moment::Start, until: None, fault: self }
    }

    /// From before the run until a moment of it.
    #[must_use]
    pub fn until(self, until: Moment) -> Scheduled {
        Scheduled { from: Moment::Start, until: Some(until), fault: self }
    }

    /// From a moment of the run, for good.
    #[must_use]
    pub fn from(self, from: Moment) -> Scheduled {
        Scheduled { from, until: None, fault: self }
    }
}

/// What containers of an image do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Container {
    /// Their readiness probe fails for ever, with this text.
    NeverReady(String),
    /// Their readiness probe succeeds after so many milliseconds.
    ReadyAfterMs(u64),
    /// They write this and exit with 1 after a second, again and again.
    CrashLoop(String),
    /// The image cannot be pulled, for this reason.
    CannotPull(String),
    /// They write this and exit while the cluster has no such custom resource definition.
    NeedsDefinition {
        /// Its name.
        name: String,
        /// What they write.
        log: String,
    },
}

impl Container {
    /// A readiness probe that is answered with 503.
    #[must_use]
    pub fn never_ready() -> Self {
        Self::NeverReady("HTTP probe failed with statuscode: 503".into())
    }

    fn behaviour(&self) -> Behaviour {
        match self {
            Self::NeverReady(probe) => Behaviour::NeverReady { probe: probe.clone() },
            Self::ReadyAfterMs(ms) => Behaviour::ReadyAfter(Duration::from_millis(*ms)),
            Self::CrashLoop(log) => {
                Behaviour::CrashLoop { log: log.clone(), exit_code: 1, after: Duration::from_secs(1) }
            }
            Self::CannotPull(error) => Behaviour::CannotPull { error: error.clone() },
            Self::NeedsDefinition { name, log } => Behaviour::Needs {
                resource: "customresourcedefinitions.apiextensions.k8s.io".into(),
                name: name.clone(),
                otherwise: Box::new(Self::CrashLoop(log.clone()).behaviour()),
            },
        }
    }
}

/// Some requests are broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestFault {
    /// Name that the recording of each broken request cites.
    pub label: String,
    /// API verbs; empty means all.
    pub verbs: Vec<String>,
    /// Plural names, or `plural/subresource`; empty means all.
    pub resources: Vec<String>,
    /// How many matching requests pass first.
    pub skip: u32,
    /// How many are broken after that; `None`: all.
    pub times: Option<u32>,
    /// Whether the cluster has done it, and only the answer is lost.
    pub committed: bool,
    /// What happens to them.
    pub does: Break,
}

/// What happens to a broken request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Break {
    /// It is answered with an error.
    Status {
        /// HTTP status code.
        code: u16,
        /// `reason`, such as `TooManyRequests`.
        reason: String,
        /// `message`.
        message: String,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// The connection breaks.
    Reset,
    /// There is no answer, and the connection stays.
    Hang,
    /// The answer comes so many milliseconds later.
    DelayMs(u64),
    /// The answer stops in its middle.
    Truncate,
}

impl RequestFault {
    /// Every request is broken so; narrow it by setting fields.
    #[must_use]
    pub fn all(label: &str, does: Break) -> Self {
        Self {
            label: label.into(),
            verbs: Vec::new(),
            resources: Vec::new(),
            skip: 0,
            times: None,
            committed: false,
            does,
        }
    }

    fn rule(&self) -> Rule {
        let action = match &self.does {
            Break::Status { code, reason, message, retry_after } => Action::Respond {
                code: *code,
                reason: reason.clone(),
                message: message.clone(),
                retry_after: *retry_after,
            },
            Break::Reset => Action::Reset,
            Break::Hang => Action::Hang,
            Break::DelayMs(ms) => Action::Delay(Duration::from_millis(*ms)),
            Break::Truncate => Action::Truncate,
        };
        Rule {
            verbs: self.verbs.clone(),
            resources: self.resources.clone(),
            skip: self.skip,
            times: self.times,
            when: if self.committed { When::AfterCommit } else { When::Before },
            ..Rule::new(self.label.clone(), action)
        }
    }
}
