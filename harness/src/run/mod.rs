//! Running scenarios: their clusters, their subjects, their steps.

mod attempt;
pub mod children;
mod environment;
mod installer;
mod judge;
mod scenario;
mod standing;
mod stop;
mod subject;
mod suite;
mod tools;

pub use installer::{Installer, InstallerError};
pub use standing::Standing;
pub use stop::Stop;
pub use suite::{Outcome, Suite, SuiteError};
pub use tools::{ToolChoice, Tools};
