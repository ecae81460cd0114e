//! Cluster addresses and node ports.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::causes::Causes;
use crate::store::{GroupResource, Meta, Store};

/// EKS's service network: 10.100.0.0/16. `.1` is `kubernetes`, `.10` is `kube-dns`.
const NETWORK: [u8; 2] = [10, 100];
const NODE_PORTS: std::ops::Range<u64> = 30_000..32_768;

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
            causes.invalid(
                "spec.clusterIPs",
                &json!([asked]),
                "failed to allocate IP: provided IP is already allocated",
            );
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
    for port in service["spec"].get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(asked) = port["nodePort"].as_u64().filter(|asked| *asked != 0) {
            used.insert(asked);
            continue;
        }
        let kept = previous.and_then(|spec| {
            let ports = spec["ports"].as_array()?;
            ports.iter().find(|old| old["port"] == port["port"] && old["protocol"] == port["protocol"])?["nodePort"].as_u64()
        });
        let size = NODE_PORTS.end - NODE_PORTS.start;
        let free = kept
            .or_else(|| (0..size).map(|n| NODE_PORTS.start + (seed + n) % size).find(|p| !used.contains(p)));
        if let Some(free) = free {
            used.insert(free);
            port["nodePort"] = json!(free);
        }
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
