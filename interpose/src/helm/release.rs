//! A release as Helm stores it.
//!
//! Field names are those of Helm's own JSON; what the stand-in has no use for (chart, hooks) is kept
//! as it was read, so that rewriting a release of a real Helm loses nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The nine states, in Helm's spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Helm does not know.
    Unknown,
    /// Installed.
    Deployed,
    /// Uninstalled, history kept.
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

impl Status {
    /// All nine.
    pub const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Deployed,
        Self::Uninstalled,
        Self::Superseded,
        Self::Failed,
        Self::Uninstalling,
        Self::PendingInstall,
        Self::PendingUpgrade,
        Self::PendingRollback,
    ];

    /// Helm's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Deployed => "deployed",
            Self::Uninstalled => "uninstalled",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Uninstalling => "uninstalling",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
        }
    }

    /// The state of this word; `None` for a word that is not Helm's.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }

    /// Whether Helm takes it for somebody else's work in progress.
    pub fn pending(self) -> bool {
        matches!(self, Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback)
    }
}

/// One revision of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Name of the release.
    pub name: String,
    /// What happened to it.
    pub info: Info,
    /// The chart in Helm's own JSON: `metadata`, `templates`, `values`, `files`….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<Value>,
    /// The values that the user set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Map<String, Value>>,
    /// The objects, as a stream of YAML documents.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manifest: String,
    /// Hooks in Helm's own JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Value>,
    /// Number of the revision, from 1.
    pub version: i64,
    /// Namespace of the release.
    pub namespace: String,
    /// Helm 4: how objects are written (`ssa` or `csa`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply_method: Option<String>,
    /// Labels of the storage object that are not Helm's own.
    #[serde(skip)]
    pub labels: BTreeMap<String, String>,
}

/// What happened to a revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Info {
    /// When revision 1 was begun.
    #[serde(default, with = "go_time")]
    pub first_deployed: Option<Timestamp>,
    /// When this revision was begun.
    #[serde(default, with = "go_time")]
    pub last_deployed: Option<Timestamp>,
    /// When it was uninstalled.
    #[serde(default, with = "go_time")]
    pub deleted: Option<Timestamp>,
    /// In words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its state.
    pub status: Status,
    /// The chart's notes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
}

impl Release {
    /// `karpenter-1.8.3`, or `MISSING` as Helm says of a release without a chart.
    pub fn chart_name(&self) -> String {
        let metadata = self.chart.as_ref().map(|chart| &chart["metadata"]);
        match metadata.map(|it| (it["name"].as_str(), it["version"].as_str())) {
            Some((Some(name), Some(version))) => format!("{name}-{version}"),
            _ => "MISSING".into(),
        }
    }

    /// The application's version.
    pub fn app_version(&self) -> String {
        let chart = self.chart.as_ref();
        chart.map_or("MISSING", |chart| chart["metadata"]["appVersion"].as_str().unwrap_or("")).into()
    }

    /// Sets state and description together.
    pub fn set(&mut self, status: Status, description: impl Into<String>) {
        self.info.status = status;
        self.info.description = description.into();
    }
}

/// Helm 3 writes an absent time as the empty string; Helm 4 leaves it out. Both are read.
mod go_time {
    use super::{Deserialize, Deserializer, Serializer, Timestamp};

    pub(super) fn serialize<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => to.collect_str(time),
            None => to.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(from)?.unwrap_or_default();
        // Go's zero time is the year 1.
        if text.is_empty() || text.starts_with("0001-01-01") {
            return Ok(None);
        }
        text.parse().map(Some).map_err(serde::de::Error::custom)
    }
}
