//! Pods and what makes pods.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::pod;
use super::super::words::{View, between, each, labels, selector};
use super::{Columns, age, boolean, integer, name, text, wide};

const TEMPLATE: &[&str] = &["spec", "template", "spec", "containers"];

pub(super) fn of(group: &str, plural: &str) -> Option<Columns> {
    let desired = || integer("Desired", |view| json!(view.number(&["spec", "replicas"])));
    let current = || integer("Current", |view| json!(view.number(&["status", "replicas"])));
    let ready = || integer("Ready", |view| json!(view.number(&["status", "readyReplicas"])));
    let ready_of = || {
        text("Ready", |view| {
            json!(format!(
                "{}/{}",
                view.number(&["status", "readyReplicas"]),
                view.number(&["spec", "replicas"])
            ))
        })
    };
    let containers = || wide("Containers", |view| json!(each(view.items(TEMPLATE), "name")));
    let images = || wide("Images", |view| json!(each(view.items(TEMPLATE), "image")));
    let selects = || wide("Selector", |view| json!(selector(view.at(&["spec", "selector"]))));
    Some(match (group, plural) {
        ("", "pods") => vec![
            name(),
            text("Ready", |view| json!(pod::summary(view).ready)),
            text("Status", |view| json!(pod::summary(view).status)),
            text("Restarts", |view| json!(pod::summary(view).restarts)),
            age(),
            wide("IP", |view| {
                let ip = view.items(&["status", "podIPs"]).first().and_then(|ip| ip["ip"].as_str());
                json!(ip.filter(|ip| !ip.is_empty()).unwrap_or("<none>"))
            }),
            wide("Node", |view| json!(view.text_or(&["spec", "nodeName"], "<none>"))),
            wide("Nominated Node", |view| json!(view.text_or(&["status", "nominatedNodeName"], "<none>"))),
            wide("Readiness Gates", |view| json!(pod::summary(view).readiness_gates)),
        ],
        ("", "podtemplates") => vec![
            name(),
            text("Containers", |view| json!(each(view.items(&["template", "spec", "containers"]), "name"))),
            text("Images", |view| json!(each(view.items(&["template", "spec", "containers"]), "image"))),
            text("Pod Labels", |view| json!(labels(view.at(&["template", "metadata", "labels"])))),
        ],
        ("", "replicationcontrollers") => vec![
            name(),
            desired(),
            current(),
            ready(),
            age(),
            containers(),
            images(),
            wide("Selector", |view| json!(labels(view.at(&["spec", "selector"])))),
        ],
        ("apps", "replicasets") => {
            vec![name(), desired(), current(), ready(), age(), containers(), images(), selects()]
        }
        ("apps", "deployments") => vec![
            name(),
            ready_of(),
            text("Up-to-date", |view| json!(view.number(&["status", "updatedReplicas"]))),
            text("Available", |view| json!(view.number(&["status", "availableReplicas"]))),
            age(),
            containers(),
            images(),
            selects(),
        ],
        ("apps", "statefulsets") => vec![name(), ready_of(), age(), containers(), images()],
        ("apps", "daemonsets") => vec![
            name(),
            integer("Desired", |view| json!(view.number(&["status", "desiredNumberScheduled"]))),
            integer("Current", |view| json!(view.number(&["status", "currentNumberScheduled"]))),
            integer("Ready", |view| json!(view.number(&["status", "numberReady"]))),
            integer("Up-to-date", |view| json!(view.number(&["status", "updatedNumberScheduled"]))),
            integer("Available", |view| json!(view.number(&["status", "numberAvailable"]))),
            text("Node Selector", |view| {
                json!(labels(view.at(&["spec", "template", "spec", "nodeSelector"])))
            }),
            age(),
            containers(),
            images(),
            selects(),
        ],
        ("apps", "controllerrevisions") => vec![
            name(),
            text("Controller", |view| json!(controller(view))),
            text("Revision", |view| json!(view.number(&["revision"]))),
            age(),
        ],
        ("batch", "jobs") => vec![
            name(),
            text("Status", |view| json!(job_status(view))),
            text("Completions", |view| json!(completions(view))),
            text("Duration", |view| json!(job_duration(view))),
            age(),
            containers(),
            images(),
            selects(),
        ],
        ("batch", "cronjobs") => cron_jobs(),
        ("autoscaling", "horizontalpodautoscalers") => vec![
            name(),
            text("Reference", |view| {
                let target = view.at(&["spec", "scaleTargetRef"]);
                let part = |field: &str| target[field].as_str().unwrap_or_default();
                json!(format!("{}/{}", part("kind"), part("name")))
            }),
            text("Targets", |view| json!(targets(view))),
            text("MinPods", |view| match view.at(&["spec", "minReplicas"]) {
                Value::Number(least) => json!(least.to_string()),
                _ => json!("<unset>"),
            }),
            text("MaxPods", |view| json!(view.number(&["spec", "maxReplicas"]))),
            text("Replicas", |view| json!(view.number(&["status", "currentReplicas"]))),
            age(),
        ],
        _ => return None,
    })
}

fn cron_jobs() -> Columns {
    const CONTAINERS: &[&str] = &["spec", "jobTemplate", "spec", "template", "spec", "containers"];
    vec![
        name(),
        text("Schedule", |view| json!(view.text(&["spec", "schedule"]))),
        text("Timezone", |view| json!(view.text_or(&["spec", "timeZone"], "<none>"))),
        boolean("Suspend", |view| json!(if view.is(&["spec", "suspend"]) { "True" } else { "False" })),
        integer("Active", |view| json!(view.count(&["status", "active"]))),
        text("Last Schedule", |view| match view.at(&["status", "lastScheduleTime"]) {
            Value::Null => json!("<none>"),
            time => json!(view.since(time)),
        }),
        age(),
        wide("Containers", |view| json!(each(view.items(CONTAINERS), "name"))),
        wide("Images", |view| json!(each(view.items(CONTAINERS), "image"))),
        wide("Selector", |view| json!(selector(view.at(&["spec", "jobTemplate", "spec", "selector"])))),
    ]
}

fn controller(view: &View<'_>) -> String {
    let owners = view.items(&["metadata", "ownerReferences"]);
    let Some(owner) = owners.iter().find(|owner| owner["controller"] == true) else {
        return "<none>".to_owned();
    };
    let part = |field: &str| owner[field].as_str().unwrap_or_default();
    let kind = match part("apiVersion").split_once('/') {
        Some((group, _)) => format!("{}.{group}", part("kind")),
        None => part("kind").to_owned(),
    };
    format!("{}/{}", kind.to_lowercase(), part("name"))
}

fn job_status(view: &View<'_>) -> &'static str {
    let holds = |kind| view.condition(kind) == "True";
    match () {
        () if holds("Complete") => "Complete",
        () if holds("Failed") => "Failed",
        () if view.is_terminating() => "Terminating",
        () if holds("Suspended") => "Suspended",
        () if holds("FailureTarget") => "FailureTarget",
        () if holds("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions(view: &View<'_>) -> String {
    let done = view.number(&["status", "succeeded"]);
    match (view.at(&["spec", "completions"]).as_i64(), view.number(&["spec", "parallelism"])) {
        (Some(wanted), _) => format!("{done}/{wanted}"),
        (None, parallelism) if parallelism > 1 => format!("{done}/1 of {parallelism}"),
        _ => format!("{done}/1"),
    }
}

fn job_duration(view: &View<'_>) -> String {
    let time = |field: &str| view.text(&["status", field]).parse::<Timestamp>().ok();
    time("startTime")
        .map_or_else(String::new, |start| between(start, time("completionTime").unwrap_or(view.now)))
}

/// What an autoscaler aims at: `cpu: 10%/80%`.
fn targets(view: &View<'_>) -> String {
    let current = view.items(&["status", "currentMetrics"]);
    let said = view.items(&["spec", "metrics"]).iter().enumerate().map(|(index, spec)| {
        let (part, named) = match spec["type"].as_str() {
            Some("Resource") => ("resource", true),
            Some("ContainerResource") => ("containerResource", true),
            Some("Pods") => ("pods", false),
            Some("Object") => ("object", false),
            Some("External") => ("external", false),
            _ => return "<unknown type>".to_owned(),
        };
        let target = &spec[part]["target"];
        let current = current.get(index).map_or(&Value::Null, |metric| &metric[part]["current"]);
        let amount = |of: &Value, field: &str, unit: &str, otherwise: &str| match &of[field] {
            Value::String(text) => format!("{text}{unit}"),
            Value::Number(number) => format!("{number}{unit}"),
            _ => otherwise.to_owned(),
        };
        let (field, unit, otherwise) = match (named, target["averageValue"].is_null()) {
            (_, false) => ("averageValue", "", ""),
            (true, true) => ("averageUtilization", "%", "<auto>"),
            (false, true) => ("value", "", ""),
        };
        let ratio = format!(
            "{}/{}",
            amount(current, field, unit, "<unknown>"),
            amount(target, field, unit, otherwise)
        );
        match (named, part, field) {
            (true, ..) => format!("{}: {ratio}", spec[part]["name"].as_str().unwrap_or_default()),
            (false, "object" | "external", "averageValue") => format!("{ratio} (avg)"),
            _ => ratio,
        }
    });
    super::super::words::cut_short(&said.collect::<Vec<_>>(), 2, ", ", "<none>")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn cells(group: &str, plural: &str, object: &Value) -> Vec<Value> {
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        let view = View { object, now };
        of(group, plural).unwrap().iter().map(|column| (column.cell)(&view)).collect()
    }

    #[test]
    fn a_deployment_shows_what_is_ready_of_what_is_wanted() {
        let object = json!({
            "metadata": {"name": "web", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
                     "template": {"spec": {"containers": [{"name": "a", "image": "r/a"}, {"name": "b", "image": "r/b"}]}}},
            "status": {"readyReplicas": 1, "updatedReplicas": 2},
        });
        assert_eq!(
            cells("apps", "deployments", &object),
            [
                json!("web"),
                json!("1/3"),
                json!(2),
                json!(0),
                json!("60s"),
                json!("a,b"),
                json!("r/a,r/b"),
                json!("app=web")
            ]
        );
    }

    #[test]
    fn a_job_shows_its_end_and_how_long_it_took() {
        let object = json!({
            "spec": {"completions": 1},
            "status": {"succeeded": 1, "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:07Z",
                       "conditions": [{"type": "Complete", "status": "True"}]},
        });
        assert_eq!(cells("batch", "jobs", &object)[1..4], ["Complete", "1/1", "7s"]);
    }

    #[test]
    fn an_autoscaler_without_metrics_says_unknown() {
        let object = json!({"spec": {"metrics": [
            {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}},
            {"type": "External", "external": {"target": {"averageValue": "5"}}},
        ]}});
        let found = cells("autoscaling", "horizontalpodautoscalers", &object);
        assert_eq!(found[2], "cpu: <unknown>/80%, <unknown>/5 (avg)");
    }
}
