use super::*;
use crate::phases::Phase;
use crate::result::{
    Evidence, Forced, Next, Plan, PlannedAction, PlannedStep, SCHEMA_VERSION, Telemetry, derive,
};

fn outcome(phase: Phase, blockers: Vec<Blocker>, remaining: Option<Phase>) -> Outcome {
    let verdict = derive(&blockers, remaining);
    let result = RunResult {
        schema_version: SCHEMA_VERSION,
        ok: verdict.ok,
        status: verdict.status,
        phase: Some(phase),
        evidence: Evidence::default(),
        blockers,
        next: Next { action: verdict.next.action, phase: verdict.next.phase },
        forced: None,
        plan: None,
        telemetry: Telemetry { duration_ms: 12_345, ..Telemetry::default() },
        retries: Vec::new(),
    };
    Outcome { result, exit: verdict.exit }
}

/// Without colours, as on a terminal of this width.
fn shown(outcome: &Outcome, columns: usize) -> String {
    let redactor = Redactor::default();
    redactor.hide("hunter2-correct-horse");
    let text = words(outcome, &redactor, Some(columns));
    anstream::adapter::strip_str(&text).to_string()
}

fn pending() -> Outcome {
    let blocker = Blocker::new(
        Code::KarpenterControllerNotReady,
        "the controller is not Ready: 0 of 2 replicas available, 2 updated after waiting 5m; 0/2 nodes are \
         available: 2 node(s) had untolerated taint {dedicated: gpu}. password hunter2-correct-horse",
        "add a node that the controller tolerates, or give the chart a toleration",
    )
    .cause(Some("UNTOLERATED_TAINT"))
    .commands([
        "kubectl -n kube-system describe pods -l app.kubernetes.io/name=karpenter --show-events=true",
        "kubectl get nodes",
    ]);
    outcome(Phase::Compute, vec![blocker], Some(Phase::Core))
}

#[test]
fn a_failure_is_told_with_cause_advice_and_commands() {
    let expected = "
✗ the compute phase failed (12s340ms, exit code 1)

  KARPENTER_CONTROLLER_NOT_READY (UNTOLERATED_TAINT)
  seen    the controller is not Ready: 0 of 2 replicas available, 2 updated
          after waiting 5m; 0/2 nodes are available: 2 node(s) had untolerated
          taint {dedicated: gpu}. password [redacted]
  do      add a node that the controller tolerates, or give the chart a
          toleration
  type    kubectl -n kube-system describe pods -l app.kubernetes.io/name=karpenter --show-events=true
          kubectl get nodes
";
    assert_eq!(shown(&pending(), 80), expected);
}

#[test]
fn nothing_but_commands_is_wider_than_the_terminal() {
    for columns in [60, 80, 120] {
        let text = shown(&pending(), columns);
        let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > columns).collect();
        assert!(wide.iter().all(|line| line.contains("kubectl")), "{columns}: {wide:#?}");
    }
}

#[test]
fn a_block_says_which_phase_to_put_right() {
    let blocker = Blocker::new(Code::NoNodesAvailable, "the cluster has no worker node", "add one")
        .commands(["kubectl get nodes"]);
    let expected = "
✗ the compute phase is blocked by the foundation phase (12s340ms, exit code 3)

  NO_NODES_AVAILABLE
  seen    the cluster has no worker node
  do      add one
  type    kubectl get nodes

  next    put the foundation phase right: eks-installer install --phase foundation
";
    assert_eq!(shown(&outcome(Phase::Compute, vec![blocker], None), 80), expected);
}

#[test]
fn what_is_done_is_said_in_a_line_and_what_comes_next_in_another() {
    let expected = "
✓ the compute phase is done (12s340ms)

  next    eks-installer install --phase core
";
    assert_eq!(shown(&outcome(Phase::Compute, Vec::new(), Some(Phase::Core)), 80), expected);
    assert_eq!(shown(&outcome(Phase::Core, Vec::new(), None), 80), "\n✓ everything is done (12s340ms)\n");
}

#[test]
fn what_was_forced_is_said() {
    let mut outcome = outcome(Phase::Compute, Vec::new(), Some(Phase::Core));
    let reason = "the dashboards are wanted today".to_owned();
    outcome.result.forced = Some(Forced { phase: Phase::Compute, reason, blockers: Vec::new() });
    let text = shown(&outcome, 80);
    assert!(text.contains("forced  the gate of the compute phase was forced: the dashboards"), "{text}");
}

#[test]
fn a_plan_ends_with_the_commands_that_would_be_run() {
    let steps = vec![
        PlannedStep::new(
            Phase::Compute,
            PlannedAction::Make,
            "release kube-system/karpenter",
            "it is not there",
        )
        .command("helm upgrade --install karpenter oci://public.ecr.aws/karpenter/karpenter"),
        PlannedStep::new(Phase::Compute, PlannedAction::Wait, "the controller", "done when Ready"),
    ];
    let blockers =
        vec![Blocker::new(Code::ChangesPlanned, "nothing was changed", "run it without --dry-run")];
    let mut outcome = outcome(Phase::Compute, blockers, Some(Phase::Compute));
    outcome.result.plan = Some(Plan { steps });
    let expected = "
! dry run: 1 to make, 1 to wait for; nothing was changed (12s340ms)

  would be run, in this order:
    helm upgrade --install karpenter oci://public.ecr.aws/karpenter/karpenter

  next    eks-installer install --phase compute
";
    assert_eq!(shown(&outcome, 80), expected);
}
