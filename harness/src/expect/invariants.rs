//! What must hold in every run, whatever the scenario: the invariants of the installer contract, judged
//! against the cluster and not against what the installer says. They keep the contract's numbers.

use serde_json::Value;

use super::{Judged, resource_key};
use crate::event::Mismatch;
use crate::observe::{Ending, Observation, ResultDocument, Snapshot};
use crate::scenario::Subcommand;

/// Judges one run.
#[must_use]
pub fn invariants(run: &Observation) -> Judged {
    let mut judged = Judged::default();
    let mut hold = |number: u8, expected: &str, broken: Option<String>| {
        judged.checked += 1;
        if let Some(observed) = broken {
            judged.mismatches.push(Mismatch {
                expectation: format!("invariant {number}"),
                expected: expected.to_owned(),
                observed,
                place: None,
            });
        }
    };
    hold(1, "ok: true only while the controller is Ready at its current generation", false_ok(run));
    hold(2, "a healthy release is not deleted, downgraded or restarted", harmed_release(run));
    hold(3, "it ends within its deadline and leaves no process behind", overdue(run));
    hold(4, "a run that is not ok names what blocks it", unexplained(run));
    hold(9, "it changes no object that it neither made nor manages", foreign_change(run));
    hold(11, "it waits as long as Retry-After says", hasty_retry(run));
    hold(12, "one result on standard output that agrees with the exit code", disagreement(run));
    hold(12, "no secret is printed", leaked(run));
    if run.schema.is_some() {
        hold(12, "the result is as the installer's own schema describes it", misshapen(run));
    }
    judged
}

/// The controllers: Deployments with Karpenter's label.
fn controllers(snapshot: &Snapshot) -> Vec<&Value> {
    let labelled = |object: &&Value| object["metadata"]["labels"]["app.kubernetes.io/name"] == "karpenter";
    snapshot.of("deployments.apps").filter(labelled).collect()
}

/// Why a Deployment is not Ready at its current generation.
fn unready(deployment: &Value) -> Option<String> {
    let number = |value: &Value| value.as_i64().unwrap_or(0);
    let (status, meta) = (&deployment["status"], &deployment["metadata"]);
    let desired = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    let name = meta["name"].as_str().unwrap_or_default();
    if number(&status["observedGeneration"]) < number(&meta["generation"]) {
        return Some(format!(
            "Deployment {name} is at generation {} and its status is older",
            meta["generation"]
        ));
    }
    let [updated, available, all] =
        ["updatedReplicas", "availableReplicas", "replicas"].map(|field| number(&status[field]));
    if desired == 0 || updated != desired || available != desired || all != desired {
        return Some(format!(
            "Deployment {name} wants {desired} replicas; {all} are there, {updated} updated, {available} available"
        ));
    }
    None
}

fn is_ok(run: &Observation) -> bool {
    run.result.value().is_some_and(|result| result["ok"] == true)
}

fn false_ok(run: &Observation) -> Option<String> {
    let concerned = matches!(run.phase.as_deref(), None | Some("compute" | "core"));
    let forced = run.result.value().is_some_and(|result| result["forced"].is_object());
    // What the other commands do well is not an installation.
    let installs = run.command == Subcommand::Install;
    if !is_ok(run) || !concerned || forced || !installs {
        return None;
    }
    let controllers = controllers(&run.after);
    if controllers.is_empty() {
        return Some("ok: true, and the cluster has no controller".into());
    }
    controllers.into_iter().find_map(unready).map(|why| format!("ok: true, and {why}"))
}

/// A release that was healthy before: its newest revision is deployed, its controller Ready.
fn harmed_release(run: &Observation) -> Option<String> {
    // A clean-up is told to take it down.
    if run.command == Subcommand::Cleanup {
        return None;
    }
    let healthy: Vec<&Value> = controllers(&run.before)
        .into_iter()
        .filter(|it| unready(it).is_none())
        .filter(|it| newest(&run.before, it).is_some_and(|newest| newest.0 == "deployed"))
        .collect();
    healthy.into_iter().find_map(|before| {
        let text = |field: &str| before["metadata"][field].as_str().unwrap_or_default();
        let (namespace, name) = (text("namespace"), text("name"));
        let Some(after) = run.after.get("deployments.apps", namespace, name) else {
            return Some(format!("Deployment {namespace}/{name} was Ready before and is gone"));
        };
        if after["metadata"]["uid"] != before["metadata"]["uid"] {
            return Some(format!(
                "Deployment {namespace}/{name} was Ready before, and was deleted and made again"
            ));
        }
        if after["spec"]["template"] != before["spec"]["template"] {
            return Some(format!(
                "Deployment {namespace}/{name} was Ready before, and its pods were replaced"
            ));
        }
        match (newest(&run.before, before), newest(&run.after, after)) {
            (Some(before), Some(after)) if after.1 < before.1 => {
                Some(format!("the release's history went from revision {} to {}", before.1, after.1))
            }
            (Some(_), None) => Some("the release's history is gone".into()),
            _ => deleted(run, namespace),
        }
    })
}

/// Deletes of what a healthy release consists of, successful ones.
fn deleted(run: &Observation, namespace: &str) -> Option<String> {
    let parts = ["deployments", "replicasets", "pods", "secrets"];
    run.requests
        .iter()
        .find(|it| {
            it.verb.starts_with("delete")
                && it.status < 300
                && it.namespace == namespace
                && parts.contains(&it.resource.as_str())
                && belongs(&run.before, it)
        })
        .map(|it| format!("{} {} {namespace}/{} of a healthy release", it.verb, it.resource, it.name))
}

/// Whether a request's object was part of a Karpenter release. Old revisions that Helm itself drops from its
/// history were not part of the healthy one.
fn belongs(before: &Snapshot, request: &kubesim::tap::Recording) -> bool {
    let object =
        before.get(&resource_key(&request.group, &request.resource), &request.namespace, &request.name);
    object.is_some_and(|object| {
        let labels = &object["metadata"]["labels"];
        labels["app.kubernetes.io/name"] == "karpenter"
            || labels["owner"] == "helm" && labels["status"] == "deployed"
    })
}

/// Status and number of the newest revision of the release that a Deployment belongs to.
fn newest(snapshot: &Snapshot, deployment: &Value) -> Option<(String, i64)> {
    let notes = &deployment["metadata"]["annotations"];
    let name = notes["meta.helm.sh/release-name"].as_str()?;
    let namespace = notes["meta.helm.sh/release-namespace"].as_str()?;
    let release = snapshot.release(namespace, name)?;
    let newest = release.revisions.last()?;
    Some((newest.info.status.word().to_owned(), newest.version))
}

/// Number of the signal that a process cannot handle.
const SIGKILL: i32 = 9;

fn overdue(run: &Observation) -> Option<String> {
    if matches!(run.ending, Ending::Overdue { .. }) {
        return Some(format!("{} (deadline {:?} and a grace period)", run.ending.words(), run.deadline));
    }
    // Nobody can stop his children who is killed himself; the runner has ended them.
    let killed = run.sent == Some(SIGKILL);
    (!killed && !run.left_behind.is_empty()).then(|| format!("left behind: {}", run.left_behind.join(", ")))
}

fn unexplained(run: &Observation) -> Option<String> {
    let result = run.result.value().filter(|result| result["ok"] != true)?;
    let blockers = result["blockers"].as_array().filter(|blockers| !blockers.is_empty());
    let Some(blockers) = blockers else { return Some("it is not ok, and there is no blocker".into()) };
    let empty =
        |blocker: &&Value, field: &str| blocker[field].as_str().is_none_or(|text| text.trim().is_empty());
    blockers.iter().find_map(|blocker| {
        let lacking: Vec<&str> =
            ["code", "message", "remediation"].into_iter().filter(|field| empty(&blocker, field)).collect();
        (!lacking.is_empty()).then(|| format!("a blocker has no {}: {blocker}", lacking.join(", no ")))
    })
}

fn foreign_change(run: &Observation) -> Option<String> {
    run.requests
        .iter()
        .filter(|it| it.mutating() && it.verb != "create" && it.status < 300 && it.status > 0)
        .find_map(|it| {
            let object = run.before.get(&resource_key(&it.group, &it.resource), &it.namespace, &it.name)?;
            // Nodes that Karpenter made go with it.
            let its_node = run.command == Subcommand::Cleanup && is_node_of_karpenter(object);
            let foreign = !managed(object) && !its_node;
            foreign.then(|| format!("{} {} {}/{}", it.verb, it.full_resource(), it.namespace, it.name))
        })
}

/// Whether an object is a release's, or a definition that a chart of Karpenter's brings.
fn managed(object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    labels["app.kubernetes.io/managed-by"] == "Helm"
        || labels["owner"] == "helm"
        || labels["app.kubernetes.io/managed-by"] == "eks-installer"
        || labels["app.kubernetes.io/name"] == "karpenter"
        || object["kind"] == "CustomResourceDefinition" && name.contains(".karpenter.")
}

/// Whether an object is a claim that Karpenter made for one of its pools.
fn is_node_of_karpenter(object: &Value) -> bool {
    object["kind"] == "NodeClaim" && object["metadata"]["labels"]["karpenter.sh/nodepool"].is_string()
}

/// The first answer with `Retry-After` whose request was repeated too soon by the same client.
fn hasty_retry(run: &Observation) -> Option<String> {
    run.requests.iter().enumerate().find_map(|(index, first)| {
        let seconds = first.retry_after?;
        let again = run.requests[index + 1..]
            .iter()
            .find(|it| it.verb == first.verb && it.path == first.path && it.user_agent == first.user_agent)?;
        let waited = again.at.duration_since(first.at).as_millis();
        (waited < i128::from(seconds) * 1000).then(|| {
            format!(
                "{} {} was answered {} with Retry-After {seconds}, and asked again after {waited} ms",
                first.verb, first.path, first.status
            )
        })
    })
}

/// Number of the signal that no process can answer.
const KILL: i32 = nix::sys::signal::Signal::SIGKILL as i32;

/// What stands on standard output and is no result.
fn garbage(run: &Observation) -> Option<String> {
    match &run.result {
        ResultDocument::Wrong(how) => Some(how.clone()),
        _ => None,
    }
}

fn disagreement(run: &Observation) -> Option<String> {
    let exit = match run.ending {
        Ending::Exit(code) => code,
        // A run that was killed could not write; one that was overdue is invariant 3's.
        Ending::Signal(KILL) if run.sent == Some(KILL) => return garbage(run),
        Ending::Overdue { .. } => return garbage(run),
        // Any other signal can be answered: with a result, and an exit code of its own.
        Ending::Signal(_) => return Some(run.ending.words()),
    };
    let result = match &run.result {
        ResultDocument::One(result) => result,
        ResultDocument::Nothing => {
            return Some(format!("exit code {exit}, and no result on standard output"));
        }
        ResultDocument::Wrong(how) => return Some(how.clone()),
    };
    let status = result["status"].as_str().unwrap_or_default();
    let fits = match status {
        "completed" | "completed_phase" => exit == 0 && result["ok"] == true,
        "blocked_phase" => exit == 3 && result["ok"] == false,
        "error" => matches!(exit, 1 | 2 | 4 | 130 | 143) && result["ok"] == false,
        _ => false,
    };
    (!fits).then(|| format!("exit code {exit}, status {}, ok {}", result["status"], result["ok"]))
}

fn misshapen(run: &Observation) -> Option<String> {
    run.schema.as_ref()?.fault(run.result.value()?)
}

fn leaked(run: &Observation) -> Option<String> {
    run.secrets.iter().filter(|secret| !secret.is_empty()).find_map(|secret| {
        let stream = [("standard output", &run.stdout), ("standard error", &run.stderr)];
        let (name, _) = stream.into_iter().find(|(_, output)| output.text.contains(secret.as_str()))?;
        // The secret itself must not show in a report either.
        let shown: String = secret.chars().take(4).collect();
        Some(format!("{name} contains a planted secret ({shown}…, {} characters)", secret.chars().count()))
    })
}
