//! Each defect beside the right installer: the same where all is well, and wrong in its own way where
//! its situation is.
#![allow(clippy::unwrap_used)]

mod alike;
mod gates;
mod release;
mod stage;
