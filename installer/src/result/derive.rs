//! Status, next step and exit code from the blockers: the one place where they are decided.

use super::{Action, Blocker, Class, Next, Status};
use crate::phases::Phase;

/// What follows from a run's blockers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether what was asked for is done.
    pub ok: bool,
    /// How the run ended.
    pub status: Status,
    /// What to do next.
    pub next: Next,
    /// Exit code of the process.
    pub exit: u8,
}

/// Derives the verdict. `remaining` is the phase that comes after those that are done, or `None` when
/// every phase is.
///
/// A signal outweighs everything; a missing dependency outweighs what failed because of it; otherwise
/// the first blocker, which is the first thing that went wrong, decides.
#[must_use]
pub fn derive(blockers: &[Blocker], remaining: Option<Phase>) -> Verdict {
    let classes: Vec<Class> = blockers.iter().map(|blocker| blocker.code.class()).collect();
    let signal = classes.iter().find_map(|class| match class {
        Class::Signal(exit) => Some(*exit),
        _ => None,
    });
    let error = |exit, action, phase| Verdict {
        ok: false,
        status: Status::Error,
        next: Next { action, phase },
        exit,
    };
    let Some(first) = classes.first() else {
        return match remaining {
            Some(phase) => Verdict {
                ok: true,
                status: Status::CompletedPhase,
                next: Next { action: Action::Install, phase: Some(phase) },
                exit: 0,
            },
            None => Verdict {
                ok: true,
                status: Status::Completed,
                next: Next { action: Action::None, phase: None },
                exit: 0,
            },
        };
    };
    if let Some(exit) = signal {
        return error(exit, Action::Stop, None);
    }
    // The earliest phase that is missing is the one to begin with.
    let missing = classes.iter().filter_map(|class| match class {
        Class::Dependency(phase) => Some(*phase),
        _ => None,
    });
    if let Some(phase) = missing.min() {
        return Verdict {
            ok: false,
            status: Status::BlockedPhase,
            next: Next { action: Action::Fix, phase: Some(phase) },
            exit: 3,
        };
    }
    if classes.contains(&Class::Foundation) {
        return error(1, Action::Fix, Some(Phase::Foundation));
    }
    match first {
        Class::Unknown => error(4, Action::Stop, None),
        Class::Usage => error(2, Action::Stop, None),
        // As `diff` and `kubectl diff` end when there is a difference.
        Class::Planned => match remaining {
            Some(phase) => error(1, Action::Install, Some(phase)),
            None => error(1, Action::Stop, None),
        },
        _ => error(1, Action::Stop, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Code;
    use super::*;

    const CODES: &[Code] = &[
        Code::NoNodesAvailable,
        Code::NoReadyNodes,
        Code::Phase1Incomplete,
        Code::Phase3Incomplete,
        Code::CorednsNotReady,
        Code::NoNodesCreated,
        Code::EksCreateFailed,
        Code::EksClusterFailed,
        Code::EksStackFailed,
        Code::KubeconfigUpdateFailed,
        Code::KarpenterSetupFailed,
        Code::KarpenterRepairFailed,
        Code::KarpenterControllerNotReady,
        Code::KarpenterReleaseLocked,
        Code::KarpenterReleaseElsewhere,
        Code::KarpenterReleaseFailed,
        Code::KarpenterIncompatible,
        Code::ReleaseSetupFailed,
        Code::ReleaseRepairFailed,
        Code::ReleaseNotReady,
        Code::ReleaseLocked,
        Code::ReleaseElsewhere,
        Code::StorageSetupFailed,
        Code::BucketNotOwned,
        Code::BucketNameTaken,
        Code::BucketInOtherRegion,
        Code::PolicyDrifted,
        Code::RoleTrustDrifted,
        Code::AssociationDrifted,
        Code::PodIdentityAgentMissing,
        Code::WrongCluster,
        Code::ConfigurationInvalid,
        Code::ClusterUnreachable,
        Code::ClusterUnauthorized,
        Code::ClusterStateUnknown,
        Code::KubeconfigUnreadable,
        Code::HelmStateUnknown,
        Code::EksStateUnknown,
        Code::AwsStateUnknown,
        Code::AwsUnauthorized,
        Code::DeadlineExceeded,
        Code::ChangesPlanned,
        Code::Interrupted,
        Code::Usage,
    ];

    fn blockers(codes: &[Code]) -> Vec<Blocker> {
        codes.iter().map(|code| Blocker::new(*code, "seen", "do")).collect()
    }

    #[test]
    fn exit_code_status_and_ok_never_disagree_whatever_the_blockers() {
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..5000 {
            let codes: Vec<Code> = (0..rng.usize(0..4)).map(|_| CODES[rng.usize(0..CODES.len())]).collect();
            let remaining = [None, Some(Phase::Storage), Some(Phase::Core)][rng.usize(0..3)];
            let verdict = derive(&blockers(&codes), remaining);
            assert_eq!(verdict.ok, codes.is_empty(), "{codes:?}");
            assert_eq!(verdict.ok, verdict.exit == 0, "{codes:?}");
            assert_eq!(verdict.ok, matches!(verdict.status, Status::Completed | Status::CompletedPhase));
            assert_eq!(verdict.exit == 3, verdict.status == Status::BlockedPhase, "{codes:?}");
            assert_eq!(verdict.next.action == Action::None, verdict.status == Status::Completed);
            assert_eq!(
                verdict.next.phase.is_some(),
                matches!(verdict.next.action, Action::Install | Action::Fix)
            );
        }
    }

    #[test]
    fn every_row_of_the_contract_holds() {
        for (codes, status, exit, action, phase) in [
            (&[][..], Status::CompletedPhase, 0, Action::Install, Some(Phase::Core)),
            (&[Code::NoNodesAvailable], Status::BlockedPhase, 3, Action::Fix, Some(Phase::Foundation)),
            (
                &[Code::CorednsNotReady, Code::Phase1Incomplete],
                Status::BlockedPhase,
                3,
                Action::Fix,
                Some(Phase::Foundation),
            ),
            (
                &[Code::KarpenterRepairFailed, Code::Phase1Incomplete],
                Status::BlockedPhase,
                3,
                Action::Fix,
                Some(Phase::Foundation),
            ),
            (
                &[Code::PodIdentityAgentMissing, Code::Phase1Incomplete],
                Status::BlockedPhase,
                3,
                Action::Fix,
                Some(Phase::Foundation),
            ),
            (&[Code::PolicyDrifted], Status::Error, 1, Action::Stop, None),
            (&[Code::AwsStateUnknown], Status::Error, 4, Action::Stop, None),
            (&[Code::Phase3Incomplete], Status::BlockedPhase, 3, Action::Fix, Some(Phase::Compute)),
            (
                &[Code::Phase3Incomplete, Code::NoReadyNodes],
                Status::BlockedPhase,
                3,
                Action::Fix,
                Some(Phase::Foundation),
            ),
            (&[Code::KarpenterSetupFailed], Status::Error, 1, Action::Stop, None),
            (&[Code::NoNodesCreated], Status::Error, 1, Action::Fix, Some(Phase::Foundation)),
            (&[Code::ClusterUnauthorized], Status::Error, 4, Action::Stop, None),
            (&[Code::KarpenterSetupFailed, Code::ClusterUnreachable], Status::Error, 1, Action::Stop, None),
            (&[Code::WrongCluster], Status::Error, 1, Action::Stop, None),
            (&[Code::KarpenterSetupFailed, Code::Terminated], Status::Error, 143, Action::Stop, None),
            (&[Code::Interrupted], Status::Error, 130, Action::Stop, None),
            (&[Code::ChangesPlanned], Status::Error, 1, Action::Install, Some(Phase::Core)),
            (&[Code::Usage], Status::Error, 2, Action::Stop, None),
        ] {
            let verdict = derive(&blockers(codes), Some(Phase::Core));
            assert_eq!(verdict.status, status, "{codes:?}");
            assert_eq!(verdict.exit, exit, "{codes:?}");
            assert_eq!(verdict.next, Next { action, phase }, "{codes:?}");
        }
        assert_eq!(derive(&[], None).status, Status::Completed);
    }
}
