//! How requests reach the API: in process as a `tower` service, or over TLS on a socket; and
//! how they pass the tap on their way to another server.

mod body;
mod front;
mod identity;
mod issuer;
mod kubeconfig;
mod proxy;
mod server;
mod service;
mod upstream;

pub use body::{Body, Broken};
pub(crate) use front::{Answer, Front, Peer};
pub use identity::{Authenticator, ClusterIdentity, User};
pub use proxy::Proxy;
pub use server::{Error, Server};
pub use service::{ApiConfig, ApiService};
pub use upstream::{ClientCertificate, Upstream};
