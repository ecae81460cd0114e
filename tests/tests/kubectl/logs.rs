//! `logs`, and what needs a connection into a container.

use kubesim::kubelet::Behaviour;

use super::stage::Stage;

#[tokio::test]
async fn logs_of_this_and_the_previous_instance() {
    let Some(stage) = Stage::new().await else { return };
    stage.cluster.images().set_log("talker", "one\ntwo\nthree\n");
    stage.cluster.images().set(
        "crash",
        Behaviour::CrashLoop {
            log: "starting\npanic: no region\n".into(),
            exit_code: 2,
            after: std::time::Duration::ZERO,
        },
    );
    stage.ok("run talker --image=registry.example/talker:1 --labels=app=talker").await;
    stage.ok("run crash --image=registry.example/crash:1").await;
    stage.ok("wait pod/talker --for=condition=Ready --timeout=30s").await;
    stage
        .ok("wait pod/crash --for=jsonpath='{.status.containerStatuses[0].restartCount}'=1 --timeout=30s")
        .await;
    assert_eq!(stage.ok("logs talker").await, "one\ntwo\nthree\n");
    assert_eq!(stage.ok("logs talker --tail=1").await, "three\n");
    assert_eq!(stage.ok("logs talker -c talker --limit-bytes=3").await, "one");
    assert_eq!(stage.ok("logs -l app=talker --prefix --tail=1").await, "[pod/talker/talker] three\n");
    let timed = stage.ok("logs talker --timestamps --tail=1").await;
    assert!(timed.ends_with("Z three\n") && timed.starts_with("20"), "{timed}");
    assert_eq!(stage.ok("logs crash --previous").await, "starting\npanic: no region\n");
    assert_eq!(
        stage.refused("logs talker --previous").await,
        "Error from server (BadRequest): previous terminated container \"talker\" in pod \"talker\" not found"
    );
    assert_eq!(
        stage.refused("logs talker -c nope").await,
        "error: container nope is not valid for pod talker out of: talker"
    );
    assert_eq!(
        stage.refused("logs nope").await,
        "error: error from server (NotFound): pods \"nope\" not found in namespace \"default\""
    );
}

#[tokio::test]
async fn a_log_is_followed_until_its_container_ends() {
    let Some(stage) = Stage::new().await else { return };
    stage.cluster.images().set_log("talker", "one\ntwo\n");
    stage.ok("run talker --image=registry.example/talker:1").await;
    stage.ok("wait pod/talker --for=condition=Ready --timeout=30s").await;
    let (mut kubectl, mut lines) = stage.watch("logs -f talker");
    for line in ["one", "two"] {
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some(line));
    }
    stage.ok("delete pod talker").await;
    assert_eq!(lines.next_line().await.unwrap(), None);
    assert!(kubectl.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_container_that_has_not_started_has_no_log() {
    let Some(stage) = Stage::new().await else { return };
    stage.cluster.images().set("missing", Behaviour::CannotPull { error: "not found".into() });
    stage.ok("run missing --image=registry.example/missing:1").await;
    stage.ok("wait pod/missing --for=jsonpath='{.status.containerStatuses[0].state.waiting.reason}'=ImagePullBackOff --timeout=30s").await;
    assert_eq!(
        stage.refused("logs missing").await,
        "Error from server (BadRequest): container \"missing\" in pod \"missing\" is waiting to start: trying and failing to pull image"
    );
}

#[tokio::test]
async fn nothing_connects_into_a_container() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok("run main --image=registry.example/main:1").await;
    stage.ok("wait pod/main --for=condition=Ready --timeout=30s").await;
    for line in ["exec main -- ls", "port-forward main 8080"] {
        let said = stage.refused(line).await;
        assert!(
            said.ends_with("unable to upgrade connection: the server does not allow this method on the requested resource"),
            "{line}: {said}"
        );
    }
}
