//! Who is asking, and what they may do.

use kubesim::transport::User;

use super::stage::Stage;

#[tokio::test]
async fn the_admin_may_do_everything_and_knows_who_they_are() {
    let Some(stage) = Stage::new().await else { return };
    assert_eq!(
        stage.ok("auth whoami").await,
        "ATTRIBUTE   VALUE\nUsername    kubernetes-admin\nGroups      [system:masters system:authenticated]\n"
    );
    assert_eq!(stage.ok("auth can-i '*' '*' -A").await, "yes\n");
    assert_eq!(stage.ok("auth can-i get /metrics").await, "yes\n");
}

#[tokio::test]
async fn somebody_else_may_do_what_their_roles_say() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok("create role reader --verb=get,list --resource=pods,pods/log").await;
    stage.ok("create rolebinding bob-reads --role=reader --user=bob").await;
    for (line, answer) in [
        ("auth can-i list pods --as bob", "yes\n"),
        ("auth can-i get pods --subresource=log --as bob", "yes\n"),
        ("auth can-i delete pods --as bob", "no\n"),
        ("auth can-i list pods -n kube-system --as bob", "no\n"),
        ("auth can-i create deployments.apps --as bob", "no\n"),
    ] {
        let said = stage.run(line).await;
        assert_eq!((said.stdout.as_str(), said.code), (answer, i32::from(answer == "no\n")), "{line}");
    }
    let listed = stage.ok("auth can-i --list --as bob").await;
    assert!(
        listed.lines().any(|line| {
            let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
            cells == ["pods/log", "[]", "[]", "[get list]"]
        }),
        "{listed}"
    );
    let bob = stage.kubeconfig_of(&User::new("bob", ["developers"]));
    assert_eq!(stage.run(&format!("get pods --kubeconfig {bob}")).await.code, 0);
    assert_eq!(
        stage.refused(&format!("get nodes --kubeconfig {bob}")).await,
        "Error from server (Forbidden): nodes is forbidden: User \"bob\" cannot list resource \"nodes\" in API group \"\" at the cluster scope"
    );
    assert_eq!(
        stage.refused(&format!("delete pod x --kubeconfig {bob}")).await,
        "Error from server (Forbidden): pods \"x\" is forbidden: User \"bob\" cannot delete resource \"pods\" in API group \"\" in the namespace \"default\""
    );
    assert_eq!(
        stage.refused(&format!("get pods --as root --kubeconfig {bob}")).await,
        "Error from server (Forbidden): users \"root\" is forbidden: User \"bob\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
    );
}

#[tokio::test]
async fn a_token_that_nobody_knows_is_unauthorized() {
    let Some(stage) = Stage::new().await else { return };
    let nobody = stage.kubeconfig_of_nobody();
    let said = async || {
        let said = stage.refused(&format!("get nodes --kubeconfig {nobody}")).await;
        said.lines().last().unwrap_or_default().to_owned()
    };
    assert_eq!(
        said().await,
        "error: You must be logged in to the server (the server has asked for the client to provide credentials)"
    );
    // Once it knows the kinds, it asks for the nodes themselves.
    stage.ok("get nodes").await;
    assert_eq!(said().await, "error: You must be logged in to the server (Unauthorized)");
}

#[tokio::test]
async fn a_service_account_has_a_token_and_the_rights_that_are_bound_to_it() {
    let Some(stage) = Stage::new().await else { return };
    stage.ok("create sa robot").await;
    stage.ok("create clusterrolebinding robot --clusterrole=view --serviceaccount=default:robot").await;
    let token = stage.ok("create token robot --duration=10m").await;
    let token = token.trim();
    assert_eq!(token.split('.').count(), 3);
    let who = stage.ok("auth whoami --as system:serviceaccount:default:robot").await;
    assert!(who.contains("system:serviceaccount:default:robot"), "{who}");
    let plain = stage.kubeconfig_of_nobody();
    let text = std::fs::read_to_string(&plain).unwrap().replace("k8s-aws-v1.unknown", token);
    std::fs::write(&plain, text).unwrap();
    assert_eq!(stage.run(&format!("get pods -A --kubeconfig {plain}")).await.code, 0);
    let refused = stage.refused(&format!("get secrets --kubeconfig {plain}")).await;
    assert!(
        refused.contains("User \"system:serviceaccount:default:robot\" cannot list resource \"secrets\""),
        "{refused}"
    );
    let short = stage.refused("create token robot --duration=1m").await;
    assert!(short.contains("may not specify a duration less than 10 minutes"), "{short}");
}

#[tokio::test]
async fn rules_are_reconciled() {
    let Some(stage) = Stage::new().await else { return };
    let role = r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"x"},
        "rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]}"#;
    let said = stage.run_with("auth reconcile -f -", role, &[]).await;
    assert_eq!(said.stdout, "clusterrole.rbac.authorization.k8s.io/x reconciled\n");
    assert!(
        said.stderr.starts_with("\treconciliation required create\n\tmissing rules added:\n"),
        "{said:?}"
    );
    let said = stage.run_with("auth reconcile -f -", role, &[]).await;
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "nothing is left to do");
}
