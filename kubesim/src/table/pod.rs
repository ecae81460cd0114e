//! What is said of a pod: how many of its containers are ready, and the one word for its state.

use serde_json::Value;

use super::words::{View, items};

/// A pod in four cells.
pub(super) struct Summary {
    pub(super) ready: String,
    pub(super) status: String,
    pub(super) restarts: String,
    pub(super) readiness_gates: String,
}

/// Counts and words over a list of container statuses.
#[derive(Default)]
struct Restarts {
    count: i64,
    last: String,
}

impl Restarts {
    fn add(&mut self, status: &Value) {
        self.count += status["restartCount"].as_i64().unwrap_or(0);
        let finished = status["lastState"]["terminated"]["finishedAt"].as_str().unwrap_or_default();
        // RFC 3339 in UTC sorts as text.
        if finished > self.last.as_str() {
            finished.clone_into(&mut self.last);
        }
    }
}

pub(super) fn summary(view: &View<'_>) -> Summary {
    let phase = view.text(&["status", "phase"]);
    let mut word = view.text_or(&["status", "reason"], phase);
    let conditions = view.items(&["status", "conditions"]);
    if conditions.iter().any(|c| c["type"] == "PodScheduled" && c["reason"] == "SchedulingGated") {
        "SchedulingGated".clone_into(&mut word);
    }
    let init = view.items(&["spec", "initContainers"]);
    // Init containers that go on beside the others.
    let is_sidecar = |name: &Value| init.iter().any(|c| c["name"] == *name && c["restartPolicy"] == "Always");
    let total = view.count(&["spec", "containers"]) + init.iter().filter(|c| is_sidecar(&c["name"])).count();
    let mut ready = 0;
    let (mut all, mut sidecars) = (Restarts::default(), Restarts::default());
    let mut initializing = false;
    for (index, status) in view.items(&["status", "initContainerStatuses"]).iter().enumerate() {
        all.add(status);
        let sidecar = is_sidecar(&status["name"]);
        if sidecar {
            sidecars.add(status);
        }
        let terminated = &status["state"]["terminated"];
        if terminated["exitCode"] == 0 {
            continue;
        }
        if sidecar && status["started"] == true {
            ready += usize::from(status["ready"] == true);
            continue;
        }
        let waiting = status["state"]["waiting"]["reason"].as_str().unwrap_or_default();
        word = match () {
            () if terminated.is_object() => format!("Init:{}", end(terminated)),
            () if !matches!(waiting, "" | "PodInitializing") => format!("Init:{waiting}"),
            () => format!("Init:{index}/{}", init.len()),
        };
        initializing = true;
        break;
    }
    if !initializing || view.condition("Initialized") == "True" {
        all = sidecars;
        let (mut running, mut error) = (false, None);
        for status in view.items(&["status", "containerStatuses"]).iter().rev() {
            all.add(status);
            let terminated = &status["state"]["terminated"];
            let waiting = status["state"]["waiting"]["reason"].as_str().unwrap_or_default();
            if !waiting.is_empty() {
                waiting.clone_into(&mut word);
            } else if terminated.is_object() {
                word = end(terminated);
                if terminated["exitCode"].as_i64().unwrap_or(0) != 0 {
                    error = Some(word.clone());
                }
            } else if status["ready"] == true && status["state"]["running"].is_object() {
                running = true;
                ready += 1;
            }
        }
        if word == "Completed" {
            word = match error {
                _ if running && view.condition("Ready") == "True" => "Running".to_owned(),
                Some(error) => error,
                None if running => "NotReady".to_owned(),
                None => word,
            };
        }
    }
    if view.is_terminating() {
        if view.text(&["status", "reason"]) == "NodeLost" {
            "Unknown".clone_into(&mut word);
        } else if !matches!(phase, "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut word);
        }
    }
    let restarts = match (all.count, all.last.is_empty()) {
        (0, _) | (_, true) => all.count.to_string(),
        (count, false) => format!("{count} ({} ago)", view.since(&Value::String(all.last))),
    };
    Summary { ready: format!("{ready}/{total}"), status: word, restarts, readiness_gates: gates(view) }
}

/// Why a container ended.
fn end(terminated: &Value) -> String {
    match (terminated["reason"].as_str(), terminated["signal"].as_i64()) {
        (Some(reason), _) if !reason.is_empty() => reason.to_owned(),
        (_, Some(signal)) if signal != 0 => format!("Signal:{signal}"),
        _ => format!("ExitCode:{}", terminated["exitCode"].as_i64().unwrap_or(0)),
    }
}

fn gates(view: &View<'_>) -> String {
    let gates = items(view.at(&["spec", "readinessGates"]));
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates
        .iter()
        .filter(|gate| gate["conditionType"].as_str().is_some_and(|kind| view.condition(kind) == "True"));
    format!("{}/{}", open.count(), gates.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn said(pod: &Value) -> (String, String, String) {
        let now = "2026-01-01T00:10:00Z".parse().unwrap();
        let summary = summary(&View { object: pod, now });
        (summary.ready, summary.status, summary.restarts)
    }

    fn words(ready: &str, status: &str, restarts: &str) -> (String, String, String) {
        (ready.to_owned(), status.to_owned(), restarts.to_owned())
    }

    #[test]
    fn a_crash_loop_shows_its_restarts_and_when_the_last_one_was() {
        let pod = json!({
            "spec": {"containers": [{"name": "a"}, {"name": "b"}]},
            "status": {"phase": "Running", "containerStatuses": [
                {"name": "a", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                 "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:08:30Z"}}},
                {"name": "b", "restartCount": 0, "ready": true, "state": {"running": {}}},
            ]},
        });
        assert_eq!(said(&pod), words("1/2", "CrashLoopBackOff", "3 (90s ago)"));
    }

    #[test]
    fn init_containers_come_first() {
        let mut pod = json!({
            "spec": {"containers": [{"name": "a"}], "initContainers": [{"name": "i"}, {"name": "j"}]},
            "status": {"phase": "Pending", "initContainerStatuses": [
                {"name": "i", "state": {"terminated": {"exitCode": 0}}},
                {"name": "j", "state": {"running": {}}},
            ]},
        });
        assert_eq!(said(&pod), words("0/1", "Init:1/2", "0"));
        pod["status"]["initContainerStatuses"][1]["state"] = json!({"terminated": {"exitCode": 3}});
        assert_eq!(said(&pod), words("0/1", "Init:ExitCode:3", "0"));
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(said(&pod).1, "Terminating");
    }

    #[test]
    fn a_pod_that_ended_says_how() {
        let pod = json!({
            "spec": {"containers": [{"name": "a"}]},
            "status": {"phase": "Failed", "containerStatuses": [
                {"name": "a", "restartCount": 0, "state": {"terminated": {"exitCode": 2, "reason": "Error"}}},
            ]},
        });
        assert_eq!(said(&pod), words("0/1", "Error", "0"));
    }
}
