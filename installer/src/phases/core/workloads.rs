//! What a release runs, and when each kind of it is as it should be.
//!
//! The verdicts are pure functions of what was read: an object, or the endpoints of a Service.

use std::collections::BTreeMap;

use serde_json::Value;

/// The kinds that a release is gated on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Definition,
    Claim,
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    Service,
    Webhook,
}

/// One workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) kind: Kind,
    /// The kind as its manifest has it.
    pub(super) word: String,
    /// Empty for kinds that have none.
    pub(super) namespace: String,
    pub(super) name: String,
    /// Whether the manifest itself asks for no replica.
    pub(super) none_wanted: bool,
    /// The Service whose endpoints it depends on: a Service's own, a webhook's.
    pub(super) service: Option<(String, String)>,
}

/// The verdict on a workload, each with what was read in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As it should be.
    Ready(String),
    /// Not yet.
    Waiting(String),
    /// Not, and waiting will not help.
    Failed(String),
}

impl State {
    pub(super) fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }

    pub(super) fn words(&self) -> &str {
        match self {
            Self::Ready(words) | Self::Waiting(words) | Self::Failed(words) => words,
        }
    }
}

/// Reads a kind; `None` for those that a release is not gated on.
pub(super) fn kind(word: &str) -> Option<Kind> {
    Some(match word {
        "CustomResourceDefinition" => Kind::Definition,
        "PersistentVolumeClaim" => Kind::Claim,
        "Deployment" => Kind::Deployment,
        "StatefulSet" => Kind::StatefulSet,
        "DaemonSet" => Kind::DaemonSet,
        "Job" => Kind::Job,
        "Service" => Kind::Service,
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => Kind::Webhook,
        _ => return None,
    })
}

/// What a manifest says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The workloads, in an order in which one builds on another.
    pub(super) owned: Vec<Owned>,
    /// Version of the chart, from the label that every chart made with Helm's own helper carries.
    pub(super) version: Option<String>,
}

/// Reads a manifest.
///
/// # Errors
/// When it is no YAML.
pub(super) fn of_manifest(manifest: &str, release_namespace: &str) -> Result<Manifest, String> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(manifest).map_err(|error| error.to_string().trim().to_owned())?;
    let mut found = Vec::new();
    for document in &documents {
        let items = document["items"].as_array().filter(|_| document["kind"] == "List");
        let objects = items.map_or_else(|| vec![document], |items| items.iter().collect());
        found.extend(objects.into_iter().flat_map(|object| of_object(object, release_namespace)));
    }
    found.sort_by_key(|owned| owned.kind);
    let charts = documents.iter().filter_map(|it| it["metadata"]["labels"]["helm.sh/chart"].as_str());
    let version = charts.filter_map(chart_version).next();
    Ok(Manifest { owned: found, version })
}

/// The version in `name-1.2.3`; a name may have dashes and digits of its own.
fn chart_version(chart: &str) -> Option<String> {
    let at = chart.match_indices('-').map(|(at, _)| at + 1);
    let mut versions = at.map(|at| &chart[at..]).filter(|rest| {
        let major = rest.split('.').next().unwrap_or("");
        rest.contains('.') && !major.is_empty() && major.bytes().all(|byte| byte.is_ascii_digit())
    });
    versions.next().map(str::to_owned)
}

/// The workloads that one object makes: one, or for a webhook configuration one for each Service.
pub(super) fn of_object(object: &Value, release_namespace: &str) -> Vec<Owned> {
    let word = object["kind"].as_str().unwrap_or("");
    let Some(kind) = kind(word) else {
        return Vec::new();
    };
    let clusterwide = matches!(kind, Kind::Definition | Kind::Webhook);
    let namespace = match object["metadata"]["namespace"].as_str() {
        _ if clusterwide => "",
        Some(namespace) => namespace,
        None => release_namespace,
    };
    let name = object["metadata"]["name"].as_str().unwrap_or("").to_owned();
    let owned = Owned {
        kind,
        word: word.to_owned(),
        namespace: namespace.to_owned(),
        name: name.clone(),
        none_wanted: object["spec"]["replicas"] == 0,
        service: None,
    };
    match kind {
        Kind::Service => {
            // Without a selector somebody else writes its endpoints, and an external name has none.
            let selects = object["spec"]["selector"].as_object().is_some_and(|it| !it.is_empty());
            if !selects || object["spec"]["type"] == "ExternalName" {
                return Vec::new();
            }
            vec![Owned { service: Some((namespace.to_owned(), name)), ..owned }]
        }
        Kind::Webhook => {
            let mut services: Vec<(String, String)> = object["webhooks"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|webhook| {
                    let service = &webhook["clientConfig"]["service"];
                    Some((service["namespace"].as_str()?.to_owned(), service["name"].as_str()?.to_owned()))
                })
                .collect();
            services.dedup();
            services.into_iter().map(|service| Owned { service: Some(service), ..owned.clone() }).collect()
        }
        _ => vec![owned],
    }
}

impl Owned {
    /// Path of the collection in which it is seen, and the query that leaves the rest out.
    pub(super) fn place(&self) -> (String, (&'static str, String)) {
        let by_name = ("fieldSelector", format!("metadata.name={}", self.name));
        let namespace = &self.namespace;
        let path = match self.kind {
            Kind::Definition => "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned(),
            Kind::Claim => format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims"),
            Kind::Deployment => format!("/apis/apps/v1/namespaces/{namespace}/deployments"),
            Kind::StatefulSet => format!("/apis/apps/v1/namespaces/{namespace}/statefulsets"),
            Kind::DaemonSet => format!("/apis/apps/v1/namespaces/{namespace}/daemonsets"),
            Kind::Job => format!("/apis/batch/v1/namespaces/{namespace}/jobs"),
            Kind::Service | Kind::Webhook => {
                let (namespace, service) = self.service.clone().unwrap_or_default();
                return (
                    format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"),
                    ("labelSelector", format!("kubernetes.io/service-name={service}")),
                );
            }
        };
        (path, by_name)
    }

    /// `StatefulSet shop/db`.
    pub(super) fn described(&self) -> String {
        let Self { word, namespace, name, .. } = self;
        if namespace.is_empty() { format!("{word} {name}") } else { format!("{word} {namespace}/{name}") }
    }

    /// The verdict on what was found at its place.
    pub(super) fn judge(&self, found: &BTreeMap<String, Value>) -> State {
        if let Some((_, service)) = &self.service {
            return endpoints(service, found.values());
        }
        let Some(object) = found.values().find(|it| it["metadata"]["name"] == self.name.as_str()) else {
            return State::Failed("it is not there".into());
        };
        let (generation, observed) = (
            object["metadata"]["generation"].as_i64().unwrap_or(0),
            object["status"]["observedGeneration"].as_i64().unwrap_or(0),
        );
        let counted = matches!(self.kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet);
        if counted && observed < generation {
            return State::Waiting(format!(
                "it is at generation {generation} and its status is about generation {observed}"
            ));
        }
        match self.kind {
            Kind::Definition => condition_state(object, "Established"),
            Kind::Claim => claim(object),
            Kind::Deployment => self.deployment(object),
            Kind::StatefulSet => self.stateful_set(object),
            Kind::DaemonSet => daemon_set(object),
            Kind::Job => job(object),
            Kind::Service | Kind::Webhook => State::Waiting("nothing is known of its endpoints".into()),
        }
    }

    /// `None` when as many are wanted as there should be, or else the verdict on none.
    fn none(&self, desired: u64) -> Option<State> {
        match (desired, self.none_wanted) {
            (0, true) => Some(State::Ready("no replica is wanted".into())),
            (0, false) => Some(State::Failed("it is scaled to 0 replicas".into())),
            _ => None,
        }
    }

    fn deployment(&self, object: &Value) -> State {
        let (spec, status) = (&object["spec"], &object["status"]);
        let desired = spec["replicas"].as_u64().unwrap_or(1);
        if let Some(state) = self.none(desired) {
            return state;
        }
        let [all, updated, available] =
            ["replicas", "updatedReplicas", "availableReplicas"].map(|field| number(&status[field]));
        let words = format!("{available} of {desired} replicas available, {updated} updated");
        if updated >= desired && all <= updated && available >= updated {
            State::Ready(words)
        } else {
            State::Waiting(words)
        }
    }

    fn stateful_set(&self, object: &Value) -> State {
        let (spec, status) = (&object["spec"], &object["status"]);
        let desired = spec["replicas"].as_u64().unwrap_or(1);
        if let Some(state) = self.none(desired) {
            return state;
        }
        let [ready, updated] = ["readyReplicas", "updatedReplicas"].map(|field| number(&status[field]));
        let words = format!("{ready} of {desired} replicas ready, {updated} updated");
        // Nobody rolls it out but whoever deletes its pods.
        let on_delete = spec["updateStrategy"]["type"] == "OnDelete";
        let partition = spec["updateStrategy"]["rollingUpdate"]["partition"].as_u64().unwrap_or(0);
        let current = on_delete
            || partition > 0 && updated >= desired.saturating_sub(partition)
            || partition == 0 && status["updateRevision"] == status["currentRevision"];
        if ready >= desired && current { State::Ready(words) } else { State::Waiting(words) }
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn daemon_set(object: &Value) -> State {
    let status = &object["status"];
    let [desired, updated, available, misplaced] =
        ["desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberMisscheduled"]
            .map(|field| number(&status[field]));
    let words = format!("{available} of {desired} nodes have it available, {updated} updated");
    let updated = updated >= desired || object["spec"]["updateStrategy"]["type"] == "OnDelete";
    match desired {
        0 if misplaced == 0 => State::Waiting("no node takes it".into()),
        _ if updated && available >= desired => State::Ready(words),
        _ => State::Waiting(words),
    }
}

/// The condition of this type, if it is true: its reason and message.
fn holds(object: &Value, of: &str) -> Option<String> {
    let conditions = object["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|it| it["type"] == of && it["status"] == "True")?;
    let text = |field: &str| found[field].as_str().unwrap_or("").to_owned();
    Some(format!("{}: {}", text("reason"), text("message")).trim_matches([':', ' ']).to_owned())
}

fn condition_state(object: &Value, of: &str) -> State {
    match holds(object, of) {
        Some(_) => State::Ready(format!("{of}=True")),
        None => State::Waiting(format!("{of} is not true")),
    }
}

fn job(object: &Value) -> State {
    if let Some(why) = holds(object, "Failed") {
        return State::Failed(format!("it failed: {why}"));
    }
    let wanted = object["spec"]["completions"].as_u64().unwrap_or(1);
    let words = format!("{} of {wanted} completions", number(&object["status"]["succeeded"]));
    match holds(object, "Complete") {
        Some(_) => State::Ready(words),
        None if object["spec"]["suspend"] == true => State::Failed(format!("it is suspended, {words}")),
        None => State::Waiting(words),
    }
}

fn claim(object: &Value) -> State {
    match object["status"]["phase"].as_str() {
        Some("Bound") => State::Ready("Bound".into()),
        Some("Lost") => State::Failed("Lost: its volume is gone".into()),
        phase => State::Waiting(phase.unwrap_or("Pending").to_owned()),
    }
}

/// A Service with at least one ready endpoint.
fn endpoints<'v>(service: &str, slices: impl Iterator<Item = &'v Value>) -> State {
    let (mut ready, mut all) = (0_u32, 0_u32);
    for endpoint in slices.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten()) {
        all += 1;
        // Not known counts as ready, as the API has it.
        ready += u32::from(endpoint["conditions"]["ready"] != false);
    }
    let words = format!("Service {service} has {ready} of {all} endpoints ready");
    match (ready, all) {
        (0, 0) => State::Waiting(format!("Service {service} has no endpoints")),
        (0, _) => State::Waiting(words),
        _ => State::Ready(words),
    }
}

#[cfg(test)]
#[path = "workloads_tests.rs"]
mod tests;
