//! Requests that the tap breaks.

use kubesim::tap::{Action, Rule, RuleId, When};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Done, Fault, Ground};
use crate::backend::{Capability, Cluster, ClusterError};
use crate::duration::Span;

/// Breaks requests to the API server, keyed by verb, resource, name and how many like it came before.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Api {
    /// A name to heal it by; `api` when not given.
    label: Option<String>,
    /// API verbs; all when not given.
    #[serde(default)]
    verbs: Vec<String>,
    /// Plural resources, or `plural/subresource`; all when not given.
    #[serde(default)]
    resources: Vec<String>,
    /// Object names; all when not given.
    #[serde(default)]
    names: Vec<String>,
    /// How many matching requests pass first.
    #[serde(default)]
    skip: u32,
    /// How many are broken after that; every one when not given.
    times: Option<u32>,
    /// Whether the cluster has carried the request out when it breaks.
    #[serde(default)]
    when: Moment,
    /// What happens to them.
    action: Break,
    #[serde(skip)]
    rule: Option<RuleId>,
}

/// Before or after the cluster has done it.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Moment {
    /// The cluster never sees the request.
    #[default]
    Before,
    /// The cluster has done it, and only the answer is lost: the ambiguous write.
    AfterCommit,
}

/// What happens to a request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "BrokenRequest")]
enum Break {
    /// Answers with a `Status` of its own.
    Respond(Respond),
    /// Breaks the connection without an answer.
    Reset,
    /// Never answers.
    Hang,
    /// Answers this much later.
    Slow(Span),
    /// Sends half of the answer and breaks the connection.
    Truncate,
    /// Answers a list as the cluster was when this fault was injected, as an API server does whose cache has fallen
    /// behind. Other requests are left alone.
    StaleList,
    /// Passes on some events of a watch, then breaks the connection. Other requests are left alone.
    DropWatch(DropWatch),
    /// Passes on every event of a watch this much later. Other requests are left alone.
    LateWatch(Span),
    /// Says that the resource version is too old: 410 to a list, and to a watch an `ERROR` event first.
    Expire,
}

/// A watch that breaks.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DropWatch {
    /// How many events come through.
    #[serde(default)]
    events: u32,
}

/// An error answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Respond {
    /// HTTP status.
    status: u16,
    /// `Retry-After`, in seconds.
    retry_after: Option<u32>,
    /// Message; the real server's usual one when not given.
    message: Option<String>,
}

/// Reason and message of the real API server for a status.
fn usual(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => ("BadRequest", "the request was malformed"),
        401 => ("Unauthorized", "Unauthorized"),
        403 => ("Forbidden", "forbidden"),
        404 => ("NotFound", "the server could not find the requested resource"),
        409 => (
            "Conflict",
            "the object has been modified; please apply your changes to the latest version and try again",
        ),
        422 => ("Invalid", "the request is invalid"),
        429 => (
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later",
        ),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => (
            "Timeout",
            "the server was unable to return a response in the time allotted, but may still be processing the request",
        ),
        _ => (
            "InternalError",
            "an error on the server (\"unknown\") has prevented the request from succeeding",
        ),
    }
}

/// The version of the cluster as it is.
async fn newest(cluster: &dyn Cluster) -> Result<String, ClusterError> {
    let failed =
        |error: &dyn std::fmt::Display| ClusterError::new(format!("read the newest version: {error}"));
    let request =
        http::Request::get("/api/v1/namespaces?limit=1").body(Vec::new()).map_err(|e| failed(&e))?;
    let list: serde_json::Value = cluster.admin().request(request).await.map_err(|e| failed(&e))?;
    let version = list["metadata"]["resourceVersion"].as_str();
    version.map(str::to_owned).ok_or_else(|| failed(&"the list has none"))
}

impl Api {
    async fn rule(&self, cluster: &dyn Cluster, pace: u32) -> Result<Rule, ClusterError> {
        let action = match &self.action {
            Break::Respond(respond) => {
                let (reason, message) = usual(respond.status);
                Action::Respond {
                    code: respond.status,
                    reason: reason.to_owned(),
                    message: respond.message.clone().unwrap_or_else(|| message.to_owned()),
                    retry_after: respond.retry_after,
                }
            }
            Break::Reset => Action::Reset,
            Break::Hang => Action::Hang,
            Break::Slow(span) => Action::Delay(span.times(pace).0),
            Break::Truncate => Action::Truncate,
            Break::StaleList => Action::StaleList { revision: newest(cluster).await? },
            Break::DropWatch(dropped) => Action::DropWatch { events: dropped.events },
            Break::LateWatch(late) => Action::LateWatch(late.times(pace).0),
            Break::Expire => Action::Expire,
        };
        Ok(Rule {
            verbs: self.verbs.clone(),
            resources: self.resources.clone(),
            names: self.names.clone(),
            skip: self.skip,
            times: self.times,
            when: match self.when {
                Moment::Before => When::Before,
                Moment::AfterCommit => When::AfterCommit,
            },
            ..Rule::new(self.label.as_deref().unwrap_or("api"), action)
        })
    }
}

impl Fault for Api {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Tap]
    }

    fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    fn inject<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            let tap =
                ground.cluster.tap().ok_or_else(|| ClusterError::new("break requests: there is no tap"))?;
            self.rule = Some(tap.add(self.rule(ground.cluster, ground.pace).await?));
            Ok(())
        })
    }

    fn heal<'f>(&'f mut self, ground: Ground<'f>) -> Done<'f> {
        Box::pin(async move {
            if let (Some(rule), Some(tap)) = (self.rule.take(), ground.cluster.tap()) {
                tap.remove(rule);
            }
            Ok(())
        })
    }
}
