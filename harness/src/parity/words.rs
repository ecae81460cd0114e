//! What two clusters never have in common, taken out of texts.

use std::sync::LazyLock;

use regex_lite::Regex;

/// What is taken out, and what is put in its place, in this order.
const DRAWN: [(&str, &str); 13] = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
    (r"127\.0\.0\.1:\d+", "<server>"),
    // Which of several nodes that are alike the scheduler takes.
    (r"\bip-\d+-\d+-\d+-\d+\.[a-z0-9-]+\.compute\.internal\b", "<node>"),
    // The folder of an attempt, which is named after the backend.
    (r"/[^\s@]+@(sim|control-plane)/", "<folder>/"),
    (r"\b10\.(0|100)\.\d+\.\d+\b", "<address>"),
    // A pod of a ReplicaSet: the hash of its template and a suffix, in the letters that Kubernetes draws from.
    (
        r"-[bcdfghjklmnpqrstvwxz2456789]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}([^a-z0-9-]|$)",
        "-<hash>-<drawn>$1",
    ),
    (r"-[bcdfghjklmnpqrstvwxz2456789]{8,10}([^a-z0-9-]|$)", "-<hash>$1"),
    (r"-[bcdfghjklmnpqrstvwxz2456789]{5}([^a-z0-9-]|$)", "-<drawn>$1"),
    (r"\bv1\.(\d+)\.\d+[-+.\w]*", "v1.$1"),
    // Helm's log lines begin with a time of their own.
    (r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d", "<time>"),
    (r"\b\d+(\.\d+)?(ns|us|µs|ms|s|m|h)(\d+(\.\d+)?(ms|s|m))*\b", "<span>"),
    // How often an event was said.
    (r" \(x\d+( over [^)]*)?\)", ""),
];

static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    DRAWN.iter().filter_map(|(pattern, instead)| Some((Regex::new(pattern).ok()?, *instead))).collect()
});

/// A text without what is drawn, or told by a clock.
pub(super) fn comparable(text: &str) -> String {
    RULES.iter().fold(text.to_owned(), |text, (rule, instead)| rule.replace_all(&text, *instead).into_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn every_rule_can_be_read() {
        assert_eq!(RULES.len(), DRAWN.len());
    }

    #[rstest]
    #[case("karpenter-688b8d84c5-rkrm9", "karpenter-<hash>-<drawn>")]
    #[case("in pod karpenter-688b8d84c5-rkrm9_kube-system", "in pod karpenter-<hash>-<drawn>_kube-system")]
    #[case("Container created (x2)", "Container created")]
    #[case("aws-node-x7k2p is Pending", "aws-node-<drawn> is Pending")]
    #[case("after waiting 1m30s", "after waiting <span>")]
    #[case("0/2 nodes are available", "0/2 nodes are available")]
    #[case("v1.34.4-eks-0000000", "v1.34")]
    #[case("at 2026-01-02T03:04:05.123Z", "at <time>")]
    #[case("https://127.0.0.1:40211", "https://<server>")]
    #[case("karpenter-controller", "karpenter-controller")]
    #[case("to ip-192-168-10-11.us-west-2.compute.internal", "to <node>")]
    #[case("read /tmp/out/recordings/a@control-plane/main/kubeconfig", "read <folder>/main/kubeconfig")]
    #[case("sh.helm.release.v1.karpenter.v2", "sh.helm.release.v1.karpenter.v2")]
    fn what_is_drawn_goes_and_everything_else_stays(#[case] text: &str, #[case] left: &str) {
        assert_eq!(comparable(text), left);
    }
}
