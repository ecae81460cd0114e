//! Load balancers.

use http::Method;
use kubesim::transport::User;
use serde_json::{Value, json};

use super::stage::{ask, bare, get, post};

#[tokio::test(start_paused = true)]
async fn a_service_that_asks_for_a_load_balancer_gets_one_and_gives_it_back() {
    let cluster = bare(0).await;
    let service =
        json!({"metadata": {"name": "web"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}});
    post(&cluster, "/api/v1/namespaces/default/services", service).await;
    cluster.settled().await;
    let web = get(&cluster, "", "services", "web").unwrap();
    let host = web["status"]["loadBalancer"]["ingress"][0]["hostname"].as_str().unwrap();
    assert!(host.ends_with(".us-west-2.elb.amazonaws.com"), "{host}");
    assert_eq!(web["metadata"]["finalizers"], json!(["service.kubernetes.io/load-balancer-cleanup"]));
    ask(&cluster, &User::admin(), Method::DELETE, "/api/v1/namespaces/default/services/web", Value::Null)
        .await;
    cluster.settled().await;
    assert!(get(&cluster, "", "services", "web").is_none());
}
