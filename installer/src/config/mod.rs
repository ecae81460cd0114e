//! The configuration file: its shape, what its values must look like, and how it is read.
//!
//! What it says is one of four sources of a setting; [`crate::cli`] puts them in their order: arguments,
//! environment, file, defaults.

mod checked;
mod model;
mod parse;

pub(crate) use checked::{account_rule, chart_version_rule, cluster_rule};
pub use model::{
    ClusterConfig, Config, CoreConfig, KarpenterConfig, NodeGroup, ReleaseConfig, Span, StorageConfig,
    Timeouts, Workload,
};
pub use parse::{ConfigError, load, read};
