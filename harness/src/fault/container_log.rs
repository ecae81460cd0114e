//! Containers that are well by their probes, and whose logs say otherwise.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Done, Fault, Ground};
use crate::backend::{Capability, ClusterError};

/// Containers run and are ready, and write this when they start. Only those that start from then on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerLog {
    /// Part of the image's reference; Karpenter's controller when not given.
    image: Option<String>,
    /// What they write.
    log: String,
}

impl ContainerLog {
    fn image(&self) -> &str {
        self.image.as_deref().unwrap_or(super::containers::CONTROLLER)
    }
}

impl Fault for ContainerLog {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Images]
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            let images = ground.cluster.images();
            let images = images
                .ok_or_else(|| ClusterError::new("write a log: this backend does not control images"))?;
            images.set_log(self.image(), self.log.clone());
            Ok(())
        })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            if let Some(images) = ground.cluster.images() {
                images.set_log(self.image(), "");
            }
            Ok(())
        })
    }
}
