//! What each state of the release asks for, said and not done: the counterpart of [`super::act`].

use super::{Gate, Work};
use crate::duration;
use crate::helm::{Release, ReleaseStatus, Revision};
use crate::phases::right_endpoint;
use crate::release::Change;
use crate::result::{Blocker, PlannedAction, PlannedStep, typed};

impl Work<'_, '_> {
    /// Plans what `act` would do. Whether that is more than to leave the release as it is.
    pub(crate) async fn plan(&mut self, gate: &mut impl Gate) -> Result<bool, Vec<Blocker>> {
        let Some(release) = self.find().await? else {
            gate.before(Change::Setup).await?;
            right_endpoint(self.run, self.cluster).await?;
            self.plan_upgrade(PlannedAction::Make, "there is no such release", None);
            return Ok(true);
        };
        let is = format!("it is {} at revision {}", release.word, release.revision);
        match release.status {
            ReleaseStatus::Deployed => {
                self.run.plan(self.step(PlannedAction::Keep, &self.named(), &is));
                return Ok(false);
            }
            ReleaseStatus::Unknown => return Err(vec![self.unknown(&release)]),
            ReleaseStatus::Failed => {
                let keep = self.user_values().await?;
                gate.before(Change::Repair).await?;
                right_endpoint(self.run, self.cluster).await?;
                let why = match release.description.as_str() {
                    "" => is,
                    said => format!("{is}: {said}"),
                };
                self.plan_upgrade(PlannedAction::Change, &why, keep.as_ref());
            }
            ReleaseStatus::PendingInstall
            | ReleaseStatus::PendingUpgrade
            | ReleaseStatus::PendingRollback => match self.young(&release) {
                Some(left) => {
                    let left = duration::go(left.min(self.run.settings.limits.ready_timeout));
                    let why = format!("{is}: somebody may be at work on it; waited for up to {left}");
                    self.run.plan(self.step(PlannedAction::Wait, &self.named(), &why));
                }
                None => self.plan_unlock(gate, &release, &is).await?,
            },
            ReleaseStatus::Uninstalling => {
                gate.before(Change::Setup).await?;
                right_endpoint(self.run, self.cluster).await?;
                let step = self.step(PlannedAction::Remove, &self.named(), &format!("{is}, half gone"));
                self.run.plan(step.command(typed("helm", &self.helm.uninstall_args())));
                self.plan_upgrade(PlannedAction::Make, "the one before it is uninstalled first", None);
            }
            ReleaseStatus::Superseded | ReleaseStatus::Uninstalled => {
                let superseded = release.status == ReleaseStatus::Superseded;
                let keep = if superseded { self.user_values().await? } else { None };
                gate.before(Change::Setup).await?;
                right_endpoint(self.run, self.cluster).await?;
                self.plan_upgrade(PlannedAction::Make, &is, keep.as_ref());
            }
        }
        Ok(true)
    }

    /// Plans what is waited for once the release is deployed.
    pub(crate) fn plan_readiness(&self, what: &str) {
        let limits = &self.run.settings.limits;
        let (span, limit) = (duration::go(limits.stable_span), duration::go(limits.ready_timeout));
        let why = format!("done only when Ready for {span} without a break, within {limit}");
        self.run.plan(self.step(PlannedAction::Wait, what, &why));
    }

    fn step(&self, action: PlannedAction, what: &str, why: &str) -> PlannedStep {
        PlannedStep::new(self.phase, action, what, why)
    }

    /// The release, as one says it.
    fn named(&self) -> String {
        format!("release {}/{}", self.helm.namespace, self.helm.chart.release)
    }

    fn plan_upgrade(&self, action: PlannedAction, why: &str, keep: Option<&serde_json::Value>) {
        let chart = &self.helm.chart;
        let version = chart.version.as_deref().unwrap_or("(newest)");
        let what = format!("{} from {} {version}", self.named(), chart.reference);
        let kept = keep.and_then(serde_json::Value::as_object).map_or(0, serde_json::Map::len);
        let why = match kept {
            0 => why.to_owned(),
            1 => format!("{why}; the value that somebody has set is kept"),
            kept => format!("{why}; the {kept} values that somebody has set are kept"),
        };
        let (args, _) = self.helm.upgrade_call(keep);
        self.run.plan(self.step(action, &what, &why).command(typed("helm", &args)));
    }

    async fn plan_unlock(
        &mut self,
        gate: &mut impl Gate,
        release: &Release,
        is: &str,
    ) -> Result<(), Vec<Blocker>> {
        let keep = self.user_values().await?;
        gate.before(Change::Repair).await?;
        right_endpoint(self.run, self.cluster).await?;
        let timeout = duration::go(self.run.settings.limits.helm_timeout);
        let why = format!("{is} for longer than {timeout}: the lock is stale");
        match self.good_revision(release).await? {
            Some(Revision { revision, .. }) => {
                let what = format!("{}, back to revision {revision}", self.named());
                let step = self.step(PlannedAction::Change, &what, &why);
                self.run.plan(step.command(typed("helm", &self.helm.rollback_args(revision))));
                self.plan_upgrade(PlannedAction::Change, "the lock is taken off first", keep.as_ref());
            }
            None => {
                let why = format!("{why}, and nothing was ever deployed");
                let step = self.step(PlannedAction::Remove, &self.named(), &why);
                self.run.plan(step.command(typed("helm", &self.helm.uninstall_args())));
                self.plan_upgrade(PlannedAction::Make, "the lock is taken off first", keep.as_ref());
            }
        }
        Ok(())
    }
}
