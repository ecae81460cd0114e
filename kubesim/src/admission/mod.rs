//! What happens to an object between the request and the store: authorization, defaulting, validation,
//! allocation.

mod authorize;

pub(crate) use authorize::{Attributes, allowed, authorize, rules_for};

use serde_json::Value;

use crate::handlers::{Call, Core};
use crate::resources::Resource;
use crate::status::Status;

/// Unknown fields, as `fieldValidation` has them treated.
pub(crate) fn check_fields(_: &mut Call, _: &Resource, _: &mut Value) -> Result<(), Status> {
    Ok(())
}

/// Defaults and validates a new object.
pub(crate) fn on_create(_: &Core, _: &mut Call, _: &Resource, _: &mut Value) -> Result<(), Status> {
    Ok(())
}

/// Defaults and validates the next state of an object.
pub(crate) fn on_update(
    _: &Core,
    _: &mut Call,
    _: &Resource,
    _part: Option<&str>,
    _current: &Value,
    _next: &mut Value,
) -> Result<(), Status> {
    Ok(())
}

/// Refuses to delete what may not be.
pub(crate) fn on_delete(_: &Core, _: &Resource, _: &Value) -> Result<(), Status> {
    Ok(())
}
