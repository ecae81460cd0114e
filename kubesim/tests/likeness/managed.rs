//! `metadata.managedFields`, as the real server writes them: what was not there before is managed itself, and what
//! the server fills in by itself is nobody's.

use http::Method;
use kubesim::transport::User;
use serde_json::{Value, json};

use super::stage::{ask, bare, post};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// The fields of the only entry.
fn fields(object: &Value) -> &Value {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{entries:?}");
    &entries[0]["fieldsV1"]
}

#[tokio::test(start_paused = true)]
async fn a_map_that_was_not_there_is_managed_itself_and_a_struct_is_not() {
    let cluster = bare(0).await;
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "image": "web:1", "ports": [{"containerPort": 80}]}]},
        },
    }});
    let made = post(&cluster, "/apis/apps/v1/namespaces/default/deployments", deployment).await;
    let wanted = json!({"f:spec": {
        "f:progressDeadlineSeconds": {}, "f:replicas": {}, "f:revisionHistoryLimit": {}, "f:selector": {},
        "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {}},
        "f:template": {
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {
                "f:containers": {"k:{\"name\":\"main\"}": {
                    ".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {},
                    "f:ports": {".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {
                        ".": {}, "f:containerPort": {}, "f:protocol": {},
                    }},
                    "f:resources": {}, "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {},
                }},
                "f:dnsPolicy": {}, "f:restartPolicy": {}, "f:schedulerName": {}, "f:securityContext": {},
                "f:terminationGracePeriodSeconds": {},
            },
        },
    }});
    assert_eq!(fields(&made), &wanted);
}

#[tokio::test(start_paused = true)]
async fn what_admission_adds_is_nobodys() {
    let cluster = bare(0).await;
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
    }});
    let made = post(&cluster, "/api/v1/namespaces/default/persistentvolumeclaims", claim).await;
    assert_eq!(made["metadata"]["finalizers"], json!(["kubernetes.io/pvc-protection"]));
    let wanted = json!({"f:spec": {
        "f:accessModes": {}, "f:resources": {"f:requests": {".": {}, "f:storage": {}}}, "f:volumeMode": {},
    }});
    assert_eq!(fields(&made), &wanted);
}

#[tokio::test(start_paused = true)]
async fn a_second_manager_takes_over_only_what_it_changes() {
    let cluster = bare(0).await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "1", "b": "1"}});
    post(&cluster, &format!("{MAPS}?fieldManager=one"), map).await;
    let patch = json!({"data": {"b": "2", "c": "3"}});
    let (code, patched) =
        ask(&cluster, &User::admin(), Method::PATCH, &format!("{MAPS}/m?fieldManager=two"), patch).await;
    assert_eq!(code, 200);
    let entries = patched["metadata"]["managedFields"].as_array().unwrap();
    let held: Vec<_> = entries.iter().map(|entry| (&entry["manager"], &entry["fieldsV1"])).collect();
    assert_eq!(
        held,
        [
            (&json!("one"), &json!({"f:data": {".": {}, "f:a": {}}})),
            (&json!("two"), &json!({"f:data": {"f:b": {}, "f:c": {}}})),
        ]
    );
}
