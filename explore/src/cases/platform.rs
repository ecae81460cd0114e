//! What the foundation phase provides, and what is missing of it.

use eks_installer::Settings;
use eks_installer::phases::Phase;
use eks_installer::result::{Action, Code, Status};
use eks_installer::settings::FoundationSettings;
use interpose::plan::Eks;

use crate::case::{Case, Expected, Run};
use crate::fault::{Fault, Moment};
use crate::scene::Scene;

pub(super) fn cases() -> Vec<Case> {
    let compute = |expected| Run::of(Phase::Compute, expected);
    let foundation = |expected| Run::of(Phase::Foundation, expected);
    let nowhere =
        || Scene { nodes: 0, eks: Eks { exists: Some(false), ..Eks::default() }, ..Scene::default() };
    vec![
        Case {
            name: "fresh-install",
            summary: "A healthy cluster without Karpenter: it is installed",
            scene: Scene::default(),
            runs: vec![compute(Expected::done(Phase::Core, true))],
        },
        Case {
            name: "second-run",
            summary: "What is installed is left alone",
            scene: Scene::default(),
            runs: vec![
                compute(Expected::done(Phase::Core, true)),
                compute(Expected::done(Phase::Core, false)),
            ],
        },
        Case {
            name: "cluster-created",
            summary: "There is no cluster: eksctl makes it, and its nodes join",
            scene: nowhere(),
            runs: vec![foundation(Expected::done(Phase::Storage, false))],
        },
        Case {
            name: "cluster-created-without-nodes",
            summary: "eksctl is asked for no nodes: the cluster is there and empty",
            scene: nowhere(),
            runs: vec![Run {
                settings: Settings {
                    foundation: FoundationSettings { nodes: Some(0), ..FoundationSettings::default() },
                    ..Settings::default()
                },
                ..foundation(Expected::Result {
                    exit: 1,
                    status: Status::Error,
                    action: Action::Fix,
                    phase: Some(Phase::Foundation),
                    blockers: vec![Code::NoNodesCreated],
                    cause: None,
                    writes: false,
                })
            }],
        },
        Case {
            name: "no-nodes",
            summary: "The cluster exists and has no worker node",
            scene: Scene { nodes: 0, ..Scene::default() },
            runs: vec![compute(Expected::blocked(&[Code::NoNodesAvailable]))],
        },
        Case {
            name: "no-nodes-then-some",
            summary: "Nodes join between two runs: the second goes on",
            scene: Scene { nodes: 0, ..Scene::default() },
            runs: vec![
                compute(Expected::blocked(&[Code::NoNodesAvailable])),
                compute(Expected::done(Phase::Core, true)).with([Fault::Nodes(2).throughout()]),
            ],
        },
        Case {
            name: "nodes-not-ready",
            summary: "Every kubelet says that its network has not come up",
            scene: Scene::default(),
            runs: vec![
                compute(Expected::blocked(&[Code::NoReadyNodes])).with([Fault::NodesNotReady.throughout()]),
            ],
        },
        Case {
            name: "nodes-become-ready",
            summary: "Phase 1 waits for nodes that become Ready after ten seconds, and no longer",
            scene: Scene::default(),
            runs: vec![
                foundation(Expected::done(Phase::Storage, false))
                    .with([Fault::NodesNotReady.until(Moment::Ms(10_000))]),
            ],
        },
        Case {
            name: "coredns-missing",
            summary: "There is no CoreDNS",
            scene: Scene::default(),
            runs: vec![
                compute(Expected::blocked(&[Code::CorednsNotReady, Code::Phase1Incomplete]))
                    .with([Fault::CorednsMissing.throughout()]),
            ],
        },
        Case {
            name: "coredns-not-ready",
            summary: "CoreDNS runs and is not Ready",
            scene: Scene::default(),
            runs: vec![
                compute(Expected::blocked(&[Code::CorednsNotReady, Code::Phase1Incomplete]))
                    .with([Fault::coredns_never_ready().throughout()]),
            ],
        },
        Case {
            name: "nodes-tainted",
            summary: "No pod may be scheduled on any node",
            scene: Scene::default(),
            runs: vec![
                compute(Expected::Result {
                    exit: 3,
                    status: Status::BlockedPhase,
                    action: Action::Fix,
                    phase: Some(Phase::Foundation),
                    blockers: vec![Code::KarpenterSetupFailed, Code::Phase1Incomplete],
                    cause: Some("UNTOLERATED_TAINT"),
                    writes: true,
                })
                .with([Fault::NodesTainted("dedicated".into()).throughout()]),
            ],
        },
    ]
}
