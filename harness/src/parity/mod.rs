//! Whether two backends give the same scenario the same course: what was seen on each, and where they differ.
//!
//! An embedded cluster is worth what its likeness is worth. So a scenario that is run on two backends is compared
//! in all that an installer says and does and in what the cluster makes of it; times, addresses, and the parts of
//! names that are drawn at random aside.

mod compare;
mod trace;
mod words;

pub use compare::{Difference, Parity, Side};
pub use trace::{Course, Told, Trace, events, warnings};
