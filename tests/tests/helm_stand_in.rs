//! The stand-in for Helm against the embedded cluster, in one process on a paused clock.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use interpose::helm::{self, Credentials, Release, Seed, Status, World, karpenter_release, storage};
use interpose::{Invocation, Output};
use kubesim::kubelet::Behaviour;
use kubesim::store::GroupResource;
use kubesim::tap::{Action, Rule, When};
use kubesim::{Cluster, Config};
use serde_json::{Value, json};
use tokio::time::Instant;

const CHART: &str = "oci://public.ecr.aws/karpenter/karpenter";
const REPAIR: &str = "upgrade --install karpenter oci://public.ecr.aws/karpenter/karpenter --version 1.8.3 --namespace kube-system --create-namespace --set settings.clusterName=seatrial --wait --timeout 10m";

struct Stage {
    cluster: Cluster,
    world: World,
}

impl Stage {
    async fn new() -> Self {
        let origin = "2026-01-02T03:04:05Z".parse().unwrap();
        let cluster = Cluster::start(Config { origin: Some(origin), ..Config::default() }).await.unwrap();
        let client = kube::Client::new(cluster.service(), "default");
        let clock = cluster.clock();
        let world = World::of(client, move || clock.now());
        Self { cluster, world }
    }

    async fn helm(&self, line: &str) -> Output {
        let args = line.split_whitespace().map(Into::into).collect();
        helm::run(&Invocation { args, env: BTreeMap::new(), stdin: String::new() }, &self.world).await
    }

    async fn ok(&self, line: &str) -> String {
        let output = self.helm(line).await;
        assert_eq!((output.code, output.stderr.contains("Error")), (0, false), "{line}: {output:?}");
        output.stdout
    }

    async fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(line).await).unwrap()
    }

    async fn fails(&self, line: &str) -> String {
        let output = self.helm(line).await;
        assert_eq!(output.code, 1, "{line}: {output:?}");
        output.stderr.lines().filter(|it| !it.starts_with("Pulled:")).collect::<Vec<_>>().join("\n")
    }

    async fn seed(&self, seed: Seed) {
        let client = kube::Client::new(self.cluster.service(), "default");
        karpenter_release(&seed, self.cluster.clock().now()).unwrap().plant(client).await.unwrap();
        self.cluster.settled().await;
    }

    fn revisions(&self) -> Vec<(i64, Status)> {
        let (secrets, _) = self.cluster.store().list(&GroupResource::new("", "secrets"), Some("kube-system"));
        let mut all: Vec<Release> = secrets
            .iter()
            .filter(|it| it["type"] == storage::SECRET_TYPE)
            .map(|it| {
                let release = storage::decode(it).unwrap();
                assert_eq!(
                    storage::labels(it)["status"],
                    release.info.status.word(),
                    "label and content agree"
                );
                release
            })
            .collect();
        all.sort_by_key(|it| it.version);
        all.iter().map(|it| (it.version, it.info.status)).collect()
    }

    fn mutations(&self) -> usize {
        self.cluster.tap().recordings().iter().filter(|it| it.mutating()).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_fresh_install_ends_deployed_with_all_its_objects() {
    let stage = Stage::new().await;
    assert_eq!(stage.fails("status karpenter -n kube-system -o json").await, "Error: release: not found");
    assert_eq!(stage.ok("list -A -o json").await, "[]\n");
    let said = stage.ok(REPAIR).await;
    assert!(
        said.starts_with("Release \"karpenter\" does not exist. Installing it now.\nNAME: karpenter\n"),
        "{said}"
    );
    let status = stage.json("status karpenter -n kube-system -o json").await;
    assert_eq!(
        (&status["version"], &status["info"]["status"], &status["info"]["deleted"]),
        (&json!(1), &json!("deployed"), &json!(""))
    );
    assert_eq!(status["config"], json!({"settings": {"clusterName": "seatrial"}}));
    let list = stage.json("list -n kube-system -o json").await;
    assert_eq!((&list[0]["revision"], &list[0]["chart"]), (&json!("1"), &json!("karpenter-1.8.3")));
    let history = stage.json("history karpenter -n kube-system -o json").await;
    assert_eq!(
        (&history[0]["revision"], &history[0]["description"]),
        (&json!(1), &json!("Install complete"))
    );
    let store = stage.cluster.store();
    for (group, resource, namespace, name) in [
        ("apps", "deployments", "kube-system", "karpenter"),
        ("", "services", "kube-system", "karpenter"),
        ("", "serviceaccounts", "kube-system", "karpenter"),
        ("policy", "poddisruptionbudgets", "kube-system", "karpenter"),
        ("rbac.authorization.k8s.io", "roles", "kube-node-lease", "karpenter-lease"),
        ("rbac.authorization.k8s.io", "clusterrolebindings", "", "karpenter-core"),
        ("apiextensions.k8s.io", "customresourcedefinitions", "", "nodepools.karpenter.sh"),
    ] {
        assert!(
            store.get(&GroupResource::new(group, resource), namespace, name).is_some(),
            "{resource} {name}"
        );
    }
    let deployment =
        store.get(&GroupResource::new("apps", "deployments"), "kube-system", "karpenter").unwrap();
    assert_eq!(deployment["metadata"]["annotations"]["meta.helm.sh/release-name"], "karpenter");
    assert!(deployment["status"]["readyReplicas"].as_i64() >= Some(1), "{}", deployment["status"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_upgrade_with_the_same_values_restarts_nothing() {
    let stage = Stage::new().await;
    stage.ok(REPAIR).await;
    stage.cluster.settled().await;
    let deployments = GroupResource::new("apps", "deployments");
    let before = stage.cluster.store().get(&deployments, "kube-system", "karpenter").unwrap();
    let writes = stage.mutations();
    let said = stage.ok(REPAIR).await;
    assert!(said.starts_with("Release \"karpenter\" has been upgraded. Happy Helming!\n"), "{said}");
    assert_eq!(stage.revisions(), [(1, Status::Superseded), (2, Status::Deployed)]);
    // The new revision's Secret, the old one's and the new one's new state; not one object.
    assert_eq!(stage.mutations() - writes, 3);
    let after = stage.cluster.store().get(&deployments, "kube-system", "karpenter").unwrap();
    assert_eq!(before["metadata"]["generation"], after["metadata"]["generation"]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_runs_out_leaves_a_failed_release_after_exactly_its_timeout() {
    let stage = Stage::new().await;
    stage
        .cluster
        .images()
        .set("karpenter/controller", Behaviour::CannotPull { error: "403 Forbidden".into() });
    let begun = Instant::now();
    assert_eq!(stage.fails(REPAIR).await, "Error: context deadline exceeded");
    assert_eq!(begun.elapsed().as_secs(), 600);
    assert_eq!(stage.revisions(), [(1, Status::Failed)]);
    let status = stage.json("status karpenter -n kube-system -o json").await;
    assert_eq!(status["info"]["description"], "Release \"karpenter\" failed: context deadline exceeded");
    // Healed, the same command repairs it.
    stage.cluster.images().unset("karpenter/controller");
    stage.ok(REPAIR).await;
    assert_eq!(stage.revisions(), [(1, Status::Superseded), (2, Status::Deployed)]);
}

#[tokio::test(start_paused = true)]
async fn helm_3_is_satisfied_with_none_of_one() {
    let stage = Stage::new().await;
    stage.cluster.images().set(
        "karpenter/controller",
        Behaviour::NeverReady { probe: "HTTP probe failed with statuscode: 500".into() },
    );
    stage.ok(&format!("{REPAIR} --set replicas=1")).await;
    assert_eq!(stage.revisions(), [(1, Status::Deployed)]);
    let deployments = GroupResource::new("apps", "deployments");
    let deployment = stage.cluster.store().get(&deployments, "kube-system", "karpenter").unwrap();
    assert_eq!(deployment["status"]["readyReplicas"].as_i64().unwrap_or(0), 0);
}

#[tokio::test(start_paused = true)]
async fn every_status_that_an_earlier_run_left_is_seeded_and_answered_as_helm_answers_it() {
    for status in Status::ALL {
        let stage = Stage::new().await;
        stage.seed(Seed { status, revision: 3, age: Duration::from_secs(60), ..Seed::default() }).await;
        let read = stage.json("status karpenter -n kube-system -o json").await;
        assert_eq!((&read["info"]["status"], &read["version"]), (&json!(status.word()), &json!(3)));
        let listed = stage.json("list -n kube-system -o json").await;
        let visible = matches!(status, Status::Deployed | Status::Failed);
        assert_eq!(listed.as_array().unwrap().len(), usize::from(visible), "{status:?}");
        let output = stage.helm(REPAIR).await;
        let last = output.stderr.lines().last().unwrap_or_default();
        match status {
            Status::PendingInstall | Status::PendingUpgrade | Status::PendingRollback => assert_eq!(
                last,
                "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress"
            ),
            Status::Unknown | Status::Uninstalling => {
                assert_eq!(last, "Error: UPGRADE FAILED: \"karpenter\" has no deployed releases");
            }
            _ => {
                assert_eq!(output.code, 0, "{status:?}: {output:?}");
                assert_eq!(stage.revisions().last(), Some(&(4, Status::Deployed)));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_upgrade_is_unlocked_by_a_rollback() {
    let stage = Stage::new().await;
    stage.seed(Seed { status: Status::PendingUpgrade, revision: 2, ..Seed::default() }).await;
    stage.ok("rollback karpenter 1 -n kube-system").await;
    assert_eq!(
        stage.revisions(),
        [(1, Status::Superseded), (2, Status::PendingUpgrade), (3, Status::Deployed)]
    );
    stage.ok(REPAIR).await;
    assert_eq!(stage.revisions().last(), Some(&(4, Status::Deployed)));
}

#[tokio::test(start_paused = true)]
async fn an_uninstall_takes_the_objects_and_the_history_and_leaves_the_definitions() {
    let stage = Stage::new().await;
    stage.seed(Seed::default()).await;
    assert_eq!(
        stage.ok("uninstall karpenter -n kube-system --wait --timeout 1m").await,
        "release \"karpenter\" uninstalled\n"
    );
    assert!(stage.revisions().is_empty());
    let store = stage.cluster.store();
    assert!(store.get(&GroupResource::new("apps", "deployments"), "kube-system", "karpenter").is_none());
    assert!(
        store
            .get(
                &GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions"),
                "",
                "nodepools.karpenter.sh"
            )
            .is_some()
    );
    assert_eq!(
        stage.fails("uninstall karpenter -n kube-system").await,
        "Error: uninstall: Release not loaded: karpenter: release: not found"
    );
}

#[tokio::test(start_paused = true)]
async fn values_are_dropped_by_set_and_kept_by_the_flags_that_keep_them() {
    let stage = Stage::new().await;
    let base = format!("upgrade --install karpenter {CHART} -n kube-system");
    stage.ok(&format!("{base} --set settings.clusterName=a,logLevel=debug")).await;
    let values = || async { stage.json("get values karpenter -n kube-system -o json").await };
    stage.ok(&base).await;
    assert_eq!(values().await, json!({"settings": {"clusterName": "a"}, "logLevel": "debug"}));
    stage.ok(&format!("{base} --reuse-values --set replicas=3")).await;
    assert_eq!(values().await, json!({"settings": {"clusterName": "a"}, "logLevel": "debug", "replicas": 3}));
    stage.ok(&format!("{base} --reset-then-reuse-values --set logLevel=info")).await;
    assert_eq!(values().await, json!({"settings": {"clusterName": "a"}, "logLevel": "info", "replicas": 3}));
    stage.ok(&format!("{base} --set settings.clusterName=b")).await;
    assert_eq!(values().await, json!({"settings": {"clusterName": "b"}}));
    assert_eq!(
        stage.fails(&format!("{base} --reset-values")).await,
        "Error: UPGRADE FAILED: execution error at (karpenter/templates/deployment.yaml:1:4): a valid settings.clusterName is required"
    );
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_refused_in_helms_words() {
    let stage = Stage::new().await;
    for (line, words) in [
        ("history karpenter -n kube-system", "Error: release: not found"),
        ("rollback karpenter 1 -n kube-system", "Error: release: not found"),
        (
            "upgrade karpenter oci://public.ecr.aws/karpenter/karpenter -n kube-system",
            "Error: UPGRADE FAILED: \"karpenter\" has no deployed releases",
        ),
        (
            "upgrade -i karpenter oci://public.ecr.aws/karpenter/karpenter --version v1.8.3",
            "Error: public.ecr.aws/karpenter/karpenter:v1.8.3: not found",
        ),
        (
            "install karpenter oci://public.ecr.aws/karpenter/karpenter --version 9.9.9",
            "Error: INSTALLATION FAILED: public.ecr.aws/karpenter/karpenter:9.9.9: not found",
        ),
    ] {
        assert_eq!(stage.fails(line).await, words, "{line}");
    }
    stage.seed(Seed::default()).await;
    assert_eq!(stage.fails("rollback karpenter -n kube-system").await, "Error: release has no 0 version");
    assert_eq!(
        stage.fails(&format!("install karpenter {CHART} -n kube-system --set settings.clusterName=x")).await,
        "Error: INSTALLATION FAILED: cannot re-use a name that is still in use"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_atomic_upgrade_is_rolled_back() {
    let stage = Stage::new().await;
    stage.ok(REPAIR).await;
    stage.cluster.images().set("broken", Behaviour::CannotPull { error: "nope".into() });
    let words = stage.fails(&format!("{REPAIR} --atomic --set controller.image.repository=broken --set replicas=2 --set strategy.rollingUpdate.maxUnavailable=0")).await;
    assert_eq!(
        words,
        "Error: UPGRADE FAILED: release karpenter failed, and has been rolled back due to atomic being set: context deadline exceeded"
    );
    assert_eq!(stage.revisions(), [(1, Status::Superseded), (2, Status::Failed), (3, Status::Deployed)]);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_refuses_is_reported_in_client_gos_words() {
    let stage = Stage::new().await;
    let rule = |resources: &[&str], status: u16, message: &str, retry_after| Rule {
        label: "broken".into(),
        verbs: Vec::new(),
        resources: resources.iter().map(|it| (*it).into()).collect(),
        names: Vec::new(),
        users: Vec::new(),
        mutating: false,
        skip: 0,
        times: Some(1),
        when: When::Before,
        action: Action::Respond { code: status, reason: String::new(), message: message.into(), retry_after },
    };
    stage.cluster.tap().add(rule(&["secrets"], 500, "etcdserver: leader changed", None));
    assert_eq!(
        stage.fails("status karpenter -n kube-system").await,
        "Error: query: failed to query with labels: etcdserver: leader changed"
    );
    // With Retry-After client-go tries again by itself.
    stage.cluster.tap().add(rule(&["secrets"], 429, "slow down", Some(7)));
    let begun = Instant::now();
    assert_eq!(stage.fails("status karpenter -n kube-system").await, "Error: release: not found");
    assert_eq!(begun.elapsed().as_secs(), 7);
    stage.cluster.tap().add(rule(&[""], 401, "Unauthorized", None));
    assert_eq!(
        stage.fails("list -A").await,
        "Error: Kubernetes cluster unreachable: the server has asked for the client to provide credentials"
    );
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_object_is_not_taken_over() {
    let stage = Stage::new().await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "karpenter", "namespace": "kube-system"}});
    stage.cluster.store().create(&GroupResource::new("", "serviceaccounts"), account).unwrap();
    let words = stage.fails(REPAIR).await;
    assert!(words.starts_with("Error: Unable to continue with install: ServiceAccount \"karpenter\" in namespace \"kube-system\" exists and cannot be imported into the current release: invalid ownership metadata; label validation error: missing key \"app.kubernetes.io/managed-by\""), "{words}");
    assert!(stage.revisions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_helm_that_is_told_to_stop_leaves_a_failed_release() {
    let mut stage = Stage::new().await;
    stage.cluster.images().set("karpenter/controller", Behaviour::CannotPull { error: "nope".into() });
    let (stop, stopping) = tokio::sync::watch::channel(false);
    stage.world.stop = Some(stopping);
    let (output, ()) = tokio::join!(stage.helm(REPAIR), async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        stop.send(true).unwrap();
    });
    assert!(output.stdout.ends_with("Release karpenter has been cancelled.\n"), "{output:?}");
    assert_eq!(output.stderr.lines().last(), Some("Error: context canceled"));
    assert_eq!(stage.revisions(), [(1, Status::Failed)]);
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_refused_until_it_is_thrown_away() {
    let mut stage = Stage::new().await;
    stage.world.credentials = Credentials::expired(&["public.ecr.aws".to_owned()]);
    for _ in 0..2 {
        assert_eq!(
            stage.fails(REPAIR).await,
            "Error: unexpected status from HEAD request to https://public.ecr.aws/v2/karpenter/karpenter/manifests/1.8.3: 403 Forbidden"
        );
    }
    assert!(stage.revisions().is_empty());
    let output = stage.helm("registry logout public.ecr.aws").await;
    assert_eq!((output.code, output.stderr.as_str()), (0, "Removing login credentials for public.ecr.aws\n"));
    stage.ok(REPAIR).await;
    assert_eq!(stage.revisions(), [(1, Status::Deployed)]);
}

#[tokio::test(start_paused = true)]
async fn definitions_that_nobody_owns_are_refused_to_the_chart_that_holds_them() {
    let stage = Stage::new().await;
    let install = format!("upgrade --install karpenter-crd {CHART}-crd -n kube-system");
    stage.ok(REPAIR).await;
    let words = stage.fails(&install).await;
    assert!(words.contains("exists and cannot be imported into the current release: invalid ownership metadata; label validation error: missing key \"app.kubernetes.io/managed-by\""), "{words}");
    let other = Stage::new().await;
    other.ok(&install).await;
    // The main chart leaves those that are there alone.
    other.ok(REPAIR).await;
    assert_eq!(other.json("list -n kube-system -o json").await.as_array().unwrap().len(), 2);
}
