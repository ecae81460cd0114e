//! A real control plane as a backend: etcd, kube-apiserver, kube-controller-manager and kube-scheduler as processes
//! of this machine, without containers and without root.

mod blueprint;
mod clients;
mod cluster;
mod components;
mod content;
mod driver;
mod estate;
mod etcd;
mod measure;
mod pki;
mod plane;
mod pool;
mod prepared;
mod processes;
mod provider;
mod ready;
mod relay;
mod restore;
mod settle;
#[cfg(test)]
mod tests;

pub(crate) use measure::Workshop;
pub use provider::ControlPlane;
pub(super) use provider::NAME;
