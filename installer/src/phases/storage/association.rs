//! Pod Identity: the agent on the nodes, and the association of the service account with the role.

use k8s_openapi::api::apps::v1::DaemonSet;
use serde_json::Value;

use super::Storage;
use crate::aws::AwsError;
use crate::phases::Phase;
use crate::phases::ensure::ensure;
use crate::result::{Blocker, Code, Phase2, storage};

/// The add-on, and the DaemonSet of those who install the agent by another way.
const AGENT: &str = "eks-pod-identity-agent";

impl Storage<'_, '_> {
    /// Sees that the agent is there: without it pods of the service account get no credentials, and say
    /// so only in their own logs.
    pub(super) async fn agent(&self, evidence: &mut Phase2) -> Result<(), Vec<Blocker>> {
        let describe = ["eks", "describe-addon", "--cluster-name", &self.name, "--addon-name", AGENT];
        let found = self.aws.find(&describe).await.map_err(|error| vec![error.blocker()])?;
        let why = match &found {
            Some(answer) => {
                let status = answer["addon"]["status"].as_str().unwrap_or("of no known status");
                evidence.pod_identity_agent = Some(status.to_owned());
                if matches!(status, "ACTIVE" | "UPDATING") {
                    self.run.step("agent", format!("add-on {AGENT} is {status}"));
                    return Ok(());
                }
                format!("the add-on {AGENT} is {status}{}", issues(&answer["addon"]["health"]["issues"]))
            }
            None if self.agent_by_another_way().await? => return Ok(()),
            None => format!("the cluster lacks the add-on {AGENT}"),
        };
        let (create, look) = (
            format!("eks create-addon --cluster-name {} --addon-name {AGENT}", self.name),
            format!("eks describe-addon --cluster-name {} --addon-name {AGENT}", self.name),
        );
        Err(vec![
            Blocker::new(
                Code::PodIdentityAgentMissing,
                format!("{why}: pods would get no credentials for the bucket"),
                "install the add-on, or mend it, and run again",
            )
            .commands([self.aws.command(&create), self.aws.command(&look)]),
            Blocker::new(
                Code::Phase1Incomplete,
                format!("phase 1 has not provided {AGENT}"),
                "finish the foundation phase first",
            )
            .commands(["eks-installer install --phase foundation"]),
        ])
    }

    /// Whether the agent runs without being an add-on: from a chart, or as part of EKS Auto Mode.
    async fn agent_by_another_way(&self) -> Result<bool, Vec<Blocker>> {
        let path = format!("/apis/apps/v1/namespaces/kube-system/daemonsets/{AGENT}");
        let found: Option<DaemonSet> = self
            .cluster
            .get("read the Pod Identity agent", &path)
            .await
            .map_err(|error| vec![error.blocker(Some(&self.cluster.connection.server))])?;
        let ready = found.and_then(|it| it.status).is_some_and(|it| {
            it.desired_number_scheduled > 0 && it.number_ready == it.desired_number_scheduled
        });
        if ready {
            self.run.step("agent", format!("{AGENT} runs, and not as an add-on"));
            return Ok(true);
        }
        let describe = ["eks", "describe-cluster", "--name", &self.name];
        let answer = self.aws.read(&describe).await.map_err(|error| vec![error.blocker()])?;
        let auto = answer["cluster"]["computeConfig"]["enabled"] == true;
        if auto {
            self.run.step("agent", "EKS Auto Mode brings the Pod Identity agent with it");
        }
        Ok(auto)
    }

    /// Finds or makes the association, and sees that it gives the right role.
    pub(super) async fn association(&self, evidence: &mut storage::Association) -> Result<(), Vec<Blocker>> {
        let (namespace, account) = (&self.settings.namespace, &self.settings.service_account);
        let (cluster, role) = (self.name.as_str(), self.role_arn());
        let (key, value) = self.tag();
        let tags = format!("{key}={value}");
        let place = ["--cluster-name", cluster, "--namespace", namespace, "--service-account", account];
        let list = [&["eks", "list-pod-identity-associations"][..], &place].concat();
        let create = [
            &["eks", "create-pod-identity-association"][..],
            &place,
            &["--role-arn", &role, "--tags", &tags],
        ]
        .concat();
        let what = format!("the Pod Identity association of {namespace}/{account}");
        let look =
            format!("eks list-pod-identity-associations --cluster-name {cluster} --namespace {namespace}");
        let find = async || {
            let garbage = |detail| AwsError::garbage("eks list-pod-identity-associations", detail);
            let answer = self.aws.read(&list).await?;
            let all = answer["associations"].as_array().ok_or_else(|| garbage("it lacks associations"))?;
            let Some(first) = all.first() else { return Ok(None) };
            let id = first["associationId"].as_str();
            let id = id.ok_or_else(|| garbage("an association lacks associationId"))?;
            // Lists do not tell the role.
            let describe = [
                "eks",
                "describe-pod-identity-association",
                "--cluster-name",
                cluster,
                "--association-id",
                id,
            ];
            self.aws.find(&describe).await
        };
        let command = self.aws.typed(&create);
        let make = async || self.aws.write(&create).await.map(drop);
        let ensured = ensure(self.run, Phase::Storage, &what, &command, find, make)
            .await
            .map_err(|trouble| self.trouble(&what, trouble, &look))?;
        let Some(ensured) = ensured else {
            evidence.existed = Some(false);
            return Ok(());
        };
        let found = &ensured.thing["association"];
        evidence.existed = Some(ensured.existed);
        evidence.created = ensured.created;
        evidence.id = found["associationId"].as_str().map(str::to_owned);
        evidence.role_arn = found["roleArn"].as_str().map(str::to_owned);
        if evidence.role_arn.as_ref() == Some(&role) {
            self.run.step("association", format!("{what} gives role {}", self.role_name()));
            return Ok(());
        }
        let (id, other) =
            (evidence.id.as_deref().unwrap_or("?"), evidence.role_arn.as_deref().unwrap_or("?"));
        let update = format!(
            "eks update-pod-identity-association --cluster-name {cluster} --association-id {id} --role-arn {role}"
        );
        Err(vec![
            Blocker::new(
                Code::AssociationDrifted,
                format!("{what} ({id}) gives {other} and not {role}"),
                "nothing was changed: give it the right role with the second command, or configure another \
                 service account",
            )
            .commands([self.aws.command(&look), self.aws.command(&update)]),
        ])
    }
}

/// What EKS says is wrong, in its words.
fn issues(all: &Value) -> String {
    let all = all.as_array().into_iter().flatten();
    let words: Vec<String> =
        all.filter_map(|it| Some(format!("{}: {}", it["code"].as_str()?, it["message"].as_str()?))).collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join("; ")) }
}
