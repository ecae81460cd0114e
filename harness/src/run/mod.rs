//! Running scenarios: their clusters, their subjects, their steps.

mod attempt;
pub mod children;
mod environment;
mod installer;
mod judge;
mod kill;
mod scenario;
mod standing;
mod stop;
mod subject;
mod suite;
mod sweep;
mod tools;
mod wait;

pub use installer::{Installer, InstallerError};
pub use kill::KillPoint;
pub use standing::Standing;
pub use stop::Stop;
pub use suite::{Keep, Outcome, Suite, SuiteError};
pub use tools::{ToolChoice, Tools};
