//! Whether the Karpenter that is asked for runs on the cluster's Kubernetes, seen to before anything is
//! changed: one that does not ends at once with a panic, in a loop.

use serde_json::Value;

use super::Compute;
use crate::result::{Blocker, Code, Warning};

/// The oldest Karpenter that runs on each minor version of Kubernetes (1.x), from Karpenter's
/// compatibility matrix (karpenter.sh, Upgrading, Compatibility).
const OLDEST: &[(u32, Version)] = &[
    (25, Version(0, 25, 0)),
    (26, Version(0, 28, 0)),
    (27, Version(0, 28, 0)),
    (28, Version(0, 31, 0)),
    (29, Version(0, 34, 0)),
    (30, Version(0, 37, 0)),
    (31, Version(1, 0, 5)),
    (32, Version(1, 2, 0)),
    (33, Version(1, 5, 0)),
    (34, Version(1, 6, 0)),
    (35, Version(1, 9, 0)),
];

/// Major, minor and patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let core = text.split(['-', '+']).next()?;
        let mut parts = core.split('.').map(|part| part.parse().ok());
        let version = Self(parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
        parts.next().is_none().then_some(version)
    }
}

/// What the table says of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// It runs.
    Fits,
    /// It does not; the oldest that does is known, or is newer than this.
    TooOld(Version),
    /// Nobody here knows.
    Unknown,
}

/// Looks a pair up. A minor version that is newer than the table needs at least what the newest row needs.
fn fit(karpenter: Version, minor: u32) -> Fit {
    let row = OLDEST.iter().rev().find(|(known, _)| *known <= minor);
    match row {
        Some((_, oldest)) if karpenter < *oldest => Fit::TooOld(*oldest),
        Some((known, _)) if *known == minor => Fit::Fits,
        _ => Fit::Unknown,
    }
}

/// The minor version that a server says it has, such as `34` or `34+`.
fn minor(version: &Value) -> Option<u32> {
    (version["major"] == "1").then_some(())?;
    let text = version["minor"].as_str()?;
    text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()
}

impl Compute<'_, '_> {
    /// Sees that the Karpenter that is about to be installed runs on the cluster's Kubernetes.
    pub(super) async fn see_compatibility(&mut self) -> Result<(), Vec<Blocker>> {
        let wanted = self.run.settings.karpenter.version.clone();
        let asked = self.cluster.get::<Value>("read the server's version", "/version").await;
        let answer = match asked {
            Ok(answer) => answer.unwrap_or_default(),
            Err(error) => return Err(vec![error.blocker(Some(&self.cluster.connection.server))]),
        };
        let server = answer["gitVersion"].as_str().unwrap_or("an unknown version").to_owned();
        self.evidence.platform.kubernetes = answer["gitVersion"].as_str().map(str::to_owned);
        let (Some(karpenter), Some(minor)) = (Version::parse(&wanted), minor(&answer)) else {
            self.warn_of_version(format!(
                "whether Karpenter {wanted} runs on Kubernetes {server} is not known"
            ));
            return Ok(());
        };
        match fit(karpenter, minor) {
            Fit::Fits => Ok(()),
            Fit::Unknown => {
                self.warn_of_version(format!(
                    "whether Karpenter {wanted} runs on Kubernetes {server} is not in the compatibility table"
                ));
                Ok(())
            }
            Fit::TooOld(Version(major, minor, patch)) => {
                let message = format!(
                    "Karpenter {wanted} does not run on Kubernetes {server}: it needs at least \
                     {major}.{minor}.{patch}"
                );
                if self.run.settings.karpenter.any_kubernetes {
                    self.warn_of_version(message);
                    return Ok(());
                }
                self.run.fail("compatibility", &message);
                Err(vec![
                    Blocker::new(
                        Code::KarpenterIncompatible,
                        message,
                        "nothing was changed: choose a version of Karpenter that supports it with \
                         EKS_INSTALLER_KARPENTER_VERSION; if the table is out of date, say so with \
                         karpenter.anyKubernetes: true or EKS_INSTALLER_KARPENTER_ANY_KUBERNETES=true",
                    )
                    .cause(Some("KUBERNETES_TOO_NEW"))
                    .commands([
                        "kubectl version".to_owned(),
                        format!("helm show chart {}", self.run.settings.karpenter.chart),
                    ]),
                ])
            }
        }
    }

    fn warn_of_version(&mut self, message: String) {
        self.run.warn("compatibility", &message);
        self.evidence.karpenter.warnings.push(Warning { code: "KUBERNETES_UNSUPPORTED".into(), message });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn each_row_of_the_matrix_holds_at_its_edge() {
        for (minor, oldest) in OLDEST {
            assert_eq!(fit(*oldest, *minor), Fit::Fits);
            let older = match *oldest {
                Version(major, minor, 0) => Version(major, minor - 1, 99),
                Version(major, minor, patch) => Version(major, minor, patch - 1),
            };
            assert_eq!(fit(older, *minor), Fit::TooOld(*oldest));
        }
    }

    #[test]
    fn what_is_newer_than_the_table_is_refused_where_it_must_be_and_unknown_otherwise() {
        let karpenter = |text| Version::parse(text).unwrap();
        assert_eq!(fit(karpenter("1.8.3"), 34), Fit::Fits);
        assert_eq!(fit(karpenter("1.8.3"), 35), Fit::TooOld(Version(1, 9, 0)));
        assert_eq!(fit(karpenter("1.8.3"), 37), Fit::TooOld(Version(1, 9, 0)));
        assert_eq!(fit(karpenter("1.15.0"), 37), Fit::Unknown);
        assert_eq!(fit(karpenter("1.8.3"), 24), Fit::Unknown);
    }

    #[test]
    fn versions_are_read_as_servers_and_charts_write_them() {
        assert_eq!(Version::parse("1.8.3"), Some(Version(1, 8, 3)));
        assert_eq!(Version::parse("1.9.0-rc.1"), Some(Version(1, 9, 0)));
        assert_eq!(Version::parse("1.8"), Some(Version(1, 8, 0)));
        assert_eq!(Version::parse("0-fc17bfc89"), None);
        assert_eq!(Version::parse("latest"), None);
        assert_eq!(minor(&json!({ "major": "1", "minor": "34+" })), Some(34));
        assert_eq!(minor(&json!({ "major": "1", "minor": "34" })), Some(34));
        assert_eq!(minor(&json!({})), None);
    }
}
