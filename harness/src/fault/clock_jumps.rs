//! A cluster whose clock is set while it runs.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Done, Fault, Ground};
use crate::backend::{Capability, ClusterError};
use crate::duration::Span;

/// The cluster's clock is set, as on a machine whose clock was wrong until it was told the time: everything that the
/// cluster writes from now on is later or earlier by so much. What it waits for takes as long as before.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClockJumps {
    /// Forwards by this much.
    Forwards(Span),
    /// Back by this much.
    Back(Span),
}

impl ClockJumps {
    fn set(self, ground: &Ground<'_>, healing: bool) -> Result<(), ClusterError> {
        let clock = ground
            .cluster
            .clock()
            .ok_or_else(|| ClusterError::new("set the cluster's clock: it has none of its own"))?;
        let (Self::Forwards(Span(by)) | Self::Back(Span(by))) = self;
        let by = SignedDuration::try_from(by)
            .map_err(|error| ClusterError::new(format!("set the clock: {error}")))?;
        clock.set_by(if matches!(self, Self::Forwards(_)) == healing { -by } else { by });
        Ok(())
    }
}

impl Fault for ClockJumps {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Clock]
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move { self.set(&ground, false) })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move { self.set(&ground, true) })
    }
}
