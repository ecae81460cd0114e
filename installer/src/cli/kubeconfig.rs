//! The kubeconfig: which file, and a client built on it.

use std::collections::BTreeMap;
use std::path::Path;

use futures::future::BoxFuture;
use http::{HeaderValue, header};
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::args::TargetArgs;
use crate::identity::Identity;
use crate::redact::Redactor;
use crate::seams::{Connect, ConnectError, Connection};

/// A kubeconfig file and the context to use of it.
#[derive(Clone, Debug, Default)]
pub(super) struct KubeconfigFile {
    path: String,
    context: Option<String>,
    redactor: Redactor,
}

impl KubeconfigFile {
    /// Which file: the argument, or the first path in KUBECONFIG. There is no default: an installer that
    /// picks up whatever cluster a person happened to use last is a dangerous one.
    pub(super) fn find(target: &TargetArgs, environment: &BTreeMap<String, String>) -> Result<Self, String> {
        let listed = environment.get("KUBECONFIG").map(String::as_str).unwrap_or_default();
        let first = listed.split(':').map(str::trim).find(|path| !path.is_empty());
        let path =
            target.kubeconfig.as_deref().or(first).ok_or(
                "KUBECONFIG is not set; set it to the kubeconfig of the cluster, or pass --kubeconfig",
            )?;
        Ok(Self { path: path.to_owned(), context: target.context.clone(), redactor: Redactor::default() })
    }

    pub(super) fn redacting(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    async fn open(&self) -> Result<Connection, ConnectError> {
        let missing = !Path::new(&self.path).exists();
        let wrong = |error: &dyn std::fmt::Display, missing| ConnectError {
            detail: format!("could not use the kubeconfig {}: {error}", self.path),
            missing,
        };
        let file = Kubeconfig::read_from(&self.path).map_err(|error| wrong(&error, missing))?;
        self.hide_secrets(&file);
        let context = self.context.clone().or_else(|| file.current_context.clone());
        let named = file.contexts.iter().find(|it| Some(&it.name) == context.as_ref());
        let cluster = named.and_then(|it| it.context.as_ref()).map(|it| it.cluster.clone());
        let names = [context.as_deref(), cluster.as_deref()];
        let identity = Identity::from_names(names.into_iter().flatten());
        let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
        let mut config = kube::Config::from_custom_kubeconfig(file, &options)
            .await
            .map_err(|error| wrong(&error, context.is_none()))?;
        // Retries are the installer's own affair: kube's would hide them, and know no budget.
        config.default_retry = false;
        let agent = HeaderValue::from_static(concat!("eks-installer/", env!("CARGO_PKG_VERSION")));
        config.headers.push((header::USER_AGENT, agent));
        let server = config.cluster_url.to_string();
        let client = kube::Client::try_from(config).map_err(|error| wrong(&error, false))?;
        Ok(Connection { client, kubeconfig: Some(self.path.clone()), context, server, identity })
    }

    /// Whatever in the file, or in the files that it names, could be used to get in must not get out.
    fn hide_secrets(&self, file: &Kubeconfig) {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let whole: serde_json::Value = serde_saphyr::from_str(&text).unwrap_or_default();
        self.redactor.hide_named(&whole["users"]);
        for user in file.auth_infos.iter().filter_map(|user| user.auth_info.as_ref()) {
            for path in user.token_file.iter().chain(&user.client_key) {
                self.redactor.hide(&std::fs::read_to_string(path).unwrap_or_default());
            }
        }
    }
}

impl Connect for KubeconfigFile {
    fn connect(&self) -> BoxFuture<'_, Result<Connection, ConnectError>> {
        Box::pin(self.open())
    }

    fn kubeconfig_path(&self) -> Option<String> {
        Some(self.path.clone())
    }
}
