//! The platform gate: are there nodes, are some Ready, does CoreDNS run.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use serde::Deserialize;

use crate::cluster::{Cluster, ReadError};
use crate::diagnosis;
use crate::result::{Blocker, Code, Platform, Replicas, Warning};

/// Nodes and CoreDNS as they were when read.
#[derive(Clone, Debug)]
pub struct PlatformHealth {
    /// Whether Karpenter can be installed.
    pub healthy: bool,
    /// Nodes.
    pub nodes: Nodes,
    /// CoreDNS; `None` when there is no such Deployment.
    pub coredns: Option<Coredns>,
    /// Why not healthy; empty when healthy.
    pub blockers: Vec<Blocker>,
    /// What is not as it should be and does not stop the run.
    pub warnings: Vec<Warning>,
}

/// Nodes by readiness.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    /// All of them.
    pub all: Vec<NodeState>,
}

/// What matters of a node: of five thousand nodes a run keeps this, and not the objects.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Node")]
pub struct NodeState {
    /// Its name.
    pub name: String,
    /// Whether its `Ready` condition is true.
    pub ready: bool,
    /// Reason and message of the `Ready` condition when it is not true.
    pub why: Option<String>,
    /// What may be scheduled on it, by resource.
    pub allocatable: std::collections::BTreeMap<String, Quantity>,
}

/// CoreDNS's Deployment.
#[derive(Clone, Debug)]
pub struct Coredns {
    /// Whether every replica is ready.
    pub ready: bool,
    /// Its replicas.
    pub replicas: Replicas,
}

impl Nodes {
    /// From the states of nodes.
    pub fn of(nodes: impl IntoIterator<Item = NodeState>) -> Self {
        Self { all: nodes.into_iter().collect() }
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u32 {
        count(self.all.len())
    }

    /// How many are Ready.
    #[must_use]
    pub fn ready(&self) -> u32 {
        count(self.all.iter().filter(|node| node.ready).count())
    }

    /// The blocker that they make, if they make one.
    #[must_use]
    pub fn blocker(&self) -> Option<Blocker> {
        if self.all.is_empty() {
            return Some(
                Blocker::new(
                    Code::NoNodesAvailable,
                    "the cluster has no worker node (0 Nodes), so nothing can be scheduled",
                    "put the foundation phase right first: give a node group a desired size above \
                     zero and see that its instances join the cluster",
                )
                .commands([
                    "kubectl get nodes",
                    "eksctl get nodegroup --cluster \"$CLUSTER_NAME\" --region \"$AWS_REGION\"",
                    "eks-installer install --phase foundation",
                ]),
            );
        }
        if self.ready() > 0 {
            return None;
        }
        let (cause, advice) = diagnosis::node_cause(&self.all);
        Some(
            Blocker::new(
                Code::NoReadyNodes,
                format!("none of the {} nodes is Ready: {}", self.total(), self.why_not_ready()),
                format!("put the foundation phase right first: {advice}"),
            )
            .cause(cause)
            .commands([
                "kubectl get nodes",
                "kubectl describe nodes",
                "eks-installer install --phase foundation",
            ]),
        )
    }

    /// Up to three nodes that are not Ready, with their conditions' words.
    pub(crate) fn why_not_ready(&self) -> String {
        let not_ready: Vec<&NodeState> = self.all.iter().filter(|node| !node.ready).collect();
        let mut text = not_ready
            .iter()
            .take(3)
            .map(|node| format!("{}: {}", node.name, node.why.as_deref().unwrap_or("no reason given")))
            .collect::<Vec<_>>()
            .join("; ");
        if not_ready.len() > 3 {
            text.push_str(&format!("; and {} more", not_ready.len() - 3));
        }
        text
    }
}

impl From<Node> for NodeState {
    fn from(node: Node) -> Self {
        let status = node.status.as_ref();
        let ready = status
            .and_then(|status| status.conditions.as_ref())
            .and_then(|conditions| conditions.iter().find(|condition| condition.type_ == "Ready"));
        let is_ready = ready.is_some_and(|condition| condition.status == "True");
        let why = match ready {
            None => Some("it has no Ready condition: its kubelet has never reported".to_owned()),
            Some(condition) => {
                let parts = [condition.reason.as_deref(), condition.message.as_deref()];
                let text = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
                Some(format!("Ready={} {text}", condition.status).trim_end().to_owned())
            }
        };
        Self {
            name: node.metadata.name.clone().unwrap_or_default(),
            ready: is_ready,
            why: why.filter(|_| !is_ready),
            allocatable: status.and_then(|status| status.allocatable.clone()).unwrap_or_default(),
        }
    }
}

impl Coredns {
    pub(crate) fn of(deployment: &Deployment) -> Self {
        let desired = deployment.spec.replicas.unwrap_or(1);
        let status = deployment.status.as_ref();
        let ready = status.and_then(|status| status.ready_replicas).unwrap_or(0);
        let observed = status.and_then(|status| status.observed_generation).unwrap_or(0);
        let current = observed >= deployment.metadata.generation.unwrap_or(0);
        Self {
            ready: current && desired > 0 && ready >= desired,
            replicas: Replicas { ready: count_i32(ready), desired: count_i32(desired) },
        }
    }
}

const COREDNS: &str = "/apis/apps/v1/namespaces/kube-system/deployments/coredns";
/// The Deployments beside which CoreDNS is, and its name among them.
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/kube-system/deployments";
pub(crate) const COREDNS_NAME: (&str, &str) = ("fieldSelector", "metadata.name=coredns");
const COREDNS_LABEL: (&str, &str) = ("labelSelector", "k8s-app=kube-dns");

impl PlatformHealth {
    /// Reads nodes and CoreDNS: two requests when all is well.
    ///
    /// # Errors
    /// When either cannot be read. That is never taken for "not there".
    pub async fn read(cluster: &Cluster<'_>) -> Result<Self, ReadError> {
        let nodes = cluster.list::<NodeState>("list nodes", "/api/v1/nodes", &[]).await?;
        let nodes = Nodes::of(nodes.items);
        let deployment = match cluster.get::<Deployment>("read CoreDNS", COREDNS).await? {
            Some(deployment) => Some(deployment),
            // Not every distribution calls it so; the label is what the Service selects by.
            None => cluster.list("find CoreDNS", DEPLOYMENTS, &[COREDNS_LABEL]).await?.items.pop(),
        };
        let coredns = deployment.as_ref().map(Coredns::of);
        let mut health = Self { healthy: false, nodes, coredns, blockers: Vec::new(), warnings: Vec::new() };
        health.judge(cluster).await;
        Ok(health)
    }

    async fn judge(&mut self, cluster: &Cluster<'_>) {
        let node_blocker = self.nodes.blocker();
        // Without a Ready node CoreDNS cannot run; its own blocker would then name a consequence.
        let coredns_blocker = match &self.coredns {
            None => Some(
                Blocker::new(
                    Code::CorednsNotReady,
                    "there is no CoreDNS Deployment in kube-system, so no name can be resolved",
                    "put the foundation phase right first: install the coredns add-on",
                )
                .commands([
                    "kubectl -n kube-system get deployment coredns",
                    "eksctl create addon --name coredns --cluster \"$CLUSTER_NAME\" --region \"$AWS_REGION\"",
                ]),
            ),
            Some(coredns) if !coredns.ready && node_blocker.is_none() => {
                let Replicas { ready, desired } = coredns.replicas;
                let (why, cause) = coredns_trouble(cluster, &self.nodes).await;
                let why = why.map_or_else(String::new, |why| format!(": {why}"));
                Some(
                    Blocker::new(
                        Code::CorednsNotReady,
                        format!("CoreDNS has {ready} of {desired} replicas ready{why}"),
                        "put the foundation phase right first: see why CoreDNS's pods are not ready",
                    )
                    .cause(cause.as_deref())
                    .commands([
                        "kubectl -n kube-system get deployment coredns",
                        "kubectl -n kube-system describe pods -l k8s-app=kube-dns",
                    ]),
                )
            }
            Some(_) => None,
        };
        self.blockers.extend(node_blocker);
        if let Some(blocker) = coredns_blocker {
            let incomplete = Blocker::new(
                Code::Phase1Incomplete,
                format!("the foundation phase is not complete: {}", blocker.message),
                "run the foundation phase again once CoreDNS is Ready",
            )
            .commands(["eks-installer install --phase foundation"]);
            self.blockers.extend([blocker, incomplete]);
        }
        let (total, ready) = (self.nodes.total(), self.nodes.ready());
        if ready > 0 && ready < total {
            self.warnings.push(Warning {
                code: "NODES_NOT_READY".into(),
                message: format!("{ready} of {total} nodes are Ready; {}", self.nodes.why_not_ready()),
            });
        }
        self.healthy = self.blockers.is_empty();
    }

    /// As evidence.
    #[must_use]
    pub fn evidence(&self) -> Platform {
        let (total, ready) = (self.nodes.total(), self.nodes.ready());
        Platform {
            nodes_total: Some(total),
            nodes_ready: Some(ready),
            nodes_not_ready: Some(total - ready),
            coredns_ready: Some(self.coredns.as_ref().is_some_and(|coredns| coredns.ready)),
            coredns_replicas: self.coredns.as_ref().map(|coredns| coredns.replicas),
            platform_healthy: Some(self.healthy),
            kubernetes: None,
        }
    }

    /// For the log.
    #[must_use]
    pub fn summary(&self) -> String {
        let coredns = self.coredns.as_ref().map_or_else(
            || "no CoreDNS".to_owned(),
            |coredns| format!("CoreDNS {}/{}", coredns.replicas.ready, coredns.replicas.desired),
        );
        format!("{} of {} nodes Ready, {coredns}", self.nodes.ready(), self.nodes.total())
    }
}

/// Why CoreDNS's pods are not ready, and the classified cause. Failing to find out changes nothing in
/// the verdict.
async fn coredns_trouble(cluster: &Cluster<'_>, nodes: &Nodes) -> (Option<String>, Option<String>) {
    let path = "/api/v1/namespaces/kube-system/pods";
    let Ok(pods) = cluster.list::<Pod>("list CoreDNS's pods", path, &[COREDNS_LABEL]).await else {
        return (None, None);
    };
    let subject =
        diagnosis::Subject { release: "coredns", namespace: "kube-system", selector: "k8s-app=kube-dns" };
    let unready = diagnosis::Unready::of(pods.items);
    let diagnosis = diagnosis::Diagnosis::of(cluster, subject, &unready, nodes).await;
    let cause = diagnosis.primary().map(|cause| cause.code.to_owned());
    (diagnosis.explain(), cause)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn count_i32(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
