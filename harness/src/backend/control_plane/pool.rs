//! Control planes that are started once and used again and again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use assets::{ASSETS_VARIABLE, Found, Minor, Places, Unusable, Wanted};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::blueprint::Blueprint;
use super::plane::Plane;
use super::prepared;
use crate::backend::{ClusterError, Missing};
use crate::ledger::Ledger;

/// Executables, or why there are none.
type Looked = Result<Arc<Found>, Missing>;

/// How many control planes serve at the same time for each processor. Each is four processes, and a scenario that is swept
/// asks for many: with more of them none would answer in time.
const FOR_EACH_PROCESSOR: usize = 2;

/// A plane in use, and its place among those that may be.
pub(super) type Taken = (Plane, OwnedSemaphorePermit);

/// Control planes of one process. Dropping it kills those that nobody uses.
pub(super) struct Pool {
    places: Places,
    state: PathBuf,
    ledger: OnceCell<Ledger>,
    /// Executables are asked for their versions once; that takes as long as a reset.
    found: Mutex<BTreeMap<Option<Minor>, Looked>>,
    blueprints: Mutex<BTreeMap<Option<Minor>, Arc<OnceCell<Blueprint>>>>,
    idle: Mutex<Vec<(Option<Minor>, Plane)>>,
    places_to_serve: Arc<Semaphore>,
}

impl Pool {
    /// An empty pool whose planes are made of what is found in these places; `state` is the folder of ledgers.
    pub(super) fn new(places: Places, state: &Path) -> Self {
        Self {
            places,
            state: state.to_owned(),
            ledger: OnceCell::new(),
            found: Mutex::default(),
            blueprints: Mutex::default(),
            idle: Mutex::default(),
            places_to_serve: Arc::new(Semaphore::new(
                std::thread::available_parallelism().map_or(1, usize::from) * FOR_EACH_PROCESSOR,
            )),
        }
    }

    /// Executables of this version, or why there are none.
    pub(super) fn found(&self, minor: Option<Minor>) -> Looked {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let look = || {
            let wanted = Wanted::control_plane(minor);
            let find = |places: &Places| assets::find(places, &wanted, &mut |_| {});
            let missing = |error: assets::Error| Missing { what: error.to_string(), hint: error.hint() };
            let found = match find(&self.places) {
                // A scenario asks for its version; what is named is for whoever has no such wish.
                Err(assets::Error::Named { why: Unusable::OtherVersion { has, wanted }, .. })
                    if minor.is_some() =>
                {
                    find(&Places { assets: None, ..self.places.clone() }).map_err(|error| {
                        let named = format!("({ASSETS_VARIABLE} has {has}, and {wanted} is wanted)");
                        Missing { what: format!("{error} {named}"), hint: error.hint() }
                    })
                }
                other => other.map_err(missing),
            };
            found.map(Arc::new)
        };
        found.entry(minor).or_insert_with(look).clone()
    }

    /// A control plane in its first state, without controllers and scheduler: one that was used before, brought
    /// back, else a new one. One that cannot be brought back is thrown away. Waits while as many serve as may.
    pub(super) async fn take(&self, minor: Option<Minor>) -> Result<Taken, ClusterError> {
        let serving = self.places_to_serve.clone().acquire_owned().await;
        let serving =
            serving.map_err(|error| ClusterError::new(format!("wait for a control plane: {error}")))?;
        while let Some(mut plane) = self.used(minor) {
            if plane.reset().await.is_ok() {
                return Ok((plane, serving));
            }
        }
        let blueprint = self.blueprint(minor).await?;
        Ok((Plane::start(&blueprint, self.ledger().await?).await?, serving))
    }

    /// Gives one back, in whatever state.
    pub(super) fn give_back(&self, minor: Option<Minor>, plane: Plane) {
        if plane.alive().is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((minor, plane));
        }
    }

    fn used(&self, minor: Option<Minor>) -> Option<Plane> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let position = idle.iter().position(|(other, _)| *other == minor)?;
        Some(idle.swap_remove(position).1)
    }

    /// What planes of this version are started from.
    pub(super) async fn blueprint(&self, minor: Option<Minor>) -> Result<Blueprint, ClusterError> {
        let cell = {
            let mut blueprints = self.blueprints.lock().unwrap_or_else(PoisonError::into_inner);
            blueprints.entry(minor).or_default().clone()
        };
        let made = cell.get_or_try_init(|| async {
            let found = tokio::task::block_in_place(|| self.found(minor)).map_err(ClusterError::new)?;
            prepared::blueprint(&self.places.cache, found, self.ledger().await?).await
        });
        made.await.cloned()
    }

    pub(super) async fn ledger(&self) -> Result<&Ledger, ClusterError> {
        let open = || async {
            let name = format!("control-plane-{}-{:08x}", std::process::id(), fastrand::u32(..));
            Ledger::open(&self.state, &name).map_err(|error| {
                ClusterError::new(format!("write a ledger in {}: {error}", self.state.display()))
            })
        };
        self.ledger.get_or_try_init(open).await
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.idle.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        if let Some(ledger) = self.ledger.take() {
            // What is still owed stays for `cluster prune`.
            let _ = ledger.close();
        }
    }
}
