//! The namespace and the service account of the workloads.

use serde_json::{Value, json};

use super::Storage;
use crate::cluster::ReadError;
use crate::phases::Phase;
use crate::phases::ensure::{Trouble, ensure};
use crate::result::{Blocker, Code, Phase2, Warning, storage};

/// The label by which objects of this installer are known again.
const MANAGED_BY: &str = "eks-installer";

/// An annotation of the older way to give a role to pods; SDKs prefer it.
const IRSA: &str = "eks.amazonaws.com/role-arn";

impl Storage<'_, '_> {
    /// Finds or makes the namespace.
    pub(super) async fn namespace(&self, evidence: &mut storage::Object) -> Result<(), Vec<Blocker>> {
        let name = &self.settings.namespace;
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels() },
        });
        let (what, command) = (format!("namespace {name}"), format!("kubectl create namespace {name}"));
        let found = self.object(evidence, &what, name, "/api/v1/namespaces", &object, &command).await?;
        if found["status"]["phase"] != "Terminating" {
            return Ok(());
        }
        Err(vec![
            Blocker::new(
                Code::StorageSetupFailed,
                format!("namespace {name} is being deleted; nothing can be made in it"),
                "let the deletion come to its end, see what holds it up if it does not, and run again",
            )
            .commands([format!("kubectl get namespace {name} -o yaml")]),
        ])
    }

    /// Finds or makes the service account.
    pub(super) async fn service_account(&self, evidence: &mut Phase2) -> Result<(), Vec<Blocker>> {
        let (namespace, name) = (&self.settings.namespace, &self.settings.service_account);
        let object = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": { "name": name, "namespace": namespace, "labels": labels() },
        });
        let what = format!("service account {namespace}/{name}");
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        let command = format!("kubectl -n {namespace} create serviceaccount {name}");
        let found = self.object(&mut evidence.service_account, &what, name, &path, &object, &command).await?;
        if let Some(role) = found["metadata"]["annotations"][IRSA].as_str() {
            let message = format!(
                "{what} has the annotation {IRSA} ({role}): SDKs prefer it to the Pod Identity association"
            );
            self.run.warn("service-account", &message);
            evidence.warnings.push(Warning { code: "SERVICE_ACCOUNT_HAS_IRSA_ROLE".into(), message });
        }
        Ok(())
    }

    /// Finds or makes an object; `null` when it is only planned.
    async fn object(
        &self,
        evidence: &mut storage::Object,
        what: &str,
        name: &str,
        path: &str,
        object: &Value,
        command: &str,
    ) -> Result<Value, Vec<Blocker>> {
        evidence.name = Some(name.to_owned());
        let (cluster, one) = (self.cluster, format!("{path}/{name}"));
        let ensured = ensure(
            self.run,
            Phase::Storage,
            what,
            command,
            async || cluster.get::<Value>(&format!("read {what}"), &one).await,
            async || cluster.create(&format!("make {what}"), path, object).await,
        )
        .await
        .map_err(|trouble| self.object_trouble(what, trouble))?;
        let Some(ensured) = ensured else {
            evidence.existed = Some(false);
            return Ok(Value::Null);
        };
        evidence.existed = Some(ensured.existed);
        evidence.created = ensured.created;
        self.run.step("object", format!("{what} is there"));
        Ok(ensured.thing)
    }

    fn object_trouble(&self, what: &str, trouble: Trouble<ReadError>) -> Vec<Blocker> {
        if let Some(reason) = self.run.ctx.stop.reason() {
            return vec![Blocker::stopped(reason)];
        }
        let failed = |why: String| {
            Blocker::new(
                Code::StorageSetupFailed,
                format!("{what} could not be made: {why}"),
                "mend what the message names and run the storage phase again: it goes on where it stopped",
            )
            .commands([
                "kubectl auth can-i create namespaces",
                "kubectl auth can-i create serviceaccounts -A",
            ])
        };
        vec![match trouble {
            Trouble::Write(error @ ReadError::Garbage { .. }) => failed(error.to_string()),
            Trouble::Read(error) | Trouble::Write(error) => {
                error.blocker(Some(&self.cluster.connection.server))
            }
            Trouble::Absent => failed("it was made, and does not show when it is read back".to_owned()),
        }]
    }
}

fn labels() -> Value {
    json!({ "app.kubernetes.io/managed-by": MANAGED_BY })
}
