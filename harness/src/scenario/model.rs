//! What a scenario file says, as data.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::matcher::Matcher;
use super::place::Placed;
use crate::duration::Span;
use crate::fault::FaultSpec;
use crate::run::KillPoint;

/// One scenario: a cluster, what is wrong with it, what is run, and what must be seen.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// Unique name: lower-case letters, digits and dashes.
    pub name: Placed<String>,
    /// One sentence: what the situation is.
    pub summary: String,
    /// Words to select by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The cluster that the installer is given.
    #[serde(default)]
    pub cluster: ClusterShape,
    /// What the cloud account says of the cluster.
    #[serde(default)]
    pub eks: EksShape,
    /// Text of the configuration file that `EKS_INSTALLER_CONFIG` names; there is none when not given.
    pub config: Option<String>,
    /// What is wrong from the start, injected in this order.
    #[serde(default)]
    pub faults: Vec<FaultSpec>,
    /// How long things may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// More environment variables for the installer.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Words planted in `env` or in a release's values that must never show in what the installer prints.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// What happens, in order.
    pub steps: Vec<Placed<Step>>,
    /// The negative control: the same steps in another situation, in which the expectations must not hold.
    pub control: Placed<Control>,
}

/// The shape of a cluster.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterShape {
    /// Ready nodes; 2 when not given.
    pub nodes: Option<u32>,
    /// CPU of each node, such as `2`.
    pub cpu: Option<String>,
    /// Memory of each node, such as `8Gi`.
    pub memory: Option<String>,
    /// How many pods each node takes.
    pub pods: Option<u32>,
    /// Labels of each node, besides the usual ones.
    pub labels: Option<BTreeMap<String, String>>,
    /// Minor version of Kubernetes, such as `1.37`.
    pub kubernetes: Option<String>,
    /// How far the cluster's clock is from that of the machine that the installer runs on.
    pub clock: Option<ClockShift>,
}

/// A clock that is set apart.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClockShift {
    /// The cluster's clock is ahead by this much.
    Ahead(Span),
    /// The cluster's clock is behind by this much.
    Behind(Span),
}

impl ClockShift {
    /// The time that the cluster's clock shows when the machine's shows this.
    #[must_use]
    pub fn of(self, machine: jiff::Timestamp) -> jiff::Timestamp {
        match self {
            Self::Ahead(by) => machine.checked_add(by.0).unwrap_or(jiff::Timestamp::MAX),
            Self::Behind(by) => machine.checked_sub(by.0).unwrap_or(jiff::Timestamp::MIN),
        }
    }
}

/// What the cloud account says of the cluster.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EksShape {
    /// Whether the EKS cluster is there before the installer runs; true when not given.
    pub exists: Option<bool>,
    /// Its status: `ACTIVE` when not given.
    pub status: Option<String>,
    /// Its node groups: name and desired size.
    pub node_groups: Option<BTreeMap<String, u32>>,
    /// How many of the nodes that are asked for join; all when not given.
    pub joining: Option<u32>,
    /// Tags of the cluster; none when not given.
    pub tags: Option<BTreeMap<String, String>>,
}

/// How long things may take. What is not given comes from the backend's defaults.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timeouts {
    /// `EKS_INSTALLER_NODE_WAIT`.
    pub node_wait: Option<Span>,
    /// `EKS_INSTALLER_HELM_TIMEOUT`; the installer's own default when not given.
    pub helm: Option<Span>,
    /// `EKS_INSTALLER_READY_TIMEOUT`.
    pub ready: Option<Span>,
    /// `EKS_INSTALLER_API_TIMEOUT`.
    pub api: Option<Span>,
    /// `EKS_INSTALLER_RETRY_BUDGET`.
    pub retry_budget: Option<Span>,
    /// `EKS_INSTALLER_DEADLINE`: the run must end within it and a grace period of five seconds.
    pub deadline: Option<Span>,
}

/// One step: exactly one of `run`, `inject`, `heal`, `wait`, `kill`, and what must be seen then; or
/// `expect` alone.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// Runs the installer.
    pub run: Option<RunStep>,
    /// Injects a fault.
    pub inject: Option<FaultSpec>,
    /// Heals the faults of this name (or label).
    pub heal: Option<String>,
    /// Waits for something to happen.
    pub wait: Option<Wait>,
    /// Sends the running installer a signal and waits for its end.
    pub kill: Option<Kill>,
    /// What must be seen after it.
    pub expect: Option<Placed<Expect>>,
}

/// What a step does.
#[derive(Clone, Copy, Debug)]
pub enum StepKind<'a> {
    /// Runs the installer.
    Run(&'a RunStep),
    /// Injects a fault.
    Inject(&'a FaultSpec),
    /// Heals faults by name.
    Heal(&'a str),
    /// Waits.
    Wait(&'a Wait),
    /// Ends the running installer.
    Kill(&'a Kill),
    /// Only looks.
    Look,
}

impl Step {
    /// What the step does; `None` when it says nothing or two things at once.
    #[must_use]
    pub fn kind(&self) -> Option<StepKind<'_>> {
        let mut kinds = [
            self.run.as_ref().map(StepKind::Run),
            self.inject.as_ref().map(StepKind::Inject),
            self.heal.as_deref().map(StepKind::Heal),
            self.wait.as_ref().map(StepKind::Wait),
            self.kill.as_ref().map(StepKind::Kill),
        ]
        .into_iter()
        .flatten();
        match (kinds.next(), kinds.next(), &self.expect) {
            (Some(kind), None, _) => Some(kind),
            (None, None, Some(_)) => Some(StepKind::Look),
            _ => None,
        }
    }
}

/// Which command of the installer is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Subcommand {
    /// `install`.
    #[default]
    Install,
    /// `status`.
    Status,
    /// `preflight`.
    Preflight,
    /// `cleanup`.
    Cleanup,
}

/// A run of the installer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunStep {
    /// The command: `install` when not given.
    #[serde(default)]
    pub command: Subcommand,
    /// The phase that is asked for; every phase when not given.
    pub phase: Option<String>,
    /// The one gate that the run may pass although it does not hold.
    pub force: Option<Force>,
    /// More arguments, for an installer whose command line has `{args}`.
    #[serde(default)]
    pub args: Vec<String>,
    /// More environment variables for this run.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Makes a sweep of the scenario: this run is left alone once, and then killed after each of its writes,
    /// every time on a cluster of its own; the steps that follow are played after each kill.
    pub kill_after: Option<KillAfter>,
    /// The point at which this run is killed, in one attempt of a sweep.
    #[serde(skip)]
    #[schemars(skip)]
    pub killed_at: Option<KillPoint>,
    /// Goes on to the next step while the installer runs; a later `wait: { exit: true }` or `kill` ends it.
    #[serde(default)]
    pub background: bool,
    /// Runs a second installer beside the one that runs in the background. What requests and calls there
    /// were meanwhile is seen of both.
    #[serde(default)]
    pub beside: bool,
}

/// After what a run is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KillAfter {
    /// Each write: a mutating request to the API server, or a call of `eksctl` or `aws` that changes the
    /// account.
    EachWrite,
}

/// Permission to pass a gate.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Force {
    /// Whose gate.
    pub phase: String,
    /// Why.
    pub reason: String,
}

/// What is waited for; everything that is given must have happened.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wait {
    /// The running installer has ended.
    #[serde(default)]
    pub exit: bool,
    /// Controllers, scheduler and kubelets have nothing left to do.
    #[serde(default)]
    pub settled: bool,
    /// The tap has seen such a request of the installer.
    pub request: Option<RequestPattern>,
    /// So many of them; one when not given.
    pub count: Option<u32>,
    /// The running installer has written this to its standard error.
    pub stderr: Option<String>,
    /// An interposer has seen such a call start.
    pub tool: Option<ToolPattern>,
    /// The fault of this label holds a call, before the tool's work or after it: a `tool` fault that is slow or hangs.
    pub held: Option<String>,
    /// The cluster has such an object.
    pub object: Option<ExpectObject>,
    /// How long to wait at most; 30 s when not given.
    pub timeout: Option<Span>,
}

/// How the running installer is ended.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kill {
    /// `TERM`, `INT` or `KILL`.
    pub signal: Signal,
}

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    /// SIGTERM.
    Term,
    /// SIGINT.
    Int,
    /// SIGKILL, to the installer and to every tool that it has started: the machine is lost.
    Kill,
}

/// Requests to look for. What is not given may be anything.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestPattern {
    /// API verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: Option<String>,
    /// Plural resource, or `plural/subresource`.
    pub resource: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Name of the object.
    pub name: Option<String>,
}

/// Tool calls to look for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolPattern {
    /// `helm`, `eksctl`, `aws` or `kubectl`.
    pub tool: String,
    /// Words that occur among the arguments in this order, with anything between them.
    #[serde(default)]
    pub args: Vec<String>,
}

/// What must be seen after a step. Everything that is given must hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
    /// Exit code of the installer.
    pub exit: Option<Placed<Matcher>>,
    /// Number of the signal that ended the installer.
    pub signal: Option<Placed<Matcher>>,
    /// `ok` of the result.
    pub ok: Option<Placed<bool>>,
    /// `status` of the result.
    pub status: Option<Placed<Matcher>>,
    /// `phase` of the result.
    pub phase: Option<Placed<Matcher>>,
    /// `next` of the result.
    pub next: Option<Placed<ExpectNext>>,
    /// Blockers that must be there, among others; an empty list: there must be none.
    pub blockers: Option<Placed<Vec<Placed<ExpectBlocker>>>>,
    /// Parts of the result's evidence, by path.
    #[serde(default)]
    pub evidence: BTreeMap<String, Placed<Matcher>>,
    /// Other parts of the result, by path.
    #[serde(default)]
    pub result: BTreeMap<String, Placed<Matcher>>,
    /// Standard output, as text.
    pub stdout: Option<Placed<Matcher>>,
    /// Standard error, as text.
    pub stderr: Option<Placed<Matcher>>,
    /// Requests of this run, as the tap saw them.
    pub requests: Option<Placed<ExpectRequests>>,
    /// Calls of each tool in this run, as the interposers saw them.
    #[serde(default)]
    pub tools: BTreeMap<String, Placed<ExpectTool>>,
    /// Objects of the cluster.
    #[serde(default)]
    pub objects: Vec<Placed<ExpectObject>>,
    /// Helm releases of the cluster, read from their storage.
    #[serde(default)]
    pub releases: Vec<Placed<ExpectRelease>>,
}

/// The next step that the result names.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectNext {
    /// `install`, `fix`, `stop` or `none`.
    pub action: Option<Matcher>,
    /// The phase that it concerns.
    pub phase: Option<Matcher>,
}

/// A blocker that the result must have.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectBlocker {
    /// Its code.
    pub code: String,
    /// Its message.
    pub message: Option<Matcher>,
    /// What it says to do.
    pub remediation: Option<Matcher>,
    /// The commands that it names.
    pub commands: Option<Matcher>,
    /// Its classified cause.
    pub cause: Option<Matcher>,
}

/// Requests of a run.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectRequests {
    /// How many asked for a change.
    pub mutating: Option<Matcher>,
    /// How many there were.
    pub total: Option<Matcher>,
    /// How many of a kind there were.
    #[serde(default)]
    pub of: Vec<ExpectRequest>,
}

/// How many requests of a kind there must be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectRequest {
    /// Which.
    #[serde(rename = "match")]
    pub pattern: RequestPattern,
    /// How many; at least one when not given.
    pub count: Option<Matcher>,
}

/// Calls of one tool.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectTool {
    /// How many were of a kind that changes something.
    pub mutating: Option<Matcher>,
    /// How many there were.
    pub total: Option<Matcher>,
    /// How many of a kind there were.
    #[serde(default)]
    pub calls: Vec<ExpectCall>,
}

/// How many calls with these arguments there must be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectCall {
    /// Words that occur among the arguments in this order, with anything between them.
    pub args: Vec<String>,
    /// How many; at least one when not given.
    pub count: Option<Matcher>,
    /// Exit code of every one of them.
    pub exit: Option<Matcher>,
}

/// An object of the cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectObject {
    /// Plural resource, with its group after a dot: `pods`, `deployments.apps`.
    pub resource: String,
    /// Namespace; any when not given.
    pub namespace: Option<String>,
    /// Name; any when not given.
    pub name: Option<String>,
    /// How many such objects there are; at least one when not given.
    pub count: Option<Matcher>,
    /// Fields that each of them must have.
    #[serde(rename = "where")]
    pub fields: Option<Matcher>,
    /// Whether it is the same object in the same generation as before the first step.
    pub untouched: Option<bool>,
}

/// A Helm release in the cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectRelease {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Status of its newest revision; `absent` when there must be none.
    pub status: Option<Matcher>,
    /// Number of its newest revision.
    pub revision: Option<Matcher>,
    /// The statuses of all its revisions, oldest first.
    pub history: Option<Matcher>,
    /// The values that the user gave the newest revision.
    pub values: Option<Matcher>,
}

/// The negative control. What is given here replaces what the scenario says.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Control {
    /// Another cluster: the fields that are given replace the scenario's.
    pub cluster: Option<ClusterShape>,
    /// Another account: the fields that are given replace the scenario's.
    pub eks: Option<EksShape>,
    /// Another configuration file.
    pub config: Option<String>,
    /// Other faults than the scenario's, all of them.
    pub faults: Option<Vec<FaultSpec>>,
    /// The scenario's faults without those of these names (or labels), those of its steps included.
    pub without: Option<Vec<String>>,
    /// Variables that are set otherwise.
    pub env: Option<BTreeMap<String, String>>,
    /// Other arguments for every run, in place of those that its step gives.
    pub args: Option<Vec<String>>,
    /// What must be seen after the control's last run.
    pub expect: Option<Placed<Expect>>,
}
