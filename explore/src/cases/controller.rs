//! A controller that does not come up.

use eks_installer::Settings;
use eks_installer::phases::Phase;
use eks_installer::result::Code;
use eks_installer::settings::KarpenterSettings;
use interpose::helm::Status;

use crate::case::{Case, Expected, Run};
use crate::fault::{Container, Fault};
use crate::scene::{Leftover, Scene};

pub(super) fn cases() -> Vec<Case> {
    let compute = |expected| Run::of(Phase::Compute, expected);
    let setup_failed = |cause| Expected::stopped(1, &[Code::KarpenterSetupFailed], true).because(cause);
    let not_ready =
        |cause, writes| Expected::stopped(1, &[Code::KarpenterControllerNotReady], writes).because(cause);
    let with = |karpenter| Settings { karpenter, ..Settings::default() };
    vec![
        Case {
            name: "never-ready",
            summary: "The controller runs and is never Ready: Helm waits its full ten minutes",
            scene: Scene::default(),
            runs: vec![
                compute(setup_failed("PROBE_FAILING"))
                    .with([Fault::controller(Container::never_ready()).throughout()]),
            ],
        },
        Case {
            name: "never-ready-and-helm-content",
            summary: "One replica, none Ready: helm --wait is content, the installer is not",
            scene: Scene::default(),
            runs: vec![Run {
                settings: with(KarpenterSettings { replicas: Some(1), ..KarpenterSettings::default() }),
                ..compute(not_ready("PROBE_FAILING", true))
                    .with([Fault::controller(Container::never_ready()).throughout()])
            }],
        },
        Case {
            name: "ready-late",
            summary: "The controller is Ready after five minutes, within Helm's ten",
            scene: Scene::default(),
            runs: vec![
                compute(Expected::done(Phase::Core, true))
                    .with([Fault::controller(Container::ReadyAfterMs(300_000)).throughout()]),
            ],
        },
        Case {
            name: "crash-loop",
            summary: "The controller crashes: it may not describe the EKS cluster",
            scene: Scene::default(),
            runs: vec![
                compute(setup_failed("IAM_DENIED")).with([Fault::controller(Container::CrashLoop(
                    "panic: failed to resolve cluster endpoint, AccessDeniedException: not authorized to perform: eks:DescribeCluster\n".into(),
                ))
                .throughout()]),
            ],
        },
        Case {
            name: "crash-loop-after-deployment",
            summary: "A deployed release crashes: its state is no evidence",
            scene: Scene { leftover: Some(Leftover::of(Status::Deployed)), ..Scene::default() },
            runs: vec![
                compute(not_ready("CRASH_LOOP", false)).with([Fault::controller(Container::CrashLoop(
                    "panic: something that nobody has a name for\n".into(),
                ))
                .throughout()]),
            ],
        },
        Case {
            name: "definitions-deleted-under-a-deployed-release",
            summary: "The definitions of a deployed release are gone: the controller gets them back, and starts",
            scene: Scene { leftover: Some(Leftover::of(Status::Deployed)), ..Scene::default() },
            runs: vec![compute(Expected::done(Phase::Core, true)).with([
                Fault::DefinitionsMissing.throughout(),
                Fault::controller(Container::NeedsDefinition {
                    name: "nodeclaims.karpenter.sh".into(),
                    log: "panic: no matches for kind \"NodeClaim\" in version \"karpenter.sh/v1\"\n".into(),
                })
                .throughout(),
            ])],
        },
        Case {
            name: "image-cannot-be-pulled",
            summary: "The controller's image cannot be pulled",
            scene: Scene::default(),
            runs: vec![
                compute(setup_failed("IMAGE_PULL_DENIED")).with([Fault::controller(Container::CannotPull(
                    "failed to pull and unpack image: failed to resolve reference: unexpected status from \
                     HEAD request: 403 Forbidden"
                        .into(),
                ))
                .throughout()]),
            ],
        },
        Case {
            name: "request-too-large",
            summary: "The controller asks for more CPU than any node has",
            scene: Scene::default(),
            runs: vec![Run {
                settings: with(KarpenterSettings {
                    set: vec!["controller.resources.requests.cpu=64".into()],
                    ..KarpenterSettings::default()
                }),
                ..compute(setup_failed("INSUFFICIENT_RESOURCES"))
            }],
        },
    ]
}
