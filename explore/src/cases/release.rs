//! What an earlier installation left behind.

use std::time::Duration;

use eks_installer::phases::Phase;
use eks_installer::result::Code;
use interpose::helm::Status;

use crate::case::{Case, Expected, Run};
use crate::fault::{Container, Fault};
use crate::scene::{Leftover, Scene};

/// Twice the Helm timeout, after which a lock is stale.
const LONG_AGO: Duration = Duration::from_secs(1200);

fn left(leftover: Leftover) -> Scene {
    Scene { leftover: Some(leftover), ..Scene::default() }
}

pub(super) fn cases() -> Vec<Case> {
    let compute = |expected| Run::of(Phase::Compute, expected);
    let ready = |writes| Expected::done(Phase::Core, writes);
    let pending = |status, revision, age| left(Leftover { status, revision, age });
    vec![
        Case {
            name: "already-installed",
            summary: "A deployed release with a Ready controller is left alone",
            scene: left(Leftover::of(Status::Deployed)),
            runs: vec![compute(ready(false))],
        },
        Case {
            name: "failed-release-repaired",
            summary: "A failed release is repaired",
            scene: left(Leftover { revision: 2, ..Leftover::of(Status::Failed) }),
            runs: vec![compute(ready(true))],
        },
        Case {
            name: "definitions-missing-and-a-failed-release",
            summary: "A failed release without its definitions: their chart first, then the repair",
            scene: left(Leftover::of(Status::Failed)),
            runs: vec![compute(ready(true)).with([Fault::DefinitionsMissing.throughout()])],
        },
        Case {
            name: "failed-release-beyond-repair",
            summary: "A failed release whose controller never becomes Ready: Helm's ten minutes run out",
            scene: left(Leftover { revision: 2, ..Leftover::of(Status::Failed) }),
            runs: vec![
                compute(Expected::stopped(1, &[Code::KarpenterRepairFailed], true).because("PROBE_FAILING"))
                    .with([Fault::controller(Container::never_ready()).throughout()]),
            ],
        },
        Case {
            name: "pending-install-stale",
            summary: "A first installation was killed long ago: its lock is taken off",
            scene: pending(Status::PendingInstall, 1, LONG_AGO),
            runs: vec![compute(ready(true))],
        },
        Case {
            name: "pending-upgrade-stale",
            summary: "An upgrade was killed long ago: rolled back to what was good, then repaired",
            scene: pending(Status::PendingUpgrade, 2, LONG_AGO),
            runs: vec![compute(ready(true))],
        },
        Case {
            name: "pending-upgrade-young",
            summary: "Somebody is at work on the release: it is waited for and left alone",
            scene: pending(Status::PendingUpgrade, 2, Duration::from_secs(60)),
            runs: vec![compute(Expected::stopped(1, &[Code::KarpenterReleaseLocked], false))],
        },
        Case {
            name: "pending-upgrade-grows-stale",
            summary: "A young lock that nobody holds is stale by the second run",
            scene: pending(Status::PendingUpgrade, 2, Duration::from_secs(60)),
            runs: vec![
                compute(Expected::stopped(1, &[Code::KarpenterReleaseLocked], false)),
                compute(ready(true)).after(Duration::from_secs(600)),
            ],
        },
        Case {
            name: "uninstalling",
            summary: "An uninstall was begun: it is finished, then Karpenter is installed",
            scene: left(Leftover::of(Status::Uninstalling)),
            runs: vec![compute(ready(true))],
        },
        Case {
            name: "release-state-unknown",
            summary: "Helm does not know the release's state: nothing is changed",
            scene: left(Leftover::of(Status::Unknown)),
            runs: vec![compute(Expected::stopped(4, &[Code::HelmStateUnknown], false))],
        },
    ]
}
