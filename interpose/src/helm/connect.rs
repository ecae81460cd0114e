//! Finding the cluster: flags, environment, kubeconfig.

use std::path::PathBuf;

use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use super::api::Api;
use super::flags::Line;
use super::{Access, Failure};
use crate::Invocation;

/// Where client-go looks when it has no kubeconfig.
const NOWHERE: &str = "http://localhost:8080";

/// The cluster and the namespace of a command line. Nothing is asked of the cluster yet.
pub(super) async fn connect(
    line: &Line,
    invocation: &Invocation,
    access: &Access,
) -> Result<(Api, String), Failure> {
    let env = |name: &str| invocation.env.get(name).filter(|value| !value.is_empty()).cloned();
    if let Some(driver) = env("HELM_DRIVER").filter(|it| !matches!(it.as_str(), "secret" | "secrets")) {
        return Err(Failure::NotHere(format!("HELM_DRIVER={driver}")));
    }
    let asked = line.one("namespace").map(str::to_owned).or_else(|| env("HELM_NAMESPACE"));
    let unreachable = |why: String| Failure::said(format!("Kubernetes cluster unreachable: {why}"));
    match access {
        Access::Client { client, server } => {
            let namespace = asked.unwrap_or_else(|| client.default_namespace().to_owned());
            Ok((Api::new(client.clone(), server), namespace))
        }
        Access::Kubeconfig => {
            let explicit = line.one("kubeconfig").map(str::to_owned);
            let context = line.one("kube-context").map(str::to_owned).or_else(|| env("HELM_KUBECONTEXT"));
            let Some(kubeconfig) = read(explicit, env("KUBECONFIG"), env("HOME")).map_err(unreachable)?
            else {
                return Err(unreachable(format!(
                    "Get \"{NOWHERE}/version\": dial tcp 127.0.0.1:8080: connect: connection refused"
                )));
            };
            if let Some(context) = &context
                && !kubeconfig.contexts.iter().any(|it| it.name == *context)
            {
                return Err(unreachable(format!("context \"{context}\" does not exist")));
            }
            let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
            let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .map_err(|error| unreachable(format!("invalid configuration: {error}")))?;
            // Its own retries would hide the answers that Helm has to see.
            config.default_retry = false;
            let server = config.cluster_url.to_string();
            let namespace = asked.unwrap_or_else(|| config.default_namespace.clone());
            let client = kube::Client::try_from(config).map_err(|error| unreachable(error.to_string()))?;
            Ok((Api::new(client, server), namespace))
        }
    }
}

/// The kubeconfig: the file of the flag alone, or all files of the variable that exist, or the one
/// in the home folder. `None` when there is none.
fn read(
    explicit: Option<String>,
    variable: Option<String>,
    home: Option<String>,
) -> Result<Option<Kubeconfig>, String> {
    let required = explicit.is_some();
    let paths: Vec<PathBuf> = match (explicit, variable, home) {
        (Some(path), ..) => vec![path.into()],
        (None, Some(paths), _) => {
            std::env::split_paths(&paths).filter(|it| !it.as_os_str().is_empty()).collect()
        }
        (None, None, Some(home)) => vec![PathBuf::from(home).join(".kube/config")],
        (None, None, None) => Vec::new(),
    };
    let mut all: Option<Kubeconfig> = None;
    for path in paths {
        if !path.exists() {
            if required {
                return Err(format!("stat {}: no such file or directory", path.display()));
            }
            continue;
        }
        let next = Kubeconfig::read_from(&path)
            .map_err(|error| format!("error loading config file \"{}\": {error}", path.display()))?;
        all = Some(match all {
            Some(all) => all.merge(next).map_err(|error| error.to_string())?,
            None => next,
        });
    }
    Ok(all)
}
