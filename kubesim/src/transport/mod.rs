//! How requests reach the API: in process as a `tower` service, or over TLS on a socket; and
//! how they pass the tap on their way to another server.

mod body;
mod front;
mod identity;
mod issuer;
mod kubeconfig;
mod listener;
mod proxy;
mod server;
mod service;
mod upstream;

pub use body::{Body, Broken};
pub(crate) use front::{Answer, Front, Peer};
pub use identity::{Authenticator, ClusterIdentity, User};
pub(crate) use issuer::Authority;
pub(crate) use listener::{Credentials, Listener};
pub use proxy::Proxy;
pub use server::{Error, Server};
pub use service::{ApiConfig, ApiService};
pub use upstream::{ClientCertificate, Upstream};
