//! The environment variables, each with its default and its unit: the one list that both `--help` and
//! the documentation are made from.

/// A variable: name, default, what it is.
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its default, in words.
    pub default: &'static str,
    /// What it is, with its unit.
    pub meaning: &'static str,
}

const fn variable(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default, meaning }
}

/// Every variable that is read.
pub const VARIABLES: &[Variable] = &[
    variable("KUBECONFIG", "required", "path of the kubeconfig; the first one of a list"),
    variable("EKS_INSTALLER_CONFIG", "none", "path of the configuration file"),
    variable("CLUSTER_NAME", "from the kubeconfig", "name of the EKS cluster"),
    variable("AWS_REGION", "from the kubeconfig", "region of the EKS cluster"),
    variable("AWS_ACCOUNT_ID", "not checked", "account of the EKS cluster, twelve digits"),
    variable("AWS_PROFILE", "none", "passed on to eksctl, aws and the kubeconfig's credentials helper"),
    variable(
        "EKS_INSTALLER_NODE_WAIT",
        "30s",
        "how long phase 1 waits for nodes and CoreDNS to be Ready; duration",
    ),
    variable(
        "EKS_INSTALLER_HELM_TIMEOUT",
        "10m",
        "Helm's --timeout; an older pending release is stale; duration",
    ),
    variable(
        "EKS_INSTALLER_READY_TIMEOUT",
        "5m",
        "how long the controller may take to be Ready, and a locked release is waited for; duration",
    ),
    variable(
        "EKS_INSTALLER_STABLE_SPAN",
        "2s",
        "how long the controller must have been Ready without a break; duration",
    ),
    variable("EKS_INSTALLER_API_TIMEOUT", "30s", "how long one API request may take; duration"),
    variable("EKS_INSTALLER_RETRY_BUDGET", "60s", "how long one operation is retried; duration"),
    variable("EKS_INSTALLER_CREATE_TIMEOUT", "40m", "how long eksctl create cluster may take; duration"),
    variable("EKS_INSTALLER_DEADLINE", "1h", "how long the whole run may take; duration"),
    variable(
        "EKS_INSTALLER_PHASE_DEADLINE",
        "the run's",
        "how long one phase may take, within EKS_INSTALLER_DEADLINE; duration",
    ),
    variable("EKS_INSTALLER_SEED", "from the clock", "seed of the retries' jitter; a number"),
    variable("EKS_INSTALLER_KARPENTER_CHART", "oci://public.ecr.aws/karpenter/karpenter", "chart reference"),
    variable("EKS_INSTALLER_KARPENTER_VERSION", "1.8.3", "chart version, without a v"),
    variable("EKS_INSTALLER_KARPENTER_NAMESPACE", "kube-system", "namespace of the release"),
    variable("EKS_INSTALLER_KARPENTER_REPLICAS", "the chart's", "replicas of the controller; a number"),
    variable("EKS_INSTALLER_KARPENTER_VALUES", "none", "path of a values file"),
    variable(
        "EKS_INSTALLER_KARPENTER_ADOPT_CRDS",
        "false",
        "take definitions that belong to no release into that of their chart; true or false",
    ),
    variable(
        "EKS_INSTALLER_KARPENTER_ANY_KUBERNETES",
        "false",
        "install a version that the compatibility table refuses; true or false",
    ),
    variable("EKS_INSTALLER_EKSCTL_CONFIG", "none", "path of an eksctl configuration file for a new cluster"),
    variable("EKS_INSTALLER_NODES", "eksctl's", "nodes of a new cluster; a number"),
    variable("EKS_INSTALLER_NODE_TYPE", "eksctl's", "instance type of a new cluster's nodes"),
    variable(
        "EKS_INSTALLER_KUBERNETES_VERSION",
        "eksctl's",
        "Kubernetes version of a new cluster, such as 1.33",
    ),
];

/// The list for `--help`.
#[must_use]
pub fn help() -> String {
    let mut text =
        String::from("Environment (a duration is written 30s, 10m, 1h30m, 250ms or 600 for seconds):\n");
    for variable in VARIABLES {
        text.push_str(&format!(
            "  {}\n      {} [default: {}]\n",
            variable.name, variable.meaning, variable.default
        ));
    }
    text.push_str(
        "\nExit codes: 0 ok, 1 error, 2 usage, 3 blocked by an earlier phase, 4 state not determined, \
         130/143 interrupted\n",
    );
    text
}
