//! A whole cluster in process: controllers, scheduler and kubelets, on a paused clock.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use kubesim::kubelet::{Behaviour, NodeShape};
use kubesim::store::{GroupResource, Meta, Object, Preconditions};
use kubesim::{Cluster, Config};
use rstest::rstest;
use serde_json::{Value, json};

async fn start(nodes: u32) -> Cluster {
    let nodes = (0..nodes).map(|number| NodeShape::numbered(number, "us-west-2")).collect();
    let origin = Some("2026-01-02T03:04:05Z".parse().unwrap());
    Cluster::start(Config { seed: 7, nodes, origin, ..Config::default() }).await.unwrap()
}

fn deployment(name: &str, replicas: u32, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{
                    "name": "main", "image": image, "imagePullPolicy": "IfNotPresent",
                    "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 10},
                }]},
            },
        },
    })
}

fn create(cluster: &Cluster, group: &str, resource: &str, object: Value) -> Object {
    cluster.store().create(&GroupResource::new(group, resource), object).unwrap()
}

fn get(cluster: &Cluster, group: &str, resource: &str, name: &str) -> Object {
    cluster.store().get(&GroupResource::new(group, resource), "default", name).unwrap()
}

fn pods(cluster: &Cluster) -> Vec<Object> {
    cluster.store().list(&GroupResource::new("", "pods"), Some("default")).0
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    object["status"]["conditions"].as_array().unwrap().iter().find(|c| c["type"] == kind).unwrap()
}

fn events(cluster: &Cluster, reason: &str) -> Vec<String> {
    let (events, _) = cluster.store().list(&GroupResource::new("", "events"), Some("default"));
    let wanted = events.iter().filter(|event| event["reason"] == reason);
    wanted.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_cluster_begins_settled_with_eks_content_and_no_events() {
    let cluster = start(2).await;
    let all =
        |group: &str, resource: &str| cluster.store().list(&GroupResource::new(group, resource), None).0;
    let running = all("", "pods").iter().filter(|pod| pod["status"]["phase"] == "Running").count();
    assert_eq!(running, 6, "two each of CoreDNS, kube-proxy and aws-node");
    for deployment in all("apps", "deployments") {
        assert_eq!(deployment["status"]["availableReplicas"], 2);
    }
    assert!(all("", "events").is_empty());
    assert_eq!(all("coordination.k8s.io", "leases").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_becomes_available() {
    let cluster = start(2).await;
    create(&cluster, "apps", "deployments", deployment("web", 3, "web:1"));
    cluster.settled().await;
    let web = get(&cluster, "apps", "deployments", "web");
    for field in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
        assert_eq!(web["status"][field], 3, "{field}");
    }
    assert_eq!(condition(&web, "Available")["reason"], "MinimumReplicasAvailable");
    assert_eq!(condition(&web, "Progressing")["reason"], "NewReplicaSetAvailable");
    assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    assert_eq!(events(&cluster, "Started").len(), 3);
    let assigned = events(&cluster, "Scheduled");
    assert!(
        assigned.iter().all(|text| text.starts_with("Successfully assigned default/web-")),
        "{assigned:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_rollout_replaces_every_pod_and_a_rollback_takes_the_old_set_again() {
    let cluster = start(2).await;
    create(&cluster, "apps", "deployments", deployment("web", 3, "web:1"));
    cluster.settled().await;
    let image = |image: &'static str| {
        let resource = GroupResource::new("apps", "deployments");
        cluster
            .store()
            .update(&resource, "default", "web", |web| {
                web["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
                let generation = web["metadata"]["generation"].as_i64().unwrap() + 1;
                web["metadata"]["generation"] = json!(generation);
                Ok(())
            })
            .unwrap();
    };
    image("web:2");
    cluster.settled().await;
    assert!(pods(&cluster).iter().all(|pod| pod["spec"]["containers"][0]["image"] == "web:2"));
    assert_eq!(pods(&cluster).len(), 3);
    image("web:1");
    cluster.settled().await;
    let sets = cluster.store().list(&GroupResource::new("apps", "replicasets"), Some("default")).0;
    assert_eq!(sets.len(), 2);
    let web = get(&cluster, "apps", "deployments", "web");
    assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");
    assert_eq!(web["status"]["updatedReplicas"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_cannot_go_on_misses_its_deadline() {
    let cluster = start(1).await;
    cluster.images().set("web:bad", Behaviour::CannotPull { error: "not found".into() });
    create(&cluster, "apps", "deployments", deployment("web", 1, "web:bad"));
    cluster.settled().await;
    let web = get(&cluster, "apps", "deployments", "web");
    assert_eq!(condition(&web, "Progressing")["reason"], "ReplicaSetUpdated");
    tokio::time::sleep(Duration::from_secs(601)).await;
    cluster.settled().await;
    let web = get(&cluster, "apps", "deployments", "web");
    let progressing = condition(&web, "Progressing");
    assert_eq!(progressing["status"], "False");
    assert_eq!(progressing["reason"], "ProgressDeadlineExceeded");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_pulled_backs_off_in_the_kubelets_words() {
    let cluster = start(1).await;
    cluster.images().set("web", Behaviour::CannotPull { error: "web:1: not found".into() });
    create(&cluster, "apps", "deployments", deployment("web", 1, "web:1"));
    cluster.settled().await;
    let waiting = |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["waiting"].clone();
    assert_eq!(waiting(&pods(&cluster)[0])["reason"], "ErrImagePull");
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.settled().await;
    let pod = &pods(&cluster)[0];
    assert_eq!(waiting(pod)["reason"], "ImagePullBackOff");
    assert_eq!(waiting(pod)["message"], "Back-off pulling image \"web:1\": ErrImagePull: web:1: not found");
    assert_eq!(pod["status"]["phase"], "Pending");
    assert_eq!(events(&cluster, "BackOff"), ["Back-off pulling image \"web:1\""]);
    cluster.images().set("web", Behaviour::Runs);
    tokio::time::sleep(Duration::from_secs(10)).await;
    cluster.settled().await;
    assert_eq!(pods(&cluster)[0]["status"]["phase"], "Running");
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_restarts_with_growing_waits_and_keeps_its_log() {
    let cluster = start(1).await;
    let crash = Behaviour::CrashLoop {
        log: "panic: no region\n".into(),
        exit_code: 1,
        after: Duration::from_secs(1),
    };
    cluster.images().set("web", crash);
    create(&cluster, "apps", "deployments", deployment("web", 1, "web:1"));
    tokio::time::sleep(Duration::from_secs(40)).await;
    cluster.settled().await;
    let pod = &pods(&cluster)[0];
    let status = &pod["status"]["containerStatuses"][0];
    // At 0 s, 1 s, 12 s and 33 s.
    assert_eq!(status["restartCount"], 3);
    assert_eq!(status["state"]["waiting"]["reason"], "CrashLoopBackOff");
    let message = status["state"]["waiting"]["message"].as_str().unwrap();
    assert!(message.starts_with("back-off 40s restarting failed container=main pod=web-"), "{message}");
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 1);
    assert_eq!(pod["status"]["phase"], "Running", "a container that has run keeps the pod out of Pending");
    let client = kube::Client::new(cluster.service(), "default");
    let api: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::namespaced(client, "default");
    let log =
        api.logs(pod.name(), &kube::api::LogParams { previous: true, ..Default::default() }).await.unwrap();
    assert_eq!(log, "panic: no region\n");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_never_ready_is_running_and_unhealthy() {
    let cluster = start(1).await;
    let probe = "HTTP probe failed with statuscode: 503".to_owned();
    cluster.images().set("web", Behaviour::NeverReady { probe });
    create(&cluster, "apps", "deployments", deployment("web", 1, "web:1"));
    tokio::time::sleep(Duration::from_secs(25)).await;
    cluster.settled().await;
    let pod = &pods(&cluster)[0];
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(condition(pod, "Ready")["message"], "containers with unready status: [main]");
    assert_eq!(
        events(&cluster, "Unhealthy"),
        ["Readiness probe failed: HTTP probe failed with statuscode: 503"]
    );
    let web = get(&cluster, "apps", "deployments", "web");
    assert_eq!(condition(&web, "Available")["status"], "False");
}

#[tokio::test(start_paused = true)]
async fn readiness_comes_when_it_was_said_to_come() {
    let cluster = start(1).await;
    cluster.images().set("web", Behaviour::ReadyAfter(Duration::from_secs(30)));
    create(&cluster, "apps", "deployments", deployment("web", 1, "web:1"));
    tokio::time::sleep(Duration::from_secs(29)).await;
    cluster.settled().await;
    assert_eq!(condition(&pods(&cluster)[0], "Ready")["status"], "False");
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.settled().await;
    assert_eq!(condition(&pods(&cluster)[0], "Ready")["status"], "True");
}

#[tokio::test(start_paused = true)]
async fn without_nodes_pods_wait_and_are_told_why_and_a_node_takes_them() {
    let cluster = start(0).await;
    create(&cluster, "apps", "deployments", deployment("web", 1, "web:1"));
    cluster.settled().await;
    let pod = &pods(&cluster)[0];
    assert_eq!(condition(pod, "PodScheduled")["message"], "no nodes available to schedule pods");
    assert_eq!(events(&cluster, "FailedScheduling"), ["no nodes available to schedule pods"]);
    cluster.nodes().add(NodeShape::numbered(0, "us-west-2")).unwrap();
    cluster.settled().await;
    assert_eq!(condition(&pods(&cluster)[0], "Ready")["status"], "True");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_ready_is_tainted_and_its_pods_leave_after_five_minutes() {
    let cluster = start(2).await;
    create(&cluster, "apps", "deployments", deployment("web", 2, "web:1"));
    cluster.settled().await;
    let broken = cluster.nodes().names()[0].clone();
    cluster.nodes().set_ready(&broken, false, None).unwrap();
    cluster.settled().await;
    let node = cluster.store().get(&GroupResource::new("", "nodes"), "", &broken).unwrap();
    assert_eq!(condition(&node, "Ready")["reason"], "KubeletNotReady");
    let taints: Vec<&Value> =
        node["spec"]["taints"].as_array().unwrap().iter().map(|t| &t["effect"]).collect();
    assert_eq!(taints, ["NoSchedule", "NoExecute"]);
    let on_broken =
        |cluster: &Cluster| pods(cluster).iter().filter(|p| p["spec"]["nodeName"] == *broken).count();
    assert_eq!(on_broken(&cluster), 1);
    let pod = pods(&cluster).into_iter().find(|p| p["spec"]["nodeName"] == *broken).unwrap();
    assert_eq!(condition(&pod, "Ready")["status"], "True", "its kubelet is there and speaks for it");
    tokio::time::sleep(Duration::from_secs(301)).await;
    cluster.settled().await;
    assert_eq!(on_broken(&cluster), 0);
    assert_eq!(get(&cluster, "apps", "deployments", "web")["status"]["availableReplicas"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_somebody_calls_unready_is_ready_again_as_its_kubelet_says() {
    let cluster = start(1).await;
    create(&cluster, "apps", "deployments", deployment("web", 1, "web:1"));
    cluster.settled().await;
    let name = pods(&cluster)[0].name().to_owned();
    let lie = |pod: &mut Value| {
        for condition in pod["status"]["conditions"].as_array_mut().unwrap() {
            condition["status"] = json!("False");
        }
        Ok(())
    };
    cluster.store().update(&GroupResource::new("", "pods"), "default", &name, lie).unwrap();
    cluster.settled().await;
    assert_eq!(condition(&pods(&cluster)[0], "Ready")["status"], "True");
}

#[tokio::test(start_paused = true)]
async fn while_no_node_is_ready_no_pod_is_driven_away() {
    let cluster = start(2).await;
    create(&cluster, "apps", "deployments", deployment("web", 2, "web:1"));
    cluster.settled().await;
    let names = cluster.nodes().names();
    let effects = |cluster: &Cluster, name: &str| -> Vec<String> {
        let node = cluster.store().get(&GroupResource::new("", "nodes"), "", name).unwrap();
        let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
        taints.iter().map(|taint| taint["effect"].as_str().unwrap().to_owned()).collect()
    };
    for name in &names {
        cluster.nodes().set_ready(name, false, None).unwrap();
    }
    cluster.settled().await;
    assert!(names.iter().all(|name| effects(&cluster, name) == ["NoSchedule"]));
    tokio::time::sleep(Duration::from_secs(301)).await;
    cluster.settled().await;
    assert!(pods(&cluster).iter().all(|pod| pod["metadata"]["deletionTimestamp"].is_null()));
    // One that recovers shows that the others are lost.
    cluster.nodes().set_ready(&names[0], true, None).unwrap();
    cluster.settled().await;
    assert_eq!(effects(&cluster, &names[0]), [""; 0]);
    assert_eq!(effects(&cluster, &names[1]), ["NoSchedule", "NoExecute"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_created_by_hand_gets_a_kubelet() {
    let cluster = start(0).await;
    create(&cluster, "", "nodes", json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "mine"}}));
    cluster.settled().await;
    let node = cluster.store().get(&GroupResource::new("", "nodes"), "", "mine").unwrap();
    assert_eq!(condition(&node, "Ready")["status"], "True");
    assert_eq!(node["status"]["capacity"]["pods"], "29");
}

#[rstest]
#[case::background(json!({}), 0)]
#[case::orphan(json!({"finalizers": ["orphan"]}), 2)]
#[case::foreground(json!({"finalizers": ["foregroundDeletion"]}), 0)]
#[tokio::test(start_paused = true)]
async fn deleting_a_deployment_takes_its_pods_or_leaves_them(#[case] meta: Value, #[case] left: usize) {
    let cluster = start(1).await;
    let mut web = deployment("web", 2, "web:1");
    for (key, value) in meta.as_object().unwrap() {
        web["metadata"][key] = value.clone();
    }
    create(&cluster, "apps", "deployments", web);
    cluster.settled().await;
    let resource = GroupResource::new("apps", "deployments");
    cluster.store().delete(&resource, "default", "web", &Preconditions::default(), 0).unwrap();
    cluster.settled().await;
    assert!(cluster.store().get(&resource, "default", "web").is_none());
    assert_eq!(pods(&cluster).len(), left);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_with_its_content_unless_something_holds_it() {
    let cluster = start(1).await;
    let namespaces = GroupResource::new("", "namespaces");
    create(
        &cluster,
        "",
        "namespaces",
        json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        }),
    );
    cluster.settled().await;
    let accounts = GroupResource::new("", "serviceaccounts");
    assert!(cluster.store().get(&accounts, "team", "default").is_some());
    create(
        &cluster,
        "",
        "configmaps",
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "held", "namespace": "team", "finalizers": ["example.com/wait"]},
        }),
    );
    cluster.store().delete(&namespaces, "", "team", &Preconditions::default(), 0).unwrap();
    cluster.settled().await;
    let team = cluster.store().get(&namespaces, "", "team").unwrap();
    assert_eq!(
        condition(&team, "NamespaceFinalizersRemaining")["message"],
        "Some content in the namespace has finalizers remaining: example.com/wait in 1 resource instances"
    );
    let held = GroupResource::new("", "configmaps");
    cluster
        .store()
        .update(&held, "team", "held", |object| {
            object["metadata"]["finalizers"] = json!([]);
            Ok(())
        })
        .unwrap();
    cluster.settled().await;
    assert!(cluster.store().get(&namespaces, "", "team").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_service_has_the_addresses_of_its_ready_pods() {
    let cluster = start(2).await;
    create(
        &cluster,
        "",
        "services",
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]},
        }),
    );
    cluster.images().set("web", Behaviour::ReadyAfter(Duration::from_secs(5)));
    create(&cluster, "apps", "deployments", deployment("web", 2, "web:1"));
    cluster.settled().await;
    let addresses = |field: &str| {
        let endpoints = get(&cluster, "", "endpoints", "web");
        endpoints["subsets"][0][field].as_array().map_or(0, Vec::len)
    };
    assert_eq!((addresses("addresses"), addresses("notReadyAddresses")), (0, 2));
    tokio::time::sleep(Duration::from_secs(6)).await;
    cluster.settled().await;
    assert_eq!((addresses("addresses"), addresses("notReadyAddresses")), (2, 0));
    let (slices, _) =
        cluster.store().list(&GroupResource::new("discovery.k8s.io", "endpointslices"), Some("default"));
    let slice = slices.iter().find(|slice| slice.name().starts_with("web-")).unwrap();
    assert_eq!(slice["endpoints"].as_array().unwrap().len(), 2);
    assert_eq!(slice["ports"][0]["port"], 8080);
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_to_its_end_and_a_failing_one_gives_up() {
    let cluster = start(1).await;
    let job = |name: &str, image: &str| {
        json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": "default"},
            "spec": {"completions": 2, "parallelism": 1, "backoffLimit": 2, "template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "main", "image": image}],
            }}},
        })
    };
    let crash = Behaviour::CrashLoop { log: "no\n".into(), exit_code: 3, after: Duration::from_millis(10) };
    cluster.images().set("bad", crash);
    create(&cluster, "batch", "jobs", job("good", "good:1"));
    create(&cluster, "batch", "jobs", job("bad", "bad:1"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    cluster.settled().await;
    let good = get(&cluster, "batch", "jobs", "good");
    assert_eq!(good["status"]["succeeded"], 2);
    assert_eq!(condition(&good, "Complete")["status"], "True");
    let bad = get(&cluster, "batch", "jobs", "bad");
    assert_eq!(condition(&bad, "Failed")["reason"], "BackoffLimitExceeded");
}

#[tokio::test(start_paused = true)]
async fn a_stateful_set_starts_its_pods_one_after_the_other() {
    let cluster = start(1).await;
    let mut set = deployment("db", 3, "db:1");
    set["kind"] = json!("StatefulSet");
    set["spec"]["serviceName"] = json!("db");
    set["spec"].as_object_mut().unwrap().remove("strategy");
    cluster.images().set("db", Behaviour::ReadyAfter(Duration::from_secs(10)));
    create(&cluster, "apps", "statefulsets", set);
    cluster.settled().await;
    assert_eq!(pods(&cluster).len(), 1);
    tokio::time::sleep(Duration::from_secs(11)).await;
    cluster.settled().await;
    assert_eq!(pods(&cluster).len(), 2);
    tokio::time::sleep(Duration::from_secs(20)).await;
    cluster.settled().await;
    let set = get(&cluster, "apps", "statefulsets", "db");
    assert_eq!(set["status"]["readyReplicas"], 3);
    assert_eq!(pods(&cluster).iter().map(|pod| pod.name()).collect::<Vec<_>>(), ["db-0", "db-1", "db-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_tainted_node_keeps_pods_away_but_not_its_daemons() {
    let taint = json!({"key": "dedicated", "value": "gpu", "effect": "NoSchedule"});
    let node = NodeShape { taints: vec![taint], ..NodeShape::numbered(0, "us-west-2") };
    let cluster = Cluster::start(Config { nodes: vec![node], ..Config::default() }).await.unwrap();
    create(&cluster, "apps", "deployments", deployment("web", 1, "web:1"));
    cluster.settled().await;
    let message = condition(&pods(&cluster)[0], "PodScheduled")["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("0/1 nodes are available: 1 node(s) had untolerated taint"), "{message}");
    let daemons = cluster.store().list(&GroupResource::new("apps", "daemonsets"), None).0;
    assert!(daemons.iter().all(|set| set["status"]["numberReady"] == 1));
    let node = cluster.nodes().names()[0].clone();
    cluster.nodes().set_taints(&node, &[]).unwrap();
    cluster.settled().await;
    assert_eq!(condition(&pods(&cluster)[0], "Ready")["status"], "True");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_makes_the_same_objects() {
    async fn state() -> String {
        let cluster = start(2).await;
        create(&cluster, "apps", "deployments", deployment("web", 3, "web:1"));
        tokio::time::sleep(Duration::from_secs(60)).await;
        cluster.settled().await;
        let store = cluster.store();
        let objects = store.resources().into_iter().flat_map(|resource| store.list(&resource, None).0);
        objects.map(|object| object.to_string()).collect()
    }
    assert_eq!(state().await, state().await);
}
