//! Taints and tolerations.

use serde_json::Value;

/// Whether some taint with one of these effects is not tolerated by the pod.
pub(crate) fn untolerated(pod: &Value, taints: &Value, effects: &[&str]) -> bool {
    taints
        .as_array()
        .into_iter()
        .flatten()
        .filter(|taint| taint["effect"].as_str().is_some_and(|effect| effects.contains(&effect)))
        .any(|taint| !tolerated(pod, taint))
}

/// Whether the pod tolerates a taint.
pub(crate) fn tolerated(pod: &Value, taint: &Value) -> bool {
    pod["spec"]["tolerations"].as_array().into_iter().flatten().any(|toleration| tolerates(toleration, taint))
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    fn text(value: &Value) -> &str {
        value.as_str().unwrap_or_default()
    }
    let effect = text(&toleration["effect"]);
    if !effect.is_empty() && effect != text(&taint["effect"]) {
        return false;
    }
    let key = text(&toleration["key"]);
    if !key.is_empty() && key != text(&taint["key"]) {
        return false;
    }
    match toleration["operator"].as_str().unwrap_or("Equal") {
        "Exists" => true,
        // An empty key tolerates everything with `Exists` only.
        "Equal" | "" => !key.is_empty() && text(&toleration["value"]) == text(&taint["value"]),
        _ => false,
    }
}
