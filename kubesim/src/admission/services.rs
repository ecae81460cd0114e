//! Services: their addresses and node ports, and what is wrong with one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::causes::Causes;
use super::validate::{LABEL, SUBDOMAIN, is_label, is_subdomain, labels};
use crate::store::{GroupResource, Meta, Store};

/// EKS's service network: 10.100.0.0/16. `.1` is `kubernetes`, `.10` is `kube-dns`.
const NETWORK: [u8; 2] = [10, 100];
const NODE_PORTS: std::ops::Range<u64> = 30_000..32_768;

const OUT_OF_RANGE: &str = "provided port is not in the valid range. The range of valid ports is 30000-32767";
const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

/// The type of a service; empty when it has none.
fn kind_of(service: &Value) -> &str {
    service["spec"]["type"].as_str().unwrap_or_default()
}

fn is_headless(service: &Value) -> bool {
    service["spec"]["clusterIP"] == "None"
}

/// Whether traffic from outside can come to it.
fn is_external(service: &Value) -> bool {
    let spec = &service["spec"];
    let addresses = spec["externalIPs"].as_array().is_some_and(|addresses| !addresses.is_empty());
    matches!(kind_of(service), "NodePort" | "LoadBalancer") || kind_of(service) == "ClusterIP" && addresses
}

/// Whether a load balancer has to ask which nodes have an endpoint.
fn is_asked_for_health(service: &Value) -> bool {
    kind_of(service) == "LoadBalancer" && service["spec"]["externalTrafficPolicy"] == "Local"
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

fn is_in_network(address: &str) -> bool {
    let parsed: Result<std::net::Ipv4Addr, _> = address.parse();
    parsed.is_ok_and(|address| address.octets()[..2] == NETWORK)
}

/// Takes out of the next state of a service what only its type so far had use for, unless it was changed too.
pub(super) fn drop_unused(service: &mut Value, before: &Value) {
    let same = |service: &Value, field: &str| service["spec"][field] == before["spec"][field];
    let mut unused = Vec::new();
    if kind_of(before) != "ExternalName" && kind_of(service) == "ExternalName" {
        let addresses = ["clusterIP", "clusterIPs"];
        if addresses.iter().all(|field| same(service, field)) {
            unused.extend(addresses);
        }
        unused.extend(["ipFamilies", "ipFamilyPolicy"].into_iter().filter(|field| same(service, field)));
    }
    let outward = |service: &Value| matches!(kind_of(service), "NodePort" | "LoadBalancer");
    let ports = |service: &Value| -> Vec<Value> {
        let ports = service["spec"]["ports"].as_array().into_iter().flatten();
        ports.map(|port| port["nodePort"].clone()).filter(|port| !port.is_null()).collect()
    };
    if outward(before) && !outward(service) && ports(before) == ports(service) {
        for port in service["spec"].get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(fields) = port.as_object_mut() {
                fields.remove("nodePort");
            }
        }
    }
    if is_asked_for_health(before) && !is_asked_for_health(service) && same(service, "healthCheckNodePort") {
        unused.push("healthCheckNodePort");
    }
    if kind_of(before) == "LoadBalancer" && kind_of(service) != "LoadBalancer" {
        unused.extend(
            ["allocateLoadBalancerNodePorts", "loadBalancerClass"]
                .iter()
                .filter(|field| same(service, field)),
        );
    }
    if is_external(before) && !is_external(service) && same(service, "externalTrafficPolicy") {
        unused.push("externalTrafficPolicy");
    }
    if let Some(fields) = service["spec"].as_object_mut() {
        fields.retain(|field, _| !unused.contains(&field.as_str()));
    }
}

/// What is wrong with a service; `before` is its state so far when it is an update.
pub(super) fn validate(object: &Value, before: Option<&Value>, causes: &mut Causes) {
    let spec = &object["spec"];
    let kind = kind_of(object);
    if let Some(before) = before
        && kind != "ExternalName"
        && kind_of(before) != "ExternalName"
    {
        let (old, new) = (&before["spec"]["clusterIP"], &spec["clusterIP"]);
        if old.as_str().is_some_and(|old| !old.is_empty()) && old != new {
            causes.invalid("spec.clusterIPs[0]", &json!([new]), "may not change once set");
        }
    }
    let ports: &[Value] = spec["ports"].as_array().map_or(&[], Vec::as_slice);
    if ports.is_empty() && kind != "ExternalName" && !is_headless(object) {
        causes.required("spec.ports", "");
    }
    match kind {
        "LoadBalancer" | "NodePort" if is_headless(object) => {
            let why = format!("may not be set to 'None' for {kind} services");
            causes.invalid("spec.clusterIPs[0]", &json!("None"), &why);
        }
        "ExternalName" => external_name(spec, causes),
        _ => {}
    }
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        self::port(port, ports.len() > 1, &mut names, &format!("spec.ports[{index}]"), causes);
    }
    labels(&spec["selector"], "spec.selector", causes);
    affinity(spec, causes);
    if !TYPES.contains(&kind) {
        causes.unsupported("spec.type", &spec["type"], &TYPES);
    }
    node_ports(kind, ports, causes);
    if !spec["allocateLoadBalancerNodePorts"].is_null() && kind != "LoadBalancer" {
        let why = "may only be used when `type` is 'LoadBalancer'";
        causes.forbidden("spec.allocateLoadBalancerNodePorts", why);
    }
    traffic(object, causes);
}

fn external_name(spec: &Value, causes: &mut Causes) {
    for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        let found = &spec[field];
        if found.as_array().map_or(!found.is_null(), |list| !list.is_empty()) {
            causes.forbidden(format!("spec.{field}"), "may not be set for ExternalName services");
        }
    }
    // A name may say with a dot at its end that it is whole.
    let name = spec["externalName"].as_str().unwrap_or_default();
    match name.strip_suffix('.').unwrap_or(name) {
        "" => causes.required("spec.externalName", ""),
        name if !is_subdomain(name) => causes.invalid("spec.externalName", &json!(name), SUBDOMAIN),
        _ => {}
    }
}

fn port(port: &Value, named: bool, names: &mut BTreeSet<String>, at: &str, causes: &mut Causes) {
    match port["name"].as_str().unwrap_or_default() {
        "" if named => causes.required(format!("{at}.name"), ""),
        "" => {}
        name => {
            if !is_label(name) {
                causes.invalid(format!("{at}.name"), &port["name"], LABEL);
            }
            if !names.insert(name.to_owned()) {
                causes.duplicate(format!("{at}.name"), &port["name"]);
            }
        }
    }
    causes.port(format!("{at}.port"), &json!(port["port"].as_i64().unwrap_or(0)));
    if let Some(protocol) = port["protocol"].as_str()
        && !matches!(protocol, "TCP" | "UDP" | "SCTP")
    {
        causes.unsupported(format!("{at}.protocol"), &json!(protocol), &["SCTP", "TCP", "UDP"]);
    }
    causes.port(format!("{at}.targetPort"), &port["targetPort"]);
}

/// Whether a client comes to the same endpoint again, and for how long.
fn affinity(spec: &Value, causes: &mut Causes) {
    const DAY: i64 = 86_400;
    let config = &spec["sessionAffinityConfig"];
    match spec["sessionAffinity"].as_str() {
        Some("None") if !config.is_null() => {
            let why = "must not be set when session affinity is None";
            causes.forbidden("spec.sessionAffinityConfig", why);
        }
        Some("None") => {}
        Some("ClientIP") => {
            let seconds = &config["clientIP"]["timeoutSeconds"];
            if seconds.as_i64().is_some_and(|seconds| !(1..=DAY).contains(&seconds)) {
                let field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
                let why = format!("must be greater than 0 and less than {DAY}");
                causes.invalid(field, seconds, &why);
            }
        }
        _ => causes.unsupported("spec.sessionAffinity", &spec["sessionAffinity"], &["ClientIP", "None"]),
    }
}

/// Node ports where there are none, and what is there twice.
fn node_ports(kind: &str, ports: &[Value], causes: &mut Causes) {
    let asked = |port: &Value| port["nodePort"].as_i64().filter(|number| *number != 0);
    for (index, port) in ports.iter().enumerate().filter(|_| kind == "ClusterIP") {
        if asked(port).is_some() {
            let why = "may not be used when `type` is 'ClusterIP'";
            causes.forbidden(format!("spec.ports[{index}].nodePort"), why);
        }
    }
    let twice = |index: usize, field: &str| {
        let same = |other: &&Value| {
            other[field] == ports[index][field] && other["protocol"] == ports[index]["protocol"]
        };
        ports[..index].iter().any(|other| same(&other))
    };
    for (index, port) in ports.iter().enumerate() {
        if asked(port).is_some() && twice(index, "nodePort") {
            causes.duplicate(format!("spec.ports[{index}].nodePort"), &port["nodePort"]);
        }
    }
    for (index, port) in ports.iter().enumerate() {
        if twice(index, "port") {
            // As the real server's own type of it shows.
            let shown = json!({
                "Name": "", "Protocol": port["protocol"], "AppProtocol": null, "Port": port["port"],
                "TargetPort": 0, "NodePort": 0,
            });
            causes.duplicate(format!("spec.ports[{index}]"), &shown);
        }
    }
}

/// Where traffic may go.
fn traffic(service: &Value, causes: &mut Causes) {
    const POLICIES: [&str; 2] = ["Cluster", "Local"];
    let spec = &service["spec"];
    let outside = &spec["externalTrafficPolicy"];
    if !is_external(service) {
        if !outside.is_null() {
            let why = "may only be set for externally-accessible services";
            causes.invalid("spec.externalTrafficPolicy", outside, why);
        }
    } else if outside.is_null() {
        causes.required("spec.externalTrafficPolicy", "");
    } else if !outside.as_str().is_some_and(|policy| POLICIES.contains(&policy)) {
        causes.unsupported("spec.externalTrafficPolicy", outside, &POLICIES);
    }
    let health = &spec["healthCheckNodePort"];
    if !is_asked_for_health(service) && health.as_i64().is_some_and(|port| port != 0) {
        let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        causes.invalid("spec.healthCheckNodePort", health, why);
    }
    let inside = &spec["internalTrafficPolicy"];
    if !inside.is_null() && !inside.as_str().is_some_and(|policy| POLICIES.contains(&policy)) {
        causes.unsupported("spec.internalTrafficPolicy", inside, &POLICIES);
    }
}

/// Gives a service the addresses that it lacks; `before` is its state so far, whose addresses it keeps.
pub(super) fn allocate(store: &Store, service: &mut Value, before: Option<&Value>, causes: &mut Causes) {
    let kind = service["spec"]["type"].as_str().unwrap_or_default().to_owned();
    if kind == "ExternalName" {
        return;
    }
    for (field, value) in [("ipFamilies", json!(["IPv4"])), ("ipFamilyPolicy", json!("SingleStack"))] {
        if service["spec"][field].is_null() {
            service["spec"][field] = value;
        }
    }
    let (others, _) = store.list(&GroupResource::new("", "services"), None);
    let others: Vec<_> = others
        .iter()
        .filter(|o| !(o.namespace() == service.namespace() && o.name() == service.name()))
        .collect();
    let previous = before.map(|before| &before["spec"]);
    if service["spec"]["clusterIP"].as_str().is_none_or(str::is_empty) {
        let listed = service["spec"]["clusterIPs"][0].as_str().map(str::to_owned);
        let kept = previous.and_then(|spec| spec["clusterIP"].as_str()).map(str::to_owned);
        let used: BTreeSet<&str> = others.iter().filter_map(|o| o["spec"]["clusterIP"].as_str()).collect();
        let address = listed.or(kept).unwrap_or_else(|| free_address(service, &used));
        service["spec"]["clusterIP"] = json!(address);
    } else if let Some(asked) = service["spec"]["clusterIP"].as_str().filter(|asked| *asked != "None") {
        let taken = others.iter().any(|other| other["spec"]["clusterIP"] == asked);
        if before.is_none() && taken {
            let why = format!("failed to allocate IP {asked}: provided IP is already allocated");
            causes.invalid("spec.clusterIPs", &json!([asked]), &why);
        } else if before.is_none() && !is_address(asked) {
            let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            causes.invalid("spec.clusterIPs[0]", &json!(asked), why);
        } else if before.is_none() && !is_in_network(asked) {
            let why = format!(
                "failed to allocate IP {asked}: the provided network does not match the current range"
            );
            causes.invalid("spec.clusterIPs", &json!([asked]), &why);
        }
    }
    let address = service["spec"]["clusterIP"].clone();
    service["spec"]["clusterIPs"] = json!([address]);
    if kind != "NodePort" && kind != "LoadBalancer" {
        return;
    }
    let mut used: BTreeSet<u64> = others
        .iter()
        .flat_map(|other| other["spec"]["ports"].as_array().into_iter().flatten())
        .filter_map(|port| port["nodePort"].as_u64())
        .collect();
    let seed = hash(service);
    let ports = service["spec"].get_mut("ports").and_then(Value::as_array_mut);
    for (index, port) in ports.into_iter().flatten().enumerate() {
        if let Some(asked) = port["nodePort"].as_u64().filter(|asked| *asked != 0) {
            if !NODE_PORTS.contains(&asked) {
                let field = format!("spec.ports[{index}].nodePort");
                causes.invalid(field, &json!(asked), OUT_OF_RANGE);
            }
            used.insert(asked);
            continue;
        }
        // A port is the same as before by its name.
        let kept = previous.and_then(|spec| {
            let ports = spec["ports"].as_array()?;
            ports.iter().find(|old| old["name"] == port["name"])?["nodePort"].as_u64()
        });
        let kept = kept.filter(|kept| !used.contains(kept));
        let size = NODE_PORTS.end - NODE_PORTS.start;
        let free = kept
            .or_else(|| (0..size).map(|n| NODE_PORTS.start + (seed + n) % size).find(|p| !used.contains(p)));
        if let Some(free) = free {
            used.insert(free);
            port["nodePort"] = json!(free);
        }
    }
    if is_asked_for_health(service) && service["spec"]["healthCheckNodePort"].as_u64().unwrap_or(0) == 0 {
        let kept = previous.and_then(|spec| spec["healthCheckNodePort"].as_u64());
        let free = kept.or_else(|| NODE_PORTS.clone().rev().find(|port| !used.contains(port)));
        service["spec"]["healthCheckNodePort"] = json!(free);
    }
}

/// An address by the service's name, so that the same cluster has the same addresses, past those taken.
fn free_address(service: &Value, used: &BTreeSet<&str>) -> String {
    let seed = hash(service);
    // The lower part of the range is for those who ask for an address.
    let candidates = (0..65_000_u64).map(|n| 300 + (seed + n) % 65_000);
    let mut addresses = candidates.map(|n| format!("{}.{}.{}.{}", NETWORK[0], NETWORK[1], n / 256, n % 256));
    addresses.find(|address| !used.contains(address.as_str())).unwrap_or_else(|| "None".to_owned())
}

/// FNV-1a of namespace and name.
fn hash(service: &Value) -> u64 {
    let bytes = service.namespace().bytes().chain([b'/']).chain(service.name().bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash % 65_000
}
