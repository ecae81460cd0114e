//! Differential conformance: the same requests to the embedded cluster and to a real API server, and the
//! answers compared.
//!
//! Sequences of requests are generated ([`generate`]). Answers are compared after what differs by nature is
//! taken out ([`normal`]): uids, resource versions, times, generated names. A difference is either known, with a
//! reason, in `known.yaml` ([`known`]), or new, and then it is shrunk to the shortest sequence that shows it
//! and kept as a file to replay ([`replay`]).
//!
//! Besides, scripts of unmodified tools are run against both ([`session`]), and both schedulers are given the same
//! nodes and pods ([`scheduling`]).
//!
//! The reference is any kube endpoint whose content may be changed at will.

mod by_kube;
pub mod compare;
mod differ;
mod exchanges;
pub mod generate;
mod kinds;
pub mod known;
pub mod normal;
pub mod operation;
pub mod record;
pub mod replay;
pub mod report;
pub mod scheduling;
pub mod session;
pub mod side;

pub use kubesim::kubelet::Nodes;

pub use differ::{Options, Planted, play, run};

/// Why the two could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The embedded cluster did not start.
    #[error("failed to start the embedded cluster: {0}")]
    Embedded(String),
    /// The reference does not answer.
    #[error("failed to ask the reference: {0}; is its kubeconfig right, and is it up?")]
    Reference(String),
    /// A file of ours is wrong.
    #[error("failed to read {path}: {why}")]
    File {
        /// Which.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something could not be written.
    #[error("failed to write {path}: {source}")]
    Write {
        /// Where.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}
