//! Events as the real components write them, one object for a repeated event with its count going up.

use serde_json::{Value, json};

use crate::store::{GroupResource, Meta, Store};

/// Writes events.
pub(crate) struct Recorder {
    store: Store,
    /// Whether it writes nothing.
    pub(super) silent: bool,
}

/// One event to be written.
pub(crate) struct Note<'a> {
    /// The component, e.g. `deployment-controller`.
    pub(crate) component: &'a str,
    /// The node that it speaks from; empty for those of the control plane.
    pub(crate) host: &'a str,
    /// `Normal` or `Warning`.
    pub(crate) kind: &'a str,
    /// CamelCase reason.
    pub(crate) reason: &'a str,
    /// The text.
    pub(crate) message: &'a str,
    /// `spec.containers{name}` when it is about a container; else empty.
    pub(crate) field_path: &'a str,
}

impl<'a> Note<'a> {
    /// A `Normal` event of a component of the control plane.
    pub(crate) fn normal(component: &'a str, reason: &'a str, message: &'a str) -> Self {
        Self { component, host: "", kind: "Normal", reason, message, field_path: "" }
    }

    /// A `Warning` event of a component of the control plane.
    pub(crate) fn warning(component: &'a str, reason: &'a str, message: &'a str) -> Self {
        Self { kind: "Warning", ..Self::normal(component, reason, message) }
    }
}

fn events() -> GroupResource {
    GroupResource::new("", "events")
}

impl Recorder {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, silent: false }
    }

    /// Writes an event about `object`, or counts up the one that says the same.
    pub(crate) fn note(&mut self, object: &Value, note: &Note<'_>) {
        if self.silent {
            return;
        }
        let now = self.store.clock().rfc3339();
        let (namespace, name) = place(object, &[note.reason, note.message, note.field_path, note.component]);
        let counted = self.store.update(&events(), &namespace, &name, |event| {
            event["count"] = json!(event["count"].as_i64().unwrap_or(1) + 1);
            event["lastTimestamp"] = json!(now);
            Ok(())
        });
        if counted.is_ok() {
            return;
        }
        let mut source = json!({"component": note.component});
        if !note.host.is_empty() {
            source["host"] = json!(note.host);
        }
        let mut involved = reference(object);
        if !note.field_path.is_empty() {
            involved["fieldPath"] = json!(note.field_path);
        }
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
            "involvedObject": involved, "reason": note.reason, "message": note.message, "type": note.kind,
            "source": source, "firstTimestamp": now, "lastTimestamp": now, "count": 1, "eventTime": null,
            "reportingComponent": note.component, "reportingInstance": note.host,
        });
        // A namespace that is going takes its events with it.
        let _ = self.store.create(&events(), event);
    }

    /// Writes an event of the `events.k8s.io` recorder, which the scheduler uses: times in `eventTime`
    /// and `series`, the component in `reportingComponent`.
    pub(crate) fn note_series(&mut self, object: &Value, action: &str, note: &Note<'_>) {
        if self.silent {
            return;
        }
        let now = self.store.clock().rfc3339_micro();
        let (namespace, name) = place(object, &[note.reason, note.message, action, note.component]);
        let counted = self.store.update(&events(), &namespace, &name, |event| {
            let count = event["series"]["count"].as_i64().unwrap_or(1) + 1;
            event["series"] = json!({"count": count, "lastObservedTime": now});
            Ok(())
        });
        if counted.is_ok() {
            return;
        }
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
            "involvedObject": reference(object), "reason": note.reason, "message": note.message,
            "type": note.kind, "source": {}, "firstTimestamp": null, "lastTimestamp": null,
            "eventTime": now, "action": action, "reportingComponent": note.component,
            "reportingInstance": format!("{}-0", note.component),
        });
        let _ = self.store.create(&events(), event);
    }
}

fn reference(object: &Value) -> Value {
    let mut reference = json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"], "name": object.name(), "uid": object.uid(),
    });
    if !object.namespace().is_empty() {
        reference["namespace"] = json!(object.namespace());
        reference["resourceVersion"] = json!(object.resource_version());
    }
    reference
}

/// Namespace and name of an event: the object's name and sixteen hexadecimal digits that hang on what is
/// said of it, so that the same seed gives the same names.
fn place(object: &Value, said: &[&str]) -> (String, String) {
    let namespace = Some(object.namespace()).filter(|ns| !ns.is_empty()).unwrap_or("default");
    // FNV-1a, 64 bits.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in [object.uid(), object["kind"].as_str().unwrap_or_default()].iter().chain(said) {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    (namespace.to_owned(), format!("{}.{hash:016x}", object.name()))
}
