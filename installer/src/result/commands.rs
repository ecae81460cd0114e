//! What the commands besides `install` and `status` found and did.

use schemars::JsonSchema;
use serde::Serialize;

/// What `preflight` looked at.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Preflight {
    /// Every check, in the order in which they were made.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Check {
    /// What was checked, such as `helm` or `permissions`.
    pub name: String,
    /// What came of it.
    pub verdict: CheckVerdict,
    /// What was seen.
    pub detail: String,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckVerdict {
    /// It is as it should be.
    Passed,
    /// It is not.
    Failed,
    /// It could not be found out.
    Unknown,
    /// There was nothing to find out, or nobody may ask.
    Skipped,
}

/// What `cleanup` took down and left.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Cleanup {
    /// What is gone, in the order in which it went.
    pub removed: Vec<String>,
    /// What was left where it is, and why.
    pub left: Vec<LeftBehind>,
}

/// Something that `cleanup` did not touch.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LeftBehind {
    /// What it is.
    pub what: String,
    /// Why it was left.
    pub why: String,
}
