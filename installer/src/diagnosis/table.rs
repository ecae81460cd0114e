//! The table itself: one row a cause, read from the top. A row higher up stops those below it from
//! mattering: a registry that gives no chart, a program that says what it lacks, an image, a node.
//!
//! `{namespace}`, `{selector}` and `{release}` in remediations and commands stand for those of what is
//! looked at.

use super::causes::{Find, Gravity, Row};
use super::scheduler::Reason;

const ANY: &[&[&str]] = &[&[]];
const PULL: &[&str] = &["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"];
const LOGS: &[&str] = &[
    "kubectl -n {namespace} logs -l {selector} --tail=50",
    "kubectl -n {namespace} logs -l {selector} --previous --tail=50",
];
const DESCRIBE: &[&str] = &[
    "kubectl -n {namespace} describe pods -l {selector}",
    "kubectl -n {namespace} get events --sort-by=.lastTimestamp",
];
const NODES: &[&str] = &["kubectl get nodes", "kubectl describe nodes"];

pub(super) const TABLE: &[Row] = &[
    // What stops everything before there is a pod to look at: words of eksctl, CloudFormation and Helm.
    Row {
        code: "NODES_NEVER_JOINED",
        gravity: Gravity::Blocked,
        find: Find::Words(&[&["nodecreationfailure"], &["instances failed to join the kubernetes cluster"]]),
        meaning: "instances were started and have not joined the cluster",
        remediation: "put the foundation phase right: see that the nodes' role has an access entry, and that \
                      their subnets lead to the API server and to ECR",
        commands: &[
            "aws eks list-access-entries --cluster-name \"$CLUSTER_NAME\"",
            "eksctl get nodegroup --cluster \"$CLUSTER_NAME\" --region \"$AWS_REGION\"",
        ],
    },
    Row {
        code: "CAPACITY_EXHAUSTED",
        gravity: Gravity::Blocked,
        find: Find::Words(&[
            &["asginstancelaunchfailures"],
            &["vcpulimitexceeded"],
            &["insufficientinstancecapacity"],
            &["you have requested more vcpu capacity"],
        ]),
        meaning: "AWS does not start the instances: a quota is used up, or there is no capacity",
        remediation: "put the foundation phase right: raise the quota, or choose another instance type or zone",
        commands: &["aws service-quotas list-service-quotas --service-code ec2"],
    },
    Row {
        code: "ADDON_DEGRADED",
        gravity: Gravity::Blocked,
        find: Find::Words(&[
            &["timed out waiting for addon"],
            &["insufficientnumberofreplicas"],
            &["addon", "degraded"],
        ]),
        meaning: "an EKS add-on has not become active, mostly for want of nodes to run on",
        remediation: "put the foundation phase right: give a node group a desired size above zero, then see \
                      the add-on's health",
        commands: &[
            "aws eks describe-addon --cluster-name \"$CLUSTER_NAME\" --addon-name coredns",
            "eksctl get nodegroup --cluster \"$CLUSTER_NAME\" --region \"$AWS_REGION\"",
        ],
    },
    Row {
        code: "REGISTRY_LOGIN_REFUSED",
        gravity: Gravity::Error,
        find: Find::Words(&[&["could not login to oci registry"], &["could not log in to oci registry"]]),
        meaning: "the chart registry refuses the login itself",
        remediation: "pull without a login (ECR Public needs none), or log in with credentials that the \
                      registry accepts",
        commands: &["helm registry logout public.ecr.aws"],
    },
    Row {
        code: "REGISTRY_TOKEN_REFUSED",
        gravity: Gravity::Error,
        find: Find::Words(&[
            &["unexpected status from", "403 forbidden"],
            &["unexpected status from", "400 bad request"],
            &["unexpected status from", "401 unauthorized"],
        ]),
        meaning: "the chart registry refuses the pull, also after its stored token was thrown away",
        remediation: "log out of the registry and try the pull by hand; a private registry needs a login",
        commands: &[
            "helm registry logout public.ecr.aws",
            "helm show chart oci://public.ecr.aws/karpenter/karpenter",
        ],
    },
    Row {
        code: "CHART_VERSION_PREFIXED",
        gravity: Gravity::Error,
        find: Find::Text(|line| chart_missing(line).is_some_and(prefixed)),
        meaning: "the chart's version is written with a v, and the registry's versions have none",
        remediation: "write the version without the v",
        commands: &["helm show chart oci://public.ecr.aws/karpenter/karpenter"],
    },
    Row {
        code: "CHART_VERSION_MISSING",
        gravity: Gravity::Error,
        find: Find::Text(|line| chart_missing(line).is_some()),
        meaning: "the registry has no such chart, or not in this version",
        remediation: "choose a version that the registry has",
        commands: &["helm show chart oci://public.ecr.aws/karpenter/karpenter"],
    },
    Row {
        code: "CLUSTER_NAME_EMPTY",
        gravity: Gravity::Error,
        find: Find::Words(&[&["settings.clustername is required"]]),
        meaning: "the chart is given no name of the cluster and refuses to render",
        remediation: "set CLUSTER_NAME, and leave settings.clusterName out of the values",
        commands: &["helm get values {release} --namespace {namespace}"],
    },
    Row {
        code: "CRDS_UNOWNED",
        gravity: Gravity::Error,
        find: Find::Words(&[&["customresourcedefinition", "invalid ownership metadata"]]),
        meaning: "the custom resource definitions are there and belong to no Helm release",
        remediation: "let the chart adopt them with karpenter.adoptCrds: true in the configuration, or mark \
                      them by hand",
        commands: &[
            "kubectl label crd ec2nodeclasses.karpenter.k8s.aws nodepools.karpenter.sh nodeclaims.karpenter.sh app.kubernetes.io/managed-by=Helm --overwrite",
            "kubectl annotate crd ec2nodeclasses.karpenter.k8s.aws nodepools.karpenter.sh nodeclaims.karpenter.sh meta.helm.sh/release-name=karpenter-crd meta.helm.sh/release-namespace={namespace} --overwrite",
        ],
    },
    Row {
        code: "OBJECT_UNOWNED",
        gravity: Gravity::Error,
        find: Find::Words(&[&["invalid ownership metadata"]]),
        meaning: "an object of the chart is there already and belongs to no Helm release, or to another one",
        remediation: "remove the object that the message names, or label and annotate it so that the release \
                      adopts it",
        commands: &["helm list --all-namespaces"],
    },
    Row {
        code: "RELEASE_LOCKED",
        gravity: Gravity::Error,
        find: Find::Words(&[&["another operation (install/upgrade/rollback) is in progress"]]),
        meaning: "another Helm operation holds the release, or one that was killed has left its lock",
        remediation: "let it finish; a lock that is older than the Helm timeout is taken off by this command",
        commands: &["helm history {release} --namespace {namespace}"],
    },
    Row {
        code: "WEBHOOK_UNREACHABLE",
        gravity: Gravity::Error,
        find: Find::Words(&[&["failed calling webhook"]]),
        meaning: "an admission webhook does not answer, and so the API server refuses the object",
        remediation: "see that the webhook's Service has endpoints, or remove its configuration when what it \
                      belonged to is gone",
        commands: &[
            "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
            "kubectl get endpointslices --all-namespaces",
        ],
    },
    Row {
        code: "CLAIM_UNBOUND",
        gravity: Gravity::Error,
        find: Find::Words(&[
            &["no persistent volumes available for this claim"],
            &["storageclass", "not found"],
            &["failed to provision volume"],
            &["waiting for a volume to be created"],
        ]),
        meaning: "a volume is claimed and nobody provides it",
        remediation: "name a storage class that exists, or make one the default, and see that its CSI driver \
                      (aws-ebs-csi-driver) runs",
        commands: &["kubectl get storageclasses", "kubectl -n {namespace} describe persistentvolumeclaims"],
    },
    Row {
        code: "JOB_FAILED",
        gravity: Gravity::Error,
        find: Find::Words(&[&["backofflimitexceeded"], &["job", "deadlineexceeded"], &["podfailurepolicy"]]),
        meaning: "a job has failed for good",
        remediation: "read the log of its pods, mend the reason, and remove the job so that it runs anew",
        commands: &["kubectl -n {namespace} get jobs", "kubectl -n {namespace} logs -l {selector} --tail=50"],
    },
    Row {
        code: "QUOTA_EXCEEDED",
        gravity: Gravity::Error,
        find: Find::Words(&[&["exceeded quota"]]),
        meaning: "the namespace's quota does not allow the pods",
        remediation: "raise the quota, or ask for less",
        commands: &["kubectl -n {namespace} describe resourcequotas"],
    },
    // What the program itself says comes next: it knows best.
    Row {
        code: "CRDS_MISSING",
        gravity: Gravity::Error,
        find: Find::Log(&[&["no matches for kind", "karpenter"]]),
        meaning: "Karpenter's custom resource definitions are not installed",
        remediation: "install the CRDs of the same version, then run the compute phase again",
        commands: &[
            "helm upgrade --install karpenter-crd oci://public.ecr.aws/karpenter/karpenter-crd --version 1.8.3 --namespace {namespace}",
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
        commands: &["kubectl -n {namespace} get serviceaccount karpenter -o yaml"],
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
        remediation: "raise its memory limit (for Karpenter controller.resources.limits.memory, 1Gi is the documented value)",
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
        meaning: "every node has a taint that the pod does not tolerate",
        remediation: "put the foundation phase right: add a node group without the taint, or give the \
                      pod a toleration for it (tolerations in the chart's values)",
        commands: &["kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints"],
    },
    Row {
        code: "NODE_AFFINITY",
        gravity: Gravity::Blocked,
        find: Find::Scheduler(|scheduling| {
            scheduling.all_nodes(|reason| matches!(reason, Reason::NodeAffinity))
        }),
        meaning: "no node matches the pod's node selector and affinity (nodes that Karpenter \
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
        remediation: "add larger nodes, or ask for less (for Karpenter controller.resources.requests)",
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
        meaning: "the replicas must not share a node, and there are not enough nodes",
        remediation: "add a node, or ask for one replica (replicas: 1 in the chart's values; for Karpenter \
                      EKS_INSTALLER_KARPENTER_REPLICAS=1)",
        commands: NODES,
    },
    Row {
        code: "TOPOLOGY_SPREAD",
        gravity: Gravity::Error,
        find: Find::Scheduler(|scheduling| {
            scheduling.of_kind(|reason| matches!(reason, Reason::TopologySpread)).next().is_some()
        }),
        meaning: "the replicas cannot be spread over the zones as they must",
        remediation: "give the node group nodes in a second zone, and see that nodes carry the zone label",
        commands: &["kubectl get nodes -L topology.kubernetes.io/zone"],
    },
    Row {
        code: "VOLUME_UNAVAILABLE",
        gravity: Gravity::Error,
        find: Find::Scheduler(|scheduling| {
            scheduling.of_kind(|reason| matches!(reason, Reason::Volume)).next().is_some()
        }),
        meaning: "a volume of the pod is not there, or cannot be used from any node",
        remediation: "see that the claim is bound: a default storage class, its CSI driver, and nodes in the \
                      volume's zone",
        commands: &["kubectl -n {namespace} get persistentvolumeclaims", "kubectl get storageclasses"],
    },
    Row {
        code: "HOST_PORT_TAKEN",
        gravity: Gravity::Error,
        find: Find::Scheduler(|scheduling| {
            scheduling.of_kind(|reason| matches!(reason, Reason::HostPorts)).next().is_some()
        }),
        meaning: "the port that the pod wants of its node is taken on every node",
        remediation: "free the port, or let the pod do without a host port",
        commands: &["kubectl get pods --all-namespaces -o wide"],
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
        remediation: "read the log: it runs, and says that it is not well",
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
        remediation: "read the log",
        commands: LOGS,
    },
];

/// The chart reference of a registry's "not found".
fn chart_missing(line: &str) -> Option<&str> {
    let reference = line.trim().strip_suffix(": not found")?;
    let reference = reference.rsplit(' ').next().unwrap_or(reference);
    (reference != "release" && reference.contains('/')).then_some(reference)
}

/// Whether a reference's tag is a version with a `v` before it.
fn prefixed(reference: &str) -> bool {
    let tag = reference.rsplit(':').next().unwrap_or("");
    tag.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}
