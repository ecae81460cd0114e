//! Kubeconfigs as client-go finds them, and clients that show every answer.

use std::path::PathBuf;

use kube::config::{Config, KubeConfigOptions, Kubeconfig};

/// A client of a kubeconfig's current or named context, its server's URL, and its namespace. Without
/// kube's own retries, which would hide answers that a tool has to see.
///
/// # Errors
/// The kubeconfig does not lead to a cluster; why, in words.
pub(crate) async fn client(
    kubeconfig: Kubeconfig,
    context: Option<String>,
) -> Result<(kube::Client, String, String), String> {
    if let Some(context) = &context
        && !kubeconfig.contexts.iter().any(|it| it.name == *context)
    {
        return Err(format!("context \"{context}\" does not exist"));
    }
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| format!("invalid configuration: {error}"))?;
    config.default_retry = false;
    let server = config.cluster_url.to_string();
    let namespace = config.default_namespace.clone();
    let client = kube::Client::try_from(config).map_err(|error| error.to_string())?;
    Ok((client, server, namespace))
}

/// The kubeconfig: the explicit file alone, or all files of the variable that exist, or the one in
/// the home folder. `None` when there is none.
///
/// # Errors
/// An explicit file is missing, or a file is no kubeconfig; in client-go's words.
pub(crate) fn merged(
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
