//! What is wrong with an object, in the words of the real server's field errors.

use serde_json::{Value, json};

use crate::status::Status;

#[derive(Clone, Debug)]
struct Cause {
    reason: &'static str,
    field: String,
    /// What follows the field.
    text: String,
}

/// Everything that is wrong with one object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Causes(Vec<Cause>);

impl Causes {
    fn push(&mut self, reason: &'static str, field: impl Into<String>, text: String) {
        self.0.push(Cause { reason, field: field.into(), text });
    }

    pub(crate) fn required(&mut self, field: impl Into<String>, detail: &str) {
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        self.push("FieldValueRequired", field, format!("Required value{detail}"));
    }

    pub(crate) fn invalid(&mut self, field: impl Into<String>, value: &Value, detail: &str) {
        self.push("FieldValueInvalid", field, format!("Invalid value: {value}: {detail}"));
    }

    /// A port number; nothing is wrong where there is no number.
    pub(crate) fn port(&mut self, field: impl Into<String>, value: &Value) {
        if value.as_i64().is_some_and(|number| !(1..=65_535).contains(&number)) {
            self.invalid(field, value, "must be between 1 and 65535, inclusive");
        }
    }

    pub(crate) fn type_invalid(&mut self, field: impl Into<String>, value: &str, detail: &str) {
        self.push("FieldValueTypeInvalid", field, format!("Invalid value: \"{value}\": {detail}"));
    }

    pub(crate) fn forbidden(&mut self, field: impl Into<String>, detail: &str) {
        self.push("FieldValueForbidden", field, format!("Forbidden: {detail}"));
    }

    pub(crate) fn unsupported(&mut self, field: impl Into<String>, value: &Value, supported: &[&str]) {
        let supported: Vec<String> = supported.iter().map(|value| format!("\"{value}\"")).collect();
        self.push(
            "FieldValueNotSupported",
            field,
            format!("Unsupported value: {value}: supported values: {}", supported.join(", ")),
        );
    }

    pub(crate) fn push_too_long(&mut self, field: &str, bytes: usize) {
        let field = if field.is_empty() { "[]" } else { field };
        self.push("FieldValueTooLong", field, format!("Too long: may not be more than {bytes} bytes"));
    }

    pub(crate) fn too_long(&mut self, field: impl Into<String>, bytes: u64) {
        let unit = if bytes == 1 { "byte" } else { "bytes" };
        self.push("FieldValueTooLong", field, format!("Too long: may not be more than {bytes} {unit}"));
    }

    pub(crate) fn too_many(&mut self, field: impl Into<String>, found: usize, most: u64) {
        let unit = if most == 1 { "item" } else { "items" };
        self.push("FieldValueTooMany", field, format!("Too many: {found}: must have at most {most} {unit}"));
    }

    pub(crate) fn duplicate(&mut self, field: impl Into<String>, value: &Value) {
        self.push("FieldValueDuplicate", field, format!("Duplicate value: {value}"));
    }

    pub(crate) fn not_found(&mut self, field: impl Into<String>, value: &Value) {
        self.push("FieldValueNotFound", field, format!("Not found: {value}"));
    }

    /// `Ok` when nothing is wrong, else the 422 that says all of it.
    pub(crate) fn finish(self, group: &str, kind: &str, name: &str) -> Result<(), Status> {
        if self.0.is_empty() {
            return Ok(());
        }
        let texts: Vec<String> =
            self.0.iter().map(|cause| format!("{}: {}", cause.field, cause.text)).collect();
        let text = match texts.as_slice() {
            [one] => one.clone(),
            all => format!("[{}]", all.join(", ")),
        };
        let mut status = Status::invalid(group, kind, name, &text);
        let causes: Vec<Value> = self
            .0
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.text, "field": cause.field}))
            .collect();
        let details = status.details.get_or_insert_with(|| json!({}));
        details["causes"] = json!(causes);
        Err(status)
    }
}
