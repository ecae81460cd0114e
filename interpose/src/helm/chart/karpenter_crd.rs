//! The chart that holds Karpenter's custom resource definitions as ordinary objects, so that Helm
//! upgrades them. Definitions that the main chart brought are owned by nobody, and Helm refuses them.

use serde_json::{Map, json};

use super::{Chart, Context, Rendered, karpenter};

/// The chart in one version.
pub(super) fn chart(version: &str) -> Chart {
    Chart {
        metadata: json!({
            "name": "karpenter-crd",
            "version": version,
            "description": "Custom resource definitions for trying installers",
            "apiVersion": "v2",
            "appVersion": version,
            "type": "application",
        }),
        values: Map::new(),
        crds: Vec::new(),
        notes: String::new(),
        render,
    }
}

fn render(_: &Context<'_>) -> Result<Vec<Rendered>, String> {
    Ok(karpenter::definitions().into_iter().map(|object| ("definitions.yaml", object)).collect())
}
