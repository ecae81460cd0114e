//! The embedded cluster: a Kubernetes API server, scheduler, controllers and kubelet model in one library.

pub mod admission;
pub mod bootstrap;
pub mod clock;
mod cluster;
mod codec;
mod controllers;
mod discovery;
mod handlers;
pub mod kubelet;
mod patch;
pub mod resources;
pub mod scheduler;
mod schema;
pub mod selector;
pub mod status;
pub mod store;
mod table;
pub mod tap;
pub mod transport;

pub use cluster::{Cluster, Config, Error};
pub use handlers::{LogRequest, Logs, NoLogs};
