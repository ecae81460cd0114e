//! The built-in kinds: their plural, their scope, and the order in which Helm installs them.

/// Kind, plural, group, whether namespaced.
const KINDS: &[(&str, &str, &str, bool)] = &[
    ("PriorityClass", "priorityclasses", "scheduling.k8s.io", false),
    ("Namespace", "namespaces", "", false),
    ("NetworkPolicy", "networkpolicies", "networking.k8s.io", true),
    ("ResourceQuota", "resourcequotas", "", true),
    ("LimitRange", "limitranges", "", true),
    ("PodDisruptionBudget", "poddisruptionbudgets", "policy", true),
    ("ServiceAccount", "serviceaccounts", "", true),
    ("Secret", "secrets", "", true),
    ("ConfigMap", "configmaps", "", true),
    ("StorageClass", "storageclasses", "storage.k8s.io", false),
    ("PersistentVolume", "persistentvolumes", "", false),
    ("PersistentVolumeClaim", "persistentvolumeclaims", "", true),
    ("CustomResourceDefinition", "customresourcedefinitions", "apiextensions.k8s.io", false),
    ("ClusterRole", "clusterroles", "rbac.authorization.k8s.io", false),
    ("ClusterRoleBinding", "clusterrolebindings", "rbac.authorization.k8s.io", false),
    ("Role", "roles", "rbac.authorization.k8s.io", true),
    ("RoleBinding", "rolebindings", "rbac.authorization.k8s.io", true),
    ("Service", "services", "", true),
    ("DaemonSet", "daemonsets", "apps", true),
    ("Pod", "pods", "", true),
    ("ReplicationController", "replicationcontrollers", "", true),
    ("ReplicaSet", "replicasets", "apps", true),
    ("Deployment", "deployments", "apps", true),
    ("HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling", true),
    ("StatefulSet", "statefulsets", "apps", true),
    ("Job", "jobs", "batch", true),
    ("CronJob", "cronjobs", "batch", true),
    ("IngressClass", "ingressclasses", "networking.k8s.io", false),
    ("Ingress", "ingresses", "networking.k8s.io", true),
    ("APIService", "apiservices", "apiregistration.k8s.io", false),
];

/// Plural and scope of a built-in kind; `None` means that discovery has to say.
pub(super) fn known(api_version: &str, kind: &str) -> Option<(&'static str, bool)> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    KINDS.iter().find(|it| it.0 == kind && it.2 == group).map(|it| (it.1, it.3))
}

/// Place of a kind in Helm's order of installation; unknown kinds come last.
pub(crate) fn rank(kind: &str) -> usize {
    KINDS.iter().position(|it| it.0 == kind).unwrap_or(KINDS.len())
}
