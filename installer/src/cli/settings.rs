//! Settings from arguments and environment. Arguments win; an empty variable counts as not set.

use std::collections::BTreeMap;
use std::time::Duration;

use super::args::{InstallArgs, TargetArgs, unknown_phase};
use crate::duration;
use crate::identity::Identity;
use crate::phases::Phase;
use crate::settings::{Force, FoundationSettings, KarpenterSettings, Limits, Settings};

/// Reads the settings.
///
/// # Errors
/// A lowercase fragment that names the variable or the argument and says what is wrong with it.
pub(super) fn read(
    install: Option<&InstallArgs>,
    target: &TargetArgs,
    environment: &BTreeMap<String, String>,
) -> Result<Settings, String> {
    let env = Environment(environment);
    let defaults = Limits::default();
    let limits = Limits {
        node_wait: env.duration("EKS_INSTALLER_NODE_WAIT", defaults.node_wait)?,
        helm_timeout: env.positive("EKS_INSTALLER_HELM_TIMEOUT", defaults.helm_timeout)?,
        ready_timeout: env.duration("EKS_INSTALLER_READY_TIMEOUT", defaults.ready_timeout)?,
        api_timeout: env.positive("EKS_INSTALLER_API_TIMEOUT", defaults.api_timeout)?,
        retry_budget: env.duration("EKS_INSTALLER_RETRY_BUDGET", defaults.retry_budget)?,
        deadline: env.positive("EKS_INSTALLER_DEADLINE", defaults.deadline)?,
        stable_span: env.duration("EKS_INSTALLER_STABLE_SPAN", defaults.stable_span)?,
        create_timeout: env.positive("EKS_INSTALLER_CREATE_TIMEOUT", defaults.create_timeout)?,
    };
    let karpenter = KarpenterSettings::default();
    let karpenter = KarpenterSettings {
        chart: env.text("EKS_INSTALLER_KARPENTER_CHART").unwrap_or(karpenter.chart),
        version: env.text("EKS_INSTALLER_KARPENTER_VERSION").unwrap_or(karpenter.version),
        namespace: env.text("EKS_INSTALLER_KARPENTER_NAMESPACE").unwrap_or(karpenter.namespace),
        replicas: env.number("EKS_INSTALLER_KARPENTER_REPLICAS")?,
        values: env.text("EKS_INSTALLER_KARPENTER_VALUES"),
        set: install.map(|args| args.set.clone()).unwrap_or_default(),
        release: karpenter.release,
    };
    if karpenter.version.starts_with('v') {
        return Err(format!(
            "EKS_INSTALLER_KARPENTER_VERSION {:?}: the chart's versions have no v; write {}",
            karpenter.version,
            karpenter.version.trim_start_matches('v')
        ));
    }
    if let Some(value) = karpenter.set.iter().find(|value| !value.contains('=')) {
        return Err(format!("--set {value:?}: write name=value"));
    }
    let cluster = Identity {
        name: target.cluster_name.clone().or_else(|| env.text("CLUSTER_NAME")),
        region: target.region.clone().or_else(|| env.text("AWS_REGION")),
        account: env.text("AWS_ACCOUNT_ID"),
    };
    if let Some(name) = &cluster.name
        && !valid_cluster_name(name)
    {
        return Err(format!(
            "CLUSTER_NAME {name:?}: EKS names begin with a letter or digit, go on with letters, digits, \
             - and _, and have at most 100 characters"
        ));
    }
    Ok(Settings {
        cluster,
        karpenter,
        foundation: FoundationSettings {
            config_file: env.text("EKS_INSTALLER_EKSCTL_CONFIG"),
            nodes: env.number("EKS_INSTALLER_NODES")?,
            node_type: env.text("EKS_INSTALLER_NODE_TYPE"),
            kubernetes_version: env.text("EKS_INSTALLER_KUBERNETES_VERSION"),
        },
        limits,
        seed: match env.number("EKS_INSTALLER_SEED")? {
            Some(seed) => seed,
            None => fastrand::u64(..),
        },
        force: force(install)?,
    })
}

fn force(install: Option<&InstallArgs>) -> Result<Option<Force>, String> {
    let Some(install) = install else {
        return Ok(None);
    };
    let Some(name) = &install.force_phase_complete else {
        return Ok(None);
    };
    let phase =
        Phase::parse(name).ok_or_else(|| format!("--force-phase-complete: {}", unknown_phase(name)))?;
    let reason = install.reason.as_deref().map(str::trim).unwrap_or_default();
    if reason.is_empty() {
        return Err("--reason is empty; say why the gate is passed".to_owned());
    }
    Ok(Some(Force { phase, reason: reason.to_owned() }))
}

fn valid_cluster_name(name: &str) -> bool {
    name.len() <= 100
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

struct Environment<'e>(&'e BTreeMap<String, String>);

impl Environment<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn duration(&self, name: &str, default: Duration) -> Result<Duration, String> {
        self.text(name)
            .map_or(Ok(default), |text| duration::parse(&text).map_err(|wrong| format!("{name}: {wrong}")))
    }

    fn positive(&self, name: &str, default: Duration) -> Result<Duration, String> {
        let duration = self.duration(name, default)?;
        if duration.is_zero() {
            return Err(format!("{name}: must be longer than 0s"));
        }
        Ok(duration)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        self.text(name)
            .map(|text| text.parse().map_err(|_| format!("{name}: {text:?} is not a number")))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read_with(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let target = TargetArgs { cluster_name: None, region: None, kubeconfig: None, context: None };
        read(None, &target, &environment)
    }

    #[test]
    fn a_value_that_does_not_parse_is_refused_by_its_variables_name() {
        for name in [
            "EKS_INSTALLER_NODE_WAIT",
            "EKS_INSTALLER_HELM_TIMEOUT",
            "EKS_INSTALLER_READY_TIMEOUT",
            "EKS_INSTALLER_API_TIMEOUT",
            "EKS_INSTALLER_RETRY_BUDGET",
            "EKS_INSTALLER_DEADLINE",
            "EKS_INSTALLER_STABLE_SPAN",
            "EKS_INSTALLER_KARPENTER_REPLICAS",
            "EKS_INSTALLER_SEED",
        ] {
            let refused = read_with(&[(name, "soonish")]).unwrap_err();
            assert!(refused.starts_with(name), "{refused}");
        }
        assert!(read_with(&[("EKS_INSTALLER_DEADLINE", "0")]).is_err());
        assert!(read_with(&[("CLUSTER_NAME", "a,b=c")]).is_err());
        assert!(read_with(&[("EKS_INSTALLER_KARPENTER_VERSION", "v1.8.3")]).is_err());
    }

    #[test]
    fn the_defaults_are_those_of_the_help() {
        let settings = read_with(&[]).unwrap();
        for (name, value) in [
            ("EKS_INSTALLER_NODE_WAIT", settings.limits.node_wait),
            ("EKS_INSTALLER_HELM_TIMEOUT", settings.limits.helm_timeout),
            ("EKS_INSTALLER_READY_TIMEOUT", settings.limits.ready_timeout),
            ("EKS_INSTALLER_API_TIMEOUT", settings.limits.api_timeout),
            ("EKS_INSTALLER_RETRY_BUDGET", settings.limits.retry_budget),
            ("EKS_INSTALLER_CREATE_TIMEOUT", settings.limits.create_timeout),
            ("EKS_INSTALLER_DEADLINE", settings.limits.deadline),
            ("EKS_INSTALLER_STABLE_SPAN", settings.limits.stable_span),
        ] {
            let listed = super::super::VARIABLES.iter().find(|it| it.name == name).unwrap();
            assert_eq!(duration::parse(listed.default).unwrap(), value, "{name}");
        }
        let settings = read_with(&[("EKS_INSTALLER_READY_TIMEOUT", "90")]).unwrap();
        assert_eq!(settings.limits.ready_timeout, Duration::from_secs(90));
    }
}
