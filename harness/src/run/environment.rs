//! The environment that an installer under test is given: all that it may know of its situation.
//!
//! It inherits the caller's environment without what would lead it to the caller's own clusters and
//! accounts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::children::MARK;
use super::installer::command;
use super::tools::Tools;
use crate::backend::Identity;
use crate::duration::Span;
use crate::scenario::{RunStep, Timeouts};

/// Beginnings of the names that are not passed on.
const PRIVATE: [&str; 7] =
    ["AWS_", "KUBE", "HELM_", "EKS_INSTALLER_", "EKSCTL_", "SEATRIAL_", "CLUSTER_NAME"];

/// A value that no installer may print; it is planted where credentials would be.
pub(super) fn planted_key(seed: u64) -> String {
    format!("seatrial/planted/secret/key/{seed:016x}")
}

/// How long a controller must have been Ready in the embedded cluster.
const STABLE: Span = Span::millis(250);

/// What the environment is made of.
pub(super) struct Situation<'s> {
    pub(super) folder: &'s Path,
    pub(super) kubeconfig: &'s Path,
    pub(super) config: Option<&'s Path>,
    pub(super) tools: &'s Tools,
    pub(super) identity: &'s Identity,
    pub(super) timeouts: Timeouts,
    /// See [`Backend::pace`](crate::backend::Backend::pace).
    pub(super) pace: u32,
    pub(super) scenario: &'s BTreeMap<String, String>,
    pub(super) run: &'s RunStep,
    pub(super) mark: &'s str,
    pub(super) seed: u64,
}

/// The environment of one run.
pub(super) fn of(situation: &Situation<'_>) -> BTreeMap<OsString, OsString> {
    let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os()
        .filter(|(name, _)| {
            let name = name.to_string_lossy();
            !PRIVATE.iter().any(|prefix| name.starts_with(prefix))
        })
        .collect();
    let mut path = situation.tools.bin().as_os_str().to_owned();
    if let Some(inherited) = std::env::var_os("PATH").filter(|path| !path.is_empty()) {
        path.push(":");
        path.push(inherited);
    }
    let mut set = |name: &str, value: OsString| {
        environment.insert(name.into(), value);
    };
    set("PATH", path);
    let Situation { folder, identity, timeouts, run, .. } = *situation;
    set("KUBECONFIG", situation.kubeconfig.into());
    set("KUBECACHEDIR", folder.join("kube-cache").into());
    for (name, place) in
        [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
    {
        set(name, folder.join("helm").join(place).into());
    }
    if let Some(config) = situation.config {
        set("EKS_INSTALLER_CONFIG", config.into());
    }
    set("AWS_PROFILE", "seatrial".into());
    set("AWS_REGION", identity.region.clone().into());
    set("AWS_DEFAULT_REGION", identity.region.clone().into());
    set("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".into());
    set("AWS_SECRET_ACCESS_KEY", planted_key(situation.seed).into());
    set("AWS_CONFIG_FILE", folder.join("aws-config").into());
    set("AWS_SHARED_CREDENTIALS_FILE", folder.join("aws-credentials").into());
    set("AWS_EC2_METADATA_DISABLED", "true".into());
    set("AWS_ACCOUNT_ID", identity.account.clone().into());
    set("CLUSTER_NAME", identity.name.clone().into());
    for (name, span) in [
        ("EKS_INSTALLER_NODE_WAIT", timeouts.node_wait),
        ("EKS_INSTALLER_HELM_TIMEOUT", timeouts.helm),
        ("EKS_INSTALLER_READY_TIMEOUT", timeouts.ready),
        ("EKS_INSTALLER_API_TIMEOUT", timeouts.api),
        ("EKS_INSTALLER_RETRY_BUDGET", timeouts.retry_budget),
        ("EKS_INSTALLER_DEADLINE", timeouts.deadline),
    ] {
        if let Some(span) = span {
            set(name, span.to_string().into());
        }
    }
    // A cluster that settles in milliseconds is stable sooner than one on machines.
    set("EKS_INSTALLER_STABLE_SPAN", STABLE.times(situation.pace).to_string().into());
    set("EKS_INSTALLER_SEED", situation.seed.to_string().into());
    set("SEATRIAL_COMMAND", command(run.command).into());
    set("SEATRIAL_PHASE", run.phase.clone().unwrap_or_default().into());
    if let Some(force) = &run.force {
        set("SEATRIAL_FORCE_PHASE", force.phase.clone().into());
        set("SEATRIAL_FORCE_REASON", force.reason.clone().into());
    }
    set(interpose::plan::TOOLS_DIR, situation.tools.protocol().into());
    set(MARK, situation.mark.into());
    for (name, value) in situation.scenario.iter().chain(&run.env) {
        environment.insert(name.into(), value.into());
    }
    environment
}
