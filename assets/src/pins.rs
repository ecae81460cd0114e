//! The versions that can be built: one module each, written by `tools/pin` and compiled into this crate, so that
//! an executable of ours can build them wherever it was copied to.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};

/// A pinned version of a Go module with one or more tools in it.
#[derive(Debug)]
pub(crate) struct Pin {
    /// What it is called in the cache.
    pub(crate) name: &'static str,
    /// Version of the tools in it, as `v1.37.2`.
    pub(crate) version: &'static str,
    pub(crate) go_mod: &'static str,
    pub(crate) go_sum: &'static str,
}

macro_rules! pin {
    ($name:literal, $folder:literal, $version:literal) => {
        Pin {
            name: $name,
            version: $version,
            go_mod: include_str!(concat!("../../tools/", $folder, "/", $version, "/go.mod")),
            go_sum: include_str!(concat!("../../tools/", $folder, "/", $version, "/go.sum")),
        }
    };
}

/// Kubernetes, newest first.
static KUBERNETES_PINS: [Pin; 4] = [
    pin!("kubernetes", "control-plane", "v1.37.2"),
    pin!("kubernetes", "control-plane", "v1.36.3"),
    pin!("kubernetes", "control-plane", "v1.35.4"),
    pin!("kubernetes", "control-plane", "v1.34.4"),
];

pub(crate) static HELM_3: Pin = pin!("helm", "helm", "v3.22.0");
pub(crate) static HELM_4: Pin = pin!("helm", "helm", "v4.3.1");
pub(crate) static KIND: Pin = pin!("kind", "kind", "v0.33.0");

/// The pinned version of a minor version of Kubernetes.
pub(crate) fn kubernetes(minor: Minor) -> Option<&'static Pin> {
    KUBERNETES_PINS.iter().find(|pin| Minor::of(pin.version) == Some(minor))
}

/// The minor versions of Kubernetes that can be built, newest first.
#[must_use]
pub fn minors() -> Vec<Minor> {
    KUBERNETES_PINS.iter().filter_map(|pin| Minor::of(pin.version)).collect()
}

impl Pin {
    /// The Go version that the module asks for, as `1.26.0`.
    pub(crate) fn go(&self) -> &'static str {
        self.directive("go ").unwrap_or("1.21")
    }

    /// The version that it requires of another module.
    pub(crate) fn requires(&self, module: &str) -> Option<&'static str> {
        let lines = self.go_mod.lines().map(str::trim);
        let mut rest = lines.filter_map(|line| line.strip_prefix(module)?.strip_prefix(' '));
        rest.find_map(|rest| rest.split_whitespace().next().filter(|version| version.starts_with('v')))
    }

    fn directive(&self, word: &str) -> Option<&'static str> {
        self.go_mod.lines().find_map(|line| line.strip_prefix(word)).map(str::trim)
    }

    /// A short hash of all that decides what is built.
    pub(crate) fn hash(&self) -> String {
        let text = format!("{}\0{}", self.go_mod, self.go_sum);
        let hash = digest(&SHA256, text.as_bytes());
        hash.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A minor version, as `1.37`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minor {
    major: u16,
    minor: u16,
}

impl Minor {
    /// The minor version of `v1.37.2` or `1.37`; `None` when there is none to be read.
    #[must_use]
    pub fn of(version: &str) -> Option<Self> {
        let mut parts = version.trim().trim_start_matches('v').split('.');
        let major = parts.next()?.parse().ok()?;
        let digits: String = parts.next()?.chars().take_while(char::is_ascii_digit).collect();
        Some(Self { major, minor: digits.parse().ok()? })
    }

    /// The newest minor version of Kubernetes that can be built.
    #[must_use]
    pub fn newest() -> Self {
        // The first of a constant list; the tests see to it that it can be read.
        Self::of(KUBERNETES_PINS[0].version).unwrap_or(Self { major: 1, minor: 0 })
    }

    /// The number before the point.
    #[must_use]
    pub fn major(self) -> u16 {
        self.major
    }

    /// The number behind the point.
    #[must_use]
    pub fn minor(self) -> u16 {
        self.minor
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Minor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::of(text).ok_or_else(|| format!("{text:?} is no version such as 1.37"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_pin_names_its_go_and_holds_what_it_builds() {
        for pin in KUBERNETES_PINS.iter().chain([&HELM_3, &HELM_4, &KIND]) {
            assert!(Minor::of(pin.go()).is_some(), "{} {}", pin.name, pin.version);
            assert!(pin.go_mod.contains("\ntool"), "{} {}", pin.name, pin.version);
            assert!(pin.go_mod.contains(&format!(" {}", pin.version)), "{} {}", pin.name, pin.version);
            assert!(!pin.go_sum.is_empty());
        }
    }

    #[test]
    fn the_newest_minor_is_first_and_each_has_one_patch() {
        let minors = minors();
        assert!(minors.is_sorted_by(|a, b| a > b), "{minors:?}");
        assert_eq!(Minor::newest(), minors[0]);
        assert!(kubernetes("1.36".parse().unwrap()).unwrap().version.starts_with("v1.36."));
        assert!(kubernetes("1.2".parse().unwrap()).is_none());
    }

    #[test]
    fn two_versions_never_share_a_hash() {
        let mut hashes: Vec<String> =
            KUBERNETES_PINS.iter().chain([&HELM_3, &HELM_4, &KIND]).map(Pin::hash).collect();
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), 7);
    }

    #[test]
    fn a_required_version_is_read_from_the_module() {
        assert_eq!(KUBERNETES_PINS[0].requires("k8s.io/kubernetes"), Some("v1.37.2"));
        assert!(HELM_3.requires("k8s.io/client-go").unwrap().starts_with("v0."));
        assert_eq!(HELM_3.requires("k8s.io/client"), None, "a prefix is another module");
    }
}
