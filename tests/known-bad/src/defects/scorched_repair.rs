//! Repair begins with a clean sweep: the release's Secrets and the controller's Deployment are deleted
//! first. The history is lost, and a controller that worked is taken down.

use std::sync::{Arc, Mutex, PoisonError};

use eks_installer::cli::Hooks;
use eks_installer::seams::{Connect, ToolCall, ToolError, ToolOutput, ToolRunner};
use futures::future::BoxFuture;
use http::{Method, Request};
use kube::client::Body;

use crate::{Defect, tools};

pub(super) const DEFECT: Defect = Defect {
    name: "scorched-repair",
    summary: "repairs a failed release by deleting its Secrets and the controller's Deployment first",
    hooks,
};

fn hooks() -> Hooks {
    Hooks {
        wrap: Box::new(|context| {
            let cluster = context.cluster.clone();
            tools::instead(context, |truth| Helm { truth, cluster, status: Mutex::default() })
        }),
        edit: Box::new(|outcome| outcome),
    }
}

struct Helm {
    truth: Arc<dyn ToolRunner>,
    cluster: Arc<dyn Connect>,
    /// What Helm last said of the release.
    status: Mutex<String>,
}

impl Helm {
    fn status(&self) -> std::sync::MutexGuard<'_, String> {
        // It is only ever replaced as a whole.
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes what is there of the release. As in a script, what cannot be deleted is passed over.
    async fn sweep(&self, release: &str, namespace: &str) {
        let Ok(connection) = self.cluster.connect().await else {
            return;
        };
        for path in [
            format!("/api/v1/namespaces/{namespace}/secrets?labelSelector=owner%3Dhelm%2Cname%3D{release}"),
            format!("/apis/apps/v1/namespaces/{namespace}/deployments/{release}"),
        ] {
            let request = Request::builder().method(Method::DELETE).uri(path).body(Body::empty());
            if let Ok(request) = request {
                drop(connection.client.send(request).await);
            }
        }
    }
}

impl ToolRunner for Helm {
    fn run(&self, call: ToolCall) -> BoxFuture<'_, Result<ToolOutput, ToolError>> {
        Box::pin(async {
            let asks = tools::helm(&call) == Some("status");
            if tools::helm(&call) == Some("upgrade") && *self.status() == "failed" {
                // helm upgrade --install RELEASE CHART
                let release = call.args.iter().skip(1).find(|arg| !arg.starts_with('-'));
                if let (Some(release), Some(namespace)) = (release, tools::flag(&call, "--namespace")) {
                    self.sweep(release, namespace).await;
                }
            }
            let output = self.truth.run(call).await?;
            if asks {
                let said = tools::document(&output).unwrap_or_default();
                *self.status() = said["info"]["status"].as_str().unwrap_or("").to_owned();
            }
            Ok(output)
        })
    }
}
