//! Resource quotas: refused beyond, counted, and given back.

use http::Method;
use kubesim::transport::User;
use serde_json::{Value, json};

use super::stage::{ask, bare, get, pod, post, said};

#[tokio::test(start_paused = true)]
async fn a_quota_refuses_what_does_not_fit_and_counts_what_does() {
    let cluster = bare(1).await;
    let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": {"pods": "1", "requests.cpu": "1"}}});
    post(&cluster, "/api/v1/namespaces/default/resourcequotas", quota).await;
    cluster.settled().await;
    let used = || get(&cluster, "", "resourcequotas", "few").unwrap()["status"].clone();
    assert_eq!(
        used(),
        json!({"hard": {"pods": "1", "requests.cpu": "1"}, "used": {"pods": "0", "requests.cpu": "0"}})
    );
    let asking = |name: &str| {
        pod(
            name,
            json!({"containers": [
                {"name": "main", "image": "main:1", "resources": {"requests": {"cpu": "600m"}}},
            ]}),
        )
    };
    let pods = "/api/v1/namespaces/default/pods";
    post(&cluster, pods, asking("one")).await;
    cluster.settled().await;
    assert_eq!(used()["used"], json!({"pods": "1", "requests.cpu": "600m"}));
    let (code, body) = ask(&cluster, &User::admin(), Method::POST, pods, asking("two")).await;
    assert_eq!(code, 403);
    assert_eq!(
        body["message"],
        "pods \"two\" is forbidden: exceeded quota: few, requested: pods=1,requests.cpu=600m, used: \
         pods=1,requests.cpu=600m, limited: pods=1,requests.cpu=1"
    );
    ask(&cluster, &User::admin(), Method::DELETE, &format!("{pods}/one"), Value::Null).await;
    cluster.settled().await;
    assert_eq!(used()["used"], json!({"pods": "0", "requests.cpu": "0"}));
}

#[tokio::test(start_paused = true)]
async fn a_deployment_beyond_its_quota_says_why_it_has_no_pods() {
    let cluster = bare(1).await;
    let quota = json!({"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}});
    post(&cluster, "/api/v1/namespaces/default/resourcequotas", quota).await;
    let deployment = json!({
        "metadata": {"name": "web"}, "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "m:1"}]}},
        },
    });
    post(&cluster, "/apis/apps/v1/namespaces/default/deployments", deployment).await;
    cluster.settled().await;
    let failed = said(&cluster, "FailedCreate");
    assert!(
        failed[0].starts_with("Error creating: pods \"web-")
            && failed[0].ends_with(
                "is forbidden: exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0"
            ),
        "{failed:?}"
    );
    let web = get(&cluster, "apps", "deployments", "web").unwrap();
    let conditions = web["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|c| c["type"] == "ReplicaFailure" && c["reason"] == "FailedCreate"));
}
