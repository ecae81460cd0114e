//! Who asks, and how the server knows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::front::Peer;

/// An authenticated user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// User name.
    pub name: String,
    /// Groups, `system:authenticated` among them.
    pub groups: Vec<String>,
}

impl User {
    /// The cluster's creator: a member of `system:masters`, whom nothing is forbidden.
    #[must_use]
    pub fn admin() -> Self {
        Self::new("kubernetes-admin", ["system:masters"])
    }

    /// A user in these groups and in `system:authenticated`.
    pub fn new<G: Into<String>>(name: impl Into<String>, groups: impl IntoIterator<Item = G>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().map(Into::into).collect();
        groups.push("system:authenticated".to_owned());
        Self { name: name.into(), groups }
    }

    /// A service account of a namespace, with the groups that the real server gives it.
    #[must_use]
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self::new(
            format!("system:serviceaccount:{namespace}:{name}"),
            ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")],
        )
    }

    /// Whether authorization is skipped.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.groups.iter().any(|group| group == "system:masters")
    }
}

/// The AWS identity of a cluster; names the kubeconfig's context as `aws eks update-kubeconfig` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterIdentity {
    /// EKS cluster name.
    pub name: String,
    /// AWS region.
    pub region: String,
    /// AWS account, twelve digits.
    pub account: String,
}

impl Default for ClusterIdentity {
    fn default() -> Self {
        Self { name: "seatrial".into(), region: "us-west-2".into(), account: "111122223333".into() }
    }
}

impl ClusterIdentity {
    /// `arn:aws:eks:<region>:<account>:cluster/<name>`.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:eks:{}:{}:cluster/{}", self.region, self.account, self.name)
    }
}

#[derive(Default)]
struct Known {
    tokens: BTreeMap<String, User>,
    certificates: BTreeMap<Vec<u8>, Peer>,
}

/// The credentials that a cluster accepts. Cloning shares them.
#[derive(Clone, Default)]
pub struct Authenticator {
    known: Arc<Mutex<Known>>,
}

impl Authenticator {
    fn with<T>(&self, f: impl FnOnce(&mut Known) -> T) -> T {
        f(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A token for a user, in the shape of those that `aws eks get-token` prints; unguessable.
    #[must_use]
    pub fn issue_token(&self, user: &User) -> String {
        let mut bytes = [0_u8; 32];
        // Ring's generator fails only where the operating system has none; such a token is then refused.
        let filled = rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).is_ok();
        let token = format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(bytes));
        if filled {
            self.accept_token(&token, user);
        }
        token
    }

    /// From now on this token is that user.
    pub fn accept_token(&self, token: &str, user: &User) {
        self.with(|known| known.tokens.insert(token.to_owned(), user.clone()));
    }

    /// From now on every token of this user is unknown, as after an expiry.
    pub fn revoke(&self, user: &str) {
        self.with(|known| known.tokens.retain(|_, other| other.name != user));
    }

    /// The user whom a bearer token stands for.
    #[must_use]
    pub fn token_user(&self, token: &str) -> Option<User> {
        self.with(|known| known.tokens.get(token).cloned())
    }

    pub(crate) fn accept_certificate(&self, der: &[u8], peer: Peer) {
        self.with(|known| known.certificates.insert(der.to_vec(), peer));
    }

    pub(super) fn peer(&self, der: &[u8]) -> Option<Peer> {
        self.with(|known| known.certificates.get(der).cloned())
    }
}
