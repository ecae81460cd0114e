//! Releases as Helm describes them in JSON.

use jiff::Timestamp;
use serde_json::Value;

/// The nine states of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseStatus {
    /// Helm does not know; also what a word that we do not know is read as.
    Unknown,
    /// Installed.
    Deployed,
    /// Uninstalled with its history kept.
    Uninstalled,
    /// Replaced by a newer revision.
    Superseded,
    /// An installation, upgrade or rollback failed.
    Failed,
    /// Being uninstalled.
    Uninstalling,
    /// Being installed.
    PendingInstall,
    /// Being upgraded.
    PendingUpgrade,
    /// Being rolled back.
    PendingRollback,
}

impl ReleaseStatus {
    /// Reads Helm's word.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "deployed" => Self::Deployed,
            "uninstalled" => Self::Uninstalled,
            "superseded" => Self::Superseded,
            "failed" => Self::Failed,
            "uninstalling" => Self::Uninstalling,
            "pending-install" => Self::PendingInstall,
            "pending-upgrade" => Self::PendingUpgrade,
            "pending-rollback" => Self::PendingRollback,
            _ => Self::Unknown,
        }
    }

    /// Whether the status is a lock that Helm respects.
    #[must_use]
    pub fn pending(self) -> bool {
        matches!(self, Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback)
    }
}

/// The newest revision of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its state.
    pub status: ReleaseStatus,
    /// Helm's word for the state.
    pub word: String,
    /// Number of the revision.
    pub revision: u64,
    /// Namespace of the release.
    pub namespace: String,
    /// When this revision was begun; `None` when Helm did not say it legibly.
    pub last_deployed: Option<Timestamp>,
    /// Helm's description of what happened.
    pub description: String,
}

impl Release {
    /// Reads `helm status -o json`. `None` when a part that is always there is missing.
    #[must_use]
    pub fn of_status(answer: &Value, namespace: &str) -> Option<Self> {
        let info = answer.get("info")?;
        let word = info.get("status")?.as_str()?;
        Some(Self {
            status: ReleaseStatus::parse(word),
            word: word.to_owned(),
            revision: answer.get("version")?.as_u64()?,
            namespace: answer["namespace"].as_str().unwrap_or(namespace).to_owned(),
            last_deployed: info["last_deployed"].as_str().and_then(timestamp),
            description: info["description"].as_str().unwrap_or("").to_owned(),
        })
    }
}

/// One revision, from `helm history -o json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Number of the revision.
    pub revision: u64,
    /// Its state.
    pub status: ReleaseStatus,
    /// Chart name and version, such as `karpenter-1.8.3`.
    pub chart: String,
}

impl Revision {
    /// Reads one entry.
    #[must_use]
    pub fn of(entry: &Value) -> Option<Self> {
        Some(Self {
            revision: entry.get("revision")?.as_u64()?,
            status: ReleaseStatus::parse(entry.get("status")?.as_str()?),
            chart: entry["chart"].as_str().unwrap_or("").to_owned(),
        })
    }
}

/// One release, from `helm list -o json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Helm's word for its state.
    pub status: String,
}

impl Listed {
    /// Reads one entry.
    #[must_use]
    pub fn of(entry: &Value) -> Option<Self> {
        let text = |name: &str| entry.get(name)?.as_str().map(str::to_owned);
        Some(Self { name: text("name")?, namespace: text("namespace")?, status: text("status")? })
    }
}

/// Go prints times with a numeric zone, or with `Z`; both are RFC 3339.
fn timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_is_read_with_its_revision_as_a_number_and_its_age() {
        let answer = json!({
            "name": "karpenter", "version": 3, "namespace": "kube-system",
            "info": { "status": "pending-upgrade", "description": "Preparing upgrade",
                      "last_deployed": "2026-01-02T03:04:05.123456789+01:00" },
        });
        let release = Release::of_status(&answer, "x").unwrap();
        assert_eq!((release.revision, release.status), (3, ReleaseStatus::PendingUpgrade));
        assert_eq!(release.last_deployed.unwrap().to_string(), "2026-01-02T02:04:05.123456789Z");
    }

    #[test]
    fn a_status_that_lacks_a_part_is_not_guessed_at() {
        for answer in [
            json!({}),
            json!({ "info": {} , "version": 1 }),
            json!({ "info": { "status": "deployed" } }),
            json!({ "info": { "status": "deployed" }, "version": "1" }),
            json!("karpenter"),
        ] {
            assert_eq!(Release::of_status(&answer, "x"), None, "{answer}");
        }
    }

    #[test]
    fn a_word_that_nobody_knows_is_unknown() {
        assert_eq!(ReleaseStatus::parse("half-done"), ReleaseStatus::Unknown);
        assert_eq!(ReleaseStatus::parse(""), ReleaseStatus::Unknown);
    }
}
