//! The embedded cluster: a Kubernetes API server, scheduler, controllers and kubelet model in one library.

pub mod admission;
pub mod clock;
mod codec;
mod discovery;
mod handlers;
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

pub use handlers::{LogRequest, Logs, NoLogs};
