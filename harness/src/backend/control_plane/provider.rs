//! The backend itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use assets::{Minor, Places, Wanted};
use futures::future::BoxFuture;

use super::cluster::Up;
use super::pool::Pool;
use crate::backend::{Backend, Capability, Cluster, ClusterError, Missing};
use crate::duration::Span;
use crate::ledger;
use crate::scenario::{ClusterShape, Timeouts};

pub(in crate::backend) const NAME: &str = "control-plane";

/// Real control planes, started once and used again for one scenario after the other.
pub struct ControlPlane {
    pool: Arc<Pool>,
}

impl Default for ControlPlane {
    fn default() -> Self {
        Self::new(Places::from_env(), &ledger::folder())
    }
}

impl ControlPlane {
    /// Made of executables from these places; `state` is the folder of the ledgers.
    #[must_use]
    pub fn new(places: Places, state: &Path) -> Self {
        Self { pool: Arc::new(Pool::new(places, state)) }
    }

    #[cfg(test)]
    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}

/// The minor version that a scenario asks for.
fn minor(shape: &ClusterShape) -> Result<Option<Minor>, ClusterError> {
    shape.kubernetes.as_deref().map(str::parse).transpose().map_err(ClusterError::new)
}

impl Backend for ControlPlane {
    fn name(&self) -> &'static str {
        NAME
    }

    fn offers(&self) -> BTreeSet<Capability> {
        use Capability::{Credentials, Endpoint, Objects, Tap, Tools};
        [Objects, Tap, Endpoint, Credentials, Tools].into()
    }

    fn missing(&self) -> Option<Missing> {
        let found = assets::find(self.pool.places(), &Wanted::control_plane(None), &mut |_| {});
        found.err().map(|error| Missing { what: error.to_string(), hint: error.hint() })
    }

    fn lacks(&self, shape: &ClusterShape) -> Option<String> {
        // A cluster without the nodes that were asked for would be taken for a failure of the installer.
        if shape.nodes != Some(0) {
            return Some("it has no nodes yet, only a control plane".to_owned());
        }
        if shape.clock.is_some() {
            return Some("it goes by this machine's clock".to_owned());
        }
        let wanted = match minor(shape) {
            Ok(Some(minor)) => Wanted::control_plane(Some(minor)),
            Ok(None) => return None,
            Err(error) => return Some(error.to_string()),
        };
        let found = assets::find(self.pool.places(), &wanted, &mut |_| {});
        found.err().map(|error| format!("{error}; {}", error.hint()))
    }

    /// Components of a real control plane take tenths of seconds to see what others did.
    fn timeouts(&self) -> Timeouts {
        Timeouts {
            node_wait: Some(Span::secs(3)),
            helm: None,
            ready: Some(Span::secs(10)),
            api: Some(Span::secs(5)),
            retry_budget: Some(Span::secs(6)),
            deadline: Some(Span::secs(120)),
        }
    }

    fn provision<'a>(
        &'a self,
        shape: &'a ClusterShape,
        _seed: u64,
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, ClusterError>> {
        Box::pin(async move {
            let minor = minor(shape)?;
            let plane = self.pool.take(minor).await?;
            let up: Box<dyn Cluster> = Box::new(Up::new(self.pool.clone(), minor, plane).await?);
            Ok(up)
        })
    }
}
