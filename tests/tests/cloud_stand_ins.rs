//! The stand-ins for eksctl and aws: one account, seen by both.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use interpose::cloud::Cloud;
use interpose::plan::{ClusterIdentity, Eks, Plan};
use interpose::{Invocation, Output, aws, eksctl};
use kubesim::store::GroupResource;
use kubesim::transport::{Server, User};
use kubesim::{Cluster, Config};
use serde_json::{Value, json};
use tokio::time::Instant;

const CREATE: &str =
    "create cluster --name seatrial --region eu-central-1 --nodes 3 --timeout 25m --write-kubeconfig=false";

fn identity(endpoint: Option<String>) -> ClusterIdentity {
    ClusterIdentity { endpoint, ..ClusterIdentity::default() }
}

async fn empty_cluster() -> Cluster {
    Cluster::start(Config { nodes: Vec::new(), ..Config::default() }).await.unwrap()
}

fn invocation(line: &str, env: &[(&str, &str)]) -> Invocation {
    let args = line.split_whitespace().map(Into::into).collect();
    let env: BTreeMap<_, _> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Invocation { args, env, stdin: String::new() }
}

/// An account in this process, on a paused clock.
struct Stage {
    cluster: Cluster,
    cloud: Cloud,
}

impl Stage {
    async fn new(eks: Eks) -> Self {
        let cluster = empty_cluster().await;
        let clock = cluster.clock();
        let client = kube::Client::new(cluster.service(), "default");
        let cloud = Cloud::within(identity(None), eks, client, move || clock.now());
        Self { cluster, cloud }
    }

    async fn eksctl(&self, line: &str) -> Output {
        eksctl::run(&invocation(line, &[("AWS_REGION", "eu-central-1")]), &self.cloud).await
    }

    async fn aws(&self, line: &str) -> Output {
        aws::run(&invocation(line, &[("AWS_REGION", "eu-central-1")]), &self.cloud).await
    }

    fn ready_nodes(&self) -> usize {
        let (nodes, _) = self.cluster.store().list(&GroupResource::new("", "nodes"), None);
        let ready = |node: &Value| {
            let conditions = node["status"]["conditions"].as_array();
            conditions.is_some_and(|all| all.iter().any(|it| it["type"] == "Ready" && it["status"] == "True"))
        };
        nodes.iter().filter(|it| ready(it)).count()
    }
}

fn document(output: &Output) -> Value {
    assert_eq!(output.code, 0, "{output:?}");
    serde_json::from_str(&output.stdout).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_created_is_seen_by_both_tools_and_has_its_nodes() {
    let stage = Stage::new(Eks::default()).await;
    let missing = stage.eksctl("get cluster --name seatrial --region eu-central-1 -o json").await;
    assert_eq!((missing.code, missing.stdout.as_str()), (1, ""));
    assert!(
        missing.stderr.starts_with(
            "Error: unable to describe control plane \"seatrial\": operation error EKS: DescribeCluster"
        ),
        "{missing:?}"
    );
    assert!(
        missing
            .stderr
            .trim_end()
            .ends_with("ResourceNotFoundException: No cluster found for name: seatrial."),
        "{missing:?}"
    );
    let missing = stage.aws("eks describe-cluster --name seatrial").await;
    assert_eq!(
        (missing.code, missing.stderr.as_str()),
        (
            254,
            "\nAn error occurred (ResourceNotFoundException) when calling the DescribeCluster operation: No cluster found for name: seatrial.\n"
        )
    );
    let created = stage.eksctl(CREATE).await;
    assert_eq!(created.code, 0, "{created:?}");
    assert!(
        created
            .stdout
            .trim_end()
            .ends_with("[✔]  EKS cluster \"seatrial\" in \"eu-central-1\" region is ready"),
        "{created:?}"
    );
    assert_eq!(stage.ready_nodes(), 3);
    let found = document(&stage.eksctl("get cluster seatrial -o json").await);
    assert_eq!((&found[0]["Name"], &found[0]["Status"]), (&json!("seatrial"), &json!("ACTIVE")));
    let groups = document(&stage.eksctl("get nodegroup --cluster seatrial -o json").await);
    assert_eq!((&groups[0]["DesiredCapacity"], &groups[0]["Status"]), (&json!(3), &json!("ACTIVE")));
    let status = stage.aws("eks describe-cluster --name seatrial --query cluster.status --output text").await;
    assert_eq!(status.stdout, "ACTIVE\n");
    assert_eq!(
        stage.aws("eks wait cluster-active --name seatrial --region eu-central-1").await,
        Output::default()
    );
    // A second creation meets the stack of the first.
    let again = stage.eksctl(CREATE).await;
    assert_eq!((again.code, again.stderr.as_str()), (1, "Error: failed to create cluster \"seatrial\"\n"));
    assert!(again.stdout.contains("AlreadyExistsException: Stack [eksctl-seatrial-cluster] already exists"));
}

#[tokio::test(start_paused = true)]
async fn nodes_that_never_join_fail_the_creation_and_leave_the_cluster() {
    let stage = Stage::new(Eks { joining: Some(0), ..Eks::default() }).await;
    let created = stage.eksctl(CREATE).await;
    assert_eq!(
        (created.code, created.stderr.as_str()),
        (1, "Error: failed to create cluster \"seatrial\"\n")
    );
    assert!(
        created
            .stdout
            .contains("Code=NodeCreationFailure, Message=Instances failed to join the kubernetes cluster")
    );
    assert_eq!(stage.ready_nodes(), 0);
    assert_eq!(document(&stage.eksctl("get cluster seatrial -o json").await)[0]["Status"], "ACTIVE");
    let groups = document(&stage.eksctl("get nodegroup --cluster seatrial -o json").await);
    assert_eq!(groups[0]["Status"], "CREATE_FAILED");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_nodes_is_created_and_scaled_later() {
    let stage = Stage::new(Eks::default()).await;
    let created =
        stage.eksctl("create cluster -n seatrial -r eu-central-1 -N 0 -M 5 --write-kubeconfig=false").await;
    assert_eq!((created.code, stage.ready_nodes()), (0, 0), "{created:?}");
    assert_eq!(stage.eksctl("scale nodegroup --cluster seatrial --name ng-1 -N 2").await.code, 0);
    assert_eq!(stage.ready_nodes(), 2);
    assert_eq!(stage.eksctl("scale nodegroup --cluster seatrial --name ng-1 -N 1").await.code, 0);
    assert_eq!(stage.ready_nodes(), 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_cluster_that_stays_in_creation_takes_as_long_as_awss_waiter() {
    let eks = Eks { exists: Some(true), status: Some("CREATING".into()), ..Eks::default() };
    let stage = Stage::new(eks).await;
    let begun = Instant::now();
    let waited = stage.aws("eks wait cluster-active --name seatrial").await;
    assert_eq!(
        (waited.code, waited.stderr.as_str()),
        (255, "\nWaiter ClusterActive failed: Max attempts exceeded\n")
    );
    assert_eq!(begun.elapsed(), Duration::from_secs(39 * 30));
}

#[tokio::test(start_paused = true)]
async fn what_the_tools_do_not_know_is_refused() {
    let stage = Stage::new(Eks { exists: Some(true), ..Eks::default() }).await;
    for (line, code, words) in [
        ("get cluster --frob", 1, "Error: unknown flag: --frob\n"),
        ("get cluster -z", 1, "Error: unknown shorthand flag: 'z' in -z\n"),
        ("get cluster a --name b", 1, "Error: --name=b and argument a cannot be used at the same time\n"),
        ("get nodegroup", 1, "Error: --cluster must be set\n"),
        ("get nodegroup --cluster seatrial", 1, "Error: No nodegroups found\n"),
        ("frob", 1, "Error: unknown command \"frob\" for \"eksctl\"\nRun 'eksctl --help' for usage.\n"),
    ] {
        let output = stage.eksctl(line).await;
        assert_eq!((output.code, output.stderr.as_str()), (code, words), "{line}");
    }
    assert_eq!(document(&stage.eksctl("get nodegroup --cluster seatrial -o json").await), json!([]));
    let lacking = stage.aws("eks describe-cluster").await;
    assert_eq!(lacking.code, 252);
    assert!(
        lacking.stderr.ends_with("aws: error: the following arguments are required: --name\n"),
        "{lacking:?}"
    );
    let unknown = stage.aws("eks describe-cluster --name seatrial --frob x").await;
    assert_eq!(unknown.code, 252);
    assert!(unknown.stderr.ends_with("Unknown options: --frob, x\n"), "{unknown:?}");
    assert_eq!(stage.aws("s3 ls").await.code, 125);
    let nowhere = aws::run(&invocation("eks list-clusters", &[]), &stage.cloud).await;
    assert_eq!(nowhere.code, 253);
}

#[tokio::test]
async fn kubeconfigs_are_merged_into_the_file_and_lead_to_the_cluster() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let cluster = empty_cluster().await;
    let server: Server = cluster.serve(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let admin: PathBuf = dir.path().join("admin");
    std::fs::write(&admin, server.kubeconfig(&User::admin())).unwrap();
    let plan =
        Plan { admin_kubeconfig: Some(admin), cluster: identity(Some(server.url())), ..Plan::default() };
    let cloud = || Cloud::of(&plan, Some(dir.path()));
    let file = dir.path().join("new/kubeconfig");
    let env = [("KUBECONFIG", file.to_str().unwrap()), ("AWS_REGION", "eu-central-1")];
    let arn = "arn:aws:eks:eu-central-1:111122223333:cluster/seatrial";
    for what in ["Added new", "Updated"] {
        let to = if what == "Updated" { "in" } else { "to" };
        let said = aws::run(&invocation("eks update-kubeconfig --name seatrial", &env), &cloud()).await;
        assert_eq!(said, Output::ok(format!("{what} context {arn} {to} {}\n", file.display())));
    }
    let said = eksctl::run(&invocation("utils write-kubeconfig --cluster seatrial", &env), &cloud()).await;
    assert!(
        said.stdout.trim_end().ends_with(&format!("[✔]  saved kubeconfig as \"{}\"", file.display())),
        "{said:?}"
    );
    let written: Value = serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(written["current-context"], "seatrial@seatrial.eu-central-1.eksctl.io");
    assert_eq!(written["clusters"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&written["contexts"][0]["name"], &written["clusters"][0]["cluster"]["server"]),
        (&json!(arn), &json!(server.url()))
    );
    // What was written is enough to reach the cluster.
    let kubeconfig = kube::config::Kubeconfig::read_from(&file).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
    let version = kube::Client::try_from(config).unwrap().apiserver_version().await.unwrap();
    assert!(version.minor.starts_with("37"), "{version:?}");
    let refused = eksctl::run(&invocation("utils write-kubeconfig --cluster other", &env), &cloud()).await;
    assert_eq!(refused.code, 1);
}
