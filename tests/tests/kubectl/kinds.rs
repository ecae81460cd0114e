//! `create` of the kinds that it has a word for, and what they become.

use super::stage::{Stage, ageless};

#[tokio::test]
async fn everything_that_create_knows_can_be_created() {
    let Some(stage) = Stage::new().await else { return };
    for (what, said) in [
        ("ns team", "namespace/team"),
        ("secret generic s --from-literal=a=b", "secret/s"),
        ("secret docker-registry d --docker-username=a --docker-password=b", "secret/d"),
        ("cm c --from-literal=a=b", "configmap/c"),
        ("deploy d --image=registry.example/d:1 --replicas=2", "deployment.apps/d"),
        ("job j --image=registry.example/j:1 -- true", "job.batch/j"),
        ("cronjob cj --image=registry.example/j:1 --schedule='0 0 1 1 *'", "cronjob.batch/cj"),
        ("job again --from=cronjob/cj", "job.batch/again"),
        ("role r --verb=get --resource=pods", "role.rbac.authorization.k8s.io/r"),
        ("rolebinding rb --role=r --user=bob", "rolebinding.rbac.authorization.k8s.io/rb"),
        ("clusterrole cr --verb=get --resource=nodes", "clusterrole.rbac.authorization.k8s.io/cr"),
        (
            "clusterrolebinding crb --clusterrole=cr --group=g",
            "clusterrolebinding.rbac.authorization.k8s.io/crb",
        ),
        ("sa sa", "serviceaccount/sa"),
        ("quota q --hard=pods=9", "resourcequota/q"),
        ("pdb p --selector=app=d --min-available=1", "poddisruptionbudget.policy/p"),
        ("svc clusterip csvc --tcp=80:8080", "service/csvc"),
        ("svc nodeport nsvc --tcp=80:8080 --node-port=30123", "service/nsvc"),
        ("svc loadbalancer lsvc --tcp=80:8080", "service/lsvc"),
        ("svc externalname esvc --external-name=example.com", "service/esvc"),
        ("ingress ing --rule=a.example/=csvc:80", "ingress.networking.k8s.io/ing"),
        ("priorityclass pc1 --value=10", "priorityclass.scheduling.k8s.io/pc1"),
    ] {
        assert_eq!(stage.ok(&format!("create {what}")).await, format!("{said} created\n"), "{what}");
    }
    assert_eq!(stage.ok("expose deploy d --port=80").await, "service/d exposed\n");
    assert_eq!(
        stage.ok("autoscale deploy d --max=3").await,
        "horizontalpodautoscaler.autoscaling/d autoscaled\n"
    );
    stage.ok("wait --for=condition=complete job/j job/again --timeout=30s").await;
    stage.ok("wait svc/lsvc --for=jsonpath='{.status.loadBalancer.ingress[0].hostname}' --timeout=30s").await;
    stage.ok("wait deploy/d --for=condition=available --timeout=30s").await;
    for (what, row) in [
        ("secret s", &["s", "Opaque", "1"][..]),
        ("secret d", &["d", "kubernetes.io/dockerconfigjson", "1"]),
        ("job j", &["j", "Complete", "1/1"]),
        ("cronjob cj", &["cj", "0 0 1 1 *", "<none>", "False", "0", "<none>"]),
        ("rolebinding rb", &["rb", "Role/r"]),
        ("pdb p", &["p", "1", "N/A", "1"]),
        ("svc esvc", &["esvc", "ExternalName", "<none>", "example.com", "<none>"]),
        ("ingress ing", &["ing", "<none>", "a.example", "80"]),
        ("hpa d", &["d", "Deployment/d", "cpu: <unknown>/80%", "1", "3", "0"]),
    ] {
        let table = stage.ok(&format!("get {what}")).await;
        let cells = &ageless(&table)[1];
        // How long a job took is told in whole seconds, and a second may end while it does.
        let shown = if what == "job j" { &cells[..3] } else { &cells[..] };
        assert_eq!(shown, row, "{what}");
    }
    assert!(stage.ok("get svc nsvc").await.contains("80:30123/TCP"));
    assert!(stage.ok("get svc lsvc").await.contains(".us-west-2.elb.amazonaws.com"));
    assert!(
        stage
            .ok("describe job j")
            .await
            .contains("Pods Statuses:    0 Active (0 Ready) / 1 Succeeded / 0 Failed")
    );
    assert!(stage.ok("get quota q").await.contains("pods: 2/9"));
}

#[tokio::test]
async fn a_dry_run_creates_nothing() {
    let Some(stage) = Stage::new().await else { return };
    assert_eq!(
        stage.ok("create deploy d --image=m:1 --dry-run=server").await,
        "deployment.apps/d created (server dry run)\n"
    );
    let yaml = stage.ok("create deploy d --image=m:1 --dry-run=server -o yaml").await;
    assert!(yaml.contains("progressDeadlineSeconds: 600"), "defaulted: {yaml}");
    assert_eq!(stage.ok("get deploy -o name").await, "");
}
