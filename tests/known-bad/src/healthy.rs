//! A healthy platform that is not there: what a lie about nodes and CoreDNS consists of.

use http::Uri;
use serde_json::{Value, json};

/// Whether this is the read of the nodes.
pub(crate) fn asks_for_nodes(uri: &Uri) -> bool {
    uri.path() == "/api/v1/nodes"
}

/// Whether this is the read of CoreDNS's Deployment by its name.
pub(crate) fn asks_for_coredns(uri: &Uri) -> bool {
    uri.path() == "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
}

/// Two Ready nodes.
pub(crate) fn nodes() -> Value {
    let node = |number: u32| {
        let size = json!({ "cpu": "1930m", "memory": "7220184Ki", "pods": "29" });
        json!({
            "metadata": { "name": format!("ip-192-168-10-{}.ec2.internal", 10 + number) },
            "status": {
                "allocatable": size,
                "capacity": size,
                "conditions": [{
                    "type": "Ready", "status": "True", "reason": "KubeletReady",
                    "message": "kubelet is posting ready status",
                }],
            },
        })
    };
    json!({
        "apiVersion": "v1", "kind": "NodeList",
        "metadata": { "resourceVersion": "1" },
        "items": [node(0), node(1)],
    })
}

/// CoreDNS with both its replicas ready.
pub(crate) fn coredns() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "coredns", "namespace": "kube-system", "generation": 1 },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "k8s-app": "kube-dns" } },
            "template": {},
        },
        "status": {
            "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2,
            "readyReplicas": 2, "availableReplicas": 2,
        },
    })
}
