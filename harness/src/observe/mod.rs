//! What was seen: the installer's process, the requests, the tool calls, the cluster's state.

mod observation;
mod snapshot;

pub use observation::{Ending, Observation, Output, ResultDocument};
pub use snapshot::{Release, Snapshot};
