//! Defects in what is made of the Helm release.

use interpose::helm::Status::{self, Deployed, Failed, Superseded};
use kubesim::kubelet::Behaviour;
use serde_json::json;

use crate::stage::Stage;

async fn seeded(status: Status, revision: i64) -> Stage {
    let stage = Stage::new().await;
    stage.seed(status, revision).await;
    stage
}

fn uid(stage: &Stage) -> String {
    stage.deployment("karpenter").unwrap()["metadata"]["uid"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_failed_release_is_called_deployed_and_not_repaired() {
    let right = seeded(Failed, 1).await;
    let ran = right.right().await;
    assert_eq!((&ran.karpenter()["repairSucceeded"], ran.upgrades()), (&json!(true), 1));
    assert_eq!(right.revisions(), [(1, Superseded), (2, Deployed)]);
    let stage = seeded(Failed, 1).await;
    let wrong = stage.wrong("failed-release-is-complete").await;
    wrong.claims_completion();
    assert_eq!(wrong.karpenter()["repairAttempted"], false);
    assert_eq!((wrong.changes.len(), stage.revisions()), (0, vec![(1, Failed)]));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_under_its_own_hands_is_not_called_deployed() {
    let failing = || async {
        let stage = Stage::new().await;
        let error = "403 Forbidden".to_owned();
        stage.cluster.images().set("karpenter/controller", Behaviour::CannotPull { error });
        stage
    };
    let right = failing().await.right().await;
    assert_eq!((right.exit, right.codes()), (1, vec!["KARPENTER_SETUP_FAILED"]));
    assert_eq!(failing().await.wrong("failed-release-is-complete").await, right);
}

#[tokio::test(start_paused = true)]
async fn helm_that_cannot_answer_leads_to_a_fresh_install_over_what_is_there() {
    const WORDS: &str = "Error: query: failed to query with labels: stream error";
    for (times, exit) in [(u32::MAX, 1), (2, 0)] {
        let fails = Some((&["status", "list"][..], times, WORDS));
        let mut stage = seeded(Deployed, 1).await;
        stage.helm_fails = fails;
        let right = stage.right().await;
        assert_eq!((right.exit, right.codes()), (4, vec!["HELM_STATE_UNKNOWN"]));
        assert_eq!((right.changes.len(), stage.revisions()), (0, vec![(1, Deployed)]));
        let wrong = stage.wrong("list-failure-is-absent").await;
        assert_eq!((wrong.exit, wrong.upgrades()), (exit, 1), "{:#}", wrong.result);
        let karpenter = wrong.karpenter();
        assert_eq!((&karpenter["existed"], &karpenter["scriptRan"]), (&json!(false), &json!(true)));
        assert_eq!(stage.revisions(), [(1, Superseded), (2, Deployed)]);
    }
}

#[tokio::test(start_paused = true)]
async fn repair_on_scorched_earth_loses_the_history_and_takes_a_working_controller_down() {
    let stage = seeded(Failed, 3).await;
    let before = uid(&stage);
    stage.right().await.claims_completion();
    assert_eq!((uid(&stage), stage.revisions().len()), (before, 4));
    let stage = seeded(Failed, 3).await;
    let before = uid(&stage);
    assert!(stage.available() > 0);
    let wrong = stage.wrong("scorched-repair").await;
    wrong.claims_completion();
    assert_eq!(wrong.karpenter()["repairSucceeded"], true);
    assert_eq!(stage.revisions(), [(1, Deployed)]);
    assert_ne!(uid(&stage), before);
}

#[tokio::test(start_paused = true)]
async fn only_a_repair_scorches_the_earth() {
    for (status, revision) in [(Deployed, 2), (Status::Uninstalled, 1)] {
        let right = seeded(status, revision).await.right().await;
        let wrong = seeded(status, revision).await.wrong("scorched-repair").await;
        assert_eq!(wrong, right, "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_revision_in_the_evidence_is_the_one_from_before_the_repair() {
    let right = seeded(Failed, 3).await.right().await;
    assert_eq!(right.karpenter()["release"]["revision"], 4);
    let stage = seeded(Failed, 3).await;
    let wrong = stage.wrong("stale-revision").await;
    wrong.claims_completion();
    assert_eq!(wrong.karpenter()["release"]["revision"], 3);
    assert_eq!((stage.revisions().last(), wrong.requests), (Some(&(4, Deployed)), right.requests));
}
