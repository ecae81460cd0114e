//! A chart shaped like Karpenter's: same objects, names, selectors and scheduling rules, so that
//! what goes wrong with it goes wrong as it does with the real one.

use serde_json::{Map, Value, json};

use super::{Chart, Context, Rendered};

/// The chart in one version.
pub(super) fn chart(version: &str) -> Chart {
    let values: Result<Map<String, Value>, _> = serde_saphyr::from_str(include_str!("karpenter.yaml"));
    Chart {
        metadata: json!({
            "name": "karpenter",
            "version": version,
            "description": "Karpenter-like controller for trying installers",
            "apiVersion": "v2",
            "appVersion": version,
            "type": "application",
        }),
        // The file is compiled in; a test reads it.
        values: values.unwrap_or_default(),
        crds: definitions().into_iter().map(|object| (file_name(&object), object)).collect(),
        notes: String::new(),
        render,
    }
}

/// Karpenter's custom resource definitions.
pub(super) fn definitions() -> Vec<Value> {
    serde_saphyr::from_multiple(include_str!("crds.yaml")).unwrap_or_default()
}

fn file_name(crd: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{}_{}.yaml", text(&crd["spec"]["group"]), text(&crd["spec"]["names"]["plural"]))
}

fn render(it: &Context<'_>) -> Result<Vec<Rendered>, String> {
    if it.text("settings.clusterName").is_empty() {
        return Err("execution error at (karpenter/templates/deployment.yaml:1:4): a valid settings.clusterName is required".into());
    }
    let name = full_name(it);
    let account = match it.text("serviceAccount.name") {
        text if !text.is_empty() => text,
        _ if it.value("serviceAccount.create") == &json!(true) => name.clone(),
        _ => "default".into(),
    };
    let budget = match it.text("podDisruptionBudget.name") {
        text if !text.is_empty() => text,
        _ => name.clone(),
    };
    let labels = labels(it);
    let selector = selector(it);
    let meta = |name: &str| json!({ "name": name, "namespace": it.namespace, "labels": labels });
    let subject = json!([{ "kind": "ServiceAccount", "name": account, "namespace": it.namespace }]);
    let mut objects = vec![
        (
            "poddisruptionbudget.yaml",
            json!({
                "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta(&budget),
                "spec": {
                    "maxUnavailable": it.value("podDisruptionBudget.maxUnavailable"),
                    "selector": { "matchLabels": selector },
                },
            }),
        ),
        (
            "service.yaml",
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": meta(&name),
                "spec": {
                    "type": "ClusterIP",
                    "ports": [{
                        "name": "http-metrics", "protocol": "TCP",
                        "port": it.value("controller.metrics.port"), "targetPort": "http-metrics",
                    }],
                    "selector": selector,
                },
            }),
        ),
        ("deployment.yaml", deployment(it, &name, &account, &labels, &selector)),
    ];
    if it.value("serviceAccount.create") == &json!(true) {
        let mut object = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(&account) });
        let annotations = it.map("serviceAccount.annotations");
        if !annotations.is_empty() {
            object["metadata"]["annotations"] = annotations.into();
        }
        objects.push(("serviceaccount.yaml", object));
    }
    let rbac = "rbac.authorization.k8s.io";
    let binding = |kind: &str, role_kind: &str, name: &str, role: &str, namespace: Option<&str>| {
        let mut object = json!({
            "apiVersion": format!("{rbac}/v1"), "kind": kind,
            "metadata": { "name": name, "labels": labels },
            "roleRef": { "apiGroup": rbac, "kind": role_kind, "name": role },
            "subjects": subject,
        });
        if let Some(namespace) = namespace {
            object["metadata"]["namespace"] = namespace.into();
        }
        object
    };
    let role = |kind: &str, name: &str, namespace: Option<&str>, rules: Value| {
        let mut object = json!({
            "apiVersion": format!("{rbac}/v1"), "kind": kind,
            "metadata": { "name": name, "labels": labels }, "rules": rules,
        });
        if let Some(namespace) = namespace {
            object["metadata"]["namespace"] = namespace.into();
        }
        object
    };
    let core = format!("{name}-core");
    let lease = format!("{name}-lease");
    let dns = format!("{name}-dns");
    let mut admin = role("ClusterRole", &format!("{name}-admin"), None, admin_rules());
    admin["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-admin"] = "true".into();
    objects.extend([
        ("aggregate-clusterrole.yaml", admin),
        ("clusterrole.yaml", role("ClusterRole", &name, None, provider_rules())),
        ("clusterrole-core.yaml", role("ClusterRole", &core, None, core_rules())),
        ("clusterrole.yaml", binding("ClusterRoleBinding", "ClusterRole", &name, &name, None)),
        ("clusterrole-core.yaml", binding("ClusterRoleBinding", "ClusterRole", &core, &core, None)),
        ("role.yaml", role("Role", &name, Some(it.namespace), lock_rules())),
        ("role.yaml", role("Role", &dns, Some("kube-system"), dns_rules())),
        ("role.yaml", role("Role", &lease, Some("kube-node-lease"), lease_rules())),
        ("rolebinding.yaml", binding("RoleBinding", "Role", &name, &name, Some(it.namespace))),
        ("rolebinding.yaml", binding("RoleBinding", "Role", &dns, &dns, Some("kube-system"))),
        ("rolebinding.yaml", binding("RoleBinding", "Role", &lease, &lease, Some("kube-node-lease"))),
    ]);
    Ok(objects)
}

fn full_name(it: &Context<'_>) -> String {
    let text = it.text("fullnameOverride");
    let base = match it.text("nameOverride") {
        name if name.is_empty() => "karpenter".to_owned(),
        name => name,
    };
    if !text.is_empty() {
        text
    } else if it.release.contains(&base) {
        it.release.to_owned()
    } else {
        format!("{}-{base}", it.release)
    }
}

fn selector(it: &Context<'_>) -> Map<String, Value> {
    let name = match it.text("nameOverride") {
        name if name.is_empty() => "karpenter".to_owned(),
        name => name,
    };
    Map::from_iter([
        ("app.kubernetes.io/instance".to_owned(), it.release.into()),
        ("app.kubernetes.io/name".to_owned(), name.into()),
    ])
}

fn labels(it: &Context<'_>) -> Map<String, Value> {
    let mut labels = selector(it);
    labels.insert("helm.sh/chart".into(), format!("karpenter-{}", it.version).into());
    labels.insert("app.kubernetes.io/version".into(), it.version.into());
    labels.insert("app.kubernetes.io/managed-by".into(), "Helm".into());
    labels.extend(it.map("additionalLabels"));
    labels
}

fn deployment(
    it: &Context<'_>,
    name: &str,
    account: &str,
    labels: &Map<String, Value>,
    selector: &Map<String, Value>,
) -> Value {
    let mut affinity = it.value("affinity").clone();
    // The chart itself says which pods keep apart: those of this release.
    if let Some(terms) =
        affinity["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"].as_array_mut()
    {
        for term in terms.iter_mut().filter(|term| term["labelSelector"].is_null()) {
            term["labelSelector"] = json!({ "matchLabels": selector });
        }
    } else if let Value::Object(parts) = &mut affinity {
        parts.retain(|_, part| !part.is_null());
    }
    let mut spread = it.value("topologySpreadConstraints").clone();
    for constraint in spread.as_array_mut().into_iter().flatten() {
        if constraint["labelSelector"].is_null() {
            constraint["labelSelector"] = json!({ "matchLabels": selector });
        }
    }
    let mut pod_labels = selector.clone();
    pod_labels.extend(it.map("podLabels"));
    let mut template = json!({
        "metadata": { "labels": pod_labels },
        "spec": {
            "serviceAccountName": account,
            "securityContext": { "fsGroup": 65532 },
            "priorityClassName": it.value("priorityClassName"),
            "dnsPolicy": it.value("dnsPolicy"),
            "schedulerName": it.value("schedulerName"),
            "containers": [container(it)],
        },
    });
    let annotations = it.map("podAnnotations");
    if !annotations.is_empty() {
        template["metadata"]["annotations"] = annotations.into();
    }
    if it.value("hostNetwork") == &json!(true) {
        template["spec"]["hostNetwork"] = true.into();
    }
    for (key, value) in [
        ("nodeSelector", it.value("nodeSelector").clone()),
        ("affinity", affinity),
        ("topologySpreadConstraints", spread),
        ("tolerations", it.value("tolerations").clone()),
        ("imagePullSecrets", it.value("imagePullSecrets").clone()),
        ("terminationGracePeriodSeconds", it.value("terminationGracePeriodSeconds").clone()),
    ] {
        let empty = value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(Map::is_empty);
        if !empty {
            template["spec"][key] = value;
        }
    }
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": it.namespace, "labels": labels },
        "spec": {
            "replicas": it.value("replicas"),
            "revisionHistoryLimit": it.value("revisionHistoryLimit"),
            "strategy": it.value("strategy"),
            "selector": { "matchLabels": selector },
            "template": template,
        },
    });
    let annotations = it.map("additionalAnnotations");
    if !annotations.is_empty() {
        object["metadata"]["annotations"] = annotations.into();
    }
    object
}

fn container(it: &Context<'_>) -> Value {
    let tag = match it.text("controller.image.tag") {
        tag if tag.is_empty() => it.version.to_owned(),
        tag => tag,
    };
    let digest = it.text("controller.image.digest");
    let mut image = format!("{}:{tag}", it.text("controller.image.repository"));
    if !digest.is_empty() {
        image = format!("{image}@{digest}");
    }
    let metrics = it.value("controller.metrics.port");
    let health = it.value("controller.healthProbe.port");
    let mut env = vec![
        json!({ "name": "KUBERNETES_MIN_VERSION", "value": "1.26.0-0" }),
        json!({ "name": "KARPENTER_SERVICE", "value": full_name(it) }),
        json!({ "name": "LOG_LEVEL", "value": it.text("logLevel") }),
        json!({ "name": "METRICS_PORT", "value": metrics.to_string() }),
        json!({ "name": "HEALTH_PROBE_PORT", "value": health.to_string() }),
        json!({ "name": "SYSTEM_NAMESPACE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } }),
        json!({ "name": "CLUSTER_NAME", "value": it.text("settings.clusterName") }),
        json!({ "name": "BATCH_MAX_DURATION", "value": it.text("settings.batchMaxDuration") }),
        json!({ "name": "BATCH_IDLE_DURATION", "value": it.text("settings.batchIdleDuration") }),
    ];
    for (name, path) in [
        ("CLUSTER_ENDPOINT", "settings.clusterEndpoint"),
        ("INTERRUPTION_QUEUE", "settings.interruptionQueue"),
    ] {
        let value = it.text(path);
        if !value.is_empty() {
            env.push(json!({ "name": name, "value": value }));
        }
    }
    let mut gates: Vec<String> = it
        .map("settings.featureGates")
        .iter()
        .filter_map(|(gate, on)| {
            let mut letters = gate.chars();
            let first = letters.next()?.to_ascii_uppercase();
            Some(format!("{first}{}={on}", letters.as_str()))
        })
        .collect();
    gates.sort();
    env.push(json!({ "name": "FEATURE_GATES", "value": gates.join(",") }));
    env.extend(it.value("controller.env").as_array().cloned().unwrap_or_default());
    let mut container = json!({
        "name": "controller",
        "image": image,
        "imagePullPolicy": it.value("imagePullPolicy"),
        "securityContext": {
            "runAsUser": 65532, "runAsGroup": 65532, "runAsNonRoot": true,
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "seccompProfile": { "type": "RuntimeDefault" }, "capabilities": { "drop": ["ALL"] },
        },
        "env": env,
        "ports": [
            { "name": "http-metrics", "containerPort": metrics, "protocol": "TCP" },
            { "name": "http", "containerPort": health, "protocol": "TCP" },
        ],
        "livenessProbe": {
            "initialDelaySeconds": 30, "timeoutSeconds": 30, "httpGet": { "path": "/healthz", "port": "http" },
        },
        "readinessProbe": {
            "initialDelaySeconds": 5, "timeoutSeconds": 30, "httpGet": { "path": "/readyz", "port": "http" },
        },
    });
    let resources = it.map("controller.resources");
    if !resources.is_empty() {
        container["resources"] = resources.into();
    }
    let from = it.value("controller.envFrom");
    if from.as_array().is_some_and(|it| !it.is_empty()) {
        container["envFrom"] = from.clone();
    }
    container
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    json!({ "apiGroups": groups, "resources": resources, "verbs": verbs })
}

const READ: &[&str] = &["get", "list", "watch"];

fn admin_rules() -> Value {
    let all = &["get", "list", "watch", "create", "delete", "patch"];
    json!([
        rule(&["karpenter.sh"], &["nodepools", "nodepools/status", "nodeclaims", "nodeclaims/status"], all),
        rule(&["karpenter.k8s.aws"], &["ec2nodeclasses"], all),
    ])
}

fn provider_rules() -> Value {
    json!([
        rule(&["karpenter.k8s.aws"], &["ec2nodeclasses"], READ),
        rule(&["karpenter.k8s.aws"], &["ec2nodeclasses", "ec2nodeclasses/status"], &["patch", "update"]),
    ])
}

fn core_rules() -> Value {
    let claims = &[
        "nodepools",
        "nodepools/status",
        "nodeclaims",
        "nodeclaims/status",
        "nodeoverlays",
        "nodeoverlays/status",
    ];
    json!([
        rule(&["karpenter.sh"], claims, READ),
        rule(&["karpenter.sh"], claims, &["create", "delete", "patch", "update"]),
        rule(
            &[""],
            &[
                "pods",
                "nodes",
                "persistentvolumes",
                "persistentvolumeclaims",
                "replicationcontrollers",
                "namespaces"
            ],
            READ
        ),
        rule(&["storage.k8s.io"], &["storageclasses", "csinodes", "volumeattachments"], READ),
        rule(&["apps"], &["daemonsets", "deployments", "replicasets", "statefulsets"], READ),
        rule(&["apiextensions.k8s.io"], &["customresourcedefinitions"], READ),
        rule(&["policy"], &["poddisruptionbudgets"], READ),
        rule(&[""], &["events"], &["create", "patch"]),
        rule(&[""], &["nodes"], &["patch", "delete", "update"]),
        rule(&[""], &["pods/eviction"], &["create"]),
        rule(&[""], &["pods"], &["delete"]),
    ])
}

fn lock_rules() -> Value {
    json!([
        rule(&["coordination.k8s.io"], &["leases"], READ),
        rule(&["coordination.k8s.io"], &["leases"], &["create", "patch", "update", "delete"]),
    ])
}

fn dns_rules() -> Value {
    json!([{ "apiGroups": [""], "resources": ["services"], "resourceNames": ["kube-dns"], "verbs": ["get"] }])
}

fn lease_rules() -> Value {
    json!([
        rule(&["coordination.k8s.io"], &["leases"], READ),
        rule(&["coordination.k8s.io"], &["leases"], &["delete"]),
    ])
}
