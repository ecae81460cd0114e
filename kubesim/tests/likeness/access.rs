//! RBAC for those who are not the admin, impersonation, and the reviews.

use http::Method;
use kubesim::Cluster;
use kubesim::transport::User;
use serde_json::{Value, json};

use super::stage::{ask, ask_with, bare, post};

const PODS: &str = "/api/v1/namespaces/default/pods";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

fn bob() -> User {
    User::new("bob", ["developers"])
}

/// Lets bob read pods in `default`.
async fn let_bob_read_pods(cluster: &Cluster) {
    let role = json!({"metadata": {"name": "reader"}, "rules": [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
    ]});
    post(cluster, &format!("{RBAC}/namespaces/default/roles"), role).await;
    let binding = json!({
        "metadata": {"name": "bob-reads"}, "subjects": [{"kind": "User", "name": "bob"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
    });
    post(cluster, &format!("{RBAC}/namespaces/default/rolebindings"), binding).await;
}

#[tokio::test(start_paused = true)]
async fn a_user_may_do_what_a_role_says_and_nothing_else() {
    let cluster = bare(0).await;
    let (code, body) = ask(&cluster, &bob(), Method::GET, PODS, Value::Null).await;
    assert_eq!(code, 403);
    assert_eq!(
        body["message"],
        "pods is forbidden: User \"bob\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
    );
    let_bob_read_pods(&cluster).await;
    assert_eq!(ask(&cluster, &bob(), Method::GET, PODS, Value::Null).await.0, 200);
    assert_eq!(ask(&cluster, &bob(), Method::DELETE, PODS, Value::Null).await.0, 403);
    assert_eq!(ask(&cluster, &bob(), Method::GET, "/api/v1/pods", Value::Null).await.0, 403);
    assert_eq!(ask(&cluster, &bob(), Method::GET, &format!("{PODS}/x/log"), Value::Null).await.0, 403);
}

#[tokio::test(start_paused = true)]
async fn a_binding_to_a_role_that_is_missing_says_so() {
    let cluster = bare(0).await;
    let binding = json!({
        "metadata": {"name": "bob-reads"}, "subjects": [{"kind": "Group", "name": "developers"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "nowhere"},
    });
    post(&cluster, &format!("{RBAC}/clusterrolebindings"), binding).await;
    let (_, body) = ask(&cluster, &bob(), Method::GET, "/api/v1/nodes", Value::Null).await;
    assert_eq!(
        body["message"],
        "nodes is forbidden: User \"bob\" cannot list resource \"nodes\" in API group \"\" at the cluster scope: RBAC: \
         clusterrole.rbac.authorization.k8s.io \"nowhere\" not found"
    );
}

#[tokio::test(start_paused = true)]
async fn everybody_may_read_discovery_and_nobody_else_the_metrics() {
    let cluster = bare(0).await;
    for path in ["/api", "/apis", "/apis/apps/v1", "/version", "/openapi/v3", "/readyz"] {
        assert_eq!(ask(&cluster, &bob(), Method::GET, path, Value::Null).await.0, 200, "{path}");
    }
    let (code, body) = ask(&cluster, &bob(), Method::GET, "/metrics", Value::Null).await;
    assert_eq!(
        (code, &body["message"]),
        (403, &json!("forbidden: User \"bob\" cannot get path \"/metrics\""))
    );
}

#[tokio::test(start_paused = true)]
async fn an_access_review_answers_what_the_authorizer_would() {
    let cluster = bare(0).await;
    let_bob_read_pods(&cluster).await;
    let review = |verb: &str| json!({"spec": {"resourceAttributes": {"verb": verb, "resource": "pods", "namespace": "default"}}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let (code, body) = ask(&cluster, &bob(), Method::POST, path, review("list")).await;
    assert_eq!(code, 201);
    assert_eq!(
        body["status"],
        json!({
            "allowed": true,
            "reason": "RBAC: allowed by RoleBinding \"bob-reads/default\" of Role \"reader\" to User \"bob\"",
        })
    );
    let (_, body) = ask(&cluster, &bob(), Method::POST, path, review("delete")).await;
    assert_eq!(body["status"], json!({"allowed": false}));
}

#[tokio::test(start_paused = true)]
async fn the_admin_may_act_as_somebody_and_others_only_when_told_they_may() {
    let cluster = bare(0).await;
    let_bob_read_pods(&cluster).await;
    let as_bob = [("impersonate-user", "bob")];
    let admin = User::admin();
    assert_eq!(ask_with(&cluster, &admin, Method::GET, PODS, Value::Null, &as_bob).await.0, 200);
    assert_eq!(ask_with(&cluster, &admin, Method::GET, "/api/v1/nodes", Value::Null, &as_bob).await.0, 403);
    let who = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let as_account = [("impersonate-user", "system:serviceaccount:kube-system:karpenter")];
    let (_, body) = ask_with(&cluster, &admin, Method::POST, who, json!({}), &as_account).await;
    assert_eq!(
        body["status"]["userInfo"]["groups"],
        json!(["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"])
    );
    let as_root = [("impersonate-user", "root"), ("impersonate-group", "system:masters")];
    let (code, body) = ask_with(&cluster, &bob(), Method::GET, PODS, Value::Null, &as_root).await;
    assert_eq!(code, 403);
    assert_eq!(
        body["message"],
        "users \"root\" is forbidden: User \"bob\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_grants_what_they_do_not_hold() {
    let cluster = bare(0).await;
    let_bob_read_pods(&cluster).await;
    let manage = json!({"metadata": {"name": "roles"}, "rules": [
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create"]},
    ]});
    post(&cluster, &format!("{RBAC}/clusterroles"), manage).await;
    let binding = json!({
        "metadata": {"name": "bob"}, "subjects": [{"kind": "User", "name": "bob"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "roles"},
    });
    post(&cluster, &format!("{RBAC}/clusterrolebindings"), binding).await;
    let roles = format!("{RBAC}/namespaces/default/roles");
    let role = |resource: &str| json!({"metadata": {"name": resource}, "rules": [{"apiGroups": [""], "resources": [resource], "verbs": ["get"]}]});
    assert_eq!(ask(&cluster, &bob(), Method::POST, &roles, role("pods")).await.0, 201);
    let (code, body) = ask(&cluster, &bob(), Method::POST, &roles, role("secrets")).await;
    assert_eq!(code, 403);
    assert_eq!(
        body["message"],
        "roles.rbac.authorization.k8s.io \"secrets\" is forbidden: user \"bob\" (groups=[\"developers\" \
         \"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n\
         {APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_service_account_is_that_account() {
    let cluster = bare(0).await;
    post(&cluster, "/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": "robot"}}))
        .await;
    let token = post(
        &cluster,
        "/api/v1/namespaces/default/serviceaccounts/robot/token",
        json!({"spec": {"expirationSeconds": 600}}),
    )
    .await;
    let review = json!({"spec": {"token": token["status"]["token"]}});
    let reviewed = post(&cluster, "/apis/authentication.k8s.io/v1/tokenreviews", review).await;
    assert_eq!(reviewed["status"]["authenticated"], true);
    assert_eq!(reviewed["status"]["user"]["username"], "system:serviceaccount:default:robot");
}
