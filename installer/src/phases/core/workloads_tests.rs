//! What a manifest owns, and the verdict on each kind.

#![allow(clippy::unwrap_used)]

use super::*;
use serde_json::json;

fn owned(word: &str) -> Owned {
    let object = json!({ "kind": word, "metadata": { "name": "x" }, "spec": { "selector": { "a": "b" } } });
    of_object(&object, "shop").pop().unwrap()
}

fn judged(owned: &Owned, object: Value) -> State {
    owned.judge(&BTreeMap::from([("shop/x".to_owned(), object)]))
}

#[test]
fn a_manifest_is_read_for_what_it_runs_and_for_nothing_else() {
    let manifest = r#"---
# Source: web/templates/configmap.yaml
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
---
# Source: web/templates/service.yaml
apiVersion: v1
kind: Service
metadata: { name: web, namespace: front }
spec: { selector: { app: web } }
---
apiVersion: v1
kind: Service
metadata: { name: elsewhere }
spec: { type: ExternalName, externalName: example.com }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec: { replicas: 0 }
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: { name: guard }
webhooks:
  - clientConfig: { service: { namespace: shop, name: guard } }
  - clientConfig: { service: { namespace: shop, name: guard } }
  - clientConfig: { url: "https://example.com" }
"#;
    let found = of_manifest(manifest, "shop").unwrap().owned;
    let described: Vec<String> = found.iter().map(Owned::described).collect();
    assert_eq!(
        described,
        ["Deployment shop/web", "Service front/web", "ValidatingWebhookConfiguration guard"]
    );
    assert!(found[0].none_wanted);
    assert_eq!(found[2].service, Some(("shop".into(), "guard".into())));
}

#[test]
fn a_manifest_that_is_no_yaml_is_an_error_and_not_an_empty_one() {
    assert!(of_manifest("kind: [", "shop").is_err());
    assert_eq!(of_manifest("", "shop").unwrap(), Manifest::default());
}

#[test]
fn the_charts_version_is_read_from_its_label() {
    for (chart, version) in [
        ("web-2.1.0", Some("2.1.0")),
        ("kube-prometheus-stack-2-9.8.7-rc.1", Some("9.8.7-rc.1")),
        ("web", None),
    ] {
        assert_eq!(chart_version(chart).as_deref(), version, "{chart}");
    }
    let manifest = "kind: ConfigMap\nmetadata: { name: x, labels: { helm.sh/chart: web-2.1.0 } }\n";
    assert_eq!(of_manifest(manifest, "shop").unwrap().version.as_deref(), Some("2.1.0"));
}

#[test]
fn what_is_not_there_has_failed() {
    assert_eq!(owned("Deployment").judge(&BTreeMap::new()), State::Failed("it is not there".into()));
}

#[test]
fn a_deployment_is_judged_at_its_current_generation_and_by_every_replica() {
    let it = owned("Deployment");
    let object = |observed: i64, desired: u64, updated: u64, available: u64| {
        json!({
            "metadata": { "name": "x", "generation": 2 }, "spec": { "replicas": desired },
            "status": { "observedGeneration": observed, "replicas": updated, "updatedReplicas": updated,
                        "availableReplicas": available },
        })
    };
    assert!(judged(&it, object(2, 2, 2, 2)).is_ready());
    assert!(matches!(judged(&it, object(1, 2, 2, 2)), State::Waiting(_)));
    assert!(matches!(judged(&it, object(2, 2, 2, 1)), State::Waiting(_)));
    assert!(matches!(judged(&it, object(2, 2, 1, 2)), State::Waiting(_)));
    assert!(matches!(judged(&it, object(2, 0, 0, 0)), State::Failed(_)));
    let none = Owned { none_wanted: true, ..it };
    assert!(judged(&none, object(2, 0, 0, 0)).is_ready());
}

#[test]
fn a_stateful_set_must_have_rolled_out() {
    let it = owned("StatefulSet");
    let object = |ready: u64, current: &str| {
        json!({
            "metadata": { "name": "x", "generation": 1 }, "spec": { "replicas": 2 },
            "status": { "observedGeneration": 1, "readyReplicas": ready, "updatedReplicas": 2,
                        "currentRevision": current, "updateRevision": "new" },
        })
    };
    assert!(judged(&it, object(2, "new")).is_ready());
    assert!(matches!(judged(&it, object(2, "old")), State::Waiting(_)));
    assert!(matches!(judged(&it, object(1, "new")), State::Waiting(_)));
}

#[test]
fn a_daemon_set_must_run_somewhere_and_everywhere_it_should() {
    let it = owned("DaemonSet");
    let object = |desired: u64, available: u64| {
        json!({
            "metadata": { "name": "x", "generation": 1 },
            "status": { "observedGeneration": 1, "desiredNumberScheduled": desired,
                        "updatedNumberScheduled": desired, "numberAvailable": available },
        })
    };
    assert!(judged(&it, object(3, 3)).is_ready());
    assert!(matches!(judged(&it, object(3, 2)), State::Waiting(_)));
    assert_eq!(judged(&it, object(0, 0)), State::Waiting("no node takes it".into()));
}

#[test]
fn a_job_is_done_when_it_is_complete_and_its_failure_is_final() {
    let it = owned("Job");
    let object = |condition: Value| json!({ "metadata": { "name": "x" }, "spec": {}, "status": { "succeeded": 1, "conditions": [condition] } });
    assert!(judged(&it, object(json!({ "type": "Complete", "status": "True" }))).is_ready());
    let failed = json!({
        "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
        "message": "Job has reached the specified backoff limit",
    });
    let state = judged(&it, object(failed));
    assert!(matches!(&state, State::Failed(why) if why.contains("BackoffLimitExceeded")), "{state:?}");
    assert!(matches!(judged(&it, object(json!({}))), State::Waiting(_)));
}

#[test]
fn a_claim_must_be_bound() {
    let it = owned("PersistentVolumeClaim");
    let object = |phase: &str| json!({ "metadata": { "name": "x" }, "status": { "phase": phase } });
    assert!(judged(&it, object("Bound")).is_ready());
    assert_eq!(judged(&it, object("Pending")), State::Waiting("Pending".into()));
    assert!(matches!(judged(&it, object("Lost")), State::Failed(_)));
}

#[test]
fn a_service_needs_an_endpoint_that_is_ready() {
    let it = owned("Service");
    let slice = |ready: &[Value]| {
        let endpoints: Vec<Value> =
            ready.iter().map(|ready| json!({ "conditions": { "ready": ready } })).collect();
        json!({ "endpoints": endpoints })
    };
    assert!(judged(&it, slice(&[json!(false), json!(true)])).is_ready());
    assert!(judged(&it, slice(&[Value::Null])).is_ready());
    assert_eq!(
        judged(&it, slice(&[json!(false)])),
        State::Waiting("Service x has 0 of 1 endpoints ready".into())
    );
    assert_eq!(it.judge(&BTreeMap::new()), State::Waiting("Service x has no endpoints".into()));
}
