//! Charts of an application stack, one for each kind of workload that an installer has to wait for: a
//! web server behind a Service, a database with a volume for each replica, an agent on every node, a
//! migration that ends, and an admission webhook.

use serde_json::{Map, Value, json};

use super::{Chart, Context, Rendered};

type Render = fn(&Context<'_>) -> Result<Vec<Rendered>, String>;

fn chart(name: &str, version: &str, values: Value, render: Render) -> Chart {
    Chart {
        metadata: json!({
            "name": name,
            "version": version,
            "description": format!("{name} for trying installers"),
            "apiVersion": "v2",
            "appVersion": version,
            "type": "application",
        }),
        values: values.as_object().cloned().unwrap_or_default(),
        crds: Vec::new(),
        notes: String::new(),
        render,
    }
}

fn image(name: &str) -> Value {
    json!({ "repository": format!("registry.example.com/stack/{name}"), "tag": "" })
}

/// A Deployment and its Service.
pub(super) fn web(version: &str) -> Chart {
    chart(
        "web",
        version,
        json!({ "replicas": 2, "image": image("web"), "resources": {}, "nodeSelector": {} }),
        |it| {
            Ok(vec![("deployment.yaml", deployment(it, "web")), ("service.yaml", service(it, "web", false))])
        },
    )
}

/// A StatefulSet with a volume for each replica, and its headless Service.
pub(super) fn database(version: &str) -> Chart {
    let storage = json!({ "size": "8Gi", "className": null });
    let values = json!({ "replicas": 1, "image": image("database"), "storage": storage });
    chart("database", version, values, |it| {
        let mut claim = json!({
            "metadata": { "name": "data" },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": it.value("storage.size") } },
            },
        });
        if !it.value("storage.className").is_null() {
            claim["spec"]["storageClassName"] = it.value("storage.className").clone();
        }
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta(it, "database"),
            "spec": {
                "replicas": it.value("replicas"),
                "serviceName": it.release,
                "selector": { "matchLabels": selector(it, "database") },
                "template": template(it, "database"),
                "volumeClaimTemplates": [claim],
            },
        });
        Ok(vec![("statefulset.yaml", set), ("service.yaml", service(it, "database", true))])
    })
}

/// A DaemonSet.
pub(super) fn agent(version: &str) -> Chart {
    chart("agent", version, json!({ "image": image("agent"), "nodeSelector": {} }), |it| {
        let set = json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta(it, "agent"),
            "spec": {
                "selector": { "matchLabels": selector(it, "agent") },
                "template": template(it, "agent"),
            },
        });
        Ok(vec![("daemonset.yaml", set)])
    })
}

/// A Job, and a claim of its own when it is asked for.
pub(super) fn migration(version: &str) -> Chart {
    let values = json!({ "image": image("migration"), "backoffLimit": 2, "claim": { "enabled": false, "size": "1Gi" } });
    chart("migration", version, values, |it| {
        let mut template = template(it, "migration");
        template["spec"]["restartPolicy"] = "Never".into();
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": meta(it, "migration"),
            "spec": { "backoffLimit": it.value("backoffLimit"), "template": template },
        });
        let mut objects = vec![("job.yaml", job)];
        if it.value("claim.enabled") == &json!(true) {
            objects.push((
                "claim.yaml",
                json!({
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta(it, "migration"),
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": { "requests": { "storage": it.value("claim.size") } },
                    },
                }),
            ));
        }
        Ok(objects)
    })
}

/// An admission webhook: its configuration, and the Deployment and Service that answer it.
pub(super) fn guard(version: &str) -> Chart {
    chart(
        "guard",
        version,
        json!({ "replicas": 1, "image": image("guard"), "service": { "selects": true } }),
        |it| {
            let mut service = service(it, "guard", false);
            if it.value("service.selects") == &json!(false) {
                service["spec"]["selector"]["app.kubernetes.io/component"] = "nobody".into();
            }
            let webhook = json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
                "metadata": { "name": it.release, "labels": labels(it, "guard") },
                "webhooks": [{
                    "name": "guard.stack.example.com",
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "failurePolicy": "Ignore",
                    "clientConfig": {
                        "service": { "namespace": it.namespace, "name": it.release, "path": "/validate", "port": 80 },
                    },
                    "rules": [{
                        "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"],
                        "resources": ["deployments"],
                    }],
                }],
            });
            Ok(vec![
                ("deployment.yaml", deployment(it, "guard")),
                ("service.yaml", service),
                ("webhook.yaml", webhook),
            ])
        },
    )
}

fn selector(it: &Context<'_>, name: &str) -> Map<String, Value> {
    Map::from_iter([
        ("app.kubernetes.io/instance".to_owned(), it.release.into()),
        ("app.kubernetes.io/name".to_owned(), name.into()),
    ])
}

fn labels(it: &Context<'_>, name: &str) -> Map<String, Value> {
    let mut labels = selector(it, name);
    labels.insert("helm.sh/chart".into(), format!("{name}-{}", it.version).into());
    labels.insert("app.kubernetes.io/managed-by".into(), "Helm".into());
    labels
}

fn meta(it: &Context<'_>, name: &str) -> Value {
    json!({ "name": it.release, "namespace": it.namespace, "labels": labels(it, name) })
}

fn template(it: &Context<'_>, name: &str) -> Value {
    let tag = match it.text("image.tag") {
        tag if tag.is_empty() => it.version.to_owned(),
        tag => tag,
    };
    let mut container = json!({
        "name": name,
        "image": format!("{}:{tag}", it.text("image.repository")),
    });
    // What ends is not probed.
    if name != "migration" {
        container["ports"] = json!([{ "name": "http", "containerPort": 8080 }]);
        container["readinessProbe"] = json!({ "httpGet": { "path": "/readyz", "port": "http" } });
    }
    let resources = it.map("resources");
    if !resources.is_empty() {
        container["resources"] = resources.into();
    }
    let mut template = json!({
        "metadata": { "labels": selector(it, name) },
        "spec": { "containers": [container] },
    });
    let nodes = it.map("nodeSelector");
    if !nodes.is_empty() {
        template["spec"]["nodeSelector"] = nodes.into();
    }
    template
}

fn deployment(it: &Context<'_>, name: &str) -> Value {
    let template = template(it, name);
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(it, name),
        "spec": {
            "replicas": it.value("replicas"),
            "selector": { "matchLabels": selector(it, name) },
            "template": template,
        },
    })
}

fn service(it: &Context<'_>, name: &str, headless: bool) -> Value {
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": meta(it, name),
        "spec": {
            "ports": [{ "name": "http", "port": 80, "targetPort": "http" }],
            "selector": selector(it, name),
        },
    });
    if headless {
        service["spec"]["clusterIP"] = "None".into();
    }
    service
}
