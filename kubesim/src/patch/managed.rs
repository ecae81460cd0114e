//! Who manages which fields.

use serde_json::Value;

use crate::resources::Resource;
use crate::status::Status;

/// Who writes, how and when.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    manager: String,
    apply: bool,
    subresource: String,
    time: String,
}

impl Writer {
    pub(crate) fn update(manager: &str, subresource: &str, time: &str) -> Self {
        Self {
            manager: manager.to_owned(),
            apply: false,
            subresource: subresource.to_owned(),
            time: time.to_owned(),
        }
    }

    pub(crate) fn apply(manager: &str, subresource: &str, time: &str) -> Self {
        Self { apply: true, ..Self::update(manager, subresource, time) }
    }

    pub(crate) fn is_apply(&self) -> bool {
        self.apply
    }
}

pub(crate) fn set(_object: &mut Value, _before: Option<&Value>, _resource: &Resource, _writer: &Writer) {}

pub(crate) fn set_applied(_object: &mut Value, _config: &Value, _resource: &Resource, _writer: &Writer) {}

pub(crate) fn touch(_object: &mut Value, _before: &Value, writer: &Writer) {
    let _ = (&writer.manager, &writer.subresource, &writer.time);
}

pub(crate) fn apply(
    current: &Value,
    config: &Value,
    _resource: &Resource,
    _writer: &Writer,
    _force: bool,
) -> Result<Value, Status> {
    let mut next = current.clone();
    super::merge(&mut next, config);
    Ok(next)
}
