//! The backend itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use assets::{Minor, Places};
use futures::future::BoxFuture;

use super::cluster::Up;
use super::pool::Pool;
use crate::backend::shape::KUBERNETES;
use crate::backend::{Backend, Capability, Cluster, ClusterError, Missing};
use crate::duration::Span;
use crate::ledger;
use crate::scenario::{ClusterShape, Timeouts};

pub(in crate::backend) const NAME: &str = "control-plane";

/// How many control planes are tried for one cluster.
const ATTEMPTS: u32 = 3;

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
pub(super) fn minor(shape: &ClusterShape) -> Result<Minor, ClusterError> {
    let usual = format!("1.{KUBERNETES}");
    shape.kubernetes.as_deref().unwrap_or(&usual).parse().map_err(ClusterError::new)
}

impl Backend for ControlPlane {
    fn name(&self) -> &'static str {
        NAME
    }

    fn offers(&self) -> BTreeSet<Capability> {
        use Capability::{Credentials, Endpoint, Images, Nodes, Objects, Tap, Tools};
        [Objects, Nodes, Images, Tap, Endpoint, Credentials, Tools].into()
    }

    fn missing(&self, shapes: &[&ClusterShape]) -> Option<Missing> {
        let mut first = None;
        for minor in shapes.iter().filter_map(|shape| minor(shape).ok()) {
            match self.pool.found(Some(minor)) {
                Ok(_) => return None,
                Err(missing) => first = first.or(Some(missing)),
            }
        }
        first
    }

    fn lacks(&self, shape: &ClusterShape) -> Option<String> {
        if shape.clock.is_some() {
            return Some("its processes go by this machine's clock, which is the installer's too".to_owned());
        }
        match minor(shape) {
            Ok(minor) => self.pool.found(Some(minor)).err().map(|missing| missing.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// What the embedded cluster does in tens of milliseconds takes five processes tenths of seconds.
    fn pace(&self) -> u32 {
        4
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
            let minor = Some(minor(shape)?);
            let mut attempt = 1;
            loop {
                let taken = self.pool.take(minor).await?;
                match Up::new(self.pool.clone(), minor, taken, shape).await {
                    Ok(up) => {
                        let up: Box<dyn Cluster> = Box::new(up);
                        return Ok(up);
                    }
                    // On a crowded machine a component gives up on one that is slow; another one may not.
                    Err(_) if attempt < ATTEMPTS => attempt += 1,
                    Err(error) => return Err(error),
                }
            }
        })
    }
}
