//! What the state of a release asks for. Decided in one place: [`act`](super::act) does it and
//! [`plan`](super::plan) says it.

use std::time::Duration;

use serde_json::Value;

use super::change::Change;
use super::{Gate, Work};
use crate::helm::{Release, ReleaseStatus, Revision};
use crate::result::Blocker;

/// What to do about a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is as it should be.
    Keep,
    /// `helm upgrade --install`.
    Upgrade {
        /// As what.
        change: Change,
        /// Whether there are values that somebody has set, which it keeps.
        values: bool,
    },
    /// Somebody may be at work on it; it is this long until its lock is stale.
    Wait(Duration),
    /// Its lock is stale and comes off; the repair follows.
    Unlock,
    /// The uninstall that somebody began comes to its end; the installation follows.
    FinishUninstall,
    /// Helm does not know what it is: nothing is done.
    Refuse,
}

/// How a stale lock comes off.
#[derive(Clone, Debug)]
pub(super) enum Unlocking {
    /// Back to this revision, so that the history stays.
    RollBack(Revision),
    /// Nothing was ever deployed: there is no history to lose.
    Uninstall,
}

impl Work<'_, '_> {
    /// Decides by what was read. `unlocked` says that this run has taken its lock off: what is deployed then
    /// is the old revision, and the repair is still to come.
    pub(super) fn decide(&self, release: Option<&Release>, unlocked: bool) -> Decision {
        let Some(release) = release else {
            return Decision::Upgrade { change: Change::Setup, values: false };
        };
        match release.status {
            ReleaseStatus::Deployed if !unlocked => Decision::Keep,
            ReleaseStatus::Deployed | ReleaseStatus::Failed => {
                Decision::Upgrade { change: Change::Repair, values: true }
            }
            ReleaseStatus::PendingInstall
            | ReleaseStatus::PendingUpgrade
            | ReleaseStatus::PendingRollback => match self.young(release) {
                Some(left) => Decision::Wait(left),
                None => Decision::Unlock,
            },
            ReleaseStatus::Uninstalling => Decision::FinishUninstall,
            ReleaseStatus::Superseded => Decision::Upgrade { change: Change::Setup, values: true },
            ReleaseStatus::Uninstalled => Decision::Upgrade { change: Change::Setup, values: false },
            ReleaseStatus::Unknown => Decision::Refuse,
        }
    }

    /// What comes before a change: the values that it keeps are read, unless they are `known`, and the gate
    /// says that it may be made.
    pub(super) async fn prepare(
        &mut self,
        gate: &mut impl Gate,
        decision: Decision,
        known: Option<Value>,
    ) -> Result<Option<Value>, Vec<Blocker>> {
        let (change, values) = match decision {
            Decision::Upgrade { change, values } => (change, values),
            Decision::Unlock => (Change::Repair, true),
            Decision::FinishUninstall => (Change::Setup, false),
            Decision::Keep | Decision::Wait(_) | Decision::Refuse => return Ok(known),
        };
        let keep = match known {
            None if values => self.user_values().await?,
            known => known,
        };
        gate.before(change).await?;
        Ok(keep)
    }

    /// How long until a pending release counts as stale; `None` when it does already. A release whose
    /// age is not known counts as young: somebody may be at work.
    fn young(&self, release: &Release) -> Option<Duration> {
        let timeout = self.run.settings.limits.helm_timeout;
        let Some(age) = release.last_deployed.and_then(|since| self.run.age(since)) else {
            return Some(timeout);
        };
        (age < timeout).then(|| timeout - age)
    }

    /// How the lock of this release comes off.
    pub(super) async fn unlocking(&self, release: &Release) -> Result<Unlocking, Vec<Blocker>> {
        let history = self.helm.history().await.map_err(|error| vec![error.blocker(&self.helm.chart)])?;
        let older = || history.iter().rev().filter(|entry| entry.revision < release.revision);
        let good = older()
            .find(|entry| matches!(entry.status, ReleaseStatus::Deployed | ReleaseStatus::Superseded))
            // Without a good one, a failed one still keeps the history; the repair follows.
            .or_else(|| older().find(|entry| entry.status == ReleaseStatus::Failed));
        Ok(good.cloned().map_or(Unlocking::Uninstall, Unlocking::RollBack))
    }
}
