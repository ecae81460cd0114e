//! `get` in all its forms, discovery, and what has no resource.

use super::stage::{Stage, WEB, ageless, rows};

const FIRST: &str = "ip-192-168-10-10.us-west-2.compute.internal";
const SECOND: &str = "ip-192-168-10-11.us-west-2.compute.internal";

#[tokio::test]
async fn the_version_and_the_addresses_of_the_cluster() {
    let Some(stage) = Stage::new().await else { return };
    let version = stage.ok("version").await;
    assert!(version.contains("Server Version: v1.37.2-eks-5ea71a1"), "{version}");
    let info = stage.ok("cluster-info").await;
    assert!(info.contains("Kubernetes control plane is running at https://127.0.0.1:"), "{info}");
    assert!(info.contains("CoreDNS is running at https://127.0.0.1:"), "{info}");
    assert!(info.contains("/api/v1/namespaces/kube-system/services/kube-dns:dns/proxy"), "{info}");
    assert_eq!(stage.ok("get --raw /healthz").await, "ok");
    assert!(stage.ok("get --raw '/readyz?verbose'").await.ends_with("readyz check passed\n"));
    assert!(stage.ok("cluster-info dump -n kube-system").await.contains("\"kind\": \"PodList\""));
}

#[tokio::test]
async fn nodes_and_pods_of_a_new_cluster() {
    let Some(stage) = Stage::new().await else { return };
    let both = stage.ok("get nodes,pods -A").await;
    let (nodes, pods) = both.split_once("\n\n").unwrap();
    let node = |name: &str| [format!("node/{name}"), "Ready".into(), "<none>".into()];
    let found = rows(nodes);
    assert_eq!(found[0], ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]);
    assert_eq!(found[1][..3], node(FIRST));
    assert_eq!(found[2][..3], node(SECOND));
    let found = ageless(pods);
    assert_eq!(found[0], ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS"]);
    assert_eq!(found.len(), 7, "{pods}");
    for row in &found[1..] {
        assert_eq!((row[0], &row[2..]), ("kube-system", &["1/1", "Running", "0"][..]), "{pods}");
    }
    let wide = stage.ok("get pods -A -o wide").await;
    assert_eq!(rows(&wide)[0][6..], ["IP", "NODE", "NOMINATED NODE", "READINESS GATES"]);
    assert_eq!(rows(&wide)[1][8..], ["<none>", "<none>"]);
    let wide = stage.ok("get nodes -o wide").await;
    assert_eq!(
        rows(&wide)[0][5..],
        ["INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION", "CONTAINER-RUNTIME"]
    );
    assert_eq!(rows(&wide)[1][5..8], ["192.168.10.10", "<none>", "Amazon Linux 2023"]);
}

#[tokio::test]
async fn every_output_form_shows_the_same_objects() {
    let Some(stage) = Stage::new().await else { return };
    assert_eq!(stage.ok("get nodes -o name").await, format!("node/{FIRST}\nnode/{SECOND}\n"));
    assert_eq!(
        stage.ok("get nodes -o jsonpath='{.items[*].metadata.name}'").await,
        format!("{FIRST} {SECOND}")
    );
    assert_eq!(
        stage.ok("get nodes -o custom-columns=NAME:.metadata.name,CPU:.status.capacity.cpu").await,
        format!("NAME                                          CPU\n{FIRST}   2\n{SECOND}   2\n")
    );
    let json: serde_json::Value = serde_json::from_str(&stage.ok("get nodes -o json").await).unwrap();
    assert_eq!((&json["kind"], json["items"].as_array().unwrap().len()), (&"List".into(), 2));
    let yaml = stage.ok(&format!("get node {FIRST} -o yaml")).await;
    assert!(yaml.starts_with("apiVersion: v1\nkind: Node\nmetadata:\n"), "{yaml}");
    assert_eq!(stage.ok("get nodes -o go-template='{{range .items}}{{.kind}} {{end}}'").await, "Node Node ");
    assert_eq!(
        stage.ok("get deploy coredns -n kube-system --no-headers -L k8s-app").await.split_whitespace().last(),
        Some("kube-dns")
    );
    let labels = stage.ok("get ns kube-system --show-labels").await;
    assert!(labels.ends_with("kubernetes.io/metadata.name=kube-system\n"), "{labels}");
}

#[tokio::test]
async fn selectors_sorting_and_pages() {
    let Some(stage) = Stage::new().await else { return };
    let names = |said: String| said.lines().map(str::to_owned).collect::<Vec<_>>();
    let dns = names(stage.ok("get pods -A -l k8s-app=kube-dns -o name").await);
    assert_eq!(dns.len(), 2);
    for (selector, count) in [
        ("k8s-app in (kube-dns,aws-node)", 4),
        ("k8s-app,k8s-app notin (kube-dns)", 4),
        ("k8s-app!=kube-dns", 4),
        ("!k8s-app", 0),
    ] {
        let found = names(stage.ok(&format!("get pods -A -l '{selector}' -o name")).await);
        assert_eq!(found.len(), count, "{selector}: {found:?}");
    }
    let on_first = format!("get pods -A --field-selector=spec.nodeName={FIRST},status.phase=Running -o name");
    assert_eq!(names(stage.ok(&on_first).await).len(), 3);
    let all = names(stage.ok("get pods -A -o name").await);
    assert_eq!(names(stage.ok("get pods -A -o name --chunk-size=1").await), all);
    let sorted = stage.ok("get pods -n kube-system --sort-by=.spec.nodeName -o custom-columns=N:.spec.nodeName --no-headers").await;
    assert!(sorted.lines().is_sorted(), "{sorted}");
    assert_eq!(stage.run("get pods").await.stderr, "No resources found in default namespace.\n");
}

#[tokio::test]
async fn the_tables_of_the_usual_kinds_have_the_columns_that_people_know() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok_with("apply -f -", WEB).await;
    stage.ok("rollout status deploy/web").await;
    for (what, headings, row) in [
        ("deploy web", "NAME READY UP-TO-DATE AVAILABLE AGE", "web 2/2 2 2"),
        (
            "deploy web -o wide",
            "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR",
            "web 2/2 2 2",
        ),
        ("rs -l app=web", "NAME DESIRED CURRENT READY AGE", ""),
        (
            "ds kube-proxy -n kube-system",
            "NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE SELECTOR AGE",
            "kube-proxy 2 2 2 2 2 <none>",
        ),
        (
            "svc kubernetes",
            "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE",
            "kubernetes ClusterIP 10.100.0.1 <none> 443/TCP",
        ),
        ("cm kube-root-ca.crt", "NAME DATA AGE", "kube-root-ca.crt 1"),
        ("sa default", "NAME AGE", "default"),
        ("ns default", "NAME STATUS AGE", "default Active"),
        (
            "sc gp2",
            "NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE",
            "gp2 kubernetes.io/aws-ebs Delete WaitForFirstConsumer false",
        ),
        (
            "pdb coredns -n kube-system",
            "NAME MIN AVAILABLE MAX UNAVAILABLE ALLOWED DISRUPTIONS AGE",
            "coredns N/A 1 1",
        ),
        (
            "pc system-node-critical",
            "NAME VALUE GLOBAL-DEFAULT AGE PREEMPTIONPOLICY",
            "system-node-critical 2000001000 false",
        ),
        ("clusterrole cluster-admin", "NAME CREATED AT", "cluster-admin"),
        ("clusterrolebinding cluster-admin", "NAME ROLE AGE", "cluster-admin ClusterRole/cluster-admin"),
        ("lease -n kube-node-lease", "NAME HOLDER AGE", &format!("{FIRST} {FIRST}")),
        ("endpointslices -l kubernetes.io/service-name=web", "NAME ADDRESSTYPE PORTS ENDPOINTS AGE", ""),
        ("events --field-selector reason=ScalingReplicaSet", "LAST SEEN TYPE REASON OBJECT MESSAGE", ""),
    ] {
        let table = stage.ok(&format!("get {what}")).await;
        let found = rows(&table);
        assert_eq!(found[0].join(" "), headings, "{what}");
        assert!(found[1].join(" ").starts_with(row), "{what}: {table}");
    }
    let all = stage.ok("get all").await;
    for kind in ["pod/web-", "service/web ", "deployment.apps/web ", "replicaset.apps/web-"] {
        assert!(all.contains(kind), "{all}");
    }
}

#[tokio::test]
async fn a_watch_shows_each_change() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok("create cm one --from-literal=a=b").await;
    let (mut kubectl, mut lines) = stage.watch("get cm one -w --output-watch-events");
    let mut next = async || lines.next_line().await.unwrap().unwrap();
    assert_eq!(next().await.split_whitespace().collect::<Vec<_>>(), ["EVENT", "NAME", "DATA", "AGE"]);
    assert_eq!(next().await.split_whitespace().collect::<Vec<_>>()[..3], ["ADDED", "one", "1"]);
    stage.ok(r#"patch cm one -p '{"data":{"b":"c"}}'"#).await;
    assert_eq!(next().await.split_whitespace().collect::<Vec<_>>()[..3], ["MODIFIED", "one", "2"]);
    stage.ok("delete cm one").await;
    assert_eq!(next().await.split_whitespace().collect::<Vec<_>>()[..3], ["DELETED", "one", "2"]);
    kubectl.kill().await.unwrap();
}

#[tokio::test]
async fn discovery_names_every_kind() {
    let Some(stage) = Stage::new().await else { return };
    let resources = stage.ok("api-resources").await;
    for line in [
        "NAME                                SHORTNAMES   APIVERSION                        NAMESPACED   KIND",
        "deployments                         deploy       apps/v1                           true         Deployment",
        "nodes                               no           v1                                false        Node",
        "customresourcedefinitions           crd,crds     apiextensions.k8s.io/v1           false        CustomResourceDefinition",
    ] {
        assert!(resources.lines().any(|found| found == line), "{line}\n{resources}");
    }
    let categories = stage.ok("api-resources --categories=all -o name").await;
    assert!(categories.contains("pods\n") && !categories.contains("secrets\n"), "{categories}");
    let versions = stage.ok("api-versions").await;
    for version in ["v1", "apps/v1", "batch/v1", "rbac.authorization.k8s.io/v1", "events.k8s.io/v1"] {
        assert!(versions.lines().any(|found| found == version), "{version}\n{versions}");
    }
}

#[tokio::test]
async fn explain_tells_kinds_fields_and_types() {
    let Some(stage) = Stage::new().await else { return };
    let strategy = stage.ok("explain deployment.spec.strategy --recursive").await;
    assert!(strategy.starts_with("GROUP:      apps\nKIND:       Deployment\nVERSION:    v1\n"), "{strategy}");
    for line in ["FIELD: strategy <DeploymentStrategy>", "maxSurge\t<IntOrString>", "type\t<string>"] {
        assert!(strategy.contains(line), "{strategy}");
    }
    let containers = stage.ok("explain pods.spec.containers").await;
    for line in [
        "FIELD: containers <[]Container>",
        "name\t<string> -required-",
        "env\t<[]EnvVar>",
        "resources\t<ResourceRequirements>",
    ] {
        assert!(containers.contains(line), "{containers}");
    }
    let metadata = stage.ok("explain pod.metadata").await;
    for line in [
        "creationTimestamp\t<string>",
        "labels\t<map[string]string>",
        "managedFields\t<[]ManagedFieldsEntry>",
    ] {
        assert!(metadata.contains(line), "{metadata}");
    }
    // Through OpenAPI v2, as older clients do.
    let old = stage.ok("explain pods.spec --output=plaintext-openapiv2").await;
    assert!(old.contains("KIND:     Pod") && old.contains("containers\t<[]Object> -required-"), "{old}");
    assert_eq!(stage.refused("explain pods.spec.nope").await, "error: field \"nope\" does not exist");
}

#[tokio::test]
async fn what_a_cluster_without_a_metrics_server_cannot_tell() {
    let Some(stage) = Stage::new().await else { return };
    for what in ["top nodes", "top pods -A"] {
        assert_eq!(stage.refused(what).await, "error: Metrics API not available");
    }
}
