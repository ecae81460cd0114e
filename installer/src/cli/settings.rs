//! Settings from arguments, environment and configuration file: the first of them that says something wins.
//! An empty variable counts as not set.

use std::collections::BTreeMap;
use std::time::Duration;

use super::args::{self, InstallArgs, TargetArgs};
use crate::config::{
    self, ClusterConfig, Config, KarpenterConfig, ReleaseConfig, Span, StorageConfig, Timeouts,
};
use crate::duration;
use crate::identity::Identity;
use crate::settings::{
    CoreSettings, Force, FoundationSettings, KarpenterSettings, Limits, NodeGroupSettings, ReleaseSettings,
    Settings, StorageSettings, Values, Workload,
};

/// Reads the settings.
///
/// # Errors
/// A lowercase fragment that names the variable, the argument or the place in the file, and says what is
/// wrong with it.
pub(super) fn read(
    install: Option<&InstallArgs>,
    target: &TargetArgs,
    environment: &BTreeMap<String, String>,
) -> Result<Settings, String> {
    let env = Environment(environment);
    let file = match target.config.clone().or_else(|| env.text("EKS_INSTALLER_CONFIG")) {
        Some(path) => config::load(&path).map_err(|error| format!("configuration file {error}"))?,
        None => Config::default(),
    };
    Ok(Settings {
        cluster: cluster(target, &env, &file.cluster)?,
        karpenter: karpenter(install, &env, file.karpenter)?,
        foundation: foundation(&env, file.cluster)?,
        storage: file.storage.map(storage),
        core: CoreSettings { releases: file.core.releases.into_iter().map(release).collect() },
        limits: limits(&env, &file.timeouts)?,
        seed: match env.number("EKS_INSTALLER_SEED")? {
            Some(seed) => seed,
            None => fastrand::u64(..),
        },
        force: force(install)?,
        dry_run: install.is_some_and(|args| args.dry_run),
    })
}

fn cluster(target: &TargetArgs, env: &Environment<'_>, file: &ClusterConfig) -> Result<Identity, String> {
    let cluster = Identity {
        name: target.cluster_name.clone().or_else(|| env.text("CLUSTER_NAME")).or_else(|| file.name.clone()),
        region: target.region.clone().or_else(|| env.text("AWS_REGION")).or_else(|| file.region.clone()),
        account: target
            .account
            .clone()
            .or_else(|| env.text("AWS_ACCOUNT_ID"))
            .or_else(|| file.account.clone()),
    };
    for (name, value, rule) in [
        ("CLUSTER_NAME", &cluster.name, config::cluster_rule as fn(&str) -> _),
        ("AWS_ACCOUNT_ID", &cluster.account, config::account_rule),
    ] {
        if let Some(value) = value
            && let Some(wanted) = rule(value)
        {
            return Err(format!("{name} {value:?}: {wanted}"));
        }
    }
    Ok(cluster)
}

fn karpenter(
    install: Option<&InstallArgs>,
    env: &Environment<'_>,
    file: KarpenterConfig,
) -> Result<KarpenterSettings, String> {
    let default = KarpenterSettings::default();
    let text = |name, from_file: Option<String>| env.text(name).or(from_file);
    let karpenter = KarpenterSettings {
        chart: text("EKS_INSTALLER_KARPENTER_CHART", file.chart).unwrap_or(default.chart),
        version: text("EKS_INSTALLER_KARPENTER_VERSION", file.version).unwrap_or(default.version),
        namespace: text("EKS_INSTALLER_KARPENTER_NAMESPACE", file.namespace).unwrap_or(default.namespace),
        replicas: env.number("EKS_INSTALLER_KARPENTER_REPLICAS")?.or(file.replicas),
        values: Values {
            inline: file.values,
            file: text("EKS_INSTALLER_KARPENTER_VALUES", file.values_file),
        },
        set: install.map(|args| args.set.clone()).unwrap_or_default(),
        adopt_crds: env.flag("EKS_INSTALLER_KARPENTER_ADOPT_CRDS")?.unwrap_or(file.adopt_crds),
        any_kubernetes: env.flag("EKS_INSTALLER_KARPENTER_ANY_KUBERNETES")?.unwrap_or(file.any_kubernetes),
        release: default.release,
    };
    if let Some(wanted) = config::chart_version_rule(&karpenter.version) {
        let bare = karpenter.version.trim_start_matches('v');
        let written = if bare == karpenter.version { String::new() } else { format!(": write {bare}") };
        return Err(format!("EKS_INSTALLER_KARPENTER_VERSION {:?}: {wanted}{written}", karpenter.version));
    }
    if let Some(value) = karpenter.set.iter().find(|value| !value.contains('=')) {
        return Err(format!("--set {value:?}: write name=value"));
    }
    Ok(karpenter)
}

fn foundation(env: &Environment<'_>, file: ClusterConfig) -> Result<FoundationSettings, String> {
    Ok(FoundationSettings {
        config_file: env.text("EKS_INSTALLER_EKSCTL_CONFIG").or(file.eksctl_config),
        nodes: env.number("EKS_INSTALLER_NODES")?,
        node_type: env.text("EKS_INSTALLER_NODE_TYPE"),
        kubernetes_version: env.text("EKS_INSTALLER_KUBERNETES_VERSION").or(file.version),
        node_groups: file
            .node_groups
            .into_iter()
            .map(|group| NodeGroupSettings {
                min: group.min.unwrap_or(group.desired),
                max: group.max.unwrap_or(group.desired),
                name: group.name,
                instance_type: group.instance_type,
                desired: group.desired,
            })
            .collect(),
    })
}

fn storage(file: StorageConfig) -> StorageSettings {
    StorageSettings {
        bucket: file.bucket,
        policy: file.policy,
        role: file.role,
        namespace: file.namespace,
        service_account: file.service_account,
    }
}

fn release(file: ReleaseConfig) -> ReleaseSettings {
    let namespace = file.namespace;
    let workloads = file.workloads.into_iter().map(|workload| Workload {
        kind: workload.kind,
        name: workload.name,
        namespace: workload.namespace.unwrap_or_else(|| namespace.clone()),
    });
    ReleaseSettings {
        name: file.name,
        chart: file.chart,
        version: file.version,
        workloads: workloads.collect(),
        values: Values { inline: file.values, file: file.values_file },
        namespace,
    }
}

fn limits(env: &Environment<'_>, file: &Timeouts) -> Result<Limits, String> {
    let defaults = Limits::default();
    let or = |span: Option<Span>, default| span.map_or(default, |span| span.0);
    Ok(Limits {
        node_wait: env.duration("EKS_INSTALLER_NODE_WAIT", or(file.node_wait, defaults.node_wait))?,
        helm_timeout: env.positive("EKS_INSTALLER_HELM_TIMEOUT", or(file.helm, defaults.helm_timeout))?,
        ready_timeout: env.duration("EKS_INSTALLER_READY_TIMEOUT", or(file.ready, defaults.ready_timeout))?,
        api_timeout: env.positive("EKS_INSTALLER_API_TIMEOUT", or(file.api, defaults.api_timeout))?,
        retry_budget: env
            .duration("EKS_INSTALLER_RETRY_BUDGET", or(file.retry_budget, defaults.retry_budget))?,
        deadline: env.positive("EKS_INSTALLER_DEADLINE", or(file.deadline, defaults.deadline))?,
        phase_deadline: env.limit("EKS_INSTALLER_PHASE_DEADLINE", file.phase_deadline)?,
        stable_span: env.duration("EKS_INSTALLER_STABLE_SPAN", or(file.stable_span, defaults.stable_span))?,
        create_timeout: env
            .positive("EKS_INSTALLER_CREATE_TIMEOUT", or(file.create, defaults.create_timeout))?,
    })
}

fn force(install: Option<&InstallArgs>) -> Result<Option<Force>, String> {
    let Some(install) = install else {
        return Ok(None);
    };
    let Some(name) = &install.force_phase_complete else {
        return Ok(None);
    };
    let phase = args::phase(name).map_err(|wrong| format!("--force-phase-complete: {wrong}"))?;
    let reason = install.reason.as_deref().map(str::trim).unwrap_or_default();
    if reason.is_empty() {
        return Err("--reason is empty; say why the gate is passed".to_owned());
    }
    Ok(Some(Force { phase, reason: reason.to_owned() }))
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

    /// A limit that there need not be.
    fn limit(&self, name: &str, file: Option<Span>) -> Result<Option<Duration>, String> {
        if self.text(name).is_none() {
            return Ok(file.map(|span| span.0));
        }
        self.positive(name, Duration::MAX).map(Some)
    }

    fn positive(&self, name: &str, default: Duration) -> Result<Duration, String> {
        let duration = self.duration(name, default)?;
        if duration.is_zero() {
            return Err(format!("{name}: must be longer than 0s"));
        }
        Ok(duration)
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(format!("{name}: {other:?} is neither true nor false")),
        }
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
        let target = TargetArgs::default();
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
            "EKS_INSTALLER_PHASE_DEADLINE",
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
    fn arguments_win_over_variables_and_variables_over_the_file() {
        let path = std::env::temp_dir().join(format!("eks-installer-order-{}.yaml", std::process::id()));
        std::fs::write(
            &path,
            "cluster: { name: file, region: eu-central-1 }\nkarpenter: { namespace: file }\n\
             timeouts: { api: 7s, helm: 7m }\n",
        )
        .unwrap();
        let target = TargetArgs { cluster_name: Some("argument".into()), ..TargetArgs::default() };
        let variables = [
            ("EKS_INSTALLER_CONFIG", path.to_str().unwrap()),
            ("CLUSTER_NAME", "variable"),
            ("EKS_INSTALLER_KARPENTER_NAMESPACE", "variable"),
            ("EKS_INSTALLER_API_TIMEOUT", "3s"),
        ];
        let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let settings = read(None, &target, &environment).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(settings.cluster.name.as_deref(), Some("argument"));
        assert_eq!(settings.karpenter.namespace, "variable");
        assert_eq!(settings.limits.api_timeout, Duration::from_secs(3));
        assert_eq!(settings.limits.helm_timeout, Duration::from_secs(420));
        assert_eq!(settings.cluster.region.as_deref(), Some("eu-central-1"));
        assert_eq!(settings.karpenter.version, "1.8.3");
        assert_eq!(settings.storage, None);
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
