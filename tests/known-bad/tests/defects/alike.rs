//! Where all is well, no defect shows: not in the result, not in a request, not in a call of Helm, not
//! in the log.

use known_bad::defects::ALL;
use serde_json::json;

use crate::stage::Stage;

/// All but the one that shows in every run.
fn others() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|defect| defect.name).filter(|name| *name != "always-blocks")
}

#[tokio::test(start_paused = true)]
async fn a_fresh_install_and_a_second_run_are_those_of_the_right_installer() {
    let stage = Stage::new().await;
    let (first, second) = (stage.right().await, stage.right().await);
    first.claims_completion();
    second.claims_completion();
    assert_eq!((first.upgrades(), first.changes.is_empty()), (1, false));
    assert_eq!(second.changes, Vec::<String>::new());
    assert_eq!(others().count(), 11);
    for name in others() {
        let stage = Stage::new().await;
        assert_eq!(stage.wrong(name).await, first, "{name}");
        assert_eq!(stage.wrong(name).await, second, "{name}, second run");
    }
}

#[tokio::test(start_paused = true)]
async fn always_blocks_blocks_a_healthy_cluster_with_true_numbers_and_touches_nothing() {
    let stage = Stage::new().await;
    let ran = stage.wrong("always-blocks").await;
    assert_eq!((ran.exit, ran.codes()), (3, vec!["PHASE1_INCOMPLETE"]));
    assert_eq!(ran.result["status"], "blocked_phase");
    assert_eq!(ran.result["next"], json!({ "action": "fix", "phase": "foundation" }));
    assert_eq!(
        ran.result["blockers"][0]["message"],
        "the platform is not fit for Karpenter: 2 of 2 nodes Ready, CoreDNS 2 of 2 ready"
    );
    let platform = ran.platform();
    assert_eq!((&platform["nodesReady"], &platform["platformHealthy"]), (&json!(2), &json!(false)));
    assert_eq!((ran.changes.len(), ran.helm.len(), stage.revisions().len()), (0, 0, 0));
    assert_eq!(ran.result["telemetry"]["toolCalls"], 0);
}

#[tokio::test(start_paused = true)]
async fn always_blocks_leaves_a_verdict_of_the_gate_as_it_is() {
    let empty = || Stage::with(|config| config.nodes.clear());
    let right = empty().await.right().await;
    assert_eq!(right.codes(), ["NO_NODES_AVAILABLE"]);
    assert_eq!(empty().await.wrong("always-blocks").await, right);
}
