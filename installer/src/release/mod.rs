//! A Helm release, brought to `deployed` from whatever state it is in. Phases 3 and 4 share it: what they
//! have of their own is the chart, the codes of their blockers, and the gate that judges what the release
//! runs.

mod act;
mod change;
mod decision;
mod plan;

pub(crate) use change::Change;

use crate::cluster::Cluster;
use crate::context::Run;
use crate::helm::{Chart, Helm, HelmError, Release, ReleaseStatus};
use crate::phases::Phase;
use crate::result::{Blocker, Code, ReleaseEvidence};

/// What a release runs, judged by whoever knows what that is.
pub(crate) trait Gate {
    /// Something is about to change: what is known of the workloads is out of date.
    fn forget(&mut self);

    /// Whether the change may be made. Asked before the first one, after everything has been read.
    async fn before(&mut self, change: Change) -> Result<(), Vec<Blocker>>;

    /// Whether everything is Ready at this moment.
    async fn is_ready(&mut self, namespace: &str) -> bool;

    /// The blockers of a change that failed: with Helm's words, and with what the cluster says about the
    /// reason.
    async fn explain(&mut self, namespace: &str, blocker: Blocker, words: &str) -> Vec<Blocker>;
}

/// The codes of a phase's blockers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codes {
    /// The first installation failed.
    pub(crate) setup: Code,
    /// A repair failed.
    pub(crate) repair: Code,
    /// Somebody else is changing the release.
    pub(crate) locked: Code,
    /// The release is in another namespace.
    pub(crate) elsewhere: Code,
}

/// What a run has read of a release, and done to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// The release, read again after every change.
    pub(crate) release: ReleaseEvidence,
    /// Whether it was there before this run changed anything.
    pub(crate) existed: Option<bool>,
    /// Whether it is `deployed`.
    pub(crate) installed: Option<bool>,
    /// Whether it is `failed`.
    pub(crate) needs_repair: Option<bool>,
    /// Whether this run tried to repair it.
    pub(crate) repair_attempted: bool,
    /// Whether the repair ended in a deployed release.
    pub(crate) repair_succeeded: Option<bool>,
    /// Whether it was installed anew.
    pub(crate) script_ran: bool,
}

/// A release at work.
pub(crate) struct Work<'a, 'r> {
    run: &'r Run<'r>,
    cluster: &'a Cluster<'r>,
    phase: Phase,
    codes: Codes,
    /// Whether the cluster must have only one release of this name, in whatever namespace.
    sole: bool,
    /// Helm for the release, in the namespace where it is.
    pub(crate) helm: Helm<'r>,
    /// What is known.
    pub(crate) record: Record,
}

impl<'a, 'r> Work<'a, 'r> {
    /// A release of which nothing is known yet.
    pub(crate) fn new(
        cluster: &'a Cluster<'r>,
        phase: Phase,
        codes: Codes,
        sole: bool,
        chart: Chart,
    ) -> Self {
        let run = cluster.run;
        let helm = Helm::new(run, &cluster.connection, chart);
        Self { run, cluster, phase, codes, sole, helm, record: Record::default() }
    }

    /// Writes down what Helm last said.
    fn note(&mut self, release: Option<&Release>) {
        let record = &mut self.record;
        record.release.exists = Some(release.is_some());
        record.release.status = release.map(|release| release.word.clone());
        record.release.revision = release.map(|release| release.revision);
        let is = |status| release.is_some_and(|release| release.status == status);
        record.installed = Some(is(ReleaseStatus::Deployed));
        record.needs_repair = Some(is(ReleaseStatus::Failed));
    }

    /// Something is about to change: until it is read again, nothing is known of the release.
    fn forget(&mut self, gate: &mut impl Gate) {
        self.record.release = ReleaseEvidence::default();
        (self.record.installed, self.record.needs_repair) = (None, None);
        gate.forget();
    }

    /// Asks Helm for the release.
    async fn read_release(&mut self) -> Result<Option<Release>, HelmError> {
        let release = self.helm.status().await?;
        self.note(release.as_ref());
        Ok(release)
    }

    /// The same, where not knowing ends the phase.
    async fn release_or_stop(&mut self) -> Result<Option<Release>, Vec<Blocker>> {
        let run = self.run;
        self.read_release().await.map_err(|error| {
            run.fail("helm-status", error.to_string());
            vec![error.blocker(&self.helm.chart)]
        })
    }
}
