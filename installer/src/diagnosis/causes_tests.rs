//! Each row of the table, by the words that issue threads and sources show.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::result::Termination;

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
        let cause = Cause::of(&said(line)).unwrap();
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
        let cause = Cause::of(&waiting("ImagePullBackOff", event)).unwrap();
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
        let cause = Cause::of(&scheduler(parts)).unwrap();
        assert_eq!((cause.code, cause.gravity), (code, gravity), "{parts}");
        assert!(cause.cites.contains(parts), "{}", cause.cites);
    }
}

#[test]
fn a_pod_of_which_nothing_is_known_has_no_cause() {
    assert!(Cause::of(&Symptoms::default()).is_none());
}
