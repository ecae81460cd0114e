//! What the API server fills in: the fields that kubectl, Helm and the controllers rely on.

use serde_json::{Value, json};

/// Fills in the defaults of a built-in kind. Objects of other kinds are left as they are.
pub(crate) fn apply(object: &mut Value) {
    let group = object["apiVersion"]
        .as_str()
        .and_then(|v| v.split_once('/'))
        .map_or("", |(group, _)| group)
        .to_owned();
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    match (group.as_str(), kind.as_str()) {
        ("", "Pod") => {
            pod_spec(&mut object["spec"]);
            set(&mut object["spec"], "enableServiceLinks", json!(true));
        }
        ("", "PodTemplate") => pod_spec(&mut object["template"]["spec"]),
        ("", "ReplicationController") => {
            set(&mut object["spec"], "replicas", json!(1));
            if let Some(labels) = object["spec"]["template"]["metadata"].get("labels").cloned() {
                set(&mut object["spec"], "selector", labels);
            }
            pod_spec(&mut object["spec"]["template"]["spec"]);
        }
        ("apps", "Deployment") => deployment(&mut object["spec"]),
        ("apps", "ReplicaSet") => {
            set(&mut object["spec"], "replicas", json!(1));
            pod_spec(&mut object["spec"]["template"]["spec"]);
        }
        ("apps", "StatefulSet") => stateful_set(&mut object["spec"]),
        ("apps", "DaemonSet") => {
            daemon_set(&mut object["spec"]);
            // A field of the first version of the kind, which is kept as an annotation; none is 0.
            set(&mut object["metadata"]["annotations"], TEMPLATE_GENERATION, json!("0"));
        }
        ("batch", "Job") => job_spec(&mut object["spec"], true),
        ("batch", "CronJob") => {
            let spec = &mut object["spec"];
            set(spec, "concurrencyPolicy", json!("Allow"));
            set(spec, "suspend", json!(false));
            set(spec, "successfulJobsHistoryLimit", json!(3));
            set(spec, "failedJobsHistoryLimit", json!(1));
            pod_spec(&mut spec["jobTemplate"]["spec"]["template"]["spec"]);
        }
        ("", "Service") => service(&mut object["spec"]),
        ("", "Secret") => secret(object),
        ("", "Namespace") => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        }
        ("", "PersistentVolumeClaim") => set(&mut object["spec"], "volumeMode", json!("Filesystem")),
        ("", "PersistentVolume") => {
            set(&mut object["spec"], "volumeMode", json!("Filesystem"));
            set(&mut object["spec"], "persistentVolumeReclaimPolicy", json!("Retain"));
        }
        ("", "Endpoints") => {
            for subset in items(&mut object["subsets"]) {
                each(&mut subset["ports"], |port| set(port, "protocol", json!("TCP")));
            }
        }
        ("discovery.k8s.io", "EndpointSlice") => each(&mut object["ports"], |port| {
            set(port, "name", json!(""));
            set(port, "protocol", json!("TCP"));
        }),
        ("storage.k8s.io", "StorageClass") => {
            set(object, "reclaimPolicy", json!("Delete"));
            set(object, "volumeBindingMode", json!("Immediate"));
        }
        ("scheduling.k8s.io", "PriorityClass") => {
            set(object, "preemptionPolicy", json!("PreemptLowerPriority"));
        }
        ("autoscaling", "HorizontalPodAutoscaler") => {
            set(&mut object["spec"], "minReplicas", json!(1));
            let usual = json!([{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80},
            }}]);
            set(&mut object["spec"], "metrics", usual);
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            set(&mut object["roleRef"], "apiGroup", json!("rbac.authorization.k8s.io"));
            each(&mut object["subjects"], |subject| {
                if subject["kind"] != "ServiceAccount" {
                    set(subject, "apiGroup", json!("rbac.authorization.k8s.io"));
                }
            });
        }
        ("networking.k8s.io", "NetworkPolicy") => {
            let egress = object["spec"]["egress"].is_array();
            let types = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
            set(&mut object["spec"], "policyTypes", types);
            for direction in ["ingress", "egress"] {
                each_in(&mut object["spec"], direction, |rule| {
                    each_in(rule, "ports", |port| set(port, "protocol", json!("TCP")));
                });
            }
        }
        (
            "admissionregistration.k8s.io",
            "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration",
        ) => {
            let mutating = kind == "MutatingWebhookConfiguration";
            each(&mut object["webhooks"], |webhook| webhook_defaults(webhook, mutating));
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            let spec = &mut object["spec"];
            set(&mut spec["conversion"], "strategy", json!("None"));
            let kind = spec["names"]["kind"].as_str().unwrap_or_default().to_owned();
            set(&mut spec["names"], "singular", json!(kind.to_lowercase()));
            set(&mut spec["names"], "listKind", json!(format!("{kind}List")));
        }
        _ => {}
    }
}

/// Sets a field that is absent. Null becomes an object first, so that parts which are absent appear.
fn set(object: &mut Value, field: &str, value: Value) {
    if object.is_null() {
        *object = json!({});
    }
    if let Some(fields) = object.as_object_mut() {
        let place = fields.entry(field).or_insert(Value::Null);
        if place.is_null() {
            *place = value;
        }
    }
}

const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// Counts the templates of a DaemonSet: a new one has the first, and a change of it is the next, whatever the client
/// says.
pub(super) fn count_template(set: &mut Value, before: Option<&Value>) {
    let counted = |set: &Value| {
        set["metadata"]["annotations"][TEMPLATE_GENERATION].as_str().and_then(|text| text.parse::<i64>().ok())
    };
    let number = match before {
        None => counted(set).unwrap_or(0).max(1),
        Some(before) => {
            let changed = before["spec"]["template"] != set["spec"]["template"];
            counted(before).unwrap_or(1) + i64::from(changed)
        }
    };
    set["metadata"]["annotations"][TEMPLATE_GENERATION] = json!(number.to_string());
}

fn items(list: &mut Value) -> impl Iterator<Item = &mut Value> {
    list.as_array_mut().into_iter().flatten()
}

/// Does something to each item of a list; a list that is absent is not made.
fn each(list: &mut Value, f: impl FnMut(&mut Value)) {
    items(list).for_each(f);
}

/// The member of an object, without making it when it is absent.
fn member<'a>(object: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    object.get_mut(field).filter(|value| !value.is_null())
}

fn each_in(object: &mut Value, field: &str, f: impl FnMut(&mut Value)) {
    if let Some(list) = member(object, field) {
        each(list, f);
    }
}

fn deployment(spec: &mut Value) {
    set(spec, "replicas", json!(1));
    set(spec, "revisionHistoryLimit", json!(10));
    set(spec, "progressDeadlineSeconds", json!(600));
    set(&mut spec["strategy"], "type", json!("RollingUpdate"));
    if spec["strategy"]["type"] == "RollingUpdate" {
        let rolling = &mut spec["strategy"]["rollingUpdate"];
        set(rolling, "maxUnavailable", json!("25%"));
        set(rolling, "maxSurge", json!("25%"));
    }
    pod_spec(&mut spec["template"]["spec"]);
}

fn stateful_set(spec: &mut Value) {
    set(spec, "replicas", json!(1));
    // Not a default: the field is written also when it is empty.
    set(spec, "serviceName", json!(""));
    set(spec, "podManagementPolicy", json!("OrderedReady"));
    set(spec, "revisionHistoryLimit", json!(10));
    set(&mut spec["updateStrategy"], "type", json!("RollingUpdate"));
    if spec["updateStrategy"]["type"] == "RollingUpdate" {
        set(&mut spec["updateStrategy"]["rollingUpdate"], "partition", json!(0));
        set(&mut spec["updateStrategy"]["rollingUpdate"], "maxUnavailable", json!(1));
    }
    let retention = &mut spec["persistentVolumeClaimRetentionPolicy"];
    set(retention, "whenDeleted", json!("Retain"));
    set(retention, "whenScaled", json!("Retain"));
    each_in(spec, "volumeClaimTemplates", |claim| {
        set(claim, "apiVersion", json!("v1"));
        set(claim, "kind", json!("PersistentVolumeClaim"));
        set(&mut claim["spec"], "volumeMode", json!("Filesystem"));
        set(&mut claim["status"], "phase", json!("Pending"));
    });
    pod_spec(&mut spec["template"]["spec"]);
}

fn daemon_set(spec: &mut Value) {
    set(spec, "revisionHistoryLimit", json!(10));
    set(&mut spec["updateStrategy"], "type", json!("RollingUpdate"));
    if spec["updateStrategy"]["type"] == "RollingUpdate" {
        set(&mut spec["updateStrategy"]["rollingUpdate"], "maxSurge", json!(0));
        set(&mut spec["updateStrategy"]["rollingUpdate"], "maxUnavailable", json!(1));
    }
    pod_spec(&mut spec["template"]["spec"]);
}

fn job_spec(spec: &mut Value, itself: bool) {
    if itself {
        if spec["completions"].is_null() && spec["parallelism"].is_null() {
            set(spec, "completions", json!(1));
        }
        set(spec, "parallelism", json!(1));
        set(spec, "backoffLimit", json!(6));
        set(spec, "completionMode", json!("NonIndexed"));
        set(spec, "suspend", json!(false));
        set(spec, "manualSelector", json!(false));
        set(spec, "podReplacementPolicy", json!("TerminatingOrFailed"));
    }
    pod_spec(&mut spec["template"]["spec"]);
}

fn service(spec: &mut Value) {
    set(spec, "type", json!("ClusterIP"));
    set(spec, "sessionAffinity", json!("None"));
    if spec["sessionAffinity"] == "None" {
        spec.as_object_mut().map(|fields| fields.remove("sessionAffinityConfig"));
    } else if spec["sessionAffinity"] == "ClientIP" {
        set(&mut spec["sessionAffinityConfig"]["clientIP"], "timeoutSeconds", json!(10_800));
    }
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    if matches!(kind.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        set(spec, "internalTrafficPolicy", json!("Cluster"));
    }
    if kind == "NodePort" || kind == "LoadBalancer" {
        set(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
    each_in(spec, "ports", |port| {
        set(port, "protocol", json!("TCP"));
        let number = port["port"].clone();
        if port["targetPort"] == json!(0) || port["targetPort"] == json!("") {
            port["targetPort"] = Value::Null;
        }
        set(port, "targetPort", number);
    });
}

fn secret(object: &mut Value) {
    use base64::Engine as _;
    set(object, "type", json!("Opaque"));
    let Some(plain) = object.as_object_mut().and_then(|fields| fields.remove("stringData")) else { return };
    for (key, value) in plain.as_object().into_iter().flatten() {
        let encoded = base64::engine::general_purpose::STANDARD.encode(value.as_str().unwrap_or_default());
        object["data"][key] = json!(encoded);
    }
}

fn webhook_defaults(webhook: &mut Value, mutating: bool) {
    set(webhook, "failurePolicy", json!("Fail"));
    set(webhook, "matchPolicy", json!("Equivalent"));
    set(webhook, "timeoutSeconds", json!(10));
    set(webhook, "namespaceSelector", json!({}));
    set(webhook, "objectSelector", json!({}));
    if mutating {
        set(webhook, "reinvocationPolicy", json!("Never"));
    }
    if webhook["clientConfig"]["service"].is_object() {
        set(&mut webhook["clientConfig"]["service"], "port", json!(443));
    }
    each_in(webhook, "rules", |rule| set(rule, "scope", json!("*")));
}

/// The defaults of a pod's spec, in a pod or in a template.
pub(crate) fn pod_spec(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    set(spec, "restartPolicy", json!("Always"));
    set(spec, "dnsPolicy", json!("ClusterFirst"));
    set(spec, "schedulerName", json!("default-scheduler"));
    set(spec, "terminationGracePeriodSeconds", json!(30));
    set(spec, "securityContext", json!({}));
    // The old name of the field is kept beside the new one.
    if let Some(account) = spec["serviceAccountName"].as_str().map(str::to_owned) {
        set(spec, "serviceAccount", json!(account));
    } else if let Some(account) = spec["serviceAccount"].as_str().map(str::to_owned) {
        set(spec, "serviceAccountName", json!(account));
    }
    let host_network = spec["hostNetwork"] == true;
    each_in(spec, "containers", |container| self::container(container, host_network));
    each_in(spec, "initContainers", |container| self::container(container, host_network));
    each_in(spec, "ephemeralContainers", |container| self::container(container, false));
    each_in(spec, "volumes", volume);
    each_in(spec, "topologySpreadConstraints", |_| {});
}

fn container(container: &mut Value, host_network: bool) {
    set(container, "terminationMessagePath", json!("/dev/termination-log"));
    set(container, "terminationMessagePolicy", json!("File"));
    let image = container["image"].as_str().unwrap_or_default();
    let policy = if tag(image) == Some("latest") { "Always" } else { "IfNotPresent" };
    set(container, "imagePullPolicy", json!(policy));
    set(container, "resources", json!({}));
    let limits = container["resources"]["limits"].as_object().cloned().unwrap_or_default();
    for (name, quantity) in limits {
        set(&mut container["resources"]["requests"], &name, quantity);
    }
    each_in(container, "ports", |port| {
        set(port, "protocol", json!("TCP"));
        if host_network {
            let number = port["containerPort"].clone();
            set(port, "hostPort", number);
        }
    });
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = member(container, name) {
            set(probe, "timeoutSeconds", json!(1));
            set(probe, "periodSeconds", json!(10));
            set(probe, "successThreshold", json!(1));
            set(probe, "failureThreshold", json!(3));
            if let Some(get) = member(probe, "httpGet") {
                http_get(get);
            }
            if let Some(grpc) = member(probe, "grpc") {
                set(grpc, "service", json!(""));
            }
        }
    }
    for name in ["postStart", "preStop"] {
        if let Some(get) =
            member(container, "lifecycle").and_then(|l| member(l, name)).and_then(|h| member(h, "httpGet"))
        {
            http_get(get);
        }
    }
    each_in(container, "env", |variable| {
        if let Some(field) = member(variable, "valueFrom").and_then(|from| member(from, "fieldRef")) {
            set(field, "apiVersion", json!("v1"));
        }
        if let Some(field) = member(variable, "valueFrom").and_then(|from| member(from, "resourceFieldRef")) {
            set(field, "divisor", json!("0"));
        }
    });
}

fn http_get(get: &mut Value) {
    set(get, "path", json!("/"));
    set(get, "scheme", json!("HTTP"));
}

/// The tag of an image: `latest` when it names neither tag nor digest.
fn tag(image: &str) -> Option<&str> {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains('@') {
        return None;
    }
    Some(name.split_once(':').map_or("latest", |(_, tag)| tag))
}

fn volume(volume: &mut Value) {
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(source) = member(volume, source) {
            set(source, "defaultMode", json!(420));
        }
    }
    if let Some(projected) = member(volume, "projected") {
        each_in(projected, "sources", |source| {
            if let Some(token) = member(source, "serviceAccountToken") {
                set(token, "expirationSeconds", json!(3600));
            }
            if let Some(downward) = member(source, "downwardAPI") {
                downward_items(downward);
            }
        });
    }
    if let Some(downward) = member(volume, "downwardAPI") {
        downward_items(downward);
    }
    if let Some(path) = member(volume, "hostPath") {
        set(path, "type", json!(""));
    }
    if volume.as_object().is_some_and(|fields| fields.len() == 1 && fields.contains_key("name")) {
        set(volume, "emptyDir", json!({}));
    }
}

fn downward_items(source: &mut Value) {
    each_in(source, "items", |item| {
        if let Some(field) = member(item, "fieldRef") {
            set(field, "apiVersion", json!("v1"));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_deployment_gets_what_the_controllers_rely_on() {
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "r.example/a", "ports": [{"containerPort": 80}]}]}}},
        });
        apply(&mut object);
        assert_eq!(object["spec"]["replicas"], 1);
        assert_eq!(
            object["spec"]["strategy"]["rollingUpdate"],
            json!({"maxSurge": "25%", "maxUnavailable": "25%"})
        );
        let container = &object["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["imagePullPolicy"], "Always");
        assert_eq!(container["ports"][0]["protocol"], "TCP");
        let once = object.clone();
        apply(&mut object);
        assert_eq!(object, once, "defaulting twice changes nothing");
    }

    #[test]
    fn tags_are_read_past_ports_and_digests() {
        assert_eq!(tag("localhost:5000/a"), Some("latest"));
        assert_eq!(tag("r/a:v1"), Some("v1"));
        assert_eq!(tag("r/a:v1@sha256:00"), None);
    }
}
