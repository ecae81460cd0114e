//! Nodes, namespaces, services and what else is neither a workload nor storage in the core group.

use serde_json::{Value, json};

use super::super::words::{View, cut_short, each, items, labels};
use super::{Columns, age, integer, name, text, wide};

pub(super) fn of(group: &str, plural: &str) -> Option<Columns> {
    Some(match (group, plural) {
        ("", "nodes") => vec![
            name(),
            text("Status", |view| json!(node_status(view))),
            text("Roles", |view| json!(node_roles(view))),
            age(),
            text("Version", |view| json!(view.text(&["status", "nodeInfo", "kubeletVersion"]))),
            wide("Internal-IP", |view| json!(node_address(view, "InternalIP"))),
            wide("External-IP", |view| json!(node_address(view, "ExternalIP"))),
            wide("OS-Image", |view| json!(node_info(view, "osImage"))),
            wide("Kernel-Version", |view| {
                let kernel = node_info(view, "kernelVersion");
                match view.text(&["status", "nodeInfo", "architecture"]) {
                    "" => json!(kernel),
                    architecture => json!(format!("{kernel} ({architecture})")),
                }
            }),
            wide("Container-Runtime", |view| json!(node_info(view, "containerRuntimeVersion"))),
        ],
        ("", "namespaces") => {
            vec![name(), text("Status", |view| json!(view.text(&["status", "phase"]))), age()]
        }
        ("", "configmaps") => vec![
            name(),
            text("Data", |view| json!(view.count(&["data"]) + view.count(&["binaryData"]))),
            age(),
        ],
        ("", "secrets") => vec![
            name(),
            text("Type", |view| json!(view.text(&["type"]))),
            text("Data", |view| json!(view.count(&["data"]))),
            age(),
        ],
        ("", "serviceaccounts") => vec![name(), age()],
        ("", "services") => vec![
            name(),
            text("Type", |view| json!(view.text(&["spec", "type"]))),
            text("Cluster-IP", |view| {
                json!(view.items(&["spec", "clusterIPs"]).first().unwrap_or(&json!("<none>")))
            }),
            text("External-IP", |view| json!(external_ip(view))),
            text("Port(s)", |view| json!(service_ports(view))),
            age(),
            wide("Selector", |view| json!(labels(view.at(&["spec", "selector"])))),
        ],
        ("", "endpoints") => {
            vec![name(), text("Endpoints", |view| json!(endpoints(view.items(&["subsets"])))), age()]
        }
        ("discovery.k8s.io", "endpointslices") => vec![
            name(),
            text("AddressType", |view| json!(view.text(&["addressType"]))),
            text("Ports", |view| json!(slice_ports(view))),
            text("Endpoints", |view| {
                let all = view.items(&["endpoints"]).iter().flat_map(|one| items(&one["addresses"]));
                let all: Vec<String> = all.filter_map(Value::as_str).map(str::to_owned).collect();
                json!(cut_short(&all, 3, ",", "<unset>"))
            }),
            age(),
        ],
        ("" | "events.k8s.io", "events") => events(),
        ("", "resourcequotas") => vec![
            name(),
            text("Request", |view| json!(quota(view, false))),
            text("Limit", |view| json!(quota(view, true))),
            age(),
        ],
        ("networking.k8s.io", "ingresses") => vec![
            name(),
            text("Class", |view| json!(view.text_or(&["spec", "ingressClassName"], "<none>"))),
            text("Hosts", |view| json!(hosts(view.items(&["spec", "rules"])))),
            text("Address", |view| json!(load_balancer(view))),
            text("Ports", |view| json!(if view.count(&["spec", "tls"]) > 0 { "80, 443" } else { "80" })),
            age(),
        ],
        ("networking.k8s.io", "ingressclasses") => vec![
            super::Column {
                cell: |view| {
                    let default = view.at(&["metadata", "annotations"])["ingressclass.kubernetes.io/is-default-class"]
                        == "true";
                    let name = view.text(&["metadata", "name"]);
                    json!(if default { format!("{name} (default)") } else { name.to_owned() })
                },
                ..name()
            },
            text("Controller", |view| json!(view.text(&["spec", "controller"]))),
            text("Parameters", |view| {
                let parameters = view.at(&["spec", "parameters"]);
                let part = |field: &str| parameters[field].as_str().unwrap_or_default().to_owned();
                let group = part("apiGroup");
                let dot = if group.is_empty() { "" } else { "." };
                match parameters {
                    Value::Object(_) => json!(format!("{}{dot}{group}/{}", part("kind"), part("name"))),
                    _ => json!("<none>"),
                }
            }),
            age(),
        ],
        ("networking.k8s.io", "networkpolicies") => vec![
            name(),
            text("Pod-Selector", |view| {
                json!(super::super::words::selector(view.at(&["spec", "podSelector"])))
            }),
            age(),
        ],
        ("networking.k8s.io", "servicecidrs") => {
            vec![name(), text("CIDRs", |view| json!(joined(view.items(&["spec", "cidrs"])))), age()]
        }
        ("networking.k8s.io", "ipaddresses") => vec![name(), text("ParentRef", |view| json!(parent(view)))],
        ("coordination.k8s.io", "leases") => {
            vec![name(), text("Holder", |view| json!(view.text(&["spec", "holderIdentity"]))), age()]
        }
        _ => return None,
    })
}

fn joined(list: &[Value]) -> String {
    list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}

fn node_status(view: &View<'_>) -> String {
    let mut status = match view.condition("Ready") {
        "" => "Unknown",
        "True" => "Ready",
        _ => "NotReady",
    }
    .to_owned();
    if view.is(&["spec", "unschedulable"]) {
        status.push_str(",SchedulingDisabled");
    }
    status
}

fn node_roles(view: &View<'_>) -> String {
    let mut roles: Vec<&str> = Vec::new();
    for (key, value) in view.at(&["metadata", "labels"]).as_object().into_iter().flatten() {
        match (key.strip_prefix("node-role.kubernetes.io/"), value.as_str()) {
            (Some(role), _) if !role.is_empty() => roles.push(role),
            (None, Some(role)) if key == "kubernetes.io/role" && !role.is_empty() => roles.push(role),
            _ => {}
        }
    }
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") }
}

fn node_address(view: &View<'_>, kind: &str) -> String {
    let mut addresses = view.items(&["status", "addresses"]).iter();
    let found = addresses.find(|address| address["type"] == kind);
    found.and_then(|address| address["address"].as_str()).unwrap_or("<none>").to_owned()
}

fn node_info(view: &View<'_>, field: &str) -> String {
    view.text_or(&["status", "nodeInfo", field], "<unknown>")
}

fn load_balancer(view: &View<'_>) -> String {
    let ingress = view.items(&["status", "loadBalancer", "ingress"]).iter();
    let mut found: Vec<&str> =
        ingress.filter_map(|one| one["ip"].as_str().or_else(|| one["hostname"].as_str())).collect();
    found.sort_unstable();
    found.dedup();
    found.join(",")
}

fn external_ip(view: &View<'_>) -> String {
    let own = joined(view.items(&["spec", "externalIPs"]));
    let or_none = |text: String, otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { text };
    match view.text(&["spec", "type"]) {
        "ClusterIP" | "NodePort" => or_none(own, "<none>"),
        "LoadBalancer" => {
            let parts: Vec<String> =
                [load_balancer(view), own].into_iter().filter(|part| !part.is_empty()).collect();
            or_none(parts.join(","), "<pending>")
        }
        "ExternalName" => view.text(&["spec", "externalName"]).to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

fn service_ports(view: &View<'_>) -> String {
    let ports = view.items(&["spec", "ports"]).iter().map(|port| {
        let protocol = port["protocol"].as_str().unwrap_or_default();
        match port["nodePort"].as_i64() {
            Some(node) if node > 0 => format!("{}:{node}/{protocol}", port["port"]),
            _ => format!("{}/{protocol}", port["port"]),
        }
    });
    let ports: Vec<String> = ports.collect();
    if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") }
}

fn endpoints(subsets: &[Value]) -> String {
    let mut all = Vec::new();
    for subset in subsets {
        let addresses = items(&subset["addresses"]);
        let ip = |address: &Value| address["ip"].as_str().unwrap_or_default().to_owned();
        let ports = items(&subset["ports"]);
        // A headless service may have none.
        if ports.is_empty() {
            all.extend(addresses.iter().map(ip));
        }
        for port in ports {
            all.extend(addresses.iter().map(|address| match ip(address) {
                ip if ip.contains(':') => format!("[{ip}]:{}", port["port"]),
                ip => format!("{ip}:{}", port["port"]),
            }));
        }
    }
    // Without subsets there is a word for it; with subsets that are all not ready there is none.
    cut_short(&all, 3, ",", if subsets.is_empty() { "<none>" } else { "" })
}

fn slice_ports(view: &View<'_>) -> String {
    let ports =
        view.items(&["ports"]).iter().map(|port| match (port["port"].as_i64(), port["name"].as_str()) {
            (Some(number), _) => number.to_string(),
            (None, Some(name)) => name.to_owned(),
            (None, None) => "*".to_owned(),
        });
    cut_short(&ports.collect::<Vec<_>>(), 3, ",", "<unset>")
}

fn hosts(rules: &[Value]) -> String {
    let named = each(rules, "host");
    let hosts: Vec<String> = named.split(',').filter(|host| !host.is_empty()).map(str::to_owned).collect();
    cut_short(&hosts, 3, ",", "*")
}

fn parent(view: &View<'_>) -> String {
    let parent = view.at(&["spec", "parentRef"]);
    if !parent.is_object() {
        return "<none>".to_owned();
    }
    let part = |field: &str| parent[field].as_str().unwrap_or_default();
    let mut text = part("resource").to_lowercase();
    if !part("group").is_empty() {
        text = format!("{text}.{}", part("group"));
    }
    let parts = [text.as_str(), part("namespace"), part("name")];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

fn events() -> Columns {
    vec![
        text("Last Seen", |view| {
            let series = view.at(&["series", "lastObservedTime"]);
            match [series, view.at(&["lastTimestamp"])].into_iter().find(|time| time.is_string()) {
                Some(time) => json!(view.since(time)),
                None => json!(first_seen(view)),
            }
        }),
        text("Type", |view| json!(view.text(&["type"]))),
        text("Reason", |view| json!(view.text(&["reason"]))),
        text("Object", |view| {
            let kind = view.text(&["involvedObject", "kind"]).to_lowercase();
            match view.text(&["involvedObject", "name"]) {
                "" => json!(kind),
                name => json!(format!("{kind}/{name}")),
            }
        }),
        wide("Subobject", |view| json!(view.text(&["involvedObject", "fieldPath"]))),
        wide("Source", |view| {
            let either = |one: &[&str], other: &str| view.text_or(one, view.text(&[other]));
            let component = either(&["source", "component"], "reportingComponent");
            match either(&["source", "host"], "reportingInstance").as_str() {
                "" => json!(component),
                instance => json!(format!("{component}, {instance}")),
            }
        }),
        text("Message", |view| json!(view.text(&["message"]).trim())),
        wide("First Seen", |view| json!(first_seen(view))),
        super::Column {
            wide: true,
            ..integer("Count", |view| {
                let count = [&["series", "count"][..], &["count"]].into_iter().map(|path| view.number(path));
                json!(count.into_iter().find(|count| *count > 0).unwrap_or(1))
            })
        },
        super::Column { wide: true, ..name() },
    ]
}

fn first_seen(view: &View<'_>) -> String {
    let times = [view.at(&["firstTimestamp"]), view.at(&["eventTime"])];
    view.since(times.into_iter().find(|time| time.is_string()).unwrap_or(&Value::Null))
}

/// What a quota says of requests, or of limits.
fn quota(view: &View<'_>, limits: bool) -> String {
    let hard = view.at(&["status", "hard"]).as_object();
    let lines = hard.into_iter().flatten().filter(|(name, _)| name.starts_with("limits.") == limits);
    let lines = lines.map(|(name, hard)| {
        let used = view.text_or(&["status", "used", name], "0");
        format!("{name}: {used}/{}", hard.as_str().unwrap_or_default())
    });
    lines.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn cells(group: &str, plural: &str, object: &Value) -> Vec<Value> {
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        let view = View { object, now };
        of(group, plural).unwrap().iter().map(|column| (column.cell)(&view)).collect()
    }

    #[test]
    fn a_node_shows_its_state_roles_and_addresses() {
        let node = json!({
            "metadata": {"name": "n", "creationTimestamp": "2026-01-01T00:00:00Z",
                         "labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "agent"}},
            "spec": {"unschedulable": true},
            "status": {"conditions": [{"type": "Ready", "status": "Unknown"}],
                       "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                       "nodeInfo": {"kubeletVersion": "v1.37.2", "kernelVersion": "6.12", "architecture": "amd64"}},
        });
        assert_eq!(
            cells("", "nodes", &node),
            [
                "n",
                "NotReady,SchedulingDisabled",
                "agent,worker",
                "60s",
                "v1.37.2",
                "10.0.0.1",
                "<none>",
                "<unknown>",
                "6.12 (amd64)",
                "<unknown>"
            ]
        );
    }

    #[test]
    fn a_load_balancer_is_pending_until_it_has_an_address() {
        let mut service = json!({"metadata": {"name": "s"}, "spec": {
            "type": "LoadBalancer", "clusterIPs": ["10.100.0.5"],
            "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}, {"port": 443, "protocol": "TCP"}],
        }});
        let found = cells("", "services", &service);
        assert_eq!(found[2..5], [json!("10.100.0.5"), json!("<pending>"), json!("80:30080/TCP,443/TCP")]);
        service["status"] = json!({"loadBalancer": {"ingress": [{"hostname": "b"}, {"hostname": "a"}]}});
        assert_eq!(cells("", "services", &service)[3], "a,b");
    }

    #[test]
    fn endpoints_are_cut_after_three() {
        let object = json!({"subsets": [{
            "addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}],
            "ports": [{"port": 53}, {"port": 9153}],
        }]});
        assert_eq!(cells("", "endpoints", &object)[1], "10.0.0.1:53,10.0.0.2:53,10.0.0.1:9153 + 1 more...");
        assert_eq!(cells("", "endpoints", &json!({}))[1], "<none>");
    }

    #[test]
    fn events_of_both_recorders_say_when_and_how_often() {
        let old = json!({"firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:30Z", "count": 4,
                         "involvedObject": {"kind": "Pod", "name": "p"}, "source": {"component": "kubelet", "host": "n"}});
        let found = cells("", "events", &old);
        assert_eq!(
            (&found[0], &found[3], &found[5], &found[8]),
            (&json!("30s"), &json!("pod/p"), &json!("kubelet, n"), &json!(4))
        );
        let new = json!({"eventTime": "2026-01-01T00:00:10.000000Z", "firstTimestamp": null, "lastTimestamp": null,
                         "reportingComponent": "default-scheduler", "reportingInstance": "default-scheduler-0"});
        let found = cells("", "events", &new);
        assert_eq!((&found[0], &found[7], &found[8]), (&json!("50s"), &json!("50s"), &json!(1)));
    }
}
