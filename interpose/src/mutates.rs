//! Whether a call changes a cluster or a cloud account, judged by its arguments alone.
//!
//! In doubt a call counts as a change: an expectation such as "no mutating call" must not pass
//! because of a subcommand that nobody thought of.

/// Flags before the subcommand that take a value, by tool; `-n=x` and `--flag=x` need no entry.
const VALUE_FLAGS: &[(&str, &[&str])] = &[
    (
        "helm",
        &[
            "-n",
            "--namespace",
            "--kubeconfig",
            "--kube-context",
            "--kube-token",
            "--kube-apiserver",
            "--kube-as-user",
            "--kube-ca-file",
            "--burst-limit",
            "--qps",
            "--registry-config",
            "--repository-cache",
            "--repository-config",
        ],
    ),
    ("eksctl", &["-v", "--verbose", "-C", "--color"]),
    (
        "aws",
        &[
            "--region",
            "--profile",
            "--output",
            "--endpoint-url",
            "--query",
            "--cli-read-timeout",
            "--cli-connect-timeout",
            "--ca-bundle",
            "--color",
        ],
    ),
    (
        "kubectl",
        &[
            "-n",
            "--namespace",
            "--kubeconfig",
            "--context",
            "--cluster",
            "--user",
            "-s",
            "--server",
            "--token",
            "--as",
            "--as-group",
            "--cache-dir",
            "--request-timeout",
            "-v",
            "--v",
            "--certificate-authority",
            "--client-certificate",
            "--client-key",
        ],
    ),
];

/// The words of a command line that are not flags or their values, up to the third.
pub fn words<'a>(tool: &str, argv: &'a [String]) -> Vec<&'a str> {
    let takes_value = VALUE_FLAGS.iter().find(|(name, _)| *name == tool).map_or(&[][..], |(_, flags)| flags);
    let mut words = Vec::new();
    let mut skip = false;
    for argument in argv {
        if skip {
            skip = false;
        } else if argument.starts_with('-') {
            skip = takes_value.contains(&argument.as_str());
        } else {
            words.push(argument.as_str());
            if words.len() == 3 {
                break;
            }
        }
    }
    words
}

/// Whether this call of this tool is one that changes something when it succeeds.
pub fn mutates(tool: &str, argv: &[String]) -> bool {
    if argv.iter().any(|a| a == "--help" || a == "-h") {
        return false;
    }
    let words = words(tool, argv);
    let first = words.first().copied().unwrap_or("help");
    let second = words.get(1).copied().unwrap_or("");
    if matches!(first, "help" | "version" | "completion" | "__complete") {
        return false;
    }
    match tool {
        "helm" => helm(first) && !dry_run(argv),
        "eksctl" => eksctl(first, second),
        "aws" => aws(first, second),
        "kubectl" => kubectl(first, second) && !dry_run(argv),
        _ => true,
    }
}

fn dry_run(argv: &[String]) -> bool {
    argv.iter().any(|argument| match argument.strip_prefix("--dry-run") {
        Some("") => true,
        Some(value) => !matches!(value, "=none" | "=false"),
        None => false,
    })
}

fn helm(first: &str) -> bool {
    !matches!(
        first,
        "status"
            | "list"
            | "ls"
            | "history"
            | "hist"
            | "get"
            | "env"
            | "show"
            | "inspect"
            | "template"
            | "search"
            | "repo"
            | "registry"
            | "pull"
            | "fetch"
            | "dependency"
            | "dep"
            | "lint"
            | "package"
            | "plugin"
            | "create"
            | "verify"
    )
}

fn eksctl(first: &str, second: &str) -> bool {
    match first {
        "get" | "info" => false,
        "utils" => !matches!(
            second,
            "describe-stacks"
                | "write-kubeconfig"
                | "schema"
                | "describe-addon-versions"
                | "describe-cluster-versions"
        ),
        _ => true,
    }
}

fn aws(service: &str, operation: &str) -> bool {
    let reads = ["describe-", "list-", "get-", "head-", "lookup-", "search-", "batch-get-", "simulate-"];
    !(matches!(service, "configure" | "sts" | "sso" | "login" | "logout")
        || matches!(operation, "wait" | "update-kubeconfig" | "ls" | "presign" | "help" | "")
        || reads.iter().any(|prefix| operation.starts_with(prefix)))
}

fn kubectl(first: &str, second: &str) -> bool {
    match first {
        "get" | "describe" | "logs" | "wait" | "explain" | "api-resources" | "api-versions"
        | "cluster-info" | "config" | "diff" | "top" | "events" | "options" | "kustomize"
        | "port-forward" | "proxy" => false,
        "auth" => second == "reconcile",
        "rollout" => !matches!(second, "status" | "history"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(line: &str) -> bool {
        let mut words = line.split(' ').map(str::to_owned);
        let tool = words.next().unwrap_or_default();
        mutates(&tool, &words.collect::<Vec<_>>())
    }

    #[test]
    fn reads_are_told_from_writes() {
        for line in [
            "helm status karpenter -n kube-system -o json",
            "helm -n upgrade list",
            "helm upgrade --install karpenter x --dry-run",
            "helm registry logout public.ecr.aws",
            "helm upgrade --help",
            "helm",
            "eksctl get cluster --name x",
            "eksctl utils write-kubeconfig --cluster x",
            "aws sts get-caller-identity",
            "aws iam simulate-principal-policy --policy-source-arn arn --action-names iam:CreateRole",
            "aws --region eu-central-1 eks describe-cluster --name x",
            "aws eks update-kubeconfig --name x",
            "aws eks wait cluster-active --name x",
            "kubectl -n kube-system get pods",
            "kubectl rollout status deploy/x",
            "kubectl apply -f x --dry-run=server",
        ] {
            assert!(!judge(line), "{line}");
        }
        for line in [
            "helm upgrade --install karpenter oci://x",
            "helm -n kube-system uninstall karpenter",
            "helm delete karpenter",
            "helm rollback karpenter 1 --dry-run=none",
            "eksctl create cluster --name x",
            "eksctl utils associate-iam-oidc-provider --cluster x",
            "aws eks create-addon --cluster-name x",
            "aws s3 mb s3://x",
            "kubectl rollout restart deploy/x",
            "kubectl delete pod x",
            "kubectl something-new",
        ] {
            assert!(judge(line), "{line}");
        }
    }
}
