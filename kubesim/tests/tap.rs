//! What the tap records and breaks, in the server itself and as a proxy before it: the same on both.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use crate::support::config_map;
use crate::support::wire::{Wire, get, send, send_h2, text};
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, PostParams, WatchEvent, WatchParams};
use kubesim::tap::{Action, Rule, When};
use kubesim::transport::User;
use rstest::rstest;

/// Long enough for what is to happen, on a busy machine.
const SOON: Duration = Duration::from_secs(20);

fn on(verb: &str, resource: &str, action: Action) -> Rule {
    Rule {
        verbs: vec![verb.to_owned()],
        resources: vec![resource.to_owned()],
        times: Some(1),
        ..Rule::new("broken", action)
    }
}

fn unavailable(retry_after: Option<u32>) -> Action {
    let (reason, message) = ("ServiceUnavailable".to_owned(), "not now".to_owned());
    Action::Respond { code: 503, reason, message, retry_after }
}

async fn maps(wire: &Wire) -> Api<ConfigMap> {
    Api::namespaced(wire.admin().await, "default")
}

fn names(list: &kube::api::ObjectList<ConfigMap>) -> Vec<&str> {
    list.items.iter().filter_map(|map| map.metadata.name.as_deref()).collect()
}

#[rstest]
#[tokio::test]
async fn a_request_is_recorded_with_who_asked_for_what(#[values(false, true)] proxied: bool) {
    let wire = Wire::new(proxied).await;
    let alice = User::new("alice", ["system:masters"]);
    let client = wire.client(&wire.server().kubeconfig(&alice)).await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    maps.create(&PostParams::default(), &config_map("one", "a")).await.unwrap();
    maps.get("two").await.unwrap_err();
    let seen = wire.tap().recordings();
    let said: Vec<_> =
        seen.iter().map(|r| (r.verb.as_str(), r.full_resource(), r.name.as_str(), r.status)).collect();
    assert_eq!(
        said,
        [("create", "configmaps".to_owned(), "one", 201), ("get", "configmaps".to_owned(), "two", 404)]
    );
    assert!(seen.iter().all(|recording| recording.user == "alice" && recording.namespace == "default"));
    assert_eq!(seen.iter().map(|recording| recording.mutating()).collect::<Vec<_>>(), [true, false]);
}

#[rstest]
#[tokio::test]
async fn an_error_answer_carries_its_retry_after_and_the_next_request_is_whole(
    #[values(false, true)] proxied: bool,
) {
    let wire = Wire::new(proxied).await;
    let token = wire.server().authenticator().issue_token(&User::admin());
    let rule = wire.tap().add(on("list", "configmaps", unavailable(Some(7))));
    let list = || get("/api/v1/namespaces/default/configmaps", &token);
    let refused = send(wire.server(), list()).await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "7"));
    assert!(text(refused).await.contains("not now"));
    assert_eq!(send(wire.server(), list()).await.unwrap().status(), 200);
    assert_eq!(wire.tap().fired(rule), Some(1));
    let seen = wire.tap().recordings();
    assert_eq!((seen[0].fault.as_deref(), seen[0].retry_after), (Some("broken"), Some(7)));
}

#[rstest]
#[case::answered(unavailable(None))]
#[case::reset(Action::Reset)]
#[tokio::test]
async fn a_write_is_lost_before_it_is_done_or_done_with_its_answer_lost(
    #[values(false, true)] proxied: bool,
    #[case] action: Action,
) {
    let wire = Wire::new(proxied).await;
    let maps = maps(&wire).await;
    wire.tap().add(on("create", "configmaps", action.clone()));
    maps.create(&PostParams::default(), &config_map("before", "a")).await.unwrap_err();
    wire.tap().add(Rule { when: When::AfterCommit, ..on("create", "configmaps", action) });
    maps.create(&PostParams::default(), &config_map("after", "a")).await.unwrap_err();
    assert_eq!(names(&maps.list(&ListParams::default()).await.unwrap()), ["after"]);
}

#[rstest]
#[tokio::test]
async fn a_request_that_hangs_holds_up_no_other(#[values(false, true)] proxied: bool) {
    let wire = Wire::new(proxied).await;
    let maps = maps(&wire).await;
    wire.tap().add(on("create", "configmaps", Action::Hang));
    let first = config_map("first", "a");
    let params = PostParams::default();
    let mut hanging = Box::pin(maps.create(&params, &first));
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut hanging).await.is_err());
    maps.create(&PostParams::default(), &config_map("second", "a")).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), hanging).await.is_err());
    assert_eq!(names(&maps.list(&ListParams::default()).await.unwrap()), ["second"]);
}

#[rstest]
#[tokio::test]
async fn a_slow_answer_is_whole(#[values(false, true)] proxied: bool) {
    let wire = Wire::new(proxied).await;
    let maps = maps(&wire).await;
    let slow = Duration::from_millis(80);
    wire.tap().add(on("list", "configmaps", Action::Delay(slow)));
    let began = Instant::now();
    maps.list(&ListParams::default()).await.unwrap();
    assert!(began.elapsed() >= slow, "{:?}", began.elapsed());
}

#[rstest]
#[tokio::test]
async fn a_truncated_answer_promises_more_than_it_sends(#[values(false, true)] proxied: bool) {
    let wire = Wire::new(proxied).await;
    maps(&wire).await.create(&PostParams::default(), &config_map("one", "a")).await.unwrap();
    let token = wire.server().authenticator().issue_token(&User::admin());
    wire.tap().add(on("list", "configmaps", Action::Truncate));
    let answer = send(wire.server(), get("/api/v1/namespaces/default/configmaps", &token)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let promised: usize = answer.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let (mut body, mut got) = (answer.into_body(), 0);
    let broken = loop {
        match body.frame().await {
            Some(Ok(frame)) => got += frame.into_data().map_or(0, |data| data.len()),
            end => break end,
        }
    };
    assert!(matches!(broken, Some(Err(_))), "{broken:?}");
    assert_eq!(got, promised / 2);
}

#[rstest]
#[tokio::test]
async fn a_stale_list_shows_the_past_page_by_page(#[values(false, true)] proxied: bool) {
    let wire = Wire::new(proxied).await;
    let maps = maps(&wire).await;
    for name in ["a", "b"] {
        maps.create(&PostParams::default(), &config_map(name, "x")).await.unwrap();
    }
    let then = maps.list(&ListParams::default()).await.unwrap();
    maps.create(&PostParams::default(), &config_map("c", "x")).await.unwrap();
    maps.delete("a", &Default::default()).await.unwrap();
    let revision = then.metadata.resource_version.clone().unwrap();
    let stale = Action::StaleList { revision: revision.clone() };
    let rule = wire.tap().add(Rule { times: None, ..on("list", "configmaps", stale) });
    let seen = maps.list(&ListParams::default()).await.unwrap();
    assert_eq!(names(&seen), ["a", "b"]);
    assert_eq!(seen.metadata.resource_version, Some(revision));
    let page = maps.list(&ListParams::default().limit(1)).await.unwrap();
    assert_eq!(names(&page), ["a"]);
    let token = page.metadata.continue_.unwrap();
    let page = maps.list(&ListParams::default().limit(1).continue_token(&token)).await.unwrap();
    assert_eq!(names(&page), ["b"]);
    wire.tap().remove(rule);
    assert_eq!(names(&maps.list(&ListParams::default()).await.unwrap()), ["b", "c"]);
}

#[rstest]
#[tokio::test]
async fn a_watch_shows_each_change_as_it_happens(#[values(false, true)] proxied: bool) {
    let wire = Wire::new(proxied).await;
    let maps = maps(&wire).await;
    let mut watch = maps.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    for name in ["a", "b"] {
        maps.create(&PostParams::default(), &config_map(name, "x")).await.unwrap();
        let event = tokio::time::timeout(SOON, watch.next()).await.unwrap().unwrap().unwrap();
        assert!(
            matches!(&event, WatchEvent::Added(map) if map.metadata.name.as_deref() == Some(name)),
            "{event:?}"
        );
    }
}

#[rstest]
#[tokio::test]
async fn a_dropped_watch_breaks_after_its_events(#[values(false, true)] proxied: bool) {
    let wire = Wire::new(proxied).await;
    let maps = maps(&wire).await;
    wire.tap().add(on("watch", "configmaps", Action::DropWatch { events: 1 }));
    let mut watch = maps.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    maps.create(&PostParams::default(), &config_map("a", "x")).await.unwrap();
    maps.create(&PostParams::default(), &config_map("b", "x")).await.unwrap();
    let first = tokio::time::timeout(SOON, watch.next()).await.unwrap();
    assert!(matches!(first, Some(Ok(WatchEvent::Added(_)))), "{first:?}");
    // The client may take the break for an error or for the end; it gets nothing more either way.
    let next = tokio::time::timeout(SOON, watch.next()).await.unwrap();
    assert!(matches!(next, None | Some(Err(_))), "{next:?}");
    let whole = maps.watch(&WatchParams::default().timeout(1), "0").await.unwrap();
    assert_eq!(whole.filter(|event| std::future::ready(event.is_ok())).count().await, 2);
}

#[rstest]
#[tokio::test]
async fn a_late_watch_keeps_its_order(#[values(false, true)] proxied: bool) {
    let wire = Wire::new(proxied).await;
    let maps = maps(&wire).await;
    let late = Duration::from_millis(150);
    wire.tap().add(on("watch", "configmaps", Action::LateWatch(late)));
    let mut watch = maps.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let began = Instant::now();
    for name in ["a", "b"] {
        maps.create(&PostParams::default(), &config_map(name, "x")).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 2 {
        match tokio::time::timeout(SOON, watch.next()).await.unwrap() {
            Some(Ok(WatchEvent::Added(map))) => seen.push(map.metadata.name.unwrap()),
            other => panic!("{other:?}"),
        }
        assert!(began.elapsed() >= late, "{:?}", began.elapsed());
    }
    assert_eq!(seen, ["a", "b"]);
}

#[rstest]
#[tokio::test]
async fn an_old_version_is_refused_to_a_list_and_within_a_watch(#[values(false, true)] proxied: bool) {
    let wire = Wire::new(proxied).await;
    let maps = maps(&wire).await;
    wire.tap().add(on("list", "configmaps", Action::Expire));
    let refused = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 410), "{refused}");
    wire.tap().add(on("watch", "configmaps", Action::Expire));
    let mut watch = maps.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let first = watch.next().await;
    assert!(matches!(&first, Some(Ok(WatchEvent::Error(status))) if status.code == 410), "{first:?}");
    assert!(watch.next().await.is_none());
}

#[rstest]
#[tokio::test]
async fn a_closed_endpoint_refuses_and_an_opened_one_answers(#[values(false, true)] proxied: bool) {
    let wire = Wire::new(proxied).await;
    let maps = maps(&wire).await;
    maps.list(&ListParams::default()).await.unwrap();
    wire.server().close().await;
    let refused = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(format!("{refused:?}").contains("ConnectionRefused"), "{refused:?}");
    wire.server().open().await.unwrap();
    maps.list(&ListParams::default()).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_user_keeps_its_own_rights_whatever_it_says_in_headers(#[values(false, true)] proxied: bool) {
    let wire = Wire::new(proxied).await;
    let token = wire.server().authenticator().issue_token(&User::new("bob", ["builders"]));
    let list = || get("/api/v1/namespaces/default/configmaps", &token);
    let refused = text(send(wire.server(), list()).await.unwrap()).await;
    let words = "User \\\"bob\\\" cannot list resource \\\"configmaps\\\" in API group \\\"\\\"";
    assert!(refused.contains(words), "{refused}");
    let spoofed = list().header("X-Remote-User", "root").header("X-Remote-Group", "system:masters");
    assert_eq!(send(wire.server(), spoofed).await.unwrap().status(), 403);
}

#[rstest]
#[tokio::test]
async fn a_client_certificate_is_its_user(#[values(false, true)] proxied: bool) {
    let wire = Wire::new(proxied).await;
    let carol = User::new("carol", ["system:masters"]);
    let client = wire.client(&wire.server().kubeconfig_with_certificate(&carol).unwrap()).await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    maps.list(&ListParams::default()).await.unwrap();
    assert_eq!(wire.tap().recordings()[0].user, "carol");
}

#[rstest]
#[tokio::test]
async fn unknown_and_revoked_credentials_are_unauthorized(#[values(false, true)] proxied: bool) {
    let wire = Wire::new(proxied).await;
    let token = wire.server().authenticator().issue_token(&User::admin());
    let list = |token: &str| get("/api/v1/namespaces/default/configmaps", token);
    assert_eq!(send(wire.server(), list("made-up")).await.unwrap().status(), 401);
    assert_eq!(send(wire.server(), list(&token)).await.unwrap().status(), 200);
    wire.server().authenticator().revoke(&User::admin().name);
    assert_eq!(send(wire.server(), list(&token)).await.unwrap().status(), 401);
}

#[rstest]
#[tokio::test]
async fn requests_on_one_http2_connection_go_side_by_side(#[values(false, true)] proxied: bool) {
    let wire = Wire::new(proxied).await;
    let token = wire.server().authenticator().issue_token(&User::admin());
    let paths = ["/version", "/api/v1/namespaces/default/configmaps?watch=1", "/readyz"];
    let answers = send_h2(
        wire.server(),
        paths.iter().map(|path| get(&format!("https://127.0.0.1{path}"), &token)).collect(),
    )
    .await;
    assert!(answers.iter().all(|answer| answer.status() == 200));
    let mut answers = answers.into_iter();
    assert!(text(answers.next().unwrap()).await.contains("gitVersion"));
    let mut watch = answers.next().unwrap().into_body();
    maps(&wire).await.create(&PostParams::default(), &config_map("a", "x")).await.unwrap();
    let event = tokio::time::timeout(SOON, watch.frame()).await.unwrap().unwrap().unwrap();
    assert!(String::from_utf8_lossy(event.data_ref().unwrap()).contains("\"ADDED\""));
}
