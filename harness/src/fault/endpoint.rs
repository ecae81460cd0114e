//! An API server that nobody reaches.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Done, Fault, Ground};
use crate::backend::Capability;

/// The API server's endpoint is closed: connections are refused.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unreachable {}

impl Fault for Unreachable {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Endpoint]
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        ground.cluster.reachable(false)
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        ground.cluster.reachable(true)
    }
}
