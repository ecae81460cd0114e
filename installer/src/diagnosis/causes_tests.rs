//! Each row of the table, by the words that issue threads and sources show.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::result::Termination;

const SUBJECT: Subject<'_> =
    Subject { release: "karpenter", namespace: "kube-system", selector: "app.kubernetes.io/name=karpenter" };

fn said(line: &str) -> Symptoms {
    let container = Container {
        name: "controller".into(),
        state: "waiting".into(),
        reason: Some("CrashLoopBackOff".into()),
        restarts: 3,
        last_termination: Some(Termination { exit_code: 1, reason: None, message: None }),
        ..Container::default()
    };
    Symptoms { said: vec![line.into()], containers: vec![container], ..Symptoms::default() }
}

fn waiting(reason: &str, event: &str) -> Symptoms {
    let container = Container {
        name: "controller".into(),
        state: "waiting".into(),
        reason: Some(reason.into()),
        message: Some("Back-off pulling image \"x\"".into()),
        ..Container::default()
    };
    Symptoms { events: vec![event.into()], containers: vec![container], ..Symptoms::default() }
}

fn scheduler(parts: &str) -> Symptoms {
    let message = format!("0/2 nodes are available: {parts}. preemption: 0/2 nodes are available: 2 x.");
    Symptoms { scheduling: Some((Scheduling::parse(&message).unwrap(), message)), ..Symptoms::default() }
}

#[test]
fn the_controllers_own_words_are_classified_and_cited() {
    for (line, code, gravity) in [
        (
            "panic: unable to retrieve the complete list: no matches for kind \"NodeClaim\" in version \"karpenter.sh/v1\"",
            "CRDS_MISSING",
            Gravity::Error,
        ),
        (
            "panic: validating kubernetes version, karpenter version is not compatible with K8s version 1.35",
            "KUBERNETES_TOO_NEW",
            Gravity::Error,
        ),
        ("ec2 api connectivity check failed", "POD_IDENTITY_MISSING", Gravity::Blocked),
        (
            "operation error STS: AssumeRoleWithWebIdentity, https response error StatusCode: 403, AccessDenied",
            "OIDC_TRUST_WRONG",
            Gravity::Error,
        ),
        (
            "failed to resolve cluster endpoint, AccessDeniedException: not authorized to perform: eks:DescribeCluster",
            "IAM_DENIED",
            Gravity::Error,
        ),
        (
            "panic: operation error ec2imds: GetRegion, canceled, context deadline exceeded",
            "REGION_UNKNOWN",
            Gravity::Error,
        ),
        (
            "Post \"https://sts.eu-west-1.amazonaws.com/\": dial tcp 1.2.3.4:443: i/o timeout",
            "AWS_UNREACHABLE",
            Gravity::Blocked,
        ),
        ("AWS.SimpleQueueService.NonExistentQueue: no", "INTERRUPTION_QUEUE_MISSING", Gravity::Error),
        ("something nobody has seen before", "CRASH_LOOP", Gravity::Error),
    ] {
        let cause = Cause::of(&said(line), SUBJECT).unwrap();
        assert_eq!((cause.code, cause.gravity), (code, gravity), "{line}");
        assert!(cause.cites.contains(line), "{line} in {}", cause.cites);
    }
}

#[test]
fn a_pull_failure_is_told_by_the_kubelets_words_not_by_the_back_off() {
    for (event, code) in [
        ("Warning Failed: Failed to pull image \"x\": 403 Forbidden", "IMAGE_PULL_DENIED"),
        ("Warning Failed: Failed to pull image \"x\": not found", "IMAGE_NOT_FOUND"),
        ("Warning Failed: Failed to pull image \"x\": dial tcp: i/o timeout", "IMAGE_PULL_FAILED"),
    ] {
        let cause = Cause::of(&waiting("ImagePullBackOff", event), SUBJECT).unwrap();
        assert_eq!(cause.code, code, "{event}");
        assert!(cause.cites.contains(event), "{}", cause.cites);
    }
}

#[test]
fn the_schedulers_histogram_is_classified() {
    for (parts, code, gravity) in [
        ("2 node(s) had untolerated taint {dedicated: gpu}", "UNTOLERATED_TAINT", Gravity::Blocked),
        ("2 node(s) had untolerated taint(s)", "UNTOLERATED_TAINT", Gravity::Blocked),
        (
            "2 node(s) had untolerated taint {node.kubernetes.io/not-ready: }",
            "NODES_NOT_READY",
            Gravity::Blocked,
        ),
        ("2 node(s) were unschedulable", "NODES_CORDONED", Gravity::Blocked),
        ("2 node(s) didn't match Pod's node affinity/selector", "NODE_AFFINITY", Gravity::Blocked),
        ("2 Insufficient cpu", "INSUFFICIENT_RESOURCES", Gravity::Error),
        (
            "1 Insufficient cpu, 1 node(s) had untolerated taint {a: b}",
            "INSUFFICIENT_RESOURCES",
            Gravity::Error,
        ),
        ("2 Too many pods", "TOO_MANY_PODS", Gravity::Error),
        ("2 node(s) didn't match pod anti-affinity rules", "POD_ANTI_AFFINITY", Gravity::Error),
        ("2 node(s) didn't match pod topology spread constraints", "TOPOLOGY_SPREAD", Gravity::Error),
        ("2 node(s) are on strike", "UNSCHEDULABLE", Gravity::Error),
    ] {
        let cause = Cause::of(&scheduler(parts), SUBJECT).unwrap();
        assert_eq!((cause.code, cause.gravity), (code, gravity), "{parts}");
        assert!(cause.cites.contains(parts), "{}", cause.cites);
    }
}

#[test]
fn what_tools_say_is_classified() {
    for (words, code, gravity) in [
        (
            "NodeCreationFailure: Instances failed to join the kubernetes cluster",
            "NODES_NEVER_JOINED",
            Gravity::Blocked,
        ),
        (
            "AsgInstanceLaunchFailures: You have requested more vCPU capacity than your current limit",
            "CAPACITY_EXHAUSTED",
            Gravity::Blocked,
        ),
        (
            "timed out waiting for addon \"coredns\" to become active, status: \"DEGRADED\"",
            "ADDON_DEGRADED",
            Gravity::Blocked,
        ),
        ("InsufficientNumberOfReplicas: the add-on is unhealthy", "ADDON_DEGRADED", Gravity::Blocked),
        (
            "Error: could not login to OCI registry \"public.ecr.aws\": 403 Forbidden",
            "REGISTRY_LOGIN_REFUSED",
            Gravity::Error,
        ),
        (
            "Error: unexpected status from HEAD request to https://public.ecr.aws/v2/karpenter/karpenter/manifests/1.8.3: 400 Bad Request",
            "REGISTRY_TOKEN_REFUSED",
            Gravity::Error,
        ),
        (
            "Error: public.ecr.aws/karpenter/karpenter:9.9.9: not found",
            "CHART_VERSION_MISSING",
            Gravity::Error,
        ),
        (
            "Error: public.ecr.aws/karpenter/karpenter:v1.8.3: not found",
            "CHART_VERSION_PREFIXED",
            Gravity::Error,
        ),
        (
            "Error: execution error at (karpenter/templates/deployment.yaml:1:4): a valid settings.clusterName is required",
            "CLUSTER_NAME_EMPTY",
            Gravity::Error,
        ),
        (
            "Error: Unable to continue with install: CustomResourceDefinition \"nodepools.karpenter.sh\" in namespace \"\" exists and cannot be imported into the current release: invalid ownership metadata; label validation error: missing key \"app.kubernetes.io/managed-by\": must be set to \"Helm\"",
            "CRDS_UNOWNED",
            Gravity::Error,
        ),
        (
            "Error: Unable to continue with install: Service \"web\" in namespace \"shop\" exists and cannot be imported into the current release: invalid ownership metadata",
            "OBJECT_UNOWNED",
            Gravity::Error,
        ),
        (
            "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
            "RELEASE_LOCKED",
            Gravity::Error,
        ),
        (
            "Internal error occurred: failed calling webhook \"x.example.com\": no endpoints available",
            "WEBHOOK_UNREACHABLE",
            Gravity::Error,
        ),
        ("pods \"web-1\" is forbidden: exceeded quota: small", "QUOTA_EXCEEDED", Gravity::Error),
    ] {
        let symptoms = Symptoms { words: vec![words.into()], ..Symptoms::default() };
        let cause = Cause::of(&symptoms, SUBJECT).unwrap();
        assert_eq!((cause.code, cause.gravity, cause.cites.as_str()), (code, gravity, words));
    }
    for words in ["Error: release: not found", "Error: something else", ""] {
        let symptoms = Symptoms { words: vec![words.into()], ..Symptoms::default() };
        assert!(Cause::of(&symptoms, SUBJECT).is_none(), "{words}");
    }
}

#[test]
fn of_several_causes_the_one_that_stops_the_others_comes_first_and_none_is_lost() {
    let mut symptoms = said("AccessDeniedException: not authorized to perform: sqs:GetQueueUrl");
    symptoms.said.push("AWS.SimpleQueueService.NonExistentQueue: no such queue".into());
    symptoms
        .said
        .push("Post \"https://sts.eu-west-1.amazonaws.com/\": dial tcp 1.2.3.4:443: i/o timeout".into());
    let codes: Vec<&str> = Cause::all(&symptoms, SUBJECT).iter().map(|it| it.code).collect();
    assert_eq!(codes, ["IAM_DENIED", "AWS_UNREACHABLE", "INTERRUPTION_QUEUE_MISSING"]);
}

#[test]
fn one_line_of_words_makes_one_cause() {
    let line = "operation error STS: AssumeRoleWithWebIdentity, 403, api error AccessDenied: not authorized";
    let codes: Vec<&str> = Cause::all(&said(line), SUBJECT).iter().map(|it| it.code).collect();
    assert_eq!(codes, ["OIDC_TRUST_WRONG"]);
}

#[test]
fn what_no_row_knows_is_quoted_and_said_to_be_unrecognised() {
    let cause = Cause::of(&said("the flux capacitor is not charged"), SUBJECT).unwrap();
    assert!(!cause.recognised && cause.cites.contains("flux capacitor"));
    assert!(Cause::of(&said("panic: ec2imds: GetRegion"), SUBJECT).unwrap().recognised);
}

#[test]
fn commands_name_what_was_looked_at() {
    let subject = Subject { release: "web", namespace: "shop", selector: "app=web" };
    let cause = Cause::of(&said("no idea"), subject).unwrap();
    assert_eq!(cause.commands[0], "kubectl -n shop logs -l app=web --tail=50");
    let left: Vec<&str> = TABLE
        .iter()
        .flat_map(|row| row.commands.iter().copied().chain([row.remediation]))
        .filter(|text| filled(text, subject).contains(['{', '}']))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn names_are_unique_and_every_row_says_what_to_do() {
    let mut codes: Vec<&str> = TABLE.iter().map(|row| row.code).collect();
    assert!(TABLE.iter().all(|row| !row.remediation.is_empty() && !row.commands.is_empty()));
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), TABLE.len());
    assert!(UNRECOGNISED.iter().chain(&SYMPTOMS).all(|code| codes.contains(code)));
}

#[test]
fn a_pod_of_which_nothing_is_known_has_no_cause() {
    assert!(Cause::of(&Symptoms::default(), SUBJECT).is_none());
}
