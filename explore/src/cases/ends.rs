//! Runs that are ended from outside.

use std::time::Duration;

use eks_installer::Settings;
use eks_installer::phases::Phase;
use eks_installer::result::Code;
use eks_installer::settings::Limits;

use crate::case::{Case, Ending, Expected, Run};
use crate::fault::{Container, Fault, Moment};
use crate::scene::Scene;

/// Long enough for a release to be stale.
const LATER: Duration = Duration::from_secs(700);

pub(super) fn cases() -> Vec<Case> {
    let compute = |expected| Run::of(Phase::Compute, expected);
    let ready = || Expected::done(Phase::Core, true);
    let stopped = |exit, code| Expected::stopped(exit, &[code], true);
    let never = || Fault::controller(Container::never_ready());
    let case = |name, summary, runs| Case { name, summary, scene: Scene::default(), runs };
    vec![
        case(
            "terminated",
            "SIGTERM while Helm waits: the release is marked, the result is written, the next run repairs",
            vec![
                compute(stopped(143, Code::Terminated))
                    .with([never().until(Moment::Ms(60_000))])
                    .interrupted(Moment::Ms(30_000), Ending::Terminate),
                compute(ready()),
            ],
        ),
        case(
            "interrupted",
            "SIGINT while Helm waits",
            vec![
                compute(stopped(130, Code::Interrupted))
                    .with([never().throughout()])
                    .interrupted(Moment::Ms(30_000), Ending::Interrupt),
            ],
        ),
        case(
            "deadline",
            "The run's own deadline passes while Helm waits",
            vec![Run {
                settings: Settings {
                    limits: Limits { deadline: Duration::from_secs(120), ..Limits::default() },
                    ..Settings::default()
                },
                ..compute(stopped(1, Code::DeadlineExceeded).because("RUN_DEADLINE"))
                    .with([never().throughout()])
            }],
        ),
        case(
            "phase-deadline",
            "The phase's own deadline passes first, while Helm waits",
            vec![Run {
                settings: Settings {
                    limits: Limits { phase_deadline: Some(Duration::from_secs(90)), ..Limits::default() },
                    ..Settings::default()
                },
                ..compute(stopped(1, Code::DeadlineExceeded).because("PHASE_DEADLINE"))
                    .with([never().throughout()])
            }],
        ),
        case(
            "killed",
            "SIGKILL in the middle of the setup: the next run takes the stale lock off and goes on",
            vec![
                compute(Expected::Killed).interrupted(Moment::Writes(8), Ending::Kill),
                compute(ready()).after(LATER),
            ],
        ),
    ]
}
