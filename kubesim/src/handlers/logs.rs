//! Where container logs come from: the kubelet model, behind a trait.

use super::info::Query;
use crate::status::Status;

/// What of a log is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// Container; `None` when the client named none and the pod has one.
    pub container: Option<String>,
    /// The terminated instance before the current one.
    pub previous: bool,
    /// No more than this many lines from the end.
    pub tail: Option<usize>,
    /// Nothing older than this.
    pub since: Option<std::time::Duration>,
    /// Whether each line begins with its RFC 3339 time.
    pub timestamps: bool,
    /// No more than this many bytes.
    pub limit_bytes: Option<usize>,
}

impl LogRequest {
    /// From the query of a request, in which the API and a kubelet have the same names.
    pub(crate) fn parse(container: Option<String>, query: &Query) -> Self {
        let number = |key| query.number(key).and_then(|n| usize::try_from(n).ok());
        Self {
            container,
            previous: query.is_true("previous"),
            tail: number("tailLines"),
            since: query.number("sinceSeconds").map(std::time::Duration::from_secs),
            timestamps: query.is_true("timestamps"),
            limit_bytes: number("limitBytes"),
        }
    }
}

/// A source of container logs.
pub trait Logs: Send + Sync + 'static {
    /// The log's text, each line ended by a newline.
    ///
    /// # Errors
    /// The `Status` that a kubelet behind an API server gives, such as 400 `container "x" in pod "y" is
    /// waiting to start: ContainerCreating`.
    fn log(&self, namespace: &str, pod: &str, request: &LogRequest) -> Result<String, Status>;
}

/// A cluster whose containers never wrote a word.
pub struct NoLogs;

impl Logs for NoLogs {
    fn log(&self, _: &str, _: &str, _: &LogRequest) -> Result<String, Status> {
        Ok(String::new())
    }
}
