//! Strategic merge patch: lists of the built-in kinds merge by their keys.

use serde_json::{Map, Value};

use crate::schema::Node;

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";

/// Merges `patch` into `target`.
pub(super) fn merge(target: &mut Value, patch: &Value, node: Node<'_>) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => {
            *target = without_directives(&Value::Object(patch.clone()));
            return;
        }
        Some("delete") => {
            *target = Value::Null;
            return;
        }
        _ => {}
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    if let Some(retained) = patch.get(RETAIN).and_then(Value::as_array) {
        fields.retain(|key, _| retained.iter().any(|kept| kept == key));
    }
    for (key, value) in patch {
        if key == DIRECTIVE || key == RETAIN || key.starts_with(ORDER) {
            continue;
        }
        if let Some(list) = key.strip_prefix(DELETE) {
            if let (Some(list), Some(gone)) =
                (fields.get_mut(list).and_then(Value::as_array_mut), value.as_array())
            {
                list.retain(|item| !gone.contains(item));
            }
            continue;
        }
        let child = node.field(key);
        match value {
            Value::Null => {
                fields.remove(key);
            }
            Value::Object(_) => {
                let place = fields.entry(key.clone()).or_insert(Value::Null);
                merge(place, value, child);
                if place.is_null() {
                    fields.remove(key);
                }
            }
            Value::Array(items) if child.merge_field().is_some_and(|field| field.merges) => {
                let merge_key = child.merge_field().and_then(|field| field.merge_key);
                let place = fields.entry(key.clone()).or_insert_with(|| Value::Array(Vec::new()));
                if !place.is_array() {
                    *place = Value::Array(Vec::new());
                }
                if let Some(list) = place.as_array_mut() {
                    match merge_key {
                        Some(merge_key) => merge_list(list, items, merge_key, child.item()),
                        None => union(list, items),
                    }
                }
            }
            value => {
                fields.insert(key.clone(), without_directives(value));
            }
        }
    }
    for (key, order) in patch {
        if let (Some(list), Some(order)) = (key.strip_prefix(ORDER), order.as_array()) {
            let merge_key = node.field(list).merge_field().and_then(|field| field.merge_key);
            if let Some(items) = fields.get_mut(list).and_then(Value::as_array_mut) {
                reorder(items, order, merge_key);
            }
        }
    }
}

fn merge_list(list: &mut Vec<Value>, patch: &[Value], merge_key: &str, item: Node<'_>) {
    if patch.iter().any(|entry| entry[DIRECTIVE] == "replace") {
        *list = patch.iter().filter(|entry| entry[DIRECTIVE] != "replace").map(without_directives).collect();
        return;
    }
    for entry in patch {
        let same = |found: &Value| found[merge_key] == entry[merge_key];
        if entry[DIRECTIVE] == "delete" {
            list.retain(|found| !same(found));
        } else if let Some(found) = list.iter_mut().find(|found| same(found)) {
            merge(found, entry, item);
        } else {
            let mut added = Value::Null;
            merge(&mut added, entry, item);
            list.push(added);
        }
    }
}

fn union(list: &mut Vec<Value>, patch: &[Value]) {
    for item in patch {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

/// Puts the items that `order` names into its order; the others stay behind whom they followed.
fn reorder(items: &mut Vec<Value>, order: &[Value], merge_key: Option<&str>) {
    let identity = |item: &Value| merge_key.map_or_else(|| item.clone(), |key| item[key].clone());
    let place = |item: &Value| {
        let wanted = identity(item);
        order.iter().position(|entry| merge_key.map_or_else(|| *entry == wanted, |key| entry[key] == wanted))
    };
    let mut ordered: Vec<(usize, Value)> = Vec::new();
    let mut others: Vec<(Option<Value>, Value)> = Vec::new();
    let mut previous = None;
    for item in items.drain(..) {
        let me = identity(&item);
        match place(&item) {
            Some(index) => ordered.push((index, item)),
            None => others.push((previous, item)),
        }
        previous = Some(me);
    }
    ordered.sort_by_key(|(index, _)| *index);
    items.extend(ordered.into_iter().map(|(_, item)| item));
    for (after, item) in others {
        let at = after.and_then(|after| items.iter().position(|found| identity(found) == after));
        items.insert(at.map_or(0, |at| at + 1), item);
    }
}

fn without_directives(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(key, value)| !key.starts_with('$') && !value.is_null())
                .map(|(key, value)| (key.clone(), without_directives(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_directives).collect()),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn patched(kind: &str, target: Value, patch: &Value) -> Value {
        let group = if kind == "Deployment" { "apps" } else { "" };
        let node = Node::Root(crate::schema::of_kind(group, "v1", kind).unwrap());
        let mut target = target;
        merge(&mut target, patch, node);
        target
    }

    #[test]
    fn containers_merge_by_name_and_tolerations_are_replaced() {
        let pod = json!({"spec": {
            "containers": [{"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]}, {"name": "b", "image": "b:1"}],
            "tolerations": [{"key": "old"}],
        }});
        let patch = json!({"spec": {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
            "containers": [{"name": "a", "image": "a:2", "env": [{"name": "Y", "value": "2"}]}],
            "tolerations": [{"key": "new"}],
        }});
        assert_eq!(
            patched("Pod", pod, &patch)["spec"],
            json!({
                "containers": [
                    {"name": "b", "image": "b:1"},
                    {"name": "a", "image": "a:2", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]},
                ],
                "tolerations": [{"key": "new"}],
            })
        );
    }

    #[test]
    fn directives_delete_replace_and_retain() {
        let deployment = json!({"spec": {
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
            "template": {"spec": {"containers": [{"name": "a"}, {"name": "b"}], "volumes": [{"name": "v"}]}},
        }});
        let patch = json!({"spec": {
            "strategy": {"$retainKeys": ["type"], "type": "Recreate"},
            "template": {"spec": {
                "containers": [{"name": "b", "$patch": "delete"}],
                "volumes": [{"$patch": "replace"}, {"name": "w"}],
            }},
        }});
        assert_eq!(
            patched("Deployment", deployment, &patch)["spec"],
            json!({
                "strategy": {"type": "Recreate"},
                "template": {"spec": {"containers": [{"name": "a"}], "volumes": [{"name": "w"}]}},
            })
        );
    }

    #[test]
    fn finalizers_are_a_list_of_words_that_merges() {
        let map = json!({"metadata": {"finalizers": ["a", "b"]}});
        let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}});
        assert_eq!(patched("ConfigMap", map, &patch), json!({"metadata": {"finalizers": ["b", "c"]}}));
    }
}
