//! How requests reach the API: in process as a `tower` service, or over TLS on a socket.

mod body;
mod identity;
mod issuer;
mod kubeconfig;
mod server;
mod service;

pub use body::{Body, Broken};
pub use identity::{Authenticator, ClusterIdentity, User};
pub use server::{Error, Server};
pub use service::{ApiConfig, ApiService};
