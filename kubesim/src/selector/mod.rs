//! Label and field selectors, as text and as objects.

mod fields;
mod labels;
mod query;

pub use fields::FieldSelector;
pub use labels::LabelSelector;
