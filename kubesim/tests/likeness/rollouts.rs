//! The history of StatefulSets and DaemonSets.

use http::Method;
use kubesim::transport::User;
use serde_json::json;

use super::stage::{all, ask, bare, post};

#[tokio::test(start_paused = true)]
async fn every_template_of_a_set_is_kept_as_a_revision() {
    let cluster = bare(1).await;
    for (kind, plural) in [("StatefulSet", "statefulsets"), ("DaemonSet", "daemonsets")] {
        let name = kind.to_lowercase();
        let set = json!({"metadata": {"name": name}, "spec": {
            "selector": {"matchLabels": {"app": name}}, "serviceName": "none",
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "m:1"}]}},
        }});
        let path = format!("/apis/apps/v1/namespaces/default/{plural}");
        post(&cluster, &path, set).await;
        cluster.settled().await;
        for image in ["m:2", "m:1"] {
            let patch =
                json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}});
            let (code, body) =
                ask(&cluster, &User::admin(), Method::PATCH, &format!("{path}/{name}"), patch).await;
            assert_eq!(code, 200, "{body}");
            cluster.settled().await;
        }
        let revisions = all(&cluster, "apps", "controllerrevisions");
        let mut mine: Vec<(i64, &str)> = revisions
            .iter()
            .filter(|revision| revision["metadata"]["ownerReferences"][0]["kind"] == kind)
            .map(|revision| {
                let template = &revision["data"]["spec"]["template"];
                (
                    revision["revision"].as_i64().unwrap(),
                    template["spec"]["containers"][0]["image"].as_str().unwrap(),
                )
            })
            .collect();
        mine.sort_unstable();
        assert_eq!(mine, [(2, "m:2"), (3, "m:1")], "the first template is the newest again");
    }
}
