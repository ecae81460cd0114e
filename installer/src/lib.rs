//! The built-in installer: it makes an EKS cluster ready and puts Karpenter on it, phase by phase.
//!
//! The library reaches the world through seams only ([`seams`]): a way to a Kubernetes API
//! ([`seams::Connect`], which hands out a [`kube::Client`]), a runner of external tools
//! ([`seams::ToolRunner`]) and a clock ([`seams::Clock`]). Environment variables and files are read at
//! the edge, in [`cli`], and nowhere else; so the whole installer runs in one process, on a paused
//! clock, against whatever a caller puts behind the seams.
//!
//! What a run found and did is an [`Outcome`]: a [`result::RunResult`] and the exit code that goes with it.
//! Status, next step and exit code are derived from the blockers in one place ([`result::derive`]), so
//! that they cannot disagree.

pub mod aws;
pub mod cleanup;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod context;
pub mod diagnosis;
pub mod duration;
pub mod follow;
pub mod helm;
pub mod identity;
pub mod install;
pub mod log;
pub mod metrics;
pub mod phases;
pub mod platform;
pub mod preflight;
pub mod redact;
pub(crate) mod release;
pub mod result;
pub mod retry;
pub mod seams;
mod server_clock;
pub mod settings;
pub mod stop;

pub use context::Context;
pub use install::{Scope, install, status};
pub use result::Outcome;
pub use settings::Settings;
