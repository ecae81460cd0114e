//! The API through `kube::Client`, in process, on a paused clock.

#![allow(clippy::unwrap_used)]

use crate::support::{Sim, config_map};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn an_object_lives_through_create_read_update_and_delete() {
    let sim = Sim::new();
    let maps: Api<ConfigMap> = Api::namespaced(sim.client(), "default");
    let created = maps.create(&PostParams::default(), &config_map("one", "a")).await.unwrap();
    assert!(created.metadata.uid.is_some());
    let mut read = maps.get("one").await.unwrap();
    read.data.get_or_insert_default().insert("key".into(), "b".into());
    let updated = maps.replace("one", &PostParams::default(), &read).await.unwrap();
    assert_ne!(updated.metadata.resource_version, created.metadata.resource_version);
    let stale = maps.replace("one", &PostParams::default(), &read).await.unwrap_err();
    assert!(stale.to_string().contains("the object has been modified"), "{stale}");
    maps.delete("one", &DeleteParams::default()).await.unwrap();
    assert!(maps.get_opt("one").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_created_in_a_namespace_that_is_missing() {
    let sim = Sim::new();
    let maps: Api<ConfigMap> = Api::namespaced(sim.client(), "nowhere");
    let refused = maps.create(&PostParams::default(), &config_map("one", "a")).await.unwrap_err();
    assert!(refused.to_string().contains("namespaces \"nowhere\" not found"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_merge_patch_changes_and_removes() {
    let sim = Sim::new();
    let maps: Api<ConfigMap> = Api::namespaced(sim.client(), "default");
    maps.create(&PostParams::default(), &config_map("one", "a")).await.unwrap();
    let patch = Patch::Merge(json!({"data": {"key": null, "other": "b"}}));
    let patched = maps.patch("one", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.data.unwrap().into_iter().collect::<Vec<_>>(), [("other".to_owned(), "b".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_list_misses_nothing_and_ends_in_time() {
    let sim = Sim::new();
    let maps: Api<ConfigMap> = Api::namespaced(sim.client(), "default");
    maps.create(&PostParams::default(), &config_map("before", "a")).await.unwrap();
    let list = maps.list(&ListParams::default()).await.unwrap();
    maps.create(&PostParams::default(), &config_map("between", "a")).await.unwrap();
    let version = list.metadata.resource_version.unwrap();
    let watch = maps.watch(&WatchParams::default().timeout(30), &version).await.unwrap();
    maps.delete("before", &DeleteParams::default()).await.unwrap();
    let events: Vec<_> = watch.try_collect().await.unwrap();
    let seen: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            WatchEvent::Added(map) => Some(("added", map.metadata.name.clone()?)),
            WatchEvent::Deleted(map) => Some(("deleted", map.metadata.name.clone()?)),
            _ => None,
        })
        .collect();
    assert_eq!(seen, [("added", "between".to_owned()), ("deleted", "before".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn the_runtime_watcher_sees_every_object_with_a_streaming_list() {
    let sim = Sim::new();
    let client = sim.client();
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    for name in ["a", "b"] {
        maps.create(&PostParams::default(), &config_map(name, "x")).await.unwrap();
    }
    let config = kube_runtime::watcher::Config::default().streaming_lists();
    let mut stream = std::pin::pin!(kube_runtime::watcher(maps.clone(), config));
    let mut names = Vec::new();
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            kube_runtime::watcher::Event::InitApply(map) => names.push(map.metadata.name.unwrap()),
            kube_runtime::watcher::Event::InitDone => break,
            _ => {}
        }
    }
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_long_list_comes_in_pages() {
    let sim = Sim::new();
    let maps: Api<ConfigMap> = Api::namespaced(sim.client(), "default");
    for index in 0..5 {
        maps.create(&PostParams::default(), &config_map(&format!("m{index}"), "x")).await.unwrap();
    }
    let mut params = ListParams::default().limit(2);
    let mut names = Vec::new();
    loop {
        let page = maps.list(&params).await.unwrap();
        names.extend(page.items.into_iter().filter_map(|map| map.metadata.name));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    assert_eq!(names, ["m0", "m1", "m2", "m3", "m4"]);
}

#[tokio::test(start_paused = true)]
async fn selectors_select_and_unknown_fields_are_refused() {
    let sim = Sim::new();
    let secrets: Api<Secret> = Api::namespaced(sim.client(), "default");
    for (name, owner) in [("a", "helm"), ("b", "me")] {
        let secret = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"owner": owner}}, "type": format!("{owner}.sh/v1"),
        }));
        secrets.create(&PostParams::default(), &secret.unwrap()).await.unwrap();
    }
    let by_label = secrets.list(&ListParams::default().labels("owner in (helm)")).await.unwrap();
    assert_eq!(by_label.items.len(), 1);
    let by_type = secrets.list(&ListParams::default().fields("type!=helm.sh/v1")).await.unwrap();
    assert_eq!(by_type.items[0].metadata.name.as_deref(), Some("b"));
    let refused = secrets.list(&ListParams::default().fields("spec.x=1")).await.unwrap_err();
    assert!(refused.to_string().contains("field label not supported: spec.x"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_leaves_nothing_behind() {
    let sim = Sim::new();
    let namespaces: Api<Namespace> = Api::all(sim.client());
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let namespace = serde_json::from_value(json!({"metadata": {"name": "dry"}})).unwrap();
    assert_eq!(namespaces.create(&params, &namespace).await.unwrap().metadata.name.as_deref(), Some("dry"));
    assert!(namespaces.get_opt("dry").await.unwrap().is_none());
    assert!(sim.tap.recordings().iter().all(|recording| !recording.mutating()));
}
