//! Scenario files: what they say, how they are read, and the catalogue that they form.

mod catalogue;
mod matcher;
mod model;
mod overlay;
mod parse;
mod place;
mod reference;
mod spread;

pub use catalogue::{Catalogue, CatalogueError, Found};
pub use matcher::{Matcher, Mismatched, at_path};
pub use model::{
    ClusterShape, Control, EksShape, Expect, ExpectBlocker, ExpectCall, ExpectNext, ExpectObject,
    ExpectRelease, ExpectRequest, ExpectRequests, ExpectTool, Force, Kill, RequestPattern, RunStep, Scenario,
    Signal, Step, StepKind, Subcommand, Timeouts, ToolPattern, Wait,
};
pub(crate) use parse::minor;
pub use parse::{ScenarioError, parse};
pub use place::Placed;
pub use reference::reference;
pub use spread::spread;

/// The JSON Schema of a scenario file.
#[must_use]
pub fn schema() -> serde_json::Value {
    serde_json::to_value(schemars::schema_for!(Scenario)).unwrap_or_default()
}
