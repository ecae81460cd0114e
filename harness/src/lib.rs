//! The harness: it gives an installer a cluster, breaks the cluster in a stated way, runs the installer, and
//! judges what the installer says against what the cluster says.
//!
//! It knows of an installer only what any process shows: output, exit code, the requests that the tap saw,
//! the tool calls that the interposers saw, and the state of the cluster.

pub mod backend;
pub mod bench;
pub mod duration;
pub mod event;
pub mod expect;
pub mod fault;
pub mod ledger;
mod names;
pub mod observe;
pub mod parity;
pub mod report;
pub mod run;
pub mod scenario;
pub mod verdict;

pub use names::nearest;
