//! The installer and an embedded cluster in one process, on a paused clock.
//!
//! A [`Case`] is data: a [`Scene`] (the cluster as the installer finds it) and its [`Run`]s, each with a
//! schedule of [faults](fault::Scheduled) and the [verdict](Expected) that the contract asks for. [`sail`]
//! plays it: the installer's three seams lead to [`kubesim`], to the stand-ins of [`interpose`] and to
//! tokio's clock, which is paused, so that a ten-minute timeout is over as soon as nothing else is left to
//! do. What happened comes back as a [`Report`], one ordered stream of lines. The same case and seed give
//! the same bytes, in another process too.
//!
//! Real processes and virtual time never mix: the runtime is built without I/O, so that a child process or
//! a socket is an error and not a timeout that fires at once.

mod case;
pub mod cases;
pub mod fault;
pub mod journal;
mod judge;
mod report;
mod scene;
mod schedule;
mod state;
pub mod tools;
mod trial;

pub use case::{Case, Ending, Expected, Interruption, Run};
pub use judge::{Mismatch, judge};
pub use report::{Report, RunEnd};
pub use scene::{Leftover, Scene};
pub use state::{ClusterState, Controller, Revision};
pub use trial::{Error, Trial, sail};
