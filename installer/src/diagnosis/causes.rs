//! The table of causes: one row a cause, read from the top, the first that matches decides.
//!
//! A row matches by what the cluster said, and the cause cites those words, so that no blocker names
//! something that nobody has seen.

use super::scheduler::{Reason, Scheduling};
use crate::platform::NodeState;
use crate::result::Container;

/// What a cause means for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// Something that the foundation phase provides is missing.
    Blocked,
    /// The installation itself is wrong.
    Error,
}

/// A classified cause, with the words that it was read from.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Stable name.
    pub code: &'static str,
    /// Position in the table: lower is more telling.
    pub rank: usize,
    /// What it means for the run.
    pub gravity: Gravity,
    /// What it is, for a person.
    pub meaning: &'static str,
    /// The cluster's own words.
    pub cites: String,
    /// What to do about it.
    pub remediation: &'static str,
    /// Commands to type.
    pub commands: &'static [&'static str],
}

/// What is known of one pod that is not Ready.
#[derive(Clone, Debug, Default)]
pub struct Symptoms {
    /// The scheduler's message, when the pod has no node.
    pub scheduling: Option<(Scheduling, String)>,
    /// What it asks for and what the largest node offers, for resources that are short.
    pub shortfall: Option<String>,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Log and termination messages, line by line.
    pub said: Vec<String>,
    /// Its events, each with type, reason and message.
    pub events: Vec<String>,
    /// `status.reason` and `status.message` of the pod, such as an eviction's.
    pub status: Option<String>,
}

/// How a row finds its cause. Signs are compared in lower case; the inner lists must occur in one line
/// together, any of the outer ones will do.
enum Find {
    Log(&'static [&'static [&'static str]]),
    Waiting { reasons: &'static [&'static str], signs: &'static [&'static [&'static str]] },
    Event { reason: &'static str, signs: &'static [&'static [&'static str]] },
    Scheduler(fn(&Scheduling) -> bool),
    Terminated(&'static str),
    CrashLoop,
    Status(&'static str),
    NotReady,
}

struct Row {
    code: &'static str,
    gravity: Gravity,
    find: Find,
    meaning: &'static str,
    remediation: &'static str,
    commands: &'static [&'static str],
}

const ANY: &[&[&str]] = &[&[]];
const PULL: &[&str] = &["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"];
const LOGS: &[&str] = &[
    "kubectl -n kube-system logs -l app.kubernetes.io/name=karpenter --tail=50",
    "kubectl -n kube-system logs -l app.kubernetes.io/name=karpenter --previous --tail=50",
];
const DESCRIBE: &[&str] = &[
    "kubectl -n kube-system describe pods -l app.kubernetes.io/name=karpenter",
    "kubectl -n kube-system get events --sort-by=.lastTimestamp",
];
const NODES: &[&str] = &["kubectl get nodes", "kubectl describe nodes"];

const TABLE: &[Row] = &[
    // What the controller itself says comes first: it knows best.
    Row {
        code: "CRDS_MISSING",
        gravity: Gravity::Error,
        find: Find::Log(&[&["no matches for kind", "karpenter"]]),
        meaning: "Karpenter's custom resource definitions are not installed",
        remediation: "install the CRDs of the same version, then run the compute phase again",
        commands: &[
            "helm upgrade --install karpenter-crd oci://public.ecr.aws/karpenter/karpenter-crd --version 1.8.3 --namespace kube-system",
        ],
    },
    Row {
        code: "KUBERNETES_TOO_NEW",
        gravity: Gravity::Error,
        find: Find::Log(&[&["karpenter version is not compatible with k8s version"]]),
        meaning: "this Karpenter does not support the cluster's Kubernetes version",
        remediation: "choose a Karpenter version that supports it with EKS_INSTALLER_KARPENTER_VERSION",
        commands: &["kubectl version"],
    },
    Row {
        code: "POD_IDENTITY_MISSING",
        gravity: Gravity::Blocked,
        find: Find::Log(&[
            &["ec2 api connectivity check failed"],
            &["no ec2 imds role found"],
            &["failed to refresh cached credentials"],
        ]),
        meaning: "the controller has no AWS credentials, or cannot reach EC2 with them",
        remediation: "put the foundation phase right: install the eks-pod-identity-agent add-on and \
                      associate a role with Karpenter's service account",
        commands: &[
            "kubectl -n kube-system get daemonset eks-pod-identity-agent",
            "aws eks list-pod-identity-associations --cluster-name \"$CLUSTER_NAME\"",
        ],
    },
    Row {
        code: "OIDC_TRUST_WRONG",
        gravity: Gravity::Error,
        find: Find::Log(&[&["assumerolewithwebidentity"], &["invalididentitytoken"]]),
        meaning: "AWS does not let the controller's service account assume its role",
        remediation: "see that the role's trust policy names this cluster's OIDC provider, the \
                      namespace and the service account",
        commands: &["kubectl -n kube-system get serviceaccount karpenter -o yaml"],
    },
    Row {
        code: "IAM_DENIED",
        gravity: Gravity::Error,
        find: Find::Log(&[
            &["failed to resolve cluster endpoint", "accessdenied"],
            &["accessdeniedexception"],
            &["unauthorizedoperation"],
            &["accessdenied:"],
        ]),
        meaning: "the controller's IAM role lacks a permission",
        remediation: "attach Karpenter's controller policy (with eks:DescribeCluster) to its role",
        commands: LOGS,
    },
    Row {
        code: "REGION_UNKNOWN",
        gravity: Gravity::Error,
        find: Find::Log(&[&["ec2imds", "getregion"]]),
        meaning: "the controller cannot find out its region: instance metadata is out of its reach",
        remediation: "set AWS_REGION for the controller: --set controller.env[0].name=AWS_REGION,\
                      controller.env[0].value=<region>",
        commands: LOGS,
    },
    Row {
        code: "AWS_UNREACHABLE",
        gravity: Gravity::Blocked,
        find: Find::Log(&[
            &["sts", "i/o timeout"],
            &["amazonaws.com", "i/o timeout"],
            &["dial tcp", ":443: i/o timeout"],
            &["amazonaws.com", "no such host"],
        ]),
        meaning: "the controller cannot reach AWS's endpoints",
        remediation: "put the foundation phase right: give the nodes a route to AWS, by NAT or by VPC \
                      endpoints (sts, ec2, eks, iam, sqs, pricing)",
        commands: LOGS,
    },
    Row {
        code: "INTERRUPTION_QUEUE_MISSING",
        gravity: Gravity::Error,
        find: Find::Log(&[&["nonexistentqueue"]]),
        meaning: "the interruption queue that the values name does not exist",
        remediation: "create the queue, or leave settings.interruptionQueue out",
        commands: LOGS,
    },
    // Images.
    Row {
        code: "IMAGE_PULL_DENIED",
        gravity: Gravity::Error,
        find: Find::Waiting {
            reasons: PULL,
            signs: &[&["403 forbidden"], &["401 unauthorized"], &["denied"], &["authorization failed"]],
        },
        meaning: "the registry refuses the image",
        remediation: "give the nodes the right to pull it, or point the chart at a registry that they \
                      may use",
        commands: DESCRIBE,
    },
    Row {
        code: "IMAGE_NOT_FOUND",
        gravity: Gravity::Error,
        find: Find::Waiting {
            reasons: PULL,
            signs: &[&["not found"], &["manifest unknown"], &["does not exist"]],
        },
        meaning: "the image does not exist in the registry",
        remediation: "check the chart's version and the image values",
        commands: DESCRIBE,
    },
    Row {
        code: "IMAGE_PULL_FAILED",
        gravity: Gravity::Error,
        find: Find::Waiting { reasons: PULL, signs: ANY },
        meaning: "the image cannot be pulled",
        remediation: "see that the registry can be reached from the nodes and that the image exists",
        commands: DESCRIBE,
    },
    Row {
        code: "CONTAINER_CONFIG_INVALID",
        gravity: Gravity::Error,
        find: Find::Waiting {
            reasons: &["CreateContainerConfigError", "CreateContainerError", "RunContainerError"],
            signs: ANY,
        },
        meaning: "the container cannot be created as it is configured",
        remediation: "create what the message names, or correct the values that refer to it",
        commands: DESCRIBE,
    },
    // How containers end.
    Row {
        code: "OUT_OF_MEMORY",
        gravity: Gravity::Error,
        find: Find::Terminated("OOMKilled"),
        meaning: "the container is killed because it uses more memory than its limit",
        remediation: "raise controller.resources.limits.memory (1Gi is the documented value)",
        commands: LOGS,
    },
    Row {
        code: "CRASH_LOOP",
        gravity: Gravity::Error,
        find: Find::CrashLoop,
        meaning: "the container ends again and again",
        remediation: "read the log's last lines: they say why it ends",
        commands: LOGS,
    },
    // Why a pod has no node.
    Row {
        code: "NO_NODES",
        gravity: Gravity::Blocked,
        find: Find::Scheduler(|scheduling| scheduling.total == 0),
        meaning: "there is no node to run on",
        remediation: "put the foundation phase right: give a node group a desired size above zero",
        commands: NODES,
    },
    Row {
        code: "NODES_NOT_READY",
        gravity: Gravity::Blocked,
        find: Find::Scheduler(|scheduling| {
            scheduling.all_nodes(|reason| {
                matches!(reason, Reason::Taint(Some(taint))
                    if taint.starts_with("node.kubernetes.io/not-ready")
                        || taint.starts_with("node.kubernetes.io/unreachable"))
            })
        }),
        meaning: "no node is Ready",
        remediation: "put the foundation phase right: see why the nodes are not Ready",
        commands: NODES,
    },
    Row {
        code: "NODES_CORDONED",
        gravity: Gravity::Blocked,
        find: Find::Scheduler(|scheduling| scheduling.all_nodes(|reason| matches!(reason, Reason::Cordoned))),
        meaning: "every node is cordoned",
        remediation: "put the foundation phase right: uncordon a node or add one",
        commands: NODES,
    },
    Row {
        code: "UNTOLERATED_TAINT",
        gravity: Gravity::Blocked,
        find: Find::Scheduler(|scheduling| {
            scheduling.all_nodes(|reason| matches!(reason, Reason::Taint(_) | Reason::Cordoned))
        }),
        meaning: "every node has a taint that the controller does not tolerate",
        remediation: "put the foundation phase right: add a node group without the taint, or give the \
                      controller a toleration for it (tolerations in the chart's values)",
        commands: &["kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints"],
    },
    Row {
        code: "NODE_AFFINITY",
        gravity: Gravity::Blocked,
        find: Find::Scheduler(|scheduling| {
            scheduling.all_nodes(|reason| matches!(reason, Reason::NodeAffinity))
        }),
        meaning: "no node matches the controller's node selector and affinity (nodes that Karpenter \
                  itself has made do not count)",
        remediation: "put the foundation phase right: add a node group that Karpenter does not manage",
        commands: &["kubectl get nodes --show-labels"],
    },
    Row {
        code: "INSUFFICIENT_RESOURCES",
        gravity: Gravity::Error,
        find: Find::Scheduler(|scheduling| {
            scheduling.of_kind(|reason| matches!(reason, Reason::Insufficient(_))).next().is_some()
        }),
        meaning: "no node has enough room",
        remediation: "add larger nodes, or ask for less with controller.resources.requests",
        commands: &["kubectl describe nodes", "kubectl top nodes"],
    },
    Row {
        code: "TOO_MANY_PODS",
        gravity: Gravity::Error,
        find: Find::Scheduler(|scheduling| {
            scheduling.of_kind(|reason| matches!(reason, Reason::TooManyPods)).next().is_some()
        }),
        meaning: "the nodes run as many pods as they may",
        remediation: "add a node, or raise the nodes' limit of pods (prefix delegation)",
        commands: NODES,
    },
    Row {
        code: "POD_ANTI_AFFINITY",
        gravity: Gravity::Error,
        find: Find::Scheduler(|scheduling| {
            scheduling.of_kind(|reason| matches!(reason, Reason::AntiAffinity)).next().is_some()
        }),
        meaning: "the controller's replicas must not share a node, and there are not enough nodes",
        remediation: "add a node, or install one replica with EKS_INSTALLER_KARPENTER_REPLICAS=1",
        commands: NODES,
    },
    Row {
        code: "TOPOLOGY_SPREAD",
        gravity: Gravity::Error,
        find: Find::Scheduler(|scheduling| {
            scheduling.of_kind(|reason| matches!(reason, Reason::TopologySpread)).next().is_some()
        }),
        meaning: "the controller's replicas cannot be spread over the zones as they must",
        remediation: "give the node group nodes in a second zone, and see that nodes carry the zone label",
        commands: &["kubectl get nodes -L topology.kubernetes.io/zone"],
    },
    Row {
        code: "UNSCHEDULABLE",
        gravity: Gravity::Error,
        find: Find::Scheduler(|_| true),
        meaning: "the scheduler finds no node for the pod",
        remediation: "see the scheduler's reasons in the message",
        commands: DESCRIBE,
    },
    // What keeps a pod that has a node from starting.
    Row {
        code: "CNI_MISSING",
        gravity: Gravity::Blocked,
        find: Find::Event {
            reason: "FailedCreatePodSandBox",
            signs: &[&["cni"], &["network"], &["aws-node"], &["ipamd"]],
        },
        meaning: "the pod gets no network: the CNI plugin is missing or not working",
        remediation: "put the foundation phase right: see that the vpc-cni add-on (aws-node) runs on \
                      every node",
        commands: &["kubectl -n kube-system get daemonset aws-node"],
    },
    Row {
        code: "SANDBOX_FAILED",
        gravity: Gravity::Error,
        find: Find::Event { reason: "FailedCreatePodSandBox", signs: ANY },
        meaning: "the node cannot set up the pod",
        remediation: "see the container runtime's words in the message",
        commands: DESCRIBE,
    },
    Row {
        code: "VOLUME_MOUNT_FAILED",
        gravity: Gravity::Error,
        find: Find::Event { reason: "FailedMount", signs: ANY },
        meaning: "a volume of the pod cannot be mounted",
        remediation: "create what the message names",
        commands: DESCRIBE,
    },
    Row {
        code: "PROBE_FAILING",
        gravity: Gravity::Error,
        find: Find::Event { reason: "Unhealthy", signs: &[&["probe failed"], &["probe errored"]] },
        meaning: "the container runs and its probe fails",
        remediation: "read the controller's log: it runs, and says that it is not well",
        commands: LOGS,
    },
    Row {
        code: "EVICTED",
        gravity: Gravity::Error,
        find: Find::Status("evicted"),
        meaning: "the pod was evicted",
        remediation: "free the resource that the node ran out of, or add a node",
        commands: NODES,
    },
    Row {
        code: "NOT_READY",
        gravity: Gravity::Error,
        find: Find::NotReady,
        meaning: "the pod runs and is not Ready",
        remediation: "read the controller's log",
        commands: LOGS,
    },
];

impl Cause {
    /// The cause of a pod's trouble; `None` when nothing in it says anything.
    #[must_use]
    pub fn of(symptoms: &Symptoms) -> Option<Self> {
        TABLE.iter().enumerate().find_map(|(rank, row)| {
            let cites = row.find.cite(symptoms)?;
            Some(Self {
                code: row.code,
                rank,
                gravity: row.gravity,
                meaning: row.meaning,
                cites,
                remediation: row.remediation,
                commands: row.commands,
            })
        })
    }
}

impl Find {
    /// The words by which a row is found, if it is.
    fn cite(&self, symptoms: &Symptoms) -> Option<String> {
        match self {
            Find::Log(signs) => symptoms.said.iter().rev().find(|line| matches(line, signs)).cloned(),
            Find::Waiting { reasons, signs } => symptoms.containers.iter().find_map(|container| {
                let reason = container.reason.as_deref().filter(|reason| reasons.contains(reason))?;
                // The kubelet's words about the pull are in the event; "Back-off pulling image" is not.
                let message = container.message.as_deref().unwrap_or("");
                let texts: Vec<&str> = symptoms
                    .events
                    .iter()
                    .rev()
                    .map(String::as_str)
                    .filter(|event| event.starts_with("Warning "))
                    .chain([message])
                    .collect();
                let telling = texts.iter().find(|text| matches(text, signs) && !text.is_empty());
                if telling.is_none() && !signs.iter().any(|all| all.is_empty()) {
                    return None;
                }
                let telling = texts
                    .iter()
                    .find(|text| text.contains("Failed to pull image") && matches(text, signs))
                    .or(telling)
                    .copied()
                    .unwrap_or("");
                Some(format!("container {}: {reason}: {telling}", container.name))
            }),
            Find::Event { reason, signs } => symptoms
                .events
                .iter()
                .rev()
                .find(|event| event.contains(&format!(" {reason}: ")) && matches(event, signs))
                .cloned(),
            Find::Scheduler(matches) => {
                let (scheduling, message) = symptoms.scheduling.as_ref()?;
                matches(scheduling).then(|| {
                    let shortfall = symptoms.shortfall.as_deref().unwrap_or("");
                    format!("{message}{shortfall}")
                })
            }
            Find::Terminated(reason) => symptoms.containers.iter().find_map(|container| {
                let last = container.last_termination.as_ref()?;
                (last.reason.as_deref() == Some(reason))
                    .then(|| format!("container {}: {reason}, exit code {}", container.name, last.exit_code))
            }),
            Find::CrashLoop => symptoms.containers.iter().find_map(|container| {
                let waiting = container.reason.as_deref() == Some("CrashLoopBackOff");
                let ended = container.state == "terminated" || (container.restarts > 0 && !container.ready);
                let last = container.last_termination.as_ref();
                (waiting || (ended && last.is_some())).then(|| {
                    let code =
                        last.map_or_else(String::new, |last| format!(" with exit code {}", last.exit_code));
                    let said = symptoms.said.last().map_or_else(
                        || "and its log is empty".to_owned(),
                        |line| format!("and its last words are: {line}"),
                    );
                    format!(
                        "container {} restarted {} times, ended{code}, {said}",
                        container.name, container.restarts
                    )
                })
            }),
            Find::Status(sign) => {
                symptoms.status.clone().filter(|status| status.to_lowercase().contains(sign))
            }
            Find::NotReady => {
                let container = symptoms.containers.iter().find(|container| !container.ready)?;
                let reason = container.reason.as_deref().map_or_else(String::new, |r| format!(" ({r})"));
                Some(format!("container {} is {}{reason} and not ready", container.name, container.state))
            }
        }
    }
}

/// Whether a line has all the signs of any of the groups.
fn matches(line: &str, groups: &[&[&str]]) -> bool {
    let line = line.to_lowercase();
    groups.iter().any(|signs| signs.iter().all(|sign| line.contains(sign)))
}

/// Why nodes are not Ready: a cause's name, and what to do.
#[must_use]
pub fn node_cause(nodes: &[NodeState]) -> (Option<&'static str>, &'static str) {
    let said = |sign: &str| nodes.iter().filter_map(|node| node.why.as_deref()).any(|why| why.contains(sign));
    if said("cni plugin not initialized") || said("NetworkPluginNotReady") {
        (Some("CNI_MISSING"), "the nodes have no CNI plugin; install or mend the vpc-cni add-on (aws-node)")
    } else if said("Kubelet stopped posting node status") || said("NodeStatusUnknown") {
        (Some("KUBELET_SILENT"), "the nodes' kubelets have fallen silent; see whether the instances run")
    } else {
        (None, "see why the nodes' kubelets are not ready")
    }
}

#[cfg(test)]
#[path = "causes_tests.rs"]
mod tests;
