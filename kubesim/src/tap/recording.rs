//! What is kept of a request.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recording {
    /// Order of arrival, from 1.
    pub seq: u64,
    /// Cluster time of arrival, by the time that nobody sets: what lies between two requests is what passed.
    pub at: Timestamp,
    /// API verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// API group; empty for the core group and for paths that are no resource.
    pub group: String,
    /// API version; empty for paths that are no resource.
    pub version: String,
    /// Plural resource; empty for discovery, `/version` and health.
    pub resource: String,
    /// Subresource, or empty.
    pub subresource: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// Object name, or empty. For a create the name in the body.
    pub name: String,
    /// Path without the query.
    pub path: String,
    /// Name of the authenticated user; empty when nobody was recognised.
    pub user: String,
    /// `User-Agent` header.
    pub user_agent: String,
    /// Whether `dryRun=All` was asked.
    pub dry_run: bool,
    /// HTTP status of the answer; 0 when there was none (yet).
    pub status: u16,
    /// From arrival to the head of the answer, in cluster time; milliseconds when serialised.
    #[serde(rename = "latencyMs", with = "milliseconds")]
    pub latency: Duration,
    /// Label of the rule that broke it.
    pub fault: Option<String>,
    /// `Retry-After` of the rule's answer, in seconds.
    pub retry_after: Option<u32>,
}

impl Recording {
    /// Whether the request asked for a change of the cluster. Reviews (SelfSubjectAccessReview and its
    /// kin, TokenReview) are created but change nothing, and neither does a dry run.
    #[must_use]
    pub fn mutating(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
            && !self.dry_run
            && !(self.group == "authorization.k8s.io"
                || self.group == "authentication.k8s.io" && self.resource != "serviceaccounts")
    }

    /// `plural` or `plural/subresource`.
    #[must_use]
    pub fn full_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
