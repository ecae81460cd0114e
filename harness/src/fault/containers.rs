//! Containers that do not do what they should, by the image that they run.

use std::time::Duration;

use kubesim::kubelet::Behaviour;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Done, Fault, Ground};
use crate::backend::{Capability, Cluster, ClusterError};
use crate::duration::Span;

/// Part of the image reference of Karpenter's controller.
pub(super) const CONTROLLER: &str = "karpenter/controller";

fn behave(
    cluster: &dyn Cluster,
    image: Option<&str>,
    behaviour: Option<Behaviour>,
) -> Result<(), ClusterError> {
    let images = cluster.images();
    let images =
        images.ok_or_else(|| ClusterError::new("change what images do: this backend does not control it"))?;
    let image = image.unwrap_or(CONTROLLER);
    match behaviour {
        Some(behaviour) => images.set(image, behaviour),
        None => images.unset(image),
    }
    Ok(())
}

macro_rules! by_image {
    ($fault:ty) => {
        impl Fault for $fault {
            fn needs(&self) -> &'static [Capability] {
                &[Capability::Images]
            }

            fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
                Box::pin(async move {
                    behave(ground.cluster, self.image.as_deref(), Some(self.behaviour(ground.pace)))?;
                    ground.cluster.settled().await;
                    Ok(())
                })
            }

            fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
                Box::pin(async move {
                    behave(ground.cluster, self.image.as_deref(), None)?;
                    ground.cluster.settled().await;
                    Ok(())
                })
            }
        }
    };
}

/// An image cannot be pulled.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CannotBePulled {
    /// Part of the image's reference; Karpenter's controller when not given.
    image: Option<String>,
    /// What the container runtime says; that the registry refuses the pull when not given.
    error: Option<String>,
}

impl CannotBePulled {
    fn behaviour(&self, _pace: u32) -> Behaviour {
        let refused = "failed to pull and unpack image: failed to resolve reference: unexpected status from HEAD \
                       request: 403 Forbidden";
        Behaviour::CannotPull { error: self.error.clone().unwrap_or_else(|| refused.to_owned()) }
    }
}

by_image!(CannotBePulled);

/// A container starts, writes a log and exits, again and again.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CrashLoop {
    /// Part of the image's reference; Karpenter's controller when not given.
    image: Option<String>,
    /// What it writes each time.
    log: String,
    /// Its exit code; 1 when not given.
    exit_code: Option<i32>,
    /// How long it lives each time; `100ms` when not given.
    after: Option<Span>,
}

impl CrashLoop {
    fn behaviour(&self, pace: u32) -> Behaviour {
        Behaviour::CrashLoop {
            log: self.log.clone(),
            exit_code: self.exit_code.unwrap_or(1),
            after: self.after.unwrap_or(Span::millis(100)).times(pace).0,
        }
    }
}

by_image!(CrashLoop);

/// A container runs, and its readiness probe fails for ever.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NeverReady {
    /// Part of the image's reference; Karpenter's controller when not given.
    image: Option<String>,
    /// What the probe says; `HTTP probe failed with statuscode: 503` when not given.
    probe: Option<String>,
}

impl NeverReady {
    fn behaviour(&self, _pace: u32) -> Behaviour {
        let usual = "HTTP probe failed with statuscode: 503";
        Behaviour::NeverReady { probe: self.probe.clone().unwrap_or_else(|| usual.to_owned()) }
    }
}

by_image!(NeverReady);

/// A container runs, and its readiness probe succeeds only after a while.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlowStart {
    /// Part of the image's reference; Karpenter's controller when not given.
    image: Option<String>,
    /// How long it takes.
    after: Span,
}

impl SlowStart {
    fn behaviour(&self, pace: u32) -> Behaviour {
        Behaviour::ReadyAfter(self.after.times(pace).0)
    }
}

by_image!(SlowStart);

/// A container ends at once, again and again, while a custom resource definition is not there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NeedsDefinition {
    /// Part of the image's reference; Karpenter's controller when not given.
    image: Option<String>,
    /// Name of the definition, such as `nodeclaims.karpenter.sh`.
    name: String,
    /// What it writes each time it ends without it.
    log: String,
}

impl NeedsDefinition {
    fn behaviour(&self, _pace: u32) -> Behaviour {
        let otherwise =
            Behaviour::CrashLoop { log: self.log.clone(), exit_code: 2, after: Duration::from_millis(100) };
        Behaviour::Needs {
            resource: "customresourcedefinitions.apiextensions.k8s.io".into(),
            name: self.name.clone(),
            otherwise: Box::new(otherwise),
        }
    }
}

by_image!(NeedsDefinition);
