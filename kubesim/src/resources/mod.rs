//! Which resources are served: the built-in kinds, and one more for every CustomResourceDefinition
//! in the store.
//!
//! Custom resources are read from the store at every look-up rather than registered, so a definition
//! that arrives by any way (API, seeding, a restored state) is served, and one that goes is not.

mod custom;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use crate::store::{GroupResource, Store};

/// Group, names, verbs and scope of every built-in kind, as a 1.37 API server lists them in discovery.
const BUILTIN: &str = include_str!("builtin.tsv");

/// One served resource in one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: String,
    /// Version within the group, e.g. `v1`.
    pub version: String,
    /// Plural name, as in paths.
    pub plural: String,
    /// Singular name.
    pub singular: String,
    /// Kind.
    pub kind: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Short names such as `deploy`.
    pub short_names: Vec<String>,
    /// Categories such as `all`.
    pub categories: Vec<String>,
    /// Verbs, ordered by name.
    pub verbs: Vec<String>,
    /// Subresources, ordered by name.
    pub subresources: Vec<Subresource>,
    /// For a custom resource: the entry of `spec.versions` that serves it.
    pub custom: Option<Arc<Value>>,
}

/// One subresource, e.g. `status` or `scale`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// Name, without the parent's.
    pub name: String,
    /// Kind that it reads or writes.
    pub kind: String,
    /// Group of that kind.
    pub group: String,
    /// Version of that kind.
    pub version: String,
    /// Verbs, ordered by name.
    pub verbs: Vec<String>,
}

impl Resource {
    /// `group/version`, or the version alone for the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Where its objects are stored. `events.k8s.io` and core events are the same objects.
    #[must_use]
    pub fn storage(&self) -> GroupResource {
        let group = if self.group == "events.k8s.io" { "" } else { &self.group };
        GroupResource::new(group, &self.plural)
    }

    /// Whether writes to the main resource leave `status` alone.
    #[must_use]
    pub fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }

    /// One of its subresources.
    #[must_use]
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }

    /// Kind of its lists.
    #[must_use]
    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }
}

/// `group/version`, or the version alone for the core group.
#[must_use]
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Splits `apps/v1` or `v1` into group and version.
#[must_use]
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// A group and its versions, preferred first.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Name; empty for the core group.
    pub name: String,
    /// Versions with their resources, preferred version first.
    pub versions: Vec<(String, Vec<Arc<Resource>>)>,
}

static BUILTINS: LazyLock<Vec<Arc<Resource>>> = LazyLock::new(|| parse_builtins(BUILTIN));

/// The built-in resources, in the order of discovery.
#[must_use]
pub fn builtins() -> &'static [Arc<Resource>] {
    &BUILTINS
}

fn parse_builtins(table: &str) -> Vec<Arc<Resource>> {
    let list = |field: &str| match field {
        "-" => Vec::new(),
        names => names.split(',').map(str::to_owned).collect(),
    };
    let mut resources: Vec<Resource> = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [gv, name, kind, scope, singular, short, categories, verbs, other] = fields[..] else {
            continue;
        };
        let (group, version) = split_api_version(gv);
        let verbs = parse_verbs(verbs);
        if let Some((parent, subresource)) = name.split_once('/') {
            let (group, version) = if other == "-" { (group, version) } else { split_api_version(other) };
            if let Some(parent) = resources.iter_mut().rev().find(|r| r.plural == parent) {
                parent.subresources.push(Subresource {
                    name: subresource.to_owned(),
                    kind: kind.to_owned(),
                    group: group.to_owned(),
                    version: version.to_owned(),
                    verbs,
                });
            }
            continue;
        }
        resources.push(Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: name.to_owned(),
            singular: singular.to_owned(),
            kind: kind.to_owned(),
            namespaced: scope == "N",
            short_names: list(short),
            categories: list(categories),
            verbs,
            subresources: Vec::new(),
            custom: None,
        });
    }
    resources.into_iter().map(Arc::new).collect()
}

fn parse_verbs(letters: &str) -> Vec<String> {
    let verbs = letters.chars().filter_map(|letter| {
        Some(match letter {
            'c' => "create",
            'd' => "delete",
            'D' => "deletecollection",
            'g' => "get",
            'l' => "list",
            'p' => "patch",
            'u' => "update",
            'w' => "watch",
            _ => return None,
        })
    });
    let mut verbs: Vec<String> = verbs.map(str::to_owned).collect();
    verbs.sort_unstable();
    verbs
}

/// Every served resource of a cluster.
#[derive(Clone)]
pub struct Registry {
    store: Store,
}

impl Registry {
    /// The built-in resources and those that the definitions in `store` add.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The resource that a path names.
    #[must_use]
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let same = |r: &&Arc<Resource>| r.group == group && r.version == version && r.plural == plural;
        BUILTINS.iter().find(same).cloned().or_else(|| {
            let definition = self.store.get(&custom::definitions(), "", &format!("{plural}.{group}"))?;
            custom::served(&definition).into_iter().find(|r| r.version == version).map(Arc::new)
        })
    }

    /// The resource that serves a kind.
    #[must_use]
    pub fn find_kind(&self, group: &str, version: &str, kind: &str) -> Option<Arc<Resource>> {
        let same = |r: &&Arc<Resource>| r.group == group && r.version == version && r.kind == kind;
        BUILTINS.iter().find(same).cloned().or_else(|| self.custom().into_iter().find(|r| same(&r)))
    }

    /// Every custom resource in every served version.
    #[must_use]
    pub fn custom(&self) -> Vec<Arc<Resource>> {
        let (definitions, _) = self.store.list(&custom::definitions(), None);
        definitions.iter().flat_map(|definition| custom::served(definition)).map(Arc::new).collect()
    }

    /// Everything that is served: the core group first, then the other built-in groups, then the
    /// groups of custom resources by name.
    #[must_use]
    pub fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for resource in BUILTINS.iter() {
            add(&mut groups, resource.clone());
        }
        let mut by_group: BTreeMap<String, Vec<Arc<Resource>>> = BTreeMap::new();
        for resource in self.custom() {
            by_group.entry(resource.group.clone()).or_default().push(resource);
        }
        for mut resources in by_group.into_values() {
            resources.sort_by(|a, b| {
                custom::by_priority(&a.version, &b.version).then_with(|| a.plural.cmp(&b.plural))
            });
            for resource in resources {
                add(&mut groups, resource);
            }
        }
        groups
    }
}

fn add(groups: &mut Vec<Group>, resource: Arc<Resource>) {
    let index = groups.iter().position(|group| group.name == resource.group).unwrap_or_else(|| {
        groups.push(Group { name: resource.group.clone(), versions: Vec::new() });
        groups.len() - 1
    });
    let versions = &mut groups[index].versions;
    match versions.iter_mut().find(|(version, _)| *version == resource.version) {
        Some((_, resources)) => resources.push(resource),
        None => versions.push((resource.version.clone(), vec![resource])),
    }
}
