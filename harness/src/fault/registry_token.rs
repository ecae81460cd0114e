//! A chart registry that refuses a token that has expired.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Done, Fault, Ground};
use crate::backend::Capability;

/// Helm holds an expired token for a registry, which answers 403 until `helm registry logout`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistryTokenExpired {
    /// Host of the registry; `public.ecr.aws` when not given.
    host: Option<String>,
}

impl RegistryTokenExpired {
    fn host(&self) -> &str {
        self.host.as_deref().unwrap_or("public.ecr.aws")
    }
}

impl Fault for RegistryTokenExpired {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Tools]
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            ground.tools.change(|plan| plan.registry.expired_tokens.push(self.host().to_owned()))
        })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            ground.tools.change(|plan| plan.registry.expired_tokens.retain(|host| host != self.host()))
        })
    }
}
