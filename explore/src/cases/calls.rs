//! Calls that fail: of the API, and of the tools.

use eks_installer::phases::Phase;
use eks_installer::result::Code;
use interpose::plan::{Action, Registry, ToolFault, When};

use crate::case::{Case, Expected, Run};
use crate::fault::{Break, Fault, RequestFault};
use crate::scene::Scene;

fn status(code: u16, reason: &str, message: &str, retry_after: Option<u32>) -> Break {
    Break::Status { code, reason: reason.into(), message: message.into(), retry_after }
}

fn helm(label: &str, command: &str, times: Option<u32>, when: When, action: Action) -> Fault {
    Fault::Tool(ToolFault {
        label: label.into(),
        tool: "helm".into(),
        args: vec![command.into()],
        skip: 0,
        times,
        when,
        action,
    })
}

pub(super) fn cases() -> Vec<Case> {
    let compute = |expected| Run::of(Phase::Compute, expected);
    let ready = || compute(Expected::done(Phase::Core, true));
    let case = |name, summary, run| Case { name, summary, scene: Scene::default(), runs: vec![run] };
    let refused = Action::Exit {
        code: 1,
        stdout: String::new(),
        stderr: "Error: something is very wrong with this Helm\n".into(),
    };
    vec![
        case(
            "throttled",
            "The API asks for five seconds of patience, twice, and gets them",
            ready().with([Fault::Requests(RequestFault {
                resources: vec!["nodes".into()],
                times: Some(2),
                ..RequestFault::all(
                    "throttled",
                    status(429, "TooManyRequests", "the server has received too many requests", Some(5)),
                )
            })
            .throughout()]),
        ),
        case(
            "api-unreachable",
            "Every connection breaks: the state is not known",
            compute(Expected::stopped(4, &[Code::ClusterUnreachable], false))
                .with([Fault::Requests(RequestFault::all("unreachable", Break::Reset)).throughout()]),
        ),
        case(
            "api-hangs",
            "The API never answers: every attempt ends at its own timeout",
            compute(Expected::stopped(4, &[Code::ClusterUnreachable], false))
                .with([Fault::Requests(RequestFault::all("hangs", Break::Hang)).throughout()]),
        ),
        case(
            "unauthorized",
            "The API refuses the credentials: that is not a cluster without nodes",
            compute(Expected::stopped(4, &[Code::ClusterUnauthorized], false)).with([Fault::Requests(
                RequestFault::all("unauthorized", status(401, "Unauthorized", "Unauthorized", None)),
            )
            .throughout()]),
        ),
        case(
            "answer-of-a-write-lost",
            "The release's Secret is written, and the answer is lost",
            ready().with([Fault::Requests(RequestFault {
                verbs: vec!["create".into()],
                resources: vec!["secrets".into()],
                times: Some(1),
                committed: true,
                ..RequestFault::all("lost", Break::Reset)
            })
            .throughout()]),
        ),
        case(
            "helm-status-fails",
            "helm status fails: that is not an absent release",
            compute(Expected::stopped(4, &[Code::HelmStateUnknown], false)).with([helm(
                "status",
                "status",
                None,
                When::Before,
                refused.clone(),
            )
            .throughout()]),
        ),
        case(
            "helm-list-fails",
            "helm list fails: that is not an absent release",
            compute(Expected::stopped(4, &[Code::HelmStateUnknown], false)).with([helm(
                "list",
                "list",
                None,
                When::Before,
                refused,
            )
            .throughout()]),
        ),
        case(
            "helm-killed-once",
            "The first helm upgrade is killed before it begins",
            ready()
                .with([helm("killed", "upgrade", Some(1), When::Before, Action::Signal { number: 9 })
                    .throughout()]),
        ),
        case(
            "helm-answer-lost",
            "helm upgrade does its work and its answer is lost",
            ready().with([
                helm("lost", "upgrade", Some(1), When::After, Action::Signal { number: 9 }).throughout()
            ]),
        ),
        case(
            "helm-hangs",
            "helm upgrade hangs: it is stopped after its time",
            compute(Expected::stopped(1, &[Code::KarpenterSetupFailed], false)).with([helm(
                "hangs",
                "upgrade",
                None,
                When::Before,
                Action::Hang,
            )
            .throughout()]),
        ),
        Case {
            name: "registry-token-expired",
            summary: "The registry refuses a stale token: one logout, one more try",
            scene: Scene {
                registry: Registry { expired_tokens: vec!["public.ecr.aws".into()] },
                ..Scene::default()
            },
            runs: vec![ready()],
        },
    ]
}
