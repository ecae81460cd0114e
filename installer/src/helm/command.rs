//! The Helm calls that the installer makes.
//!
//! Reads are retried by the run's policy. Writes are made once each: what follows a failed write is for
//! the phase to decide, after it has read the release again.

use std::time::Duration;

use serde_json::Value;

use super::release::{Listed, Release, Revision};
use super::said::{Said, classify};
use crate::context::{Run, last_lines};
use crate::duration;
use crate::result::{Blocker, Code};
use crate::retry::{Retryable, Target};
use crate::seams::{Connection, ToolError, ToolOutput};
use crate::settings::Values;

/// A release, and the chart that it is made from.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// Name of the release.
    pub release: String,
    /// Chart reference.
    pub reference: String,
    /// Chart version, without a `v`; the newest when absent.
    pub version: Option<String>,
    /// Namespace of the release.
    pub namespace: String,
    /// Values of the user's own.
    pub values: Values,
    /// Values that go before all others, each `name=value`, passed on as `--set`.
    pub needed: Vec<String>,
    /// More values, each `name=value`, passed on as `--set` after all others.
    pub set: Vec<String>,
    /// Whether objects that belong to no release are taken into this one. Helm has it since 3.17.
    pub adopt: bool,
}

/// Helm for one release of one cluster.
pub struct Helm<'a> {
    run: &'a Run<'a>,
    /// The release and its chart.
    pub chart: Chart,
    /// Namespace of the release.
    pub namespace: String,
    cluster_flags: Vec<String>,
}

/// Why Helm could not say something.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HelmError {
    /// Helm did not run to its end.
    #[error("{0}")]
    Tool(ToolError),
    /// Helm ended with an error.
    #[error("helm {what} failed: {lines}")]
    Refused {
        /// The subcommand.
        what: String,
        /// What its words mean.
        said: Said,
        /// Its last lines.
        lines: String,
    },
    /// Helm answered something that is not what it answers.
    #[error("helm {what} answered something that cannot be read: {detail}")]
    Garbage {
        /// The subcommand.
        what: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl HelmError {
    /// The blocker that it makes: the state of the release is not known.
    #[must_use]
    pub fn blocker(&self, chart: &Chart) -> Blocker {
        let Chart { release, namespace, .. } = chart;
        let unknown = |code, remediation: &str| {
            Blocker::new(code, format!("the state of the Helm release is not known: {self}"), remediation)
        };
        match self {
            Self::Tool(ToolError::Stopped { reason, .. }) => Blocker::stopped(*reason),
            Self::Refused { said: Said::Unauthorized, .. } => unknown(
                Code::ClusterUnauthorized,
                "use an identity that may read Secrets in the release's namespace",
            )
            .commands([format!("kubectl auth can-i list secrets -n {namespace}")]),
            Self::Refused { said: Said::Unreachable | Said::Passing, .. } => unknown(
                Code::ClusterUnreachable,
                "check the network path to the API server and its health, then run again",
            )
            .commands(["kubectl get --raw /readyz"]),
            _ => unknown(
                Code::HelmStateUnknown,
                "nothing was installed, because a release that cannot be read is not a release that \
                 is not there: see that the command below answers, then run again",
            )
            .commands([format!("helm status {release} --namespace {namespace}")]),
        }
    }
}

impl Retryable for HelmError {
    const TARGET: Target = Target::Helm;

    fn withheld(operation: &str, wait: Duration) -> Self {
        let lines = format!("it has asked for no more calls for another {wait:.0?}");
        Self::Refused { what: operation.to_owned(), said: Said::Passing, lines }
    }

    fn transient(&self) -> Option<Option<Duration>> {
        match self {
            Self::Tool(ToolError::TimedOut { .. })
            | Self::Refused { said: Said::Passing | Said::Unreachable, .. } => Some(None),
            _ => None,
        }
    }
}

impl<'a> Helm<'a> {
    /// Helm for a release, in the namespace that it is configured for.
    #[must_use]
    pub fn new(run: &'a Run<'a>, connection: &Connection, chart: Chart) -> Self {
        let mut cluster_flags = Vec::new();
        if let Some(path) = &connection.kubeconfig {
            cluster_flags.extend(["--kubeconfig".to_owned(), path.clone()]);
        }
        if let Some(context) = &connection.context {
            cluster_flags.extend(["--kube-context".to_owned(), context.clone()]);
        }
        Self { run, namespace: chart.namespace.clone(), chart, cluster_flags }
    }

    fn args(&self, args: &[&str]) -> Vec<String> {
        let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        args.extend(self.cluster_flags.iter().cloned());
        args
    }

    /// A call that changes nothing, and its answer.
    async fn answer(&self, what: &str, args: &[&str]) -> Result<ToolOutput, HelmError> {
        let operation = format!("helm {what}");
        self.run
            .retrying(&operation, || async {
                // Reads take a moment; one that takes longer than this hangs.
                let timeout = self.run.settings.limits.api_timeout * 2;
                let output =
                    self.run.tool("helm", self.args(args), None, timeout).await.map_err(HelmError::Tool)?;
                if !output.success() {
                    return Err(HelmError::Refused {
                        what: what.to_owned(),
                        said: classify(&output.stderr),
                        lines: said_last(&output),
                    });
                }
                Ok(output)
            })
            .await
    }

    /// The same, where the answer is JSON.
    async fn read(&self, what: &str, args: &[&str]) -> Result<Value, HelmError> {
        let output = self.answer(what, args).await?;
        serde_json::from_str(&output.stdout)
            .map_err(|error| HelmError::Garbage { what: what.to_owned(), detail: error.to_string() })
    }

    fn garbage(what: &str, detail: &str) -> HelmError {
        HelmError::Garbage { what: what.to_owned(), detail: detail.to_owned() }
    }

    /// The newest revision of the release; `None` only when Helm says in so many words that there is none.
    ///
    /// # Errors
    /// When Helm could not say.
    pub async fn status(&self) -> Result<Option<Release>, HelmError> {
        let release = self.chart.release.as_str();
        let args = ["status", release, "--namespace", &self.namespace, "-o", "json"];
        match self.read("status", &args).await {
            Ok(answer) => Release::of_status(&answer, &self.namespace)
                .map(Some)
                .ok_or_else(|| Self::garbage("status", "it lacks info.status or a numeric version")),
            Err(HelmError::Refused { said: Said::NotFound, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Releases of this name in any namespace.
    ///
    /// # Errors
    /// When Helm could not say.
    pub async fn anywhere(&self) -> Result<Vec<Listed>, HelmError> {
        let release = self.chart.release.as_str();
        let filter = format!("^{release}$");
        // Helm 3 hides pending releases without these, and Helm 4 has no --all.
        let args = [
            "list",
            "--all-namespaces",
            "--filter",
            &filter,
            "--deployed",
            "--failed",
            "--pending",
            "--uninstalling",
            "-o",
            "json",
        ];
        let answer = self.read("list", &args).await?;
        let entries = answer.as_array().ok_or_else(|| Self::garbage("list", "it is not a JSON array"))?;
        let listed: Vec<Listed> = entries
            .iter()
            .map(|entry| {
                Listed::of(entry)
                    .ok_or_else(|| Self::garbage("list", "an entry lacks name, namespace or status"))
            })
            .collect::<Result<_, _>>()?;
        Ok(listed.into_iter().filter(|entry| entry.name == release).collect())
    }

    /// The release's revisions, oldest first.
    ///
    /// # Errors
    /// When Helm could not say.
    pub async fn history(&self) -> Result<Vec<Revision>, HelmError> {
        let release = self.chart.release.as_str();
        let args = ["history", release, "--namespace", &self.namespace, "-o", "json"];
        let answer = self.read("history", &args).await?;
        let entries = answer.as_array().ok_or_else(|| Self::garbage("history", "it is not a JSON array"))?;
        let mut revisions: Vec<Revision> = entries
            .iter()
            .map(|entry| {
                Revision::of(entry)
                    .ok_or_else(|| Self::garbage("history", "an entry lacks revision or status"))
            })
            .collect::<Result<_, _>>()?;
        revisions.sort_by_key(|revision| revision.revision);
        Ok(revisions)
    }

    /// The values that the user has set on the newest revision; `None` when there are none.
    /// Those whose names say that they are secret are hidden from then on.
    ///
    /// # Errors
    /// When Helm could not say.
    pub async fn user_values(&self) -> Result<Option<Value>, HelmError> {
        let release = self.chart.release.as_str();
        let args = ["get", "values", release, "--namespace", &self.namespace, "-o", "json"];
        match self.read("get values", &args).await? {
            Value::Null => Ok(None),
            Value::Object(values) if values.is_empty() => Ok(None),
            values @ Value::Object(_) => {
                self.run.ctx.redactor.hide_named(&values);
                Ok(Some(values))
            }
            _ => Err(Self::garbage("get values", "it is not a JSON object")),
        }
    }

    /// `helm upgrade --install … --wait`. `keep` are the values that the user had set: they travel on
    /// standard input, because secrets on a command line can be read by everybody on the machine, and
    /// because `--reuse-values` takes the last *deployed* revision's values, not the newest ones, and
    /// freezes the old chart's defaults.
    ///
    /// # Errors
    /// When Helm did not run to its end.
    pub async fn upgrade(&self, keep: Option<&Value>) -> Result<ToolOutput, ToolError> {
        let (args, stdin) = self.upgrade_call(keep);
        let timeout = with_margin(self.run.settings.limits.helm_timeout);
        self.run.changing_tool("helm", args, stdin, timeout).await
    }

    /// Its arguments, and the values that it reads from standard input.
    #[must_use]
    pub fn upgrade_call(&self, keep: Option<&Value>) -> (Vec<String>, Option<String>) {
        let chart = &self.chart;
        let go_timeout = duration::go(self.run.settings.limits.helm_timeout);
        let mut args = vec!["upgrade", "--install", &chart.release, &chart.reference];
        if let Some(version) = &chart.version {
            args.extend(["--version", version]);
        }
        args.extend(["--namespace", &self.namespace, "--create-namespace"]);
        for value in &chart.needed {
            args.extend(["--set", value]);
        }
        args.extend(["--wait", "--timeout", &go_timeout]);
        let values = chart.values.over(keep);
        if values.is_some() {
            args.extend(["--values", "-"]);
        }
        if let Some(path) = &chart.values.file {
            args.extend(["--values", path]);
        }
        for value in &chart.set {
            args.extend(["--set", value]);
        }
        if chart.adopt {
            args.push("--take-ownership");
        }
        (self.args(&args), values.map(|values| values.to_string()))
    }

    /// The manifest of the newest revision: the objects that the release owns, as YAML documents.
    ///
    /// # Errors
    /// When Helm could not say.
    pub async fn manifest(&self) -> Result<String, HelmError> {
        let release = self.chart.release.as_str();
        let args = ["get", "manifest", release, "--namespace", &self.namespace];
        Ok(self.answer("get manifest", &args).await?.stdout)
    }

    /// `helm rollback` to a revision. Not waited for: the repair that follows waits.
    ///
    /// # Errors
    /// When Helm did not run to its end.
    pub async fn rollback(&self, revision: u64) -> Result<ToolOutput, ToolError> {
        let timeout = with_margin(self.run.settings.limits.helm_timeout);
        self.run.changing_tool("helm", self.rollback_args(revision), None, timeout).await
    }

    /// Its arguments.
    #[must_use]
    pub fn rollback_args(&self, revision: u64) -> Vec<String> {
        let timeout = self.run.settings.limits.helm_timeout;
        let (revision, go_timeout) = (revision.to_string(), duration::go(timeout));
        self.args(&[
            "rollback",
            &self.chart.release,
            &revision,
            "--namespace",
            &self.namespace,
            "--timeout",
            &go_timeout,
        ])
    }

    /// `helm uninstall --wait`.
    ///
    /// # Errors
    /// When Helm did not run to its end.
    pub async fn uninstall(&self) -> Result<ToolOutput, ToolError> {
        let timeout = with_margin(self.run.settings.limits.helm_timeout);
        self.run.changing_tool("helm", self.uninstall_args(), None, timeout).await
    }

    /// Its arguments.
    #[must_use]
    pub fn uninstall_args(&self) -> Vec<String> {
        let go_timeout = duration::go(self.run.settings.limits.helm_timeout);
        self.args(&[
            "uninstall",
            &self.chart.release,
            "--namespace",
            &self.namespace,
            "--wait",
            "--timeout",
            &go_timeout,
        ])
    }

    /// Drops the stored token of the chart's registry, which may have expired.
    ///
    /// # Errors
    /// When Helm did not run to its end.
    pub async fn registry_logout(&self) -> Result<ToolOutput, ToolError> {
        let host = self.chart.reference.trim_start_matches("oci://");
        let host = host.split('/').next().unwrap_or(host).to_owned();
        let args = vec!["registry".to_owned(), "logout".to_owned(), host];
        self.run.changing_tool("helm", args, None, self.run.settings.limits.api_timeout).await
    }
}

/// Helm is given its timeout, which counts from when it begins to wait; the process more, for what comes before
/// (the chart is fetched) and so that Helm can write what timed out, on a busy machine too.
fn with_margin(timeout: Duration) -> Duration {
    timeout + (timeout / 10).clamp(Duration::from_secs(3), Duration::from_secs(60))
}

/// The last lines of what a tool said; most tools use standard error for it.
#[must_use]
pub fn said_last(output: &ToolOutput) -> String {
    let text = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
    let lines = last_lines(text, 5);
    match (lines.is_empty(), output.code, output.signal) {
        (false, ..) => lines,
        (true, Some(code), _) => format!("exit code {code}, and not a word"),
        (true, None, Some(signal)) => format!("ended by signal {signal}"),
        (true, None, None) => "it ended without a word".to_owned(),
    }
}
