//! Telemetry as OpenMetrics text, for a textfile collector.
//!
//! What happened in a run is counted on top of what the file says of the runs before, so that rates over time
//! can be taken; how the last run ended is a gauge. Nothing is decided by the file: one that is not there, or
//! that is not ours, starts the counters anew, which is what a reset of a counter is for.

mod families;
mod file;
mod text;

pub use families::{Last, families};
pub use file::{MetricsError, write};
pub use text::{Family, Kind, Sample, carried, render};

#[cfg(test)]
mod strict;
#[cfg(test)]
mod tests;
