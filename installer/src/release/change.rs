//! What changes the release: setup, repair, unlocking, finishing an uninstall.
//!
//! After every write the release is read again, whatever the write's answer was: an answer can be lost,
//! and what the next step does must rest on what is there.

use std::time::Duration;

use serde_json::Value;

use super::decision::Unlocking;
use super::{Gate, Work};
use crate::context::millis;
use crate::helm::{Release, ReleaseStatus, Revision, Said, classify, said_last};
use crate::phases::right_endpoint;
use crate::result::Blocker;
use crate::retry::Target;
use crate::seams::{ToolError, ToolOutput};

/// Which of the two changes an upgrade is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The first installation.
    Setup,
    /// The repair of a failed release.
    Repair,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Repair => "repair",
        }
    }
}

/// What a write came to, in the terms in which one decides what to do next.
struct Failure {
    said: Said,
    words: String,
}

impl Work<'_, '_> {
    /// `helm upgrade --install` until the release is deployed. `before` is the newest revision there was.
    pub(super) async fn upgrade(
        &mut self,
        gate: &mut impl Gate,
        change: Change,
        before: u64,
        keep: Option<Value>,
    ) -> Result<(), Vec<Blocker>> {
        right_endpoint(self.run, self.cluster).await?;
        let began = self.run.ctx.clock.elapsed();
        match change {
            Change::Setup => self.record.script_ran = true,
            Change::Repair => {
                self.record.repair_attempted = true;
                self.record.repair_succeeded = Some(false);
                self.run.count(|telemetry| telemetry.repair_attempts += 1);
            }
        }
        let outcome = self.attempt_upgrade(gate, change, before, keep.as_ref()).await;
        if change == Change::Repair {
            let took = millis(self.run.ctx.clock.elapsed() - began);
            let succeeded = outcome.is_ok();
            self.record.repair_succeeded = Some(succeeded);
            self.run.count(|telemetry| {
                telemetry.repair_duration_ms += took;
                telemetry.repair_successes += u32::from(succeeded);
            });
        }
        outcome
    }

    async fn attempt_upgrade(
        &mut self,
        gate: &mut impl Gate,
        change: Change,
        before: u64,
        keep: Option<&Value>,
    ) -> Result<(), Vec<Blocker>> {
        let step = if change == Change::Setup { "setup" } else { "repair" };
        let operation = format!("helm upgrade ({})", change.name());
        self.run.step(
            step,
            format!(
                "helm upgrade --install {} {} {}",
                self.helm.chart.release,
                self.helm.chart.reference,
                self.helm.chart.version.as_deref().unwrap_or("(newest)")
            ),
        );
        let mut attempts = self.run.attempts(Target::Helm);
        let (mut logged_out, mut waited_out) = (false, false);
        loop {
            self.forget(gate);
            let answer = self.helm.upgrade(keep).await;
            if let Err(ToolError::Stopped { reason, .. }) = &answer {
                return Err(vec![Blocker::stopped(*reason)]);
            }
            let success = matches!(&answer, Ok(output) if output.success());
            if success {
                self.run.answered(Target::Helm);
            }
            let failure = failure(answer);
            let release = match self.read_release().await {
                Ok(release) => release,
                Err(error) => {
                    let mut blockers = vec![error.blocker(&self.helm.chart)];
                    if !success {
                        blockers.push(self.change_failed(change, &failure.words));
                    }
                    return Err(blockers);
                }
            };
            let deployed = release.as_ref().filter(|it| it.status == ReleaseStatus::Deployed);
            // A higher revision than before is ours: the write went through and its answer was lost.
            if let Some(release) = deployed.filter(|release| success || release.revision > before) {
                self.run.step(step, format!("release is deployed at revision {}", release.revision));
                return Ok(());
            }
            let again = match failure.said {
                Said::RegistryToken if !logged_out => {
                    logged_out = true;
                    self.drop_registry_token(&operation, &failure.words).await;
                    true
                }
                Said::Passing | Said::Unreachable => {
                    let again = self.run.backoff(&mut attempts, &operation, &failure.words, None).await;
                    if again && let Some(ours) = release.as_ref().filter(|it| it.status.pending()) {
                        // Our own Helm has ended and left its lock behind.
                        self.unlock(gate, ours).await?;
                    }
                    again
                }
                // The objects became ready after Helm had stopped waiting: the release only has to be
                // marked so.
                Said::WaitTimedOut if !waited_out && gate.is_ready(&self.helm.namespace).await => {
                    waited_out = true;
                    self.run.retried(Target::Helm, &operation, &failure.words);
                    true
                }
                Said::Locked => {
                    let locked = release.as_ref().map(|release| self.locked(release));
                    return Err(locked
                        .into_iter()
                        .chain([self.change_failed(change, &failure.words)])
                        .collect());
                }
                _ => false,
            };
            if let Some(reason) = self.run.ctx.stop.reason() {
                return Err(vec![Blocker::stopped(reason)]);
            }
            if !again {
                let words = if success {
                    let state = release.map_or_else(|| "absent".to_owned(), |release| release.word);
                    format!("helm ended with success, and the release is {state}")
                } else {
                    failure.words
                };
                self.run.fail(step, &words);
                return Err(gate
                    .explain(&self.helm.namespace, self.change_failed(change, &words), &words)
                    .await);
            }
        }
    }

    /// The blocker of a change that failed, in the tool's own words.
    fn change_failed(&self, change: Change, words: &str) -> Blocker {
        let release = &self.helm.chart.release;
        Blocker::new(
            if change == Change::Setup { self.codes.setup } else { self.codes.repair },
            format!("the {} of release {release} failed: {words}", change.name()),
            format!(
                "mend what the message names and run the {} phase again; it repairs the release",
                self.phase.name()
            ),
        )
        .commands([
            format!("helm status {release} --namespace {}", self.helm.namespace),
            self.history_command(),
            format!("kubectl -n {} get pods -l app.kubernetes.io/instance={release}", self.helm.namespace),
        ])
    }

    /// An expired token of a public registry is worse than none: without one the pull is anonymous.
    async fn drop_registry_token(&mut self, operation: &str, words: &str) {
        self.run.retried(Target::Helm, operation, words);
        self.run.warn("registry", format!("{words}; logging out of the registry, then once more"));
        match self.helm.registry_logout().await {
            // "not logged in" is as good.
            Ok(_) => {}
            Err(error) => self.run.warn("registry", error.to_string()),
        }
    }

    /// Takes a stale lock off without losing history: back to the newest good revision, or, when there
    /// is none to go back to, by uninstalling what was never installed.
    pub(super) async fn unlock(
        &mut self,
        gate: &mut impl Gate,
        release: &Release,
    ) -> Result<(), Vec<Blocker>> {
        let run = self.run;
        right_endpoint(run, self.cluster).await?;
        let unlocking = self.unlocking(release).await?;
        self.forget(gate);
        let word = &release.word;
        let answer = match unlocking {
            Unlocking::RollBack(Revision { revision, .. }) => {
                run.warn("helm-lock", format!("{word} is stale: rolling back to revision {revision}"));
                self.helm.rollback(revision).await
            }
            Unlocking::Uninstall => {
                run.warn("helm-lock", format!("{word} is stale and nothing was ever deployed: uninstalling"));
                self.helm.uninstall().await
            }
        };
        self.settle("unlocking the release", answer, |now| !now.status.pending()).await
    }

    /// Finishes an uninstall that somebody began.
    pub(super) async fn finish_uninstall(&mut self, gate: &mut impl Gate) -> Result<(), Vec<Blocker>> {
        right_endpoint(self.run, self.cluster).await?;
        self.forget(gate);
        self.run.step("uninstall", "finishing the uninstall that was begun");
        let answer = self.helm.uninstall().await;
        let gone = |now: &Release| now.status != ReleaseStatus::Uninstalling;
        self.settle("finishing the uninstall", answer, gone).await
    }

    /// Reads the release after a write that prepares another one; the write's own failure matters only
    /// if the release is not as it should be.
    async fn settle(
        &mut self,
        what: &str,
        answer: Result<ToolOutput, ToolError>,
        good: impl Fn(&Release) -> bool,
    ) -> Result<(), Vec<Blocker>> {
        if let Err(ToolError::Stopped { reason, .. }) = &answer {
            return Err(vec![Blocker::stopped(*reason)]);
        }
        let failure = failure(answer);
        match self.read_release().await {
            Ok(release) if release.as_ref().is_none_or(&good) => Ok(()),
            Ok(_) => Err(vec![
                Blocker::new(
                    self.codes.locked,
                    format!("{what} failed: {}", failure.words),
                    "see what the history says, and roll back or uninstall by hand",
                )
                .commands([self.history_command()]),
            ]),
            Err(error) => Err(vec![error.blocker(&self.helm.chart)]),
        }
    }
}

/// Reads a write's answer. Being killed by a signal is something that passes.
fn failure(answer: Result<ToolOutput, ToolError>) -> Failure {
    match answer {
        Ok(output) => {
            let said = match output.signal {
                Some(_) => Said::Passing,
                None => classify(&output.stderr),
            };
            Failure { said, words: said_last(&output) }
        }
        Err(ToolError::TimedOut { stderr, after, program }) => {
            let lines = crate::context::last_lines(&stderr, 5);
            let lines = if lines.is_empty() { String::new() } else { format!("; {lines}") };
            let after = crate::duration::go(Duration::from_secs(after.as_secs().max(1)));
            Failure {
                said: Said::Other,
                words: format!("{program} did not end within {after} and was stopped{lines}"),
            }
        }
        Err(error) => Failure { said: Said::Other, words: error.to_string() },
    }
}
