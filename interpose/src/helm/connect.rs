//! Finding the cluster: flags, environment, kubeconfig.

use super::flags::Line;
use super::{Access, Failure};
use crate::Invocation;
use crate::cluster::{Api, client, merged};

/// Where client-go looks when it has no kubeconfig.
const NOWHERE: &str = "http://localhost:8080";

/// What Helm calls itself.
pub(super) const AGENT: &str = concat!("Helm/3.22.0 (interpose ", env!("CARGO_PKG_VERSION"), ")");

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
            Ok((Api::new(client.clone(), server, AGENT), namespace))
        }
        Access::Kubeconfig => {
            let explicit = line.one("kubeconfig").map(str::to_owned);
            let context = line.one("kube-context").map(str::to_owned).or_else(|| env("HELM_KUBECONTEXT"));
            let found = merged(explicit, env("KUBECONFIG"), env("HOME")).map_err(unreachable)?;
            let Some(kubeconfig) = found else {
                return Err(unreachable(format!(
                    "Get \"{NOWHERE}/version\": dial tcp 127.0.0.1:8080: connect: connection refused"
                )));
            };
            let (client, server, namespace) = client(kubeconfig, context).await.map_err(unreachable)?;
            Ok((Api::new(client, server, AGENT), asked.unwrap_or(namespace)))
        }
    }
}
