//! What can be wrong with executables and with building them, and what to type next.

use std::path::PathBuf;

use crate::places::{ASSETS_VARIABLE, CACHE_VARIABLE};
use crate::{Minor, Tool, minors};

/// Why an executable cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is no such file.
    #[error("there is no such file")]
    Missing,
    /// Nobody may run it.
    #[error("it is not executable")]
    NotExecutable,
    /// It was built for another kind of machine.
    #[error("it is built for another system or processor than this one ({0})")]
    WrongArchitecture(&'static str),
    /// It ran and failed.
    #[error("it does not tell its version: {0}")]
    Silent(String),
    /// It is another version than was asked for.
    #[error("it is version {has}, and {wanted} was asked for")]
    OtherVersion {
        /// What it says that it is.
        has: String,
        /// What was asked for.
        wanted: String,
    },
}

/// Why executables could not be provided.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is nowhere, and of a version that nobody has pinned.
    #[error(
        "failed to find {} of Kubernetes {kubernetes}: neither {ASSETS_VARIABLE} nor PATH has it, and there is no \
         module to build it from",
        tool.name()
    )]
    Unpinned {
        /// Which.
        tool: Tool,
        /// Of which Kubernetes.
        kubernetes: Minor,
    },
    /// `KUBEBUILDER_ASSETS` names something that cannot be used.
    #[error("failed to use {} of {ASSETS_VARIABLE}: {why}", path.display())]
    Named {
        /// The file.
        path: PathBuf,
        /// Why.
        why: Unusable,
    },
    /// It is nowhere, and it was not to be built.
    #[error("failed to find {}: neither {ASSETS_VARIABLE} nor PATH nor the cache has it", tool.name())]
    Nowhere {
        /// Which.
        tool: Tool,
        /// Of which Kubernetes.
        kubernetes: Minor,
    },
    /// There is no Go.
    #[error("failed to build {}: there is no go on PATH", .0.name())]
    NoGo(Tool),
    /// Go is too old.
    #[error("failed to build {}: it needs Go {needs}, and {has} is installed", tool.name())]
    OldGo {
        /// What was to be built.
        tool: Tool,
        /// Version that is there.
        has: String,
        /// Version that is needed.
        needs: String,
    },
    /// Modules could not be downloaded.
    #[error("failed to build {}: its modules cannot be downloaded\n{said}", tool.name())]
    NoNetwork {
        /// What was to be built.
        tool: Tool,
        /// Last words of Go.
        said: String,
    },
    /// A disk is full.
    #[error("failed to build {}: the disk is full\n{said}", tool.name())]
    DiskFull {
        /// What was to be built.
        tool: Tool,
        /// Last words of Go, or of the system.
        said: String,
    },
    /// Go failed otherwise.
    #[error("failed to build {}\n{said}", tool.name())]
    Build {
        /// What was to be built.
        tool: Tool,
        /// Last words of Go.
        said: String,
    },
    /// What was built is not what it should be.
    #[error("failed to build {}: {why}", tool.name())]
    Wrong {
        /// What was built.
        tool: Tool,
        /// What is wrong with it.
        why: Unusable,
    },
    /// The cache cannot be used.
    #[error("failed to {what}: {source}")]
    Cache {
        /// What was being done.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// What to type next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unpinned { .. } => {
                let all: Vec<String> = minors().iter().map(Minor::to_string).collect();
                format!("the versions are {}; tools/pin kubernetes vX.Y.Z adds one", all.join(", "))
            }
            Self::Named { why: Unusable::NotExecutable, path } => format!("chmod +x {}", path.display()),
            Self::Named { why: Unusable::OtherVersion { has, .. }, .. } => match Minor::of(has) {
                Some(minor) if minor.major() == 1 => {
                    format!("ask for it with --kubernetes {minor}, or unset {ASSETS_VARIABLE}")
                }
                _ => format!("unset {ASSETS_VARIABLE}"),
            },
            Self::Named { .. } => {
                format!("name a folder with etcd and kube-apiserver in {ASSETS_VARIABLE}, or unset it")
            }
            Self::Nowhere { tool, kubernetes } => {
                let flag = match tool {
                    Tool::Kubectl => " --kubectl",
                    Tool::Helm3 => " --helm3",
                    Tool::Helm4 => " --helm4",
                    Tool::Kind => " --kind",
                    _ => "",
                };
                format!("cargo xtask assets --kubernetes {kubernetes}{flag}")
            }
            Self::NoGo(_) => format!(
                "install Go from https://go.dev/dl and put it on PATH, or name ready executables in {ASSETS_VARIABLE}"
            ),
            Self::OldGo { needs, .. } => format!(
                "install Go {needs} or newer from https://go.dev/dl, or let Go fetch it: GOTOOLCHAIN=auto cargo xtask assets"
            ),
            Self::NoNetwork { .. } => format!(
                "go env GOPROXY says whom Go asks: see that it can be reached (HTTPS_PROXY), or name ready executables in {ASSETS_VARIABLE}"
            ),
            Self::DiskFull { .. } => format!(
                "a control plane takes 4 GB while it is built: df -h; go clean -cache frees what other builds left; {CACHE_VARIABLE}, GOCACHE and GOTMPDIR name other disks"
            ),
            Self::Build { .. } => {
                "run it again to go on where it stopped; go clean -cache if it fails the same way".into()
            }
            Self::Wrong { .. } => "go clean -cache, and run it again".into(),
            Self::Cache { .. } => format!("name a folder that can be written with {CACHE_VARIABLE}"),
        }
    }
}
