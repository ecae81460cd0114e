//! What Helm's error output means.
//!
//! A table, read from the top: the first row one of whose signs occurs decides. The signs are Helm's,
//! client-go's and the registry's words, in lower case.

/// The kinds of failure that the installer tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// There is no such release.
    NotFound,
    /// Somebody holds the release: the lock is the release's own pending status.
    Locked,
    /// The registry refuses because of an expired public token.
    RegistryToken,
    /// The registry refuses the login itself.
    LoginRefused,
    /// The chart, or this version of it, does not exist.
    ChartMissing,
    /// The API server refuses the credentials.
    Unauthorized,
    /// The wait for the release's objects ran out.
    WaitTimedOut,
    /// The API server cannot be reached.
    Unreachable,
    /// Something that passes by itself.
    Passing,
    /// Anything else; permanent as far as we know.
    Other,
}

const TABLE: &[(Said, &[&str])] = &[
    (Said::NotFound, &["release: not found"]),
    (Said::Locked, &["another operation (install/upgrade/rollback) is in progress"]),
    (Said::LoginRefused, &["could not login to oci registry", "could not log in to oci registry"]),
    (
        Said::Unauthorized,
        &[
            "you must be logged in to the server",
            "unauthorized",
            "is forbidden: user",
            "forbidden: user",
            "the server has asked for the client to provide credentials",
        ],
    ),
    (
        Said::Passing,
        &[
            "leader changed",
            "etcdserver: request timed out",
            "tls handshake timeout",
            "connection reset by peer",
            "unexpected eof",
            "http2: client connection lost",
            "http2: server sent goaway",
            "too many requests",
            "the server is currently unable to handle the request",
            "the server was unable to return a response in the time allotted",
            "internal error occurred",
            "500 internal server error",
            "502 bad gateway",
            "503 service unavailable",
            "504 gateway timeout",
            "429 too many",
            "rate exceeded",
            "throttling",
            "toomanyrequests",
        ],
    ),
    (
        Said::Unreachable,
        &[
            "kubernetes cluster unreachable",
            "connection refused",
            "no such host",
            "no route to host",
            "network is unreachable",
            "i/o timeout",
        ],
    ),
    (
        Said::WaitTimedOut,
        &[
            "context deadline exceeded",
            "timed out waiting for the condition",
            "not ready. status:",
            "resource not ready",
        ],
    ),
];

/// Reads what a failed Helm call wrote to standard error.
#[must_use]
pub fn classify(stderr: &str) -> Said {
    let text = stderr.to_lowercase();
    // Registry answers carry the image or chart reference; they come first, because "403 Forbidden"
    // from a registry has nothing to do with the cluster.
    let registry = text.contains("/v2/") || text.contains("oci://") || text.contains("registry");
    if registry && !text.contains("could not log") {
        if ["403 forbidden", "400 bad request", "401 unauthorized"].iter().any(|s| text.contains(s)) {
            return Said::RegistryToken;
        }
        if text.contains("not found") && !text.contains("release: not found") {
            return Said::ChartMissing;
        }
    }
    if text.trim_end().ends_with(": not found") && !text.contains("release: not found") {
        return Said::ChartMissing;
    }
    TABLE
        .iter()
        .find(|(_, signs)| signs.iter().any(|sign| text.contains(sign)))
        .map_or(Said::Other, |(said, _)| *said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helms_own_words_are_understood() {
        for (text, said) in [
            ("Error: release: not found", Said::NotFound),
            (
                "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
                Said::Locked,
            ),
            ("Error: UPGRADE FAILED: context deadline exceeded", Said::WaitTimedOut),
            (
                "Error: INSTALLATION FAILED: resource Deployment/kube-system/karpenter not ready. status: InProgress, message: Available: 0/2\ncontext deadline exceeded",
                Said::WaitTimedOut,
            ),
            (
                "Error: Kubernetes cluster unreachable: Get \"https://127.0.0.1:1/version\": dial tcp 127.0.0.1:1: connect: connection refused",
                Said::Unreachable,
            ),
            (
                "Error: Kubernetes cluster unreachable: the server has asked for the client to provide credentials",
                Said::Unauthorized,
            ),
            (
                "Error: query: failed to query with labels: secrets is forbidden: User \"x\" cannot list resource \"secrets\"",
                Said::Unauthorized,
            ),
            (
                "Error: unexpected status from HEAD request to https://public.ecr.aws/v2/karpenter/karpenter/manifests/1.8.3: 403 Forbidden",
                Said::RegistryToken,
            ),
            (
                "Error: unexpected status from HEAD request to https://public.ecr.aws/v2/karpenter/karpenter/manifests/1.8.3: 400 Bad Request",
                Said::RegistryToken,
            ),
            ("Error: could not login to OCI registry \"public.ecr.aws\": 403 Forbidden", Said::LoginRefused),
            ("Error: public.ecr.aws/karpenter/karpenter:9.9.9: not found", Said::ChartMissing),
            ("Error: etcdserver: leader changed", Said::Passing),
            ("Error: the server is currently unable to handle the request", Said::Passing),
            ("Error: execution error at (karpenter/templates/deployment.yaml:1:2): no", Said::Other),
        ] {
            assert_eq!(classify(text), said, "{text}");
        }
    }
}
