//! The charts that the stand-in can install. Ours are written in Rust and rendered by it, since no
//! Go template engine is at hand; a chart is one file and one line in [`CATALOGUE`].

mod karpenter;
mod karpenter_crd;
mod stack;

use serde_json::{Map, Value, json};

use super::Failure;
use super::registry::Credentials;

/// One chart in all its versions.
struct Entry {
    /// OCI reference without the scheme.
    reference: &'static str,
    /// Versions, newest first.
    versions: &'static [&'static str],
    load: fn(&str) -> Chart,
}

const KARPENTER: &[&str] = &["1.8.3", "1.8.2", "1.8.1", "1.8.0", "1.7.4", "1.7.1", "1.6.5", "1.5.3"];

const STACK: &[&str] = &["2.1.0", "2.0.0"];

/// Charts by reference.
const CATALOGUE: &[Entry] = &[
    Entry { reference: "public.ecr.aws/karpenter/karpenter", versions: KARPENTER, load: karpenter::chart },
    Entry {
        reference: "public.ecr.aws/karpenter/karpenter-crd",
        versions: KARPENTER,
        load: karpenter_crd::chart,
    },
    Entry { reference: "registry.example.com/stack/web", versions: STACK, load: stack::web },
    Entry { reference: "registry.example.com/stack/database", versions: STACK, load: stack::database },
    Entry { reference: "registry.example.com/stack/agent", versions: STACK, load: stack::agent },
    Entry { reference: "registry.example.com/stack/migration", versions: STACK, load: stack::migration },
    Entry { reference: "registry.example.com/stack/guard", versions: STACK, load: stack::guard },
];

/// The template's file name, and the object that it makes.
type Rendered = (&'static str, Value);

/// A chart of one version.
pub(super) struct Chart {
    /// `name`, `version`, `appVersion`, `description`….
    pub(super) metadata: Value,
    /// Default values.
    pub(super) values: Map<String, Value>,
    /// Custom resource definitions: file name and object. Installed once, never changed or removed.
    pub(super) crds: Vec<(String, Value)>,
    /// Notes for the user.
    pub(super) notes: String,
    /// Renders all objects; the error is Helm's.
    pub(super) render: fn(&Context<'_>) -> Result<Vec<Rendered>, String>,
}

/// What templates see.
pub(super) struct Context<'a> {
    pub(super) release: &'a str,
    pub(super) namespace: &'a str,
    pub(super) version: &'a str,
    /// Defaults with the user's values over them.
    pub(super) values: &'a Map<String, Value>,
}

impl Context<'_> {
    /// A value by its path, such as `settings.clusterName`.
    pub(super) fn value(&self, path: &str) -> &Value {
        let mut place = &Value::Null;
        for (index, step) in path.split('.').enumerate() {
            place = if index == 0 { self.values.get(step).unwrap_or(&Value::Null) } else { &place[step] };
        }
        place
    }

    /// A text value; empty when absent or no text.
    pub(super) fn text(&self, path: &str) -> String {
        match self.value(path) {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(on) => on.to_string(),
            _ => String::new(),
        }
    }

    /// A map value; empty when absent.
    pub(super) fn map(&self, path: &str) -> Map<String, Value> {
        self.value(path).as_object().cloned().unwrap_or_default()
    }
}

/// Finds a chart by reference and version; also what Helm says on standard error meanwhile.
pub(super) fn locate(
    reference: &str,
    version: Option<&str>,
    credentials: &Credentials,
) -> Result<(Chart, String), Failure> {
    let Some(bare) = reference.strip_prefix("oci://") else {
        if std::path::Path::new(reference).exists() {
            return Err(Failure::NotHere(format!("a chart of one's own ({reference})")));
        }
        if let Some((repository, _)) = reference.split_once('/')
            && !reference.starts_with(['.', '/'])
        {
            return Err(Failure::said(format!("repo {repository} not found")));
        }
        return Err(Failure::said(format!("path \"{reference}\" not found")));
    };
    // A tag may stand in the reference itself.
    let (bare, tag) = match bare.rsplit_once(':') {
        Some((bare, tag)) if !tag.contains('/') => (bare, Some(tag)),
        _ => (bare, None),
    };
    let wanted = version.or(tag);
    let entry = CATALOGUE.iter().find(|entry| entry.reference == bare);
    let missing = |version: &str| Failure::said(format!("{bare}:{version}: not found"));
    let (host, repository) = bare.split_once('/').unwrap_or((bare, ""));
    if credentials.refused(host).map_err(|error| Failure::said(error.to_string()))? {
        let tag = wanted.unwrap_or("latest");
        return Err(Failure::said(format!(
            "unexpected status from HEAD request to https://{host}/v2/{repository}/manifests/{tag}: 403 Forbidden"
        )));
    }
    let entry = entry.ok_or_else(|| missing(wanted.unwrap_or("latest")))?;
    let found = match wanted {
        None => entry.versions[0],
        Some(wanted) => entry.versions.iter().find(|it| **it == wanted).ok_or_else(|| missing(wanted))?,
    };
    Ok(((entry.load)(found), format!("Pulled: {bare}:{found}\n")))
}

impl Chart {
    /// Name of the chart.
    pub(super) fn name(&self) -> &str {
        self.metadata["name"].as_str().unwrap_or_default()
    }

    /// The chart as Helm stores it with a release.
    pub(super) fn stored(&self) -> Value {
        let files: Vec<Value> = self
            .crds
            .iter()
            .map(|(name, object)| json!({ "name": format!("crds/{name}"), "data": data(&yaml(object)) }))
            .collect();
        json!({
            "metadata": self.metadata,
            "lock": null,
            "templates": [],
            "values": self.values,
            "schema": null,
            "files": files,
        })
    }

    /// The manifest of a release, in the order in which Helm installs.
    pub(super) fn manifest(
        &self,
        release: &str,
        namespace: &str,
        values: &Map<String, Value>,
    ) -> Result<String, Failure> {
        let version = self.metadata["version"].as_str().unwrap_or_default();
        let context = Context { release, namespace, version, values };
        let mut objects = (self.render)(&context).map_err(Failure::said)?;
        objects.sort_by_key(|(_, object)| crate::cluster::rank(object["kind"].as_str().unwrap_or("")));
        let documents = objects.iter().map(|(file, object)| {
            format!("---\n# Source: {}/templates/{file}\n{}", self.name(), yaml(object))
        });
        Ok(documents.collect())
    }
}

/// YAML of an object, with a newline at its end.
pub(super) fn yaml(object: &Value) -> String {
    let text = serde_saphyr::to_string(object).unwrap_or_default();
    format!("{}\n", text.trim_end())
}

fn data(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chart_that_is_compiled_in_can_be_read_and_rendered() {
        for entry in CATALOGUE {
            let chart = (entry.load)(entry.versions[0]);
            let mut values = chart.values.clone();
            values.insert("settings".into(), json!({ "clusterName": "x" }));
            let manifest = chart.manifest("karpenter", "kube-system", &values);
            let objects = super::super::objects::documents(&manifest.unwrap_or_default());
            let least = if entry.reference.contains("/stack/") { 1 } else { 4 };
            assert!(objects.is_ok_and(|it| it.len() >= least), "{}", entry.reference);
        }
        let chart = karpenter::chart("1.8.3");
        assert_eq!((chart.crds.len(), chart.values["replicas"].as_i64()), (4, Some(2)));
    }
}
