//! Helm, as the installer uses it: what it is asked, and what its answers mean.

mod command;
mod release;
mod said;

pub use command::{Chart, Helm, HelmError, said_last};
pub use release::{Listed, Release, ReleaseStatus, Revision};
pub use said::{Said, classify};
