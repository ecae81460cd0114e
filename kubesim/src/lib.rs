//! The embedded cluster: a Kubernetes API server, scheduler, controllers and kubelet model in one library.

pub mod clock;
pub mod status;
pub mod store;
