//! Releases as earlier installations left them, for tests to begin with.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::registry::Credentials;
use super::release::{Info, Release, Status};
use super::{chart, objects, storage, values};
use crate::cluster::{Api, Place};

/// What an earlier installation of Karpenter left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Seed {
    /// Name of the release.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// State of the newest revision.
    pub status: Status,
    /// Number of the newest revision, from 1.
    pub revision: i64,
    /// How long ago the newest revision was begun. Older ones lie a day apart before it.
    pub age: Duration,
    /// Version of the chart, one that the stand-in has.
    pub version: String,
    /// The user's values; `settings.clusterName` is needed.
    pub values: Map<String, Value>,
    /// What happened to the newest revision, if not in Helm's usual words for its state.
    pub description: Option<String>,
}

impl Default for Seed {
    fn default() -> Self {
        let values = json!({ "settings": { "clusterName": "seatrial" } });
        Self {
            name: "karpenter".into(),
            namespace: "kube-system".into(),
            status: Status::Deployed,
            revision: 1,
            age: Duration::from_secs(3600),
            version: "1.8.3".into(),
            values: values.as_object().cloned().unwrap_or_default(),
            description: None,
        }
    }
}

/// A seed made into what lies in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Seeded {
    /// All revisions, oldest first.
    pub history: Vec<Release>,
    /// Their Secrets, in the same order.
    pub secrets: Vec<Value>,
    /// The chart's custom resource definitions.
    pub crds: Vec<Value>,
    /// The newest revision's objects with namespace and Helm's marks, in order of installation. All of
    /// them, also for a state in which Helm may not have come that far; none for `uninstalled`.
    pub objects: Vec<Value>,
}

impl Seeded {
    /// The newest revision.
    pub fn newest(&self) -> Option<&Release> {
        self.history.last()
    }
}

/// Makes a Karpenter release with its whole history.
///
/// # Errors
/// The stand-in has no such chart version, or the values do not render; in Helm's words.
pub fn karpenter_release(seed: &Seed, now: Timestamp) -> Result<Seeded, String> {
    let reference = "oci://public.ecr.aws/karpenter/karpenter";
    let (chart, _) = chart::locate(reference, Some(&seed.version), &Credentials::default())
        .map_err(|failure| failure.to_string())?;
    let all = values::computed(&chart.values, &seed.values);
    let manifest =
        chart.manifest(&seed.name, &seed.namespace, &all).map_err(|failure| failure.to_string())?;
    let newest = seed.revision.max(1);
    let at = |revision: i64| {
        let days = SignedDuration::from_hours(24 * (newest - revision));
        let age = SignedDuration::try_from(seed.age).unwrap_or(SignedDuration::MAX);
        now.checked_sub(age).and_then(|it| it.checked_sub(days)).unwrap_or(Timestamp::UNIX_EPOCH)
    };
    let mut history = Vec::new();
    for revision in 1..=newest {
        let status = if revision == newest { seed.status } else { before(seed.status, newest - revision) };
        let description = match &seed.description {
            Some(description) if revision == newest => description.clone(),
            _ => words(&seed.name, status, revision),
        };
        history.push(Release {
            name: seed.name.clone(),
            info: Info {
                first_deployed: Some(at(1)),
                last_deployed: Some(at(revision)),
                deleted: matches!(status, Status::Uninstalled | Status::Uninstalling).then(|| at(revision)),
                description,
                status,
                notes: chart.notes.clone(),
            },
            chart: Some(chart.stored()),
            config: Some(seed.values.clone()),
            manifest: manifest.clone(),
            hooks: None,
            version: revision,
            namespace: seed.namespace.clone(),
            apply_method: None,
            labels: std::collections::BTreeMap::new(),
        });
    }
    let secrets = history
        .iter()
        .map(|release| storage::encode(release, release.info.last_deployed.unwrap_or(now)))
        .collect();
    let mut installed = Vec::new();
    if seed.status != Status::Uninstalled {
        for mut object in objects::documents(&manifest)? {
            objects::own(&mut object, &seed.name, &seed.namespace);
            installed.push(object);
        }
    }
    Ok(Seeded {
        history,
        secrets,
        crds: chart.crds.into_iter().map(|(_, crd)| crd).collect(),
        objects: installed,
    })
}

/// State of the revision that lies so many before the newest: work that failed or is under way
/// leaves the one before it deployed, work that succeeded replaces it.
fn before(newest: Status, distance: i64) -> Status {
    match (newest, distance) {
        (Status::Failed | Status::PendingUpgrade, 1) | (Status::PendingRollback, 2) => Status::Deployed,
        (Status::PendingRollback, 1) => Status::Failed,
        _ => Status::Superseded,
    }
}

/// Helm's words for what became of a revision.
fn words(name: &str, status: Status, revision: i64) -> String {
    match status {
        Status::Deployed | Status::Superseded if revision == 1 => "Install complete".into(),
        Status::Deployed | Status::Superseded => "Upgrade complete".into(),
        Status::Failed if revision == 1 => format!("Release \"{name}\" failed: context deadline exceeded"),
        Status::Failed => format!("Upgrade \"{name}\" failed: context deadline exceeded"),
        Status::PendingInstall => "Initial install underway".into(),
        Status::PendingUpgrade => "Preparing upgrade".into(),
        Status::PendingRollback => format!("Rollback to {}", (revision - 2).max(1)),
        Status::Uninstalling => "Deletion in progress (or silently failed)".into(),
        Status::Uninstalled => "Uninstallation complete".into(),
        Status::Unknown => String::new(),
    }
}

impl Seeded {
    /// Puts everything into a cluster through its API, so that it is defaulted and checked as Helm's
    /// own writes are. The namespace has to be there.
    ///
    /// # Errors
    /// The API refused one of the objects, other than by saying that it is there already; in its words.
    pub async fn plant(&self, client: kube::Client) -> Result<(), String> {
        let api = Api::new(client, "https://cluster.local", super::connect::AGENT);
        let namespace = self.newest().map_or("default", |it| it.namespace.as_str());
        for object in self.crds.iter().chain(&self.secrets).chain(&self.objects) {
            let described = || format!("{} {}", object["kind"], object["metadata"]["name"]);
            let place = Place::of(&api, object, namespace).await.map_err(|error| error.to_string())?;
            let made =
                api.create(&place.api_version, &place.resource, place.namespace.as_deref(), object).await;
            match made {
                Err(error) if !error.already_exists() => {
                    return Err(format!("plant {}: {error}", described()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
