//! The cases, an entry each, by what is wrong in them.

mod calls;
mod controller;
mod ends;
mod platform;
mod release;
mod stack;

use crate::case::Case;

/// Every case, in a stable order.
#[must_use]
pub fn all() -> Vec<Case> {
    [platform::cases(), release::cases(), controller::cases(), stack::cases(), calls::cases(), ends::cases()]
        .concat()
}

/// The case of this name.
#[must_use]
pub fn find(name: &str) -> Option<Case> {
    all().into_iter().find(|case| case.name == name)
}
