//! Every object of a cluster at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use interpose::helm::storage;
use serde_json::{Value, json};

/// Objects by resource (`deployments.apps`), then by namespace (empty for cluster-scoped ones) and name.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    objects: BTreeMap<String, BTreeMap<(String, String), Arc<Value>>>,
}

/// A Helm release, read from its storage: every revision, oldest first.
#[derive(Clone, Debug)]
pub struct Release {
    /// Revisions.
    pub revisions: Vec<interpose::helm::Release>,
    /// Secrets that should hold a revision and cannot be read, with the reason.
    pub unreadable: Vec<String>,
}

impl Snapshot {
    /// Adds an object of a resource such as `deployments.apps`.
    pub fn insert(&mut self, resource: &str, object: Arc<Value>) {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key = (text("namespace"), text("name"));
        self.objects.entry(resource.to_owned()).or_default().insert(key, object);
    }

    /// One object; `namespace` is empty for cluster-scoped ones.
    #[must_use]
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<&Value> {
        let key = (namespace.to_owned(), name.to_owned());
        self.objects.get(resource)?.get(&key).map(AsRef::as_ref)
    }

    /// Every object of a resource, in order of namespace and name.
    pub fn of<'s>(&'s self, resource: &str) -> impl Iterator<Item = &'s Value> {
        self.objects.get(resource).into_iter().flat_map(BTreeMap::values).map(AsRef::as_ref)
    }

    /// The resources that it has, in order.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.objects.keys().map(String::as_str)
    }

    /// Whether it knows the resource at all.
    #[must_use]
    pub fn knows(&self, resource: &str) -> bool {
        self.objects.contains_key(resource)
    }

    /// The release of this name, `None` when there is no revision of it.
    #[must_use]
    pub fn release(&self, namespace: &str, name: &str) -> Option<Release> {
        let mut release = Release { revisions: Vec::new(), unreadable: Vec::new() };
        for secret in self.of("secrets") {
            let labels = &secret["metadata"]["labels"];
            if secret["metadata"]["namespace"] != namespace
                || labels["owner"] != "helm"
                || labels["name"] != name
            {
                continue;
            }
            match storage::decode(secret) {
                Ok(revision) => release.revisions.push(revision),
                Err(error) => {
                    release.unreadable.push(format!("{}: {error}", secret["metadata"]["name"]));
                }
            }
        }
        release.revisions.sort_by_key(|revision| revision.version);
        (!release.revisions.is_empty() || !release.unreadable.is_empty()).then_some(release)
    }
}

impl Release {
    /// What an expectation is compared with.
    #[must_use]
    pub fn describe(&self) -> Value {
        let newest = self.revisions.last();
        json!({
            "status": newest.map(|it| it.info.status.word()),
            "revision": newest.map(|it| it.version),
            "history": self.revisions.iter().map(|it| it.info.status.word()).collect::<Vec<_>>(),
            "values": newest.and_then(|it| it.config.clone()),
            "unreadable": self.unreadable,
        })
    }
}
