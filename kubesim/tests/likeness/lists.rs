//! Lists of one moment: pages, and exact resource versions.

use http::Method;
use kubesim::Cluster;
use kubesim::transport::User;
use serde_json::{Value, json};

use super::stage::{ask, bare, post};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn get(cluster: &Cluster, path: &str) -> (u16, Value) {
    ask(cluster, &User::admin(), Method::GET, path, Value::Null).await
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

async fn maps(cluster: &Cluster, names: &[&str]) {
    for name in names {
        post(cluster, MAPS, json!({"metadata": {"name": name, "labels": {"own": "yes"}}})).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_pages_of_a_list_show_one_moment() {
    let cluster = bare(0).await;
    maps(&cluster, &["a", "b", "d"]).await;
    let (_, first) = get(&cluster, &format!("{MAPS}?labelSelector=own&limit=2")).await;
    assert_eq!(names(&first), ["a", "b"]);
    maps(&cluster, &["c"]).await;
    ask(&cluster, &User::admin(), Method::DELETE, &format!("{MAPS}/d"), Value::Null).await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let (_, second) = get(&cluster, &format!("{MAPS}?labelSelector=own&limit=2&continue={token}")).await;
    assert_eq!(names(&second), ["d"]);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    cluster.store().compact();
    let (code, body) = get(&cluster, &format!("{MAPS}?limit=2&continue={token}")).await;
    assert_eq!((code, body["reason"].as_str()), (410, Some("Expired")));
}

#[tokio::test(start_paused = true)]
async fn a_list_can_be_asked_for_at_an_exact_version() {
    let cluster = bare(0).await;
    maps(&cluster, &["a"]).await;
    let (_, before) = get(&cluster, &format!("{MAPS}?labelSelector=own")).await;
    maps(&cluster, &["b"]).await;
    let version = before["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!("{MAPS}?labelSelector=own&resourceVersion={version}&resourceVersionMatch");
    assert_eq!(names(&get(&cluster, &format!("{path}=Exact")).await.1), ["a"]);
    assert_eq!(names(&get(&cluster, &format!("{path}=NotOlderThan")).await.1), ["a", "b"]);
    let (code, body) = get(&cluster, &format!("{MAPS}?resourceVersionMatch=Exact")).await;
    assert_eq!(code, 422);
    assert_eq!(
        body["message"],
        "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden \
         unless resourceVersion is provided"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_version_that_is_forgotten_gets_410_as_its_first_event() {
    let cluster = bare(0).await;
    maps(&cluster, &["a"]).await;
    cluster.store().compact();
    let (code, event) = get(&cluster, &format!("{MAPS}?watch=true&resourceVersion=1")).await;
    assert_eq!(code, 200);
    assert_eq!((event["type"].as_str(), event["object"]["code"].as_u64()), (Some("ERROR"), Some(410)));
    assert_eq!(event["object"]["reason"], "Expired");
}
