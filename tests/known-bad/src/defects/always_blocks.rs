//! Nothing is ever good enough: every platform is blocked, with true evidence and at no risk. What such
//! an installer can be reproached with is only that it never installs anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use eks_installer::Outcome;
use eks_installer::cli::Hooks;
use eks_installer::result::{Blocker, Code, Platform};
use eks_installer::seams::{ToolCall, ToolError, ToolOutput, ToolRunner};
use futures::future::BoxFuture;

use crate::{Defect, tools, verdict};

pub(super) const DEFECT: Defect = Defect {
    name: "always-blocks",
    summary: "blocks every platform, healthy or not, with evidence: safe, and useless",
    hooks,
};

fn hooks() -> Hooks {
    let refused = Arc::new(AtomicU32::new(0));
    let seen = refused.clone();
    Hooks {
        wrap: Box::new(|context| tools::instead(context, |truth| NoHelm { truth, refused })),
        edit: Box::new(move |outcome| block(outcome, seen.load(Relaxed))),
    }
}

/// Runs every tool but Helm, and so ends the compute phase right after its gate.
struct NoHelm {
    truth: Arc<dyn ToolRunner>,
    refused: Arc<AtomicU32>,
}

impl ToolRunner for NoHelm {
    fn run(&self, call: ToolCall) -> BoxFuture<'_, Result<ToolOutput, ToolError>> {
        if tools::helm(&call).is_none() {
            return self.truth.run(call);
        }
        self.refused.fetch_add(1, Relaxed);
        let error = ToolError::Failed { program: call.program, detail: "the platform is blocked".to_owned() };
        Box::pin(std::future::ready(Err(error)))
    }
}

/// Turns "the gate held, and then Helm did not answer" into "the gate did not hold".
fn block(mut outcome: Outcome, refused: u32) -> Outcome {
    let stopped_by_us =
        refused > 0 && outcome.result.blockers.iter().all(|it| it.code == Code::HelmStateUnknown);
    let Some(phase) = outcome.result.evidence.phase3.as_mut().filter(|_| stopped_by_us) else {
        return outcome;
    };
    phase.platform.platform_healthy = Some(false);
    let blocker = Blocker::new(
        Code::Phase1Incomplete,
        format!("the platform is not fit for Karpenter: {}", numbers(&phase.platform)),
        "put the foundation phase right first",
    )
    .commands(["kubectl get nodes", "eks-installer install --phase foundation"]);
    let telemetry = &mut outcome.result.telemetry;
    telemetry.gates.insert("platform".to_owned(), "blocked".to_owned());
    telemetry.tool_calls = telemetry.tool_calls.saturating_sub(refused);
    verdict::with_blockers(outcome, vec![blocker])
}

/// What was truly read.
fn numbers(platform: &Platform) -> String {
    let count = |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let nodes = format!("{} of {} nodes Ready", count(platform.nodes_ready), count(platform.nodes_total));
    match platform.coredns_replicas {
        Some(coredns) => format!("{nodes}, CoreDNS {} of {} ready", coredns.ready, coredns.desired),
        None => nodes,
    }
}
