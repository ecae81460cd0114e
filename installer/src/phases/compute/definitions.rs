//! Karpenter's custom resource definitions. Helm installs those of a chart's `crds` folder with the first
//! revision and never again, so a release can be there without them; the chart `karpenter-crd` brings
//! them as objects of its own.

use serde_json::Value;

use super::{CODES, Compute};
use crate::cluster::{Cluster, ReadError};
use crate::diagnosis::{Diagnosis, Subject};
use crate::helm::Chart;
use crate::phases::Phase;
use crate::release::{Change, Gate, Work};
use crate::result::{Blocker, Definitions};
use crate::settings::Values;

/// Those without which the controller does not start.
const NEEDED: [&str; 3] =
    ["ec2nodeclasses.karpenter.k8s.aws", "nodeclaims.karpenter.sh", "nodepools.karpenter.sh"];

/// Those of them that the cluster has not, or that are not established.
async fn missing(cluster: &Cluster<'_>) -> Result<Vec<String>, ReadError> {
    let mut missing = Vec::new();
    for name in NEEDED {
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        let found = cluster.get::<Value>("read Karpenter's definitions", &path).await?;
        let established = found.as_ref().is_some_and(|definition| {
            let conditions = definition["status"]["conditions"].as_array();
            conditions.into_iter().flatten().any(|it| it["type"] == "Established" && it["status"] == "True")
        });
        if !established {
            missing.push(name.to_owned());
        }
    }
    Ok(missing)
}

/// The reference of the chart that holds the definitions, beside that of the controller's.
fn reference(chart: &str) -> String {
    format!("{}-crd", chart.trim_end_matches('/'))
}

/// What the definitions' release runs: nothing, but they have to be established.
struct Established<'a, 'r> {
    cluster: &'a Cluster<'r>,
    release: String,
}

impl Gate for Established<'_, '_> {
    fn forget(&mut self) {}

    async fn before(&mut self, _: Change) -> Result<(), Vec<Blocker>> {
        Ok(())
    }

    async fn is_ready(&mut self, _: &str) -> bool {
        missing(self.cluster).await.is_ok_and(|missing| missing.is_empty())
    }

    async fn explain(&mut self, namespace: &str, mut blocker: Blocker, words: &str) -> Vec<Blocker> {
        let mut diagnosis = Diagnosis::default();
        let subject =
            Subject { release: &self.release, namespace, selector: "app.kubernetes.io/name=karpenter" };
        diagnosis.heed(words, subject);
        match diagnosis.explain() {
            Some(why) => blocker.message.push_str(&format!("; {why}")),
            None => blocker.message.push_str("; the reason is unrecognised: these are its own words"),
        }
        diagnosis.blockers(blocker)
    }
}

impl Compute<'_, '_> {
    /// Sees that the definitions are there, and installs their chart when they are not. `false` when there
    /// was nothing to do.
    pub(super) async fn complete_definitions(&mut self) -> Result<bool, Vec<Blocker>> {
        let server = self.cluster.connection.server.clone();
        let unread = |error: ReadError| vec![error.blocker(Some(&server))];
        let lacking = missing(self.cluster).await.map_err(unread)?;
        let mut found = Definitions { missing: lacking.clone(), installed: false };
        self.evidence.karpenter.definitions = Some(found.clone());
        if lacking.is_empty() {
            return Ok(false);
        }
        self.run.warn("definitions", format!("missing: {}", lacking.join(", ")));
        let settings = &self.run.settings.karpenter;
        let chart = Chart {
            release: format!("{}-crd", settings.release),
            reference: reference(&settings.chart),
            version: Some(settings.version.clone()),
            namespace: self.evidence.karpenter.namespace.clone(),
            values: Values::default(),
            needed: Vec::new(),
            set: Vec::new(),
            adopt: settings.adopt_crds,
        };
        let mut gate = Established { cluster: self.cluster, release: chart.release.clone() };
        let mut work = Work::new(self.cluster, Phase::Compute, CODES, false, chart);
        if self.run.dry() {
            return work.plan(&mut gate).await;
        }
        work.act(&mut gate).await?;
        found.missing = missing(self.cluster).await.map_err(unread)?;
        found.installed = true;
        self.evidence.karpenter.definitions = Some(found.clone());
        if found.missing.is_empty() {
            return Ok(true);
        }
        let release = &work.helm.chart.release;
        let message = format!(
            "release {release} is deployed and the cluster still lacks the definitions {}",
            found.missing.join(", ")
        );
        self.run.fail("definitions", &message);
        let namespace = &work.helm.namespace;
        Err(vec![
            Blocker::new(
                CODES.setup,
                message,
                format!("somebody deleted the definitions of a deployed release: roll {release} back to its own revision"),
            )
            .cause(Some("CRDS_MISSING"))
            .commands([
                format!("helm history {release} --namespace {namespace}"),
                "kubectl get customresourcedefinitions".to_owned(),
            ]),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_chart_lies_beside_the_controllers() {
        assert_eq!(
            reference("oci://public.ecr.aws/karpenter/karpenter"),
            "oci://public.ecr.aws/karpenter/karpenter-crd"
        );
    }
}
