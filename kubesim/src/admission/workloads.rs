//! Validation of pods and of what makes pods.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::causes::Causes;
use super::quantity;
use super::validate::{LABEL, is_label, key_errors, labels};
use crate::selector::LabelSelector;
use crate::store::drop_fields;

const POD_UPDATE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
const IMMUTABLE: &str = "field is immutable";
const SET_UPDATE: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

pub(super) fn pod(object: &Value, before: Option<&Value>, causes: &mut Causes) {
    pod_spec(&object["spec"], "spec", causes);
    let Some(before) = before else { return };
    for list in ["containers", "initContainers"] {
        let count = |pod: &Value| pod["spec"][list].as_array().map_or(0, Vec::len);
        if count(before) != count(object) {
            let why = "pod updates may not add or remove containers";
            causes.forbidden(format!("spec.{list}"), why);
            return;
        }
    }
    let fixed = |spec: &Value| {
        let mut spec = spec.clone();
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
        drop_fields(
            &mut spec,
            &[
                "activeDeadlineSeconds",
                "tolerations",
                "terminationGracePeriodSeconds",
                "ephemeralContainers",
                "schedulingGates",
            ],
        );
        spec
    };
    let mut kept = fixed(&before["spec"]);
    let wanted = fixed(&object["spec"]);
    // The subresource resize writes resources; the scheduler's binding writes the node.
    if before["spec"]["nodeName"].is_null() {
        drop_fields(&mut kept, &["nodeName"]);
        if let Some(node) = wanted.get("nodeName") {
            kept["nodeName"] = node.clone();
        }
    }
    if kept != wanted {
        causes.forbidden("spec", POD_UPDATE);
    }
}

pub(super) fn workload(kind: &str, object: &Value, before: Option<&Value>, minor: u8, causes: &mut Causes) {
    let spec = &object["spec"];
    if kind == "StatefulSet" {
        stateful_strategy(spec, causes);
    }
    if kind == "DaemonSet" {
        if before.is_some_and(|before| before["spec"]["selector"] != spec["selector"]) {
            causes.invalid("spec.selector", &spec["selector"], IMMUTABLE);
        }
    } else {
        not_negative("spec.replicas", &spec["replicas"], causes);
    }
    selector(kind, spec, causes);
    template(&spec["template"], "spec.template", &["Always"], causes);
    match kind {
        "Deployment" => deployment(spec, causes),
        "DaemonSet" => daemon_strategy(spec, causes),
        _ => not_negative("spec.minReadySeconds", &spec["minReadySeconds"], causes),
    }
    let Some(before) = before else { return };
    let immutable: &[&str] = match kind {
        // One sentence about all of them, until each was told by itself.
        "StatefulSet" if minor < 37 => {
            if fixed_set(&before["spec"]) != fixed_set(spec) {
                causes.forbidden("spec", SET_UPDATE);
            }
            &[]
        }
        "DaemonSet" => &[],
        "StatefulSet" => &["selector", "volumeClaimTemplates", "serviceName", "podManagementPolicy"],
        _ => &["selector"],
    };
    for field in immutable.iter().filter(|field| before["spec"][**field] != spec[**field]) {
        causes.invalid(format!("spec.{field}"), &spec[*field], IMMUTABLE);
    }
}

fn fixed_set(spec: &Value) -> Value {
    let mut spec = spec.clone();
    drop_fields(
        &mut spec,
        &[
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        ],
    );
    spec
}

/// Which pods are its own. What has none selects nothing, not even its own template, and so does not match that.
fn selector(kind: &str, spec: &Value, causes: &mut Causes) {
    let selector = &spec["selector"];
    let labels = &spec["template"]["metadata"]["labels"];
    let parsed = LabelSelector::from_value(selector);
    if selector.is_null() {
        causes.required("spec.selector", "");
    } else if parsed.as_ref().is_some_and(LabelSelector::is_empty) {
        let why = format!("empty selector is invalid for {}", kind.to_lowercase());
        causes.invalid("spec.selector", selector, &why);
    }
    if !parsed.is_some_and(|parsed| !selector.is_null() && parsed.matches(labels.as_object())) {
        let why = "`selector` does not match template `labels`";
        causes.invalid("spec.template.metadata.labels", labels, why);
    }
}

fn not_negative(field: &str, value: &Value, causes: &mut Causes) {
    if value.as_i64().is_some_and(|number| number < 0) {
        causes.invalid(field, value, "must be greater than or equal to 0");
    }
}

/// A number, or the number of a percentage; none is 0.
fn amount(value: &Value) -> i64 {
    let percent = || value.as_str()?.strip_suffix('%')?.parse().ok();
    value.as_i64().or_else(percent).unwrap_or(0)
}

/// A number of pods or a share of them; a share is no more than all.
fn share(field: &str, value: &Value, causes: &mut Causes) {
    const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
    not_negative(field, value, causes);
    if let Some(text) = value.as_str() {
        let digits = text.strip_suffix('%').unwrap_or_default();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            causes.invalid(field, value, PERCENT);
        }
    }
}

fn no_more_than_all(field: &str, value: &Value, causes: &mut Causes) {
    if value.is_string() && amount(value) > 100 {
        causes.invalid(field, value, "must not be greater than 100%");
    }
}

/// How a Deployment goes from one template to the next.
fn deployment(spec: &Value, causes: &mut Causes) {
    let rolling = &spec["strategy"]["rollingUpdate"];
    match spec["strategy"]["type"].as_str().unwrap_or_default() {
        "Recreate" if !rolling.is_null() => {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            causes.forbidden("spec.strategy.rollingUpdate", why);
        }
        "Recreate" => {}
        "RollingUpdate" => {
            let (down, up) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
            let at = "spec.strategy.rollingUpdate.maxUnavailable";
            share(at, down, causes);
            share("spec.strategy.rollingUpdate.maxSurge", up, causes);
            if amount(down) == 0 && amount(up) == 0 {
                causes.invalid(at, down, "may not be 0 when `maxSurge` is 0");
            }
            no_more_than_all(at, down, causes);
        }
        _ => {
            let shown = json!({"Type": spec["strategy"]["type"], "RollingUpdate": rolling});
            causes.unsupported("spec.strategy", &shown, &["Recreate", "RollingUpdate"]);
        }
    }
    not_negative("spec.minReadySeconds", &spec["minReadySeconds"], causes);
    not_negative("spec.revisionHistoryLimit", &spec["revisionHistoryLimit"], causes);
    let deadline = &spec["progressDeadlineSeconds"];
    not_negative("spec.progressDeadlineSeconds", deadline, causes);
    if deadline.as_i64().is_some_and(|seconds| seconds <= spec["minReadySeconds"].as_i64().unwrap_or(0)) {
        causes.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
    }
}

fn daemon_strategy(spec: &Value, causes: &mut Causes) {
    not_negative("spec.minReadySeconds", &spec["minReadySeconds"], causes);
    let rolling = &spec["updateStrategy"]["rollingUpdate"];
    match spec["updateStrategy"]["type"].as_str().unwrap_or_default() {
        "OnDelete" => {}
        "RollingUpdate" => {
            let fields = ["maxUnavailable", "maxSurge"]
                .map(|field| (format!("spec.updateStrategy.rollingUpdate.{field}"), &rolling[field]));
            fields.iter().for_each(|(at, value)| share(at, value, causes));
            fields.iter().for_each(|(at, value)| no_more_than_all(at, value, causes));
            let [(down_at, down), (up_at, up)] = &fields;
            if amount(down) != 0 && amount(up) != 0 {
                causes.invalid(up_at, up, "may not be set when maxUnavailable is non-zero");
            } else if amount(down) == 0 && amount(up) == 0 {
                causes.required(down_at, "cannot be 0 when maxSurge is 0");
            }
        }
        strategy => {
            let shown = json!({"Type": strategy, "RollingUpdate": rolling});
            causes.unsupported("spec.updateStrategy", &shown, &["RollingUpdate", "OnDelete"]);
        }
    }
    not_negative("spec.revisionHistoryLimit", &spec["revisionHistoryLimit"], causes);
}

fn stateful_strategy(spec: &Value, causes: &mut Causes) {
    if !matches!(spec["podManagementPolicy"].as_str(), Some("OrderedReady" | "Parallel")) {
        let why = "must be 'OrderedReady' or 'Parallel'";
        causes.invalid("spec.podManagementPolicy", &spec["podManagementPolicy"], why);
    }
    let strategy = &spec["updateStrategy"];
    match strategy["type"].as_str().unwrap_or_default() {
        "OnDelete" if !strategy["rollingUpdate"].is_null() => {
            let why = "only allowed for updateStrategy 'RollingUpdate'";
            causes.invalid("spec.updateStrategy.rollingUpdate", &strategy["rollingUpdate"], why);
        }
        "OnDelete" | "RollingUpdate" => {}
        _ => causes.invalid("spec.updateStrategy", strategy, "must be 'RollingUpdate' or 'OnDelete'"),
    }
}

pub(super) fn job(object: &Value, before: Option<&Value>, causes: &mut Causes) {
    let spec = &object["spec"];
    // Its selector is made for it; one that is asked for needs a word.
    let asked = before.is_some() || !spec["selector"].is_null();
    if before.is_none() && asked && spec["manualSelector"] != true {
        causes.invalid("spec.selector", &spec["selector"], "`selector` not auto-generated");
    }
    job_spec(spec, "spec", causes);
    let labels = &spec["template"]["metadata"]["labels"];
    let selects = LabelSelector::from_value(&spec["selector"]);
    if before.is_some() && spec["selector"].is_null() {
        causes.required("spec.selector", "");
    }
    let selected = selects.is_some_and(|it| !spec["selector"].is_null() && it.matches(labels.as_object()));
    if asked && !selected {
        let why = "`selector` does not match template `labels`";
        causes.invalid("spec.template.metadata.labels", labels, why);
    }
    let Some(before) = before.map(|before| &before["spec"]) else { return };
    completions(spec, before, causes);
    for field in ["selector", "template", "completionMode"] {
        if field == "template" && before["suspend"] == true {
            continue;
        }
        if before[field] != spec[field] {
            causes.invalid(format!("spec.{field}"), &spec[field], IMMUTABLE);
        }
    }
    if before["suspend"] == true && held_template(before, spec) != held_template(spec, spec) {
        causes.invalid("spec.template.spec", &spec["template"]["spec"], IMMUTABLE);
    }
}

/// What of the template of a Job that is held may not change: all but where its pods go and what they need.
fn held_template(spec: &Value, next: &Value) -> Value {
    let mut pod = spec["template"]["spec"].clone();
    let wanted = &next["template"]["spec"];
    for field in ["nodeSelector", "tolerations", "schedulingGates", "affinity"] {
        pod[field] = wanted[field].clone();
    }
    for list in ["containers", "initContainers"] {
        for container in pod.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            container["resources"] = Value::Null;
        }
    }
    pod
}

fn job_spec(spec: &Value, path: &str, causes: &mut Causes) {
    for field in
        ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"]
    {
        not_negative(&format!("{path}.{field}"), &spec[field], causes);
    }
    if let Some(mode) = spec["completionMode"].as_str() {
        if !matches!(mode, "NonIndexed" | "Indexed") {
            causes.unsupported(format!("{path}.completionMode"), &json!(mode), &["NonIndexed", "Indexed"]);
        }
        if mode == "Indexed" && spec["completions"].is_null() {
            let why = "when completion mode is Indexed";
            causes.required(format!("{path}.completions"), why);
        }
    }
    template(&spec["template"], &format!("{path}.template"), &["OnFailure", "Never"], causes);
}

/// How many times a Job succeeds is fixed, but that an indexed one may grow and shrink with its parallelism.
fn completions(spec: &Value, before: &Value, causes: &mut Causes) {
    let wanted = &spec["completions"];
    if *wanted == before["completions"] {
        return;
    }
    if spec["completionMode"] != "Indexed" {
        causes.invalid("spec.completions", wanted, IMMUTABLE);
    } else if !wanted.is_null() && *wanted != spec["parallelism"] {
        causes.invalid("spec.completions", wanted, "can only be modified in tandem with spec.parallelism");
    }
}

pub(super) fn cron_job(object: &Value, before: Option<&Value>, causes: &mut Causes) {
    let spec = &object["spec"];
    match spec["schedule"].as_str() {
        None | Some("") => causes.required("spec.schedule", ""),
        Some(schedule) => {
            let fields = schedule.split_whitespace().count();
            if fields != 5 && !schedule.starts_with('@') {
                let why = format!("expected exactly 5 fields, found {fields}: [{schedule}]");
                causes.invalid("spec.schedule", &spec["schedule"], &why);
            }
        }
    }
    not_negative("spec.startingDeadlineSeconds", &spec["startingDeadlineSeconds"], causes);
    if before.is_none_or(|before| before["spec"]["timeZone"] != spec["timeZone"]) {
        time_zone(&spec["timeZone"], causes);
    }
    const POLICIES: [&str; 3] = ["Allow", "Forbid", "Replace"];
    let policy = &spec["concurrencyPolicy"];
    if !policy.as_str().is_some_and(|policy| POLICIES.contains(&policy)) {
        causes.unsupported("spec.concurrencyPolicy", policy, &POLICIES);
    }
    job_spec(&spec["jobTemplate"]["spec"], "spec.jobTemplate.spec", causes);
    not_negative("spec.successfulJobsHistoryLimit", &spec["successfulJobsHistoryLimit"], causes);
    not_negative("spec.failedJobsHistoryLimit", &spec["failedJobsHistoryLimit"], causes);
}

fn time_zone(zone: &Value, causes: &mut Causes) {
    let Some(name) = zone.as_str() else { return };
    if name.is_empty() {
        causes.invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string");
    } else if name.eq_ignore_ascii_case("local") {
        let why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        causes.invalid("spec.timeZone", zone, why);
    } else if jiff::tz::TimeZone::get(name).is_err() {
        causes.invalid("spec.timeZone", zone, &format!("unknown time zone {name}"));
    }
}

fn template(template: &Value, path: &str, policies: &[&str], causes: &mut Causes) {
    labels(&template["metadata"]["labels"], &format!("{path}.labels"), causes);
    let spec = &template["spec"];
    pod_spec(spec, &format!("{path}.spec"), causes);
    let policy = spec["restartPolicy"].as_str().unwrap_or_default();
    if !spec.is_null() && !policies.contains(&policy) {
        if policies.len() == 1 {
            causes.unsupported(format!("{path}.spec.restartPolicy"), &spec["restartPolicy"], policies);
        } else {
            let why = "valid values: \"OnFailure\", \"Never\"";
            causes.required(format!("{path}.spec.restartPolicy"), why);
        }
    }
}

fn pod_spec(spec: &Value, path: &str, causes: &mut Causes) {
    let volumes = volumes(spec, path, causes);
    let containers: &[Value] = spec["containers"].as_array().map_or(&[], Vec::as_slice);
    let init: &[Value] = spec["initContainers"].as_array().map_or(&[], Vec::as_slice);
    if containers.is_empty() {
        causes.required(format!("{path}.containers"), "");
    }
    let mut names = BTreeSet::new();
    for (list, found) in [("containers", containers), ("initContainers", init)] {
        for (index, container) in found.iter().enumerate() {
            let at = format!("{path}.{list}[{index}]");
            self::container(container, &at, &volumes, causes);
            let name = container["name"].as_str().unwrap_or_default();
            if !name.is_empty() && !names.insert(name.to_owned()) {
                causes.duplicate(format!("{at}.name"), &container["name"]);
            }
            probes(container, &at, causes);
        }
    }
    let policy = spec["restartPolicy"].as_str().unwrap_or("Always");
    if !matches!(policy, "Always" | "OnFailure" | "Never") {
        causes.unsupported(
            format!("{path}.restartPolicy"),
            &spec["restartPolicy"],
            &["Always", "OnFailure", "Never"],
        );
    }
    let policy = spec["dnsPolicy"].as_str().unwrap_or("ClusterFirst");
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    if !policies.contains(&policy) {
        causes.unsupported(format!("{path}.dnsPolicy"), &spec["dnsPolicy"], &policies);
    }
    labels(&spec["nodeSelector"], &format!("{path}.nodeSelector"), causes);
    affinity(&spec["affinity"], &format!("{path}.affinity"), causes);
    for (index, spread) in spec["topologySpreadConstraints"].as_array().into_iter().flatten().enumerate() {
        let at = format!("{path}.topologySpreadConstraints[{index}]");
        let skew = spread["maxSkew"].as_i64().unwrap_or(0);
        if skew <= 0 {
            causes.invalid(format!("{at}.maxSkew"), &json!(skew), "must be greater than zero");
        }
        if spread["topologyKey"].as_str().is_none_or(str::is_empty) {
            causes.required(format!("{at}.topologyKey"), "can not be empty");
        }
        let when = spread["whenUnsatisfiable"].as_str().unwrap_or_default();
        if !matches!(when, "DoNotSchedule" | "ScheduleAnyway") {
            let known = ["DoNotSchedule", "ScheduleAnyway"];
            causes.unsupported(format!("{at}.whenUnsatisfiable"), &json!(when), &known);
        }
    }
    let deadline = &spec["activeDeadlineSeconds"];
    if deadline.as_i64().is_some_and(|seconds| !(1..=i64::from(i32::MAX)).contains(&seconds)) {
        let why = "must be between 1 and 2147483647, inclusive";
        causes.invalid(format!("{path}.activeDeadlineSeconds"), deadline, why);
    }
}

/// The names of the volumes that nothing is wrong with.
fn volumes(spec: &Value, path: &str, causes: &mut Causes) -> BTreeSet<String> {
    let mut volumes = BTreeSet::new();
    for (index, volume) in spec["volumes"].as_array().into_iter().flatten().enumerate() {
        let at = format!("{path}.volumes[{index}]");
        let name = volume["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            causes.required(format!("{at}.name"), "");
        } else if !is_label(name) {
            causes.invalid(format!("{at}.name"), &volume["name"], LABEL);
        } else if !volumes.insert(name.to_owned()) {
            causes.duplicate(format!("{at}.name"), &volume["name"]);
        }
    }
    volumes
}

/// The pods near which, or away from which, a pod wants to be.
fn affinity(affinity: &Value, path: &str, causes: &mut Causes) {
    for kind in ["podAffinity", "podAntiAffinity"] {
        let field = "requiredDuringSchedulingIgnoredDuringExecution";
        for (index, term) in affinity[kind][field].as_array().into_iter().flatten().enumerate() {
            let at = format!("{path}.{kind}.{field}[{index}].topologyKey");
            let key = term["topologyKey"].as_str().unwrap_or_default();
            if key.is_empty() {
                causes.required(&*at, "can not be empty");
            }
            for why in key_errors(key) {
                causes.invalid(&*at, &json!(key), &why);
            }
        }
    }
}

fn probes(container: &Value, at: &str, causes: &mut Causes) {
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        for field in
            ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
        {
            not_negative(&format!("{at}.{probe}.{field}"), &container[probe][field], causes);
        }
        let times = &container[probe]["successThreshold"];
        if probe != "readinessProbe" && times.as_i64().is_some_and(|times| times != 1) {
            causes.invalid(format!("{at}.{probe}.successThreshold"), times, "must be 1");
        }
    }
}

fn container(container: &Value, at: &str, volumes: &BTreeSet<String>, causes: &mut Causes) {
    let name = container["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        causes.required(format!("{at}.name"), "");
    } else if !is_label(name) {
        causes.invalid(format!("{at}.name"), &container["name"], LABEL);
    }
    if container["image"].as_str().is_none_or(str::is_empty) {
        causes.required(format!("{at}.image"), "");
    }
    for (index, port) in container["ports"].as_array().into_iter().flatten().enumerate() {
        let number = port["containerPort"].as_i64().unwrap_or(0);
        let field = format!("{at}.ports[{index}].containerPort");
        if number == 0 {
            causes.required(field, "");
        } else {
            causes.port(field, &json!(number));
        }
    }
    for (index, variable) in container["env"].as_array().into_iter().flatten().enumerate() {
        if variable["name"].as_str().is_none_or(str::is_empty) {
            causes.required(format!("{at}.env[{index}].name"), "");
        }
    }
    for (index, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
        let name = mount["name"].as_str().unwrap_or_default();
        if !volumes.contains(name) {
            causes.not_found(format!("{at}.volumeMounts[{index}].name"), &mount["name"]);
        }
        if mount["mountPath"].as_str().is_none_or(str::is_empty) {
            causes.required(format!("{at}.volumeMounts[{index}].mountPath"), "");
        }
    }
    if let Some(policy) = container["imagePullPolicy"].as_str()
        && !matches!(policy, "Always" | "IfNotPresent" | "Never")
    {
        causes.unsupported(
            format!("{at}.imagePullPolicy"),
            &json!(policy),
            &["Always", "IfNotPresent", "Never"],
        );
    }
    let resources = &container["resources"];
    for (name, request) in resources["requests"].as_object().into_iter().flatten() {
        let limit = &resources["limits"][name];
        let amount = |value: &Value| value.as_str().and_then(quantity::parse);
        if let (Some(asked), Some(most)) = (amount(request), amount(limit))
            && asked > most
        {
            let why = format!(
                "must be less than or equal to {name} limit of {}",
                limit.as_str().unwrap_or_default()
            );
            causes.invalid(format!("{at}.resources.requests"), request, &why);
        }
    }
}
