//! Why something could not be read, and what that says about the run.

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

use http::StatusCode;

use crate::result::{Blocker, Code};
use crate::retry::{Retryable, Target};
use crate::seams::ConnectError;
use crate::stop::StopReason;

/// Why something could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// No connection can be made at all.
    #[error("{0}")]
    Kubeconfig(ConnectError),
    /// The connection failed or broke.
    #[error("could not {what}: {detail}")]
    Transport {
        /// What was to be read.
        what: String,
        /// The system's words.
        detail: String,
        /// Whether it may go away by itself.
        passing: bool,
    },
    /// No answer in time.
    #[error("could not {what}: no answer within {after:?} (EKS_INSTALLER_API_TIMEOUT)")]
    TimedOut {
        /// What was to be read.
        what: String,
        /// `EKS_INSTALLER_API_TIMEOUT`.
        after: Duration,
    },
    /// The server answered with an error of its own, or asked for patience.
    #[error("could not {what}: HTTP {code}: {message}")]
    Failing {
        /// What was to be read.
        what: String,
        /// 429, 500, 502, 503 or 504.
        code: u16,
        /// The server's words.
        message: String,
        /// The server's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The server has asked not to be called for so long that it was not asked.
    #[error("could not {what}: the server has asked for no more requests for another {wait:.0?}")]
    Withheld {
        /// What was to be read.
        what: String,
        /// How long it still wants to be left alone.
        wait: Duration,
    },
    /// 401 or 403.
    #[error("could not {what}: HTTP {code}: {message}")]
    Refused {
        /// What was to be read.
        what: String,
        /// 401 or 403.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// 404.
    #[error("could not {what}: HTTP 404: {message}")]
    Missing {
        /// What was to be read.
        what: String,
        /// The server's words.
        message: String,
    },
    /// 410: what a list or a watch would go on from is not kept any more.
    #[error("could not {what}: HTTP 410: {message}")]
    Expired {
        /// What was to be read.
        what: String,
        /// The server's words.
        message: String,
    },
    /// An answer that cannot be understood.
    #[error("could not {what}: {detail}")]
    Garbage {
        /// What was to be read.
        what: String,
        /// What is wrong with the answer.
        detail: String,
    },
    /// The request would have changed something, and the run may not.
    #[error("did not {what}: this is a dry run")]
    Dry {
        /// What was to be done.
        what: String,
    },
    /// The run is ending.
    #[error("the run was stopped")]
    Stopped(StopReason),
}

impl ReadError {
    /// An answer that cannot be understood.
    pub fn garbage(what: &str, detail: &dyn Display) -> Self {
        Self::Garbage { what: what.to_owned(), detail: format!("the answer makes no sense: {detail}") }
    }

    /// What a client says when no answer came.
    pub fn transport(what: &str, error: &kube::Error) -> Self {
        let detail = chain(error);
        // A certificate that is not trusted, or credentials that cannot be made, stay so.
        if matches!(error, kube::Error::Auth(_)) || detail.contains("auth exec") {
            return Self::Refused { what: what.to_owned(), code: 401, message: detail };
        }
        let passing = !["invalid peer certificate", "UnknownIssuer", "CaUsedAsEndEntity"]
            .iter()
            .any(|sign| detail.contains(sign));
        Self::Transport { what: what.to_owned(), detail, passing }
    }

    /// An unsuccessful answer.
    pub fn status(what: &str, status: StatusCode, message: &str, retry_after: Option<Duration>) -> Self {
        let (what, message, code) = (what.to_owned(), message.to_owned(), status.as_u16());
        match code {
            401 | 403 => Self::Refused { what, code, message },
            404 => Self::Missing { what, message },
            410 => Self::Expired { what, message },
            429 | 500 | 502 | 503 | 504 => Self::Failing { what, code, message, retry_after },
            _ => Self::Garbage { what, detail: format!("HTTP {code}: {message}") },
        }
    }

    /// The blocker that it makes.
    #[must_use]
    pub fn blocker(&self, server: Option<&str>) -> Blocker {
        let at = server.map_or_else(String::new, |server| format!(" ({server})"));
        match self {
            Self::Stopped(reason) => Blocker::stopped(*reason),
            Self::Kubeconfig(error) => Blocker::new(
                Code::KubeconfigUnreadable,
                error.detail.clone(),
                "point KUBECONFIG at a kubeconfig of the cluster, or write one",
            )
            .commands(["eksctl utils write-kubeconfig --cluster \"$CLUSTER_NAME\" --region \"$AWS_REGION\""]),
            Self::Transport { .. }
            | Self::TimedOut { .. }
            | Self::Failing { .. }
            | Self::Withheld { .. }
            | Self::Expired { .. } => Blocker::new(
                Code::ClusterUnreachable,
                format!("the API server{at} could not be read: {self}"),
                "the state of the cluster is not known, so nothing was taken for granted: check the \
                 network path to the API server and its health, then run the same command again",
            )
            .commands(["kubectl cluster-info", "kubectl get --raw /readyz"]),
            Self::Refused { .. } => Blocker::new(
                Code::ClusterUnauthorized,
                format!("the API server{at} refuses: {self}"),
                "the state of the cluster is not known, which is not the same as an empty cluster: \
                 use an identity that the cluster knows (an EKS access entry or aws-auth)",
            )
            .commands(["aws sts get-caller-identity", "kubectl auth whoami"]),
            Self::Missing { .. } | Self::Garbage { .. } | Self::Dry { .. } => Blocker::new(
                Code::ClusterStateUnknown,
                format!("the API server{at} was not understood: {self}"),
                "the state of the cluster is not known: check that KUBECONFIG leads to a Kubernetes \
                 API server and not to something in front of it",
            )
            .commands(["kubectl version", "kubectl get nodes"]),
        }
    }
}

impl Retryable for ReadError {
    const TARGET: Target = Target::Api;

    fn withheld(operation: &str, wait: Duration) -> Self {
        Self::Withheld { what: operation.to_owned(), wait }
    }

    fn transient(&self) -> Option<Option<Duration>> {
        match self {
            Self::Failing { retry_after, .. } => Some(*retry_after),
            Self::Transport { passing: true, .. } | Self::TimedOut { .. } => Some(None),
            _ => None,
        }
    }
}

/// An error with what caused it. kube's own texts repeat their sources in part.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
