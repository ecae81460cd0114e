//! The arithmetic of a rolling update, and which ReplicaSet is the new one.

use serde_json::{Value, json};

use super::deployment::HASH;
use crate::store::Object;

/// The ReplicaSets of a deployment.
pub(super) struct Sets {
    /// The one whose template is the deployment's.
    pub(super) new: Option<Object>,
    /// The others, in order of name.
    pub(super) old: Vec<Object>,
}

impl Sets {
    pub(super) fn of(deployment: &Value, sets: Vec<Object>) -> Self {
        let wanted = &deployment["spec"]["template"];
        let is_new = |set: &Object| alike(&set["spec"]["template"], wanted, &["metadata", "labels", HASH]);
        let new = sets.iter().find(|set| is_new(set)).cloned();
        let other = |set: &Object| new.as_ref().is_none_or(|new| !std::sync::Arc::ptr_eq(new, set));
        let old = sets.iter().filter(|set| other(set)).cloned().collect();
        Self { new, old }
    }
}

/// Whether two values are the same but for what is at `path`: here a template's label that tells the pods
/// of its set apart.
fn alike(a: &Value, b: &Value, path: &[&str]) -> bool {
    let Some((field, rest)) = path.split_first() else { return true };
    let (Some(left), Some(right)) = (a.as_object(), b.as_object()) else { return a == b };
    let others = left.iter().filter(|(name, _)| name != field);
    others.eq(right.iter().filter(|(name, _)| name != field)) && alike(&a[*field], &b[*field], rest)
}

/// The `pod-template-hash` of a template: FNV-1a over its JSON, in the alphabet of generated names.
pub(super) fn template_hash(template: &Value, collisions: i64) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut hash: u32 = 0x811c_9dc5;
    let mut text = crate::codec::json::to_vec(template);
    if collisions != 0 {
        text.extend_from_slice(collisions.to_string().as_bytes());
    }
    for byte in text {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    // SafeEncodeString maps each character of the decimal number into the alphabet.
    hash.to_string().bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}

/// How far a rolling update may go at once.
pub(super) struct Budget {
    /// `spec.replicas`.
    pub(super) replicas: i64,
    /// `maxSurge`, in pods.
    pub(super) surge: i64,
    /// `maxUnavailable`, in pods.
    pub(super) unavailable: i64,
}

impl Budget {
    pub(super) fn of(deployment: &Value) -> Self {
        let replicas = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
        let strategy = &deployment["spec"]["strategy"];
        if strategy["type"] == "Recreate" {
            return Self { replicas, surge: 0, unavailable: 0 };
        }
        let update = &strategy["rollingUpdate"];
        let surge = amount(&update["maxSurge"], replicas, true);
        let mut unavailable = amount(&update["maxUnavailable"], replicas, false);
        if surge == 0 && unavailable == 0 {
            // Both may round to nothing, and then the rollout could never begin.
            unavailable = 1;
        }
        Self { replicas, surge, unavailable: unavailable.min(replicas) }
    }

    /// How many pods the new set may have, while the others have `others`.
    pub(super) fn new_replicas(&self, current: i64, others: i64) -> i64 {
        if current >= self.replicas {
            return self.replicas;
        }
        let room = (self.replicas + self.surge - current - others).max(0);
        (current + room).min(self.replicas)
    }

    /// How many pods each old set should have. Those that are not available go first.
    pub(super) fn old_replicas(&self, new: &Value, old: &[Object]) -> Vec<(Object, i64)> {
        let spec = |set: &Value| set["spec"]["replicas"].as_i64().unwrap_or(0);
        let available = |set: &Value| set["status"]["availableReplicas"].as_i64().unwrap_or(0);
        let total: i64 = old.iter().map(|set| spec(set)).sum::<i64>() + spec(new);
        let least = self.replicas - self.unavailable;
        let new_unavailable = (spec(new) - available(new)).max(0);
        let mut can_go = (total - least - new_unavailable).max(0);
        let mut wanted: Vec<(Object, i64)> = old.iter().map(|set| (set.clone(), spec(set))).collect();
        for (set, replicas) in &mut wanted {
            let unhealthy = (*replicas - available(set)).clamp(0, can_go);
            *replicas -= unhealthy;
            can_go -= unhealthy;
        }
        let all_available: i64 = old.iter().map(|set| available(set)).sum::<i64>() + available(new);
        let mut surplus = (all_available - least).clamp(0, can_go);
        for (_, replicas) in &mut wanted {
            let go = (*replicas).min(surplus);
            *replicas -= go;
            surplus -= go;
        }
        wanted
    }
}

/// A count, or a percentage of `of` rounded up or down.
fn amount(value: &Value, of: i64, up: bool) -> i64 {
    let value = if value.is_null() { &json!("25%") } else { value };
    match value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|text| text.parse::<i64>().ok()) {
        Some(percent) if up => (of * percent + 99) / 100,
        Some(percent) => of * percent / 100,
        None => value.as_i64().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(replicas: i64, surge: Value, unavailable: Value) -> Budget {
        Budget::of(&json!({"spec": {"replicas": replicas, "strategy": {
            "type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
        }}}))
    }

    #[test]
    fn surge_rounds_up_and_unavailable_down() {
        let budget = budget(10, json!("25%"), json!("25%"));
        assert_eq!((budget.surge, budget.unavailable), (3, 2));
    }

    #[test]
    fn a_rollout_without_any_room_may_take_one_down() {
        assert_eq!(budget(2, json!(0), json!("25%")).unavailable, 1);
    }

    #[test]
    fn the_new_set_grows_into_the_surge_only() {
        let budget = budget(4, json!(1), json!(0));
        assert_eq!(budget.new_replicas(0, 4), 1);
        assert_eq!(budget.new_replicas(1, 3), 2);
        assert_eq!(budget.new_replicas(0, 0), 4);
    }

    #[test]
    fn old_pods_go_only_as_new_ones_become_available() {
        let budget = budget(4, json!(1), json!(0));
        let set = |spec: i64, available: i64| {
            std::sync::Arc::new(
                json!({"spec": {"replicas": spec}, "status": {"availableReplicas": available}}),
            )
        };
        assert_eq!(budget.old_replicas(&set(1, 0), &[set(4, 4)])[0].1, 4);
        assert_eq!(budget.old_replicas(&set(1, 1), &[set(4, 4)])[0].1, 3);
    }

    #[test]
    fn unhealthy_old_pods_go_at_once() {
        let budget = budget(2, json!(1), json!(0));
        let set = |spec: i64, available: i64| {
            std::sync::Arc::new(
                json!({"spec": {"replicas": spec}, "status": {"availableReplicas": available}}),
            )
        };
        assert_eq!(budget.old_replicas(&set(1, 1), &[set(2, 0)])[0].1, 1);
    }
}
