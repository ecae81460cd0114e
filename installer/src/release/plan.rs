//! What the state of a release asks for, said and not done: the counterpart of [`super::act`].

use super::decision::{Decision, Unlocking};
use super::{Gate, Work};
use crate::duration;
use crate::helm::{Release, ReleaseStatus, Revision};
use crate::phases::right_endpoint;
use crate::release::Change;
use crate::result::{Blocker, PlannedAction, PlannedStep, typed};

impl Work<'_, '_> {
    /// Plans what `act` would do. Whether that is more than to leave the release as it is.
    pub(crate) async fn plan(&mut self, gate: &mut impl Gate) -> Result<bool, Vec<Blocker>> {
        let release = self.find().await?;
        let is = release.as_ref().map_or_else(
            || "there is no such release".to_owned(),
            |release| format!("it is {} at revision {}", release.word, release.revision),
        );
        let decision = self.decide(release.as_ref(), false);
        let keep = self.prepare(gate, decision, None).await?;
        if matches!(decision, Decision::Upgrade { .. } | Decision::Unlock | Decision::FinishUninstall) {
            right_endpoint(self.run, self.cluster).await?;
        }
        match (decision, &release) {
            (Decision::Keep, _) => {
                self.run.plan(self.step(PlannedAction::Keep, &self.named(), &is));
                return Ok(false);
            }
            (Decision::Upgrade { change, .. }, release) => {
                let said = release.as_ref().filter(|it| it.status == ReleaseStatus::Failed);
                let why = match said.map_or("", |release| release.description.as_str()) {
                    "" => is,
                    said => format!("{is}: {said}"),
                };
                let action = match change {
                    Change::Setup => PlannedAction::Make,
                    Change::Repair => PlannedAction::Change,
                };
                self.plan_upgrade(action, &why, keep.as_ref());
            }
            (Decision::Wait(left), _) => {
                let left = duration::go(left.min(self.run.settings.limits.ready_timeout));
                let why = format!("{is}: somebody may be at work on it; waited for up to {left}");
                self.run.plan(self.step(PlannedAction::Wait, &self.named(), &why));
            }
            (Decision::Unlock, Some(release)) => self.plan_unlock(release, &is, keep.as_ref()).await?,
            (Decision::FinishUninstall, _) => {
                let step = self.step(PlannedAction::Remove, &self.named(), &format!("{is}, half gone"));
                self.run.plan(step.command(typed("helm", &self.helm.uninstall_args())));
                self.plan_upgrade(PlannedAction::Make, "the one before it is uninstalled first", None);
            }
            (Decision::Refuse, Some(release)) => return Err(vec![self.unknown(release)]),
            // A release that is not there is installed.
            (Decision::Unlock | Decision::Refuse, None) => {}
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
        release: &Release,
        is: &str,
        keep: Option<&serde_json::Value>,
    ) -> Result<(), Vec<Blocker>> {
        let timeout = duration::go(self.run.settings.limits.helm_timeout);
        let why = format!("{is} for longer than {timeout}: the lock is stale");
        match self.unlocking(release).await? {
            Unlocking::RollBack(Revision { revision, .. }) => {
                let what = format!("{}, back to revision {revision}", self.named());
                let step = self.step(PlannedAction::Change, &what, &why);
                self.run.plan(step.command(typed("helm", &self.helm.rollback_args(revision))));
                self.plan_upgrade(PlannedAction::Change, "the lock is taken off first", keep);
            }
            Unlocking::Uninstall => {
                let why = format!("{why}, and nothing was ever deployed");
                let step = self.step(PlannedAction::Remove, &self.named(), &why);
                self.run.plan(step.command(typed("helm", &self.helm.uninstall_args())));
                self.plan_upgrade(PlannedAction::Make, "the lock is taken off first", keep);
            }
        }
        Ok(())
    }
}
