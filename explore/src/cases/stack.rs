//! The application stack.

use eks_installer::Settings;
use eks_installer::phases::Phase;
use eks_installer::result::Code;
use eks_installer::settings::{CoreSettings, ReleaseSettings};
use interpose::helm::Status;

use crate::case::{Case, Expected, Run};
use crate::fault::{Container, Fault, Moment};
use crate::scene::{Leftover, Scene};

fn release(name: &str) -> ReleaseSettings {
    ReleaseSettings {
        name: name.into(),
        chart: format!("oci://registry.example.com/stack/{name}"),
        version: Some("2.1.0".into()),
        namespace: "stack".into(),
        ..ReleaseSettings::default()
    }
}

pub(super) fn cases() -> Vec<Case> {
    let settings = || Settings {
        core: CoreSettings { releases: vec![release("agent"), release("web")] },
        ..Settings::default()
    };
    let core = |expected| Run { settings: settings(), ..Run::of(Phase::Core, expected) };
    let karpenter = || Scene { leftover: Some(Leftover::of(Status::Deployed)), ..Scene::default() };
    let web = |does| Fault::Container { image: "stack/web".into(), does };
    vec![
        Case {
            name: "stack-installed-and-left-alone",
            summary: "Two releases are installed in their order; a second run changes nothing",
            scene: karpenter(),
            runs: vec![core(Expected::all_done(true)), core(Expected::all_done(false))],
        },
        Case {
            name: "stack-installed",
            summary: "Two releases are installed in their order",
            scene: karpenter(),
            runs: vec![core(Expected::all_done(true))],
        },
        Case {
            name: "stack-without-karpenter",
            summary: "There is no Karpenter: the stack is not begun",
            scene: Scene::default(),
            runs: vec![core(Expected::blocked(&[Code::Phase3Incomplete]).fix(Phase::Compute))],
        },
        Case {
            name: "stack-ready-late",
            summary: "A release of the stack is Ready after five minutes, within Helm's ten",
            scene: karpenter(),
            runs: vec![
                core(Expected::all_done(true)).with([web(Container::ReadyAfterMs(300_000)).throughout()]),
            ],
        },
        Case {
            name: "stack-never-ready-then-healed",
            summary: "A release of the stack is never Ready and fails; healed, the next run repairs it",
            scene: karpenter(),
            runs: vec![
                core(Expected::stopped(1, &[Code::ReleaseSetupFailed], true).because("PROBE_FAILING"))
                    .with([web(Container::never_ready()).until(Moment::Ms(3_600_000))]),
                core(Expected::all_done(true)),
            ],
        },
    ]
}
