//! Credentials that the API server does not accept.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Done, Fault, Ground};
use crate::backend::Capability;

/// The installer's token is unknown to the API server, as after an expiry: every request is answered 401.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unauthorized {}

impl Fault for Unauthorized {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Credentials]
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        ground.cluster.authorized(false)
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        ground.cluster.authorized(true)
    }
}
