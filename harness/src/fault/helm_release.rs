//! What an earlier installation left in the cluster.

use std::time::Duration;

use interpose::helm::{Seed, Seeded, Status, karpenter_release};
use kube::api::{Api, DeleteParams, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Done, Fault, Ground};
use crate::backend::{Capability, ClusterError};
use crate::duration::Span;

/// A Karpenter release as true Helm storage: a Secret for each revision of its history, and its objects.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HelmRelease {
    /// Status of the newest revision, in Helm's word, such as `failed` or `pending-upgrade`.
    status: HelmStatus,
    /// Number of the newest revision; 1 when not given.
    revision: Option<u32>,
    /// How long ago it was begun; `1h` when not given.
    age: Option<Span>,
    /// How far the clock of whoever began it was ahead; not at all when not given.
    ahead: Option<Span>,
    /// Version of the chart; `1.8.3` when not given.
    version: Option<String>,
    /// Name of the release; `karpenter` when not given.
    name: Option<String>,
    /// Namespace of the release; `kube-system` when not given.
    namespace: Option<String>,
    /// The values that the user gave; `settings.clusterName` is added when it is missing.
    values: Option<Map<String, Value>>,
    /// What Helm wrote of the newest revision; its usual words when not given.
    description: Option<String>,
    /// Whether the chart's objects are there; true when not given.
    objects: Option<bool>,
    #[serde(skip)]
    planted: Option<Seeded>,
}

/// A status of a Helm release.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum HelmStatus {
    Deployed,
    Failed,
    PendingInstall,
    PendingUpgrade,
    PendingRollback,
    Superseded,
    Uninstalled,
    Uninstalling,
    Unknown,
}

impl HelmStatus {
    fn status(self) -> Status {
        match self {
            Self::Deployed => Status::Deployed,
            Self::Failed => Status::Failed,
            Self::PendingInstall => Status::PendingInstall,
            Self::PendingUpgrade => Status::PendingUpgrade,
            Self::PendingRollback => Status::PendingRollback,
            Self::Superseded => Status::Superseded,
            Self::Uninstalled => Status::Uninstalled,
            Self::Uninstalling => Status::Uninstalling,
            Self::Unknown => Status::Unknown,
        }
    }
}

impl HelmRelease {
    /// What the clock of whoever began it shows now.
    fn written_at(&self, now: jiff::Timestamp) -> jiff::Timestamp {
        let ahead = self.ahead.map_or(Duration::ZERO, |ahead| ahead.0);
        now.checked_add(ahead).unwrap_or(jiff::Timestamp::MAX)
    }

    fn seed(&self, cluster: &str) -> Seed {
        let plain = Seed::default();
        let mut values = self.values.clone().unwrap_or_default();
        let settings = values.entry("settings").or_insert_with(|| Value::Object(Map::new()));
        if settings.is_object() && settings["clusterName"].is_null() {
            settings["clusterName"] = Value::from(cluster);
        }
        Seed {
            name: self.name.clone().unwrap_or(plain.name),
            namespace: self.namespace.clone().unwrap_or(plain.namespace),
            status: self.status.status(),
            revision: self.revision.map_or(plain.revision, i64::from),
            age: self.age.map_or(Duration::from_secs(3600), |age| age.0),
            version: self.version.clone().unwrap_or(plain.version),
            values,
            description: self.description.clone(),
        }
    }
}

impl Fault for HelmRelease {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Objects]
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            let failed = |error: String| ClusterError::new(format!("plant the release: {error}"));
            let seed = self.seed(&ground.cluster.identity().name);
            let mut seeded =
                karpenter_release(&seed, self.written_at(ground.cluster.now())).map_err(failed)?;
            if self.objects == Some(false) {
                seeded.objects.clear();
            }
            seeded.plant(ground.cluster.admin()).await.map_err(failed)?;
            self.planted = Some(seeded);
            ground.cluster.settled().await;
            Ok(())
        })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            let Some(planted) = self.planted.take() else { return Ok(()) };
            let all = planted.objects.iter().chain(&planted.secrets).chain(&planted.crds);
            for object in all {
                remove(ground.cluster.admin(), object).await?;
            }
            ground.cluster.settled().await;
            Ok(())
        })
    }
}

/// Deletes an object; one that is gone already is as good.
async fn remove(client: kube::Client, object: &Value) -> Result<(), ClusterError> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let (group, version) = version.split_once('/').unwrap_or(("", version.as_str()));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
    let (namespace, name) = (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
    let api: Api<DynamicObject> = if namespace.is_empty() {
        Api::all_with(client, &resource)
    } else {
        Api::namespaced_with(client, &namespace, &resource)
    };
    match api.delete(&name, &DeleteParams::background()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(ClusterError::new(format!("remove {kind} {name}: {error}"))),
    }
}
