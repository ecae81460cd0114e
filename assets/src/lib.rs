//! Real Kubernetes executables: found where somebody has put them, else built from their published modules.
//!
//! A control plane is kube-apiserver, kube-controller-manager, kube-scheduler and etcd; beside it stand the
//! clients kubectl, Helm and kind. Each is looked for in `KUBEBUILDER_ASSETS` (the ecosystem's convention), on
//! `PATH` and in our cache, in this order; see [`provide`]. What is nowhere is built by Go from a module that
//! this crate carries (see `tools/`), and kept in the cache under its version and the hash of its `go.sum`.

mod build;
mod cache;
mod error;
mod go;
mod pins;
mod places;
mod probe;
mod provide;
mod tool;

pub use error::{Error, Unusable};
pub use pins::{Minor, minors};
pub use places::{ASSETS_VARIABLE, CACHE_VARIABLE, Places, cache_folder};
pub use provide::{Found, Origin, Progress, Wanted, find, provide};
pub use tool::Tool;
