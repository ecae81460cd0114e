//! SIGKILL after every single write: the next run ends where an uninterrupted one would have.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use eks_installer::phases::Phase;
use explore::fault::Moment;
use explore::{Case, Ending, Expected, Run, cases, judge, sail};
use rstest::rstest;

/// Longer than the Helm timeout, after which a lock that nobody holds is stale.
const LATER: Duration = Duration::from_secs(700);

/// Kills the only run of a case after each of its writes in turn, and runs it again; the states in which the
/// second run left the releases, each with the number of the write.
fn killed_after_each_write(name: &str) -> Vec<(u32, explore::RunEnd, explore::ClusterState)> {
    let whole = cases::find(name).unwrap();
    let report = sail(&whole, 1).unwrap();
    let writes = u32::try_from(report.runs().next().unwrap().0.writes).unwrap();
    assert!(writes >= 3, "{name}: {writes}");
    let mut ends = Vec::new();
    for write in 1..=writes {
        let run = || Run { ..whole.runs[0].clone() };
        // What is wrong is wrong from before the first run, and not once more before the second.
        let second = Run { faults: Vec::new(), ..run() };
        let killed = Case {
            runs: vec![
                Run { expected: Expected::Killed, ..run() }.interrupted(Moment::Writes(write), Ending::Kill),
                second.after(LATER),
            ],
            ..whole.clone()
        };
        let report = sail(&killed, 1).unwrap();
        let mismatches: Vec<_> =
            judge(&killed, &report).into_iter().filter(|it| it.what != "writes to the cluster").collect();
        assert!(mismatches.is_empty(), "{name}, killed after write {write}: {mismatches:?}");
        let (end, state) = report.runs().last().unwrap();
        ends.push((write, end.clone(), state.clone()));
    }
    ends
}

#[rstest]
#[case::setup("fresh-install")]
#[case::repair("failed-release-repaired")]
#[case::definitions("definitions-missing-and-a-failed-release")]
#[case::unlocking("pending-upgrade-stale")]
#[case::first_lock("pending-install-stale")]
#[case::uninstall("uninstalling")]
fn a_run_killed_after_any_write_is_finished_by_the_next(#[case] name: &str) {
    for (write, end, state) in killed_after_each_write(name) {
        assert_eq!(end.result.as_ref().unwrap()["next"]["phase"], Phase::Core.name());
        let deployed =
            state.releases.iter().filter(|it| it.name == "karpenter" && it.status == "deployed").count();
        assert_eq!(deployed, 1, "{name}, killed after write {write}: {:?}", state.releases);
    }
}

#[test]
fn a_stack_killed_after_any_write_is_finished_by_the_next() {
    for (write, end, state) in killed_after_each_write("stack-installed") {
        assert_eq!(end.result.as_ref().unwrap()["status"], "completed", "killed after write {write}");
        for name in ["karpenter", "agent", "web"] {
            let deployed =
                state.releases.iter().filter(|it| it.name == name && it.status == "deployed").count();
            assert_eq!(deployed, 1, "{name}, killed after write {write}: {:?}", state.releases);
        }
    }
}
