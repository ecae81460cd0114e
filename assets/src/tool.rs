//! The executables, and what each is called by whom.

use crate::pins::{self, Minor, Pin};

/// An executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    /// The store.
    Etcd,
    /// The API server.
    ApiServer,
    /// The controllers.
    ControllerManager,
    /// The scheduler.
    Scheduler,
    /// The command line of Kubernetes.
    Kubectl,
    /// Helm 3.
    Helm3,
    /// Helm 4.
    Helm4,
    /// kind.
    Kind,
}

impl Tool {
    /// What a control plane is made of.
    pub const CONTROL_PLANE: [Self; 4] =
        [Self::Etcd, Self::ApiServer, Self::ControllerManager, Self::Scheduler];

    /// Name of its file, wherever others have put it.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
            Self::Helm3 | Self::Helm4 => "helm",
            Self::Kind => "kind",
        }
    }

    /// Its name where both Helms are spoken of.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Helm3 => "helm 3",
            Self::Helm4 => "helm 4",
            other => other.file(),
        }
    }

    /// Environment variable that tests and users name it by; components of the control plane have none, since
    /// `KUBEBUILDER_ASSETS` is theirs.
    #[must_use]
    pub fn variable(self) -> Option<&'static str> {
        match self {
            Self::Kubectl => Some("SEATRIAL_KUBECTL"),
            Self::Helm3 => Some("SEATRIAL_HELM3"),
            Self::Helm4 => Some("SEATRIAL_HELM4"),
            Self::Kind => Some("SEATRIAL_KIND"),
            Self::Etcd | Self::ApiServer | Self::ControllerManager | Self::Scheduler => None,
        }
    }

    /// Whether it has the version of the cluster. etcd has one of its own, and so have Helm and kind.
    pub(crate) fn follows_kubernetes(self) -> bool {
        matches!(self, Self::ApiServer | Self::ControllerManager | Self::Scheduler | Self::Kubectl)
    }

    /// Whether the bundles that `KUBEBUILDER_ASSETS` names have it always (setup-envtest installs etcd,
    /// kube-apiserver and kubectl, and no more).
    pub(crate) fn always_bundled(self) -> bool {
        matches!(self, Self::Etcd | Self::ApiServer)
    }

    /// The module that it is built from.
    pub(crate) fn pin(self, kubernetes: Minor) -> Option<&'static Pin> {
        match self {
            Self::Helm3 => Some(&pins::HELM_3),
            Self::Helm4 => Some(&pins::HELM_4),
            Self::Kind => Some(&pins::KIND),
            _ => pins::kubernetes(kubernetes),
        }
    }

    /// The version that a pin gives it, as `v1.37.2`. etcd's own is the one that Kubernetes was tested with.
    pub(crate) fn version_in(self, pin: &Pin) -> &'static str {
        match self {
            Self::Etcd => pin.requires("go.etcd.io/etcd/server/v3").unwrap_or(pin.version),
            _ => pin.version,
        }
    }

    /// The Go package of its unmodified main.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::ApiServer => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::ControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Scheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Helm3 => "helm.sh/helm/v3/cmd/helm",
            Self::Helm4 => "helm.sh/helm/v4/cmd/helm",
            Self::Kind => "sigs.k8s.io/kind",
        }
    }

    /// What a release is linked with: each project's own build sets its version so.
    pub(crate) fn linker_flags(self, pin: &Pin) -> String {
        let mut flags = "-s -w".to_owned();
        let mut set = |name: String, value: &str| {
            flags.push_str(" -X ");
            flags.push_str(&name);
            flags.push('=');
            flags.push_str(value);
        };
        let version = pin.version;
        match self {
            Self::Helm3 | Self::Helm4 => {
                let helm = if self == Self::Helm3 { "helm.sh/helm/v3" } else { "helm.sh/helm/v4" };
                set(format!("{helm}/internal/version.version"), version);
                // Helm 3's idea of a cluster that it cannot ask is the Kubernetes that its client was made for. Helm 4
                // reads that from what it was built of.
                let client = pin.requires("k8s.io/client-go").and_then(Minor::of);
                if let Some(client) = client.filter(|_| self == Self::Helm3) {
                    for package in ["pkg/lint/rules", "pkg/chartutil"] {
                        set(format!("{helm}/{package}.k8sVersionMajor"), "1");
                        set(format!("{helm}/{package}.k8sVersionMinor"), &client.minor().to_string());
                    }
                }
            }
            Self::Kind => {}
            _ => {
                let minor = Minor::of(version).unwrap_or_else(Minor::newest);
                for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
                    set(format!("{package}.gitVersion"), version);
                    set(format!("{package}.gitMajor"), &minor.major().to_string());
                    set(format!("{package}.gitMinor"), &minor.minor().to_string());
                    // A module from the proxy says nothing of its commit.
                    set(format!("{package}.gitCommit"), "");
                    set(format!("{package}.gitTreeState"), "archive");
                }
            }
        }
        flags
    }

    /// Arguments that make it print its version and end.
    pub(crate) fn version_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kubectl => &["version", "--client"],
            Self::Helm3 | Self::Helm4 => &["version", "--short"],
            _ => &["--version"],
        }
    }

    /// The version in what it then prints.
    pub(crate) fn read_version(said: &str) -> Option<String> {
        let words = said.split_whitespace().map(|word| word.trim_start_matches('v'));
        let mut versions = words.filter(|word| {
            let parts: Vec<&str> = word.split('.').collect();
            parts.len() >= 3 && parts[..2].iter().all(|part| part.parse::<u16>().is_ok())
        });
        versions.next().map(|version| format!("v{}", version.split('+').next().unwrap_or(version)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_are_read_from_what_each_tool_prints() {
        let read = |said: &str| Tool::read_version(said).unwrap();
        assert_eq!(read("Kubernetes v1.37.2\n"), "v1.37.2");
        assert_eq!(read("etcd Version: 3.7.0\nGit SHA: Not provided\nGo Version: go1.26.8\n"), "v3.7.0");
        assert_eq!(read("Client Version: v1.37.2\nKustomize Version: v5.8.1\n"), "v1.37.2");
        assert_eq!(read("v3.22.0+gabcdef0\n"), "v3.22.0");
        assert_eq!(read("kind version 0.33.0\n"), "v0.33.0");
        assert_eq!(read("Kubernetes v1.38.0-alpha.1\n"), "v1.38.0-alpha.1");
        assert_eq!(Tool::read_version("sh: unknown option\n"), None);
    }

    #[test]
    fn a_build_is_linked_with_its_version_as_a_release_is() {
        let flags = Tool::ApiServer.linker_flags(pins::kubernetes(Minor::newest()).unwrap());
        assert!(flags.contains("k8s.io/component-base/version.gitMinor=37"), "{flags}");
        let flags = Tool::Helm3.linker_flags(&pins::HELM_3);
        assert!(flags.contains("helm.sh/helm/v3/internal/version.version=v3.22.0"), "{flags}");
        assert!(flags.contains("pkg/chartutil.k8sVersionMinor="), "{flags}");
    }
}
