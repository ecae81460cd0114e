//! Measurements: of the embedded cluster, of scenarios, of the installer's calls. Each takes samples and says what
//! the goal is; what is made of them is the caller's affair.

mod control_plane;
mod cost;
mod figure;
mod room;
mod scale;
mod scenarios;
mod start;
mod throughput;

pub use control_plane::control_plane;
pub use figure::{Figure, Unit};
pub use room::BenchError;
pub use scale::scale;
pub use scenarios::{Trials, matrix, no_op, one_scenario};
pub use start::start;
pub use throughput::throughput;
