//! The embedded cluster through its API, and beside a real one.

mod cluster;
mod in_process;
mod likeness;
mod proxy;
mod remote_kubelets;
mod support;
mod tap;
mod volumes;
