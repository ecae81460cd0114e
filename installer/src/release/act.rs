//! What each state of the release asks for.

use std::time::Duration;

use serde_json::Value;

use super::decision::Decision;
use super::{Gate, Work};
use crate::duration;
use crate::helm::{Release, ReleaseStatus};
use crate::result::{Blocker, Code};

/// No sound sequence of states is longer; a longer one is somebody else at work on the release.
const STEPS: usize = 8;

impl Work<'_, '_> {
    /// Reads the release, where it is configured to be and, when it is not there, wherever else it may be.
    pub(crate) async fn find(&mut self) -> Result<Option<Release>, Vec<Blocker>> {
        let mut release = self.release_or_stop().await?;
        if release.is_none()
            && let Some(adopted) = self.elsewhere().await?
        {
            self.helm.namespace = adopted;
            release = self.release_or_stop().await?;
        }
        self.record.existed = Some(release.is_some());
        Ok(release)
    }

    /// Brings the release to `deployed`, or says why not. The first thing that it changes is preceded by
    /// the gate's word that it may.
    pub(crate) async fn act(&mut self, gate: &mut impl Gate) -> Result<(), Vec<Blocker>> {
        let mut release = self.find().await?;
        let mut keep: Option<Value> = None;
        let mut unlocked = false;
        let patience = self.run.ctx.clock.elapsed() + self.run.settings.limits.ready_timeout;
        for _ in 0..STEPS {
            if let Some(current) = &release {
                self.describe(current);
            }
            let decision = self.decide(release.as_ref(), unlocked);
            keep = self.prepare(gate, decision, keep).await?;
            match (decision, &release) {
                (Decision::Keep, _) => return Ok(()),
                (Decision::Upgrade { change, .. }, current) => {
                    let before = current.as_ref().map_or(0, |current| current.revision);
                    return self.upgrade(gate, change, before, keep).await;
                }
                (Decision::Wait(left), Some(current)) => {
                    let remaining = patience.saturating_sub(self.run.ctx.clock.elapsed()).min(left);
                    if remaining.is_zero() {
                        return Err(vec![self.locked(current)]);
                    }
                    self.wait_for_change(remaining).await?;
                }
                (Decision::Unlock, Some(current)) => {
                    self.unlock(gate, current).await?;
                    unlocked = true;
                }
                (Decision::FinishUninstall, _) => self.finish_uninstall(gate).await?,
                (Decision::Refuse, Some(current)) => return Err(vec![self.unknown(current)]),
                // A release that is not there is installed.
                (Decision::Wait(_) | Decision::Unlock | Decision::Refuse, None) => break,
            }
            release = self.release_or_stop().await?;
        }
        let last = release.map_or_else(|| "absent".to_owned(), |release| release.word);
        Err(vec![
            Blocker::new(
                self.codes.locked,
                format!("the release keeps changing while we look at it; it was last {last}"),
                "see who else is working on the release, let them finish, and run again",
            )
            .commands([self.history_command()]),
        ])
    }

    fn describe(&self, release: &Release) {
        let next = match release.status {
            ReleaseStatus::Deployed => "it stays as it is",
            ReleaseStatus::Failed => "it will be repaired",
            ReleaseStatus::Uninstalling => "the uninstall will be finished",
            ReleaseStatus::Uninstalled | ReleaseStatus::Superseded => "it will be installed",
            ReleaseStatus::Unknown => "Helm does not know its state",
            _ => "it is locked",
        };
        self.run.step(
            "helm-status",
            format!("release is {} at revision {}: {next}", release.word, release.revision),
        );
    }

    /// Helm has just said that the release is not in its namespace. A second read must agree before
    /// anything is installed, and finds a release of the same name in another namespace: where there must
    /// be only one, a second one beside it would fight it. Returns the namespace to go on in, if it is another.
    async fn elsewhere(&mut self) -> Result<Option<String>, Vec<Blocker>> {
        let run = self.run;
        let listed = self.helm.anywhere().await.map_err(|error| {
            run.fail("helm-list", error.to_string());
            vec![error.blocker(&self.helm.chart)]
        })?;
        let here = |found: &&crate::helm::Listed| found.namespace == self.helm.namespace;
        let found = if self.sole { listed.first() } else { listed.iter().find(here) };
        let Some(found) = found else {
            run.step("helm-status", "there is no release");
            return Ok(None);
        };
        if found.status == "deployed" || found.namespace == self.helm.namespace {
            run.step("helm-status", format!("the release is in namespace {}", found.namespace));
            return Ok(Some(found.namespace.clone()));
        }
        Err(vec![
            Blocker::new(
                self.codes.elsewhere,
                format!(
                    "the release is in namespace {} (status {}) and not in {}; a second one beside it \
                     would fight it",
                    found.namespace, found.status, self.helm.namespace
                ),
                "adopt the release where it is with EKS_INSTALLER_KARPENTER_NAMESPACE, or uninstall it \
                 there first",
            )
            .commands([
                format!("helm status {} --namespace {}", found.name, found.namespace),
                format!(
                    "EKS_INSTALLER_KARPENTER_NAMESPACE={} eks-installer install --phase compute",
                    found.namespace
                ),
            ]),
        ])
    }

    pub(super) async fn user_values(&mut self) -> Result<Option<Value>, Vec<Blocker>> {
        let run = self.run;
        self.helm.user_values().await.map_err(|error| {
            run.fail("helm-values", error.to_string());
            vec![error.blocker(&self.helm.chart)]
        })
    }

    /// Waits until the release's storage changes, or for as long as is allowed.
    async fn wait_for_change(&mut self, limit: Duration) -> Result<(), Vec<Blocker>> {
        self.run.step(
            "helm-lock",
            format!("somebody may be at work on the release; waiting up to {}", duration::go(limit)),
        );
        let path = format!("/api/v1/namespaces/{}/secrets", self.helm.namespace);
        let selector = format!("owner=helm,name={}", self.helm.chart.release);
        let mut first = None;
        let secrets = self.cluster.only_metadata();
        let watched = secrets
            .watch_until::<Value, ()>(
                "watch the release",
                &path,
                &[("labelSelector", &selector)],
                limit,
                |secrets| {
                    let seen: Vec<(String, String)> = secrets
                        .iter()
                        .map(|(name, secret)| {
                            let version = &secret["metadata"]["resourceVersion"];
                            (name.clone(), version.as_str().unwrap_or("").to_owned())
                        })
                        .collect();
                    match &first {
                        None => {
                            first = Some(seen);
                            None
                        }
                        Some(first) => (*first != seen).then_some(()),
                    }
                },
            )
            .await;
        if let Err(error) = watched {
            if let Some(reason) = self.run.ctx.stop.reason() {
                return Err(vec![Blocker::stopped(reason)]);
            }
            // Helm may keep its releases elsewhere, or we may not read Secrets: time still passes.
            self.run.warn("helm-lock", format!("{error}; waiting without watching"));
            self.run.sleep(limit).await.map_err(|blocker| vec![blocker])?;
        }
        Ok(())
    }

    pub(super) fn locked(&self, release: &Release) -> Blocker {
        let since =
            release.last_deployed.map_or_else(|| "an unknown time".to_owned(), |since| since.to_string());
        let timeout = duration::go(self.run.settings.limits.helm_timeout);
        // Not a time that the server's clock has shown: whoever wrote it had another idea of the time.
        let strange = release.last_deployed.is_some_and(|since| self.run.age(since).is_none());
        let when = match (strange, self.run.jump()) {
            (false, _) => format!("which is less than the Helm timeout of {timeout} ago"),
            (true, None) => "which lies in the future, so its age is not known".to_owned(),
            (true, Some(jump)) => {
                format!("a time that its clock has not shown, so its age is not known ({jump})")
            }
        };
        Blocker::new(
            self.codes.locked,
            format!(
                "the release is {} at revision {} since {since}, {when}: another operation may be in progress",
                release.word, release.revision
            ),
            format!(
                "let the other operation finish; once it is older than {timeout}, this command unlocks it"
            ),
        )
        .cause(strange.then_some("CLOCK_SKEW"))
        .commands([self.history_command()])
    }

    pub(super) fn unknown(&self, release: &Release) -> Blocker {
        Blocker::new(
            Code::HelmStateUnknown,
            format!(
                "Helm gives the release's state as {:?} at revision {}: {}",
                release.word, release.revision, release.description
            ),
            "nothing was changed: see what the history says, and roll back or uninstall by hand",
        )
        .commands([self.history_command()])
    }

    pub(super) fn history_command(&self) -> String {
        let release = &self.helm.chart.release;
        format!("helm history {release} --namespace {}", self.helm.namespace)
    }
}
