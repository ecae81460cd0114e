//! `describe`: what people read when something is wrong.

use kubesim::kubelet::Behaviour;

use super::stage::{Stage, WEB};

fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
}

#[tokio::test]
async fn a_deployment_and_its_service() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", WEB).await;
    stage.ok("rollout status deploy/web").await;
    let web = stage.ok("describe deployment web").await;
    has(
        &web,
        &[
            "Replicas:               2 desired | 2 updated | 2 total | 2 available | 0 unavailable",
            "RollingUpdateStrategy:  25% max unavailable, 25% max surge",
            "    Image:      registry.example/web:1",
            "  Available      True    MinimumReplicasAvailable",
            "  Progressing    True    NewReplicaSetAvailable",
            "OldReplicaSets:  <none>",
            " (2/2 replicas created)",
            "deployment-controller  Scaled up replica set web-",
        ],
    );
    let service = stage.ok("describe svc web").await;
    has(
        &service,
        &[
            "Selector:                 app=web",
            "Type:                     ClusterIP",
            "Port:                     <unset>  80/TCP",
            "TargetPort:               http/TCP",
            ":8080",
            "Session Affinity:         None",
            "Internal Traffic Policy:  Cluster",
        ],
    );
}

#[tokio::test]
async fn a_pod_that_runs() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", WEB).await;
    stage.ok("rollout status deploy/web").await;
    let name = stage.ok("get pods -l app=web -o jsonpath='{.items[0].metadata.name}'").await;
    let pod = stage.ok(&format!("describe pod {name}")).await;
    has(
        &pod,
        &[
            "Service Account:  default",
            "Status:           Running",
            "Controlled By:  ReplicaSet/web-",
            "    State:          Running",
            "    Ready:          True",
            "    Restart Count:  0",
            "      MODE:  fast",
            "      /var/run/secrets/kubernetes.io/serviceaccount from kube-api-access-",
            "  PodScheduled                True",
            "    TokenExpirationSeconds:  3607",
            "QoS Class:                   Burstable",
            "node.kubernetes.io/not-ready:NoExecute op=Exists for 300s",
            "default-scheduler  Successfully assigned default/web-",
            "kubelet            spec.containers{main}: Container started",
        ],
    );
}

#[tokio::test]
async fn a_pod_that_no_node_takes() {
    let Some(stage) = Stage::new().await else { return };
    let pod = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"big"},"spec":{"containers":[
        {"name":"main","image":"big:1","resources":{"requests":{"cpu":"64"}}}]}}"#;
    stage.ok_with("apply -f -", pod).await;
    stage.ok("wait --for=condition=PodScheduled=false pod/big --timeout=30s").await;
    let big = stage.ok("describe pod big").await;
    has(
        &big,
        &[
            "Node:             <none>",
            "Status:           Pending",
            "  PodScheduled   False",
            "Warning  FailedScheduling",
            "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
        ],
    );
    assert!(stage.ok("get pod big").await.contains("big    0/1     Pending   0"));
    assert!(stage.ok("events --for pod/big").await.contains("FailedScheduling"));
}

#[tokio::test]
async fn a_pod_that_crashes_and_one_whose_image_cannot_be_pulled() {
    let Some(stage) = Stage::new().await else { return };
    stage.cluster.images().set(
        "crash",
        Behaviour::CrashLoop {
            log: "panic: no region\n".into(),
            exit_code: 2,
            after: std::time::Duration::ZERO,
        },
    );
    let error = "failed to pull and unpack image \"registry.example/missing:1\": not found";
    stage.cluster.images().set("missing", Behaviour::CannotPull { error: error.into() });
    stage.ok("run crash --image=registry.example/crash:1").await;
    stage.ok("run missing --image=registry.example/missing:1").await;
    stage.ok("wait pod/crash --for=jsonpath='{.status.containerStatuses[0].state.waiting.reason}'=CrashLoopBackOff --timeout=30s").await;
    stage.ok("wait pod/missing --for=jsonpath='{.status.containerStatuses[0].state.waiting.reason}'=ImagePullBackOff --timeout=30s").await;
    let table = stage.ok("get pods").await;
    has(&table, &["CrashLoopBackOff", "ImagePullBackOff"]);
    let crash = stage.ok("describe pod crash").await;
    has(
        &crash,
        &[
            "      Reason:       CrashLoopBackOff",
            "    Last State:     Terminated",
            "      Exit Code:    2",
            "Back-off restarting failed container crash in pod crash_default(",
        ],
    );
    let missing = stage.ok("describe pod missing").await;
    has(
        &missing,
        &[
            "      Reason:       ImagePullBackOff",
            "Failed to pull image \"registry.example/missing:1\": failed to pull and unpack image",
            "Error: ErrImagePull",
            "Back-off pulling image \"registry.example/missing:1\"",
        ],
    );
}

#[tokio::test]
async fn a_node_and_a_namespace() {
    let Some(stage) = Stage::new().await else { return };
    let node = stage.ok("describe node ip-192-168-10-10.us-west-2.compute.internal").await;
    has(
        &node,
        &[
            "Taints:             <none>",
            "Unschedulable:      false",
            "  HolderIdentity:  ip-192-168-10-10.us-west-2.compute.internal",
            "KubeletReady                 kubelet is posting ready status",
            "  InternalIP:   192.168.10.10",
            "  pods:               29",
            "Non-terminated Pods:          (3 in total)",
            "Allocated resources:",
        ],
    );
    stage.ok("create ns team").await;
    stage.ok("create quota small --hard=pods=3,requests.cpu=2 -n team").await;
    stage.ok("wait quota/small -n team --for=jsonpath='{.status.used.pods}'=0 --timeout=30s").await;
    let namespace = stage.ok("describe ns team").await;
    has(
        &namespace,
        &["Name:         team", "Status:       Active", "  Name:         small", "  pods          0     3"],
    );
    has(&namespace, &["No LimitRange resource."]);
}
