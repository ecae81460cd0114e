//! Releases: uninstalled by Helm, which knows what belongs to them.

use crate::cluster::Cluster;
use crate::helm::{Chart, Helm, said_last};
use crate::phases::right_endpoint;
use crate::result::{Blocker, Cleanup, Code};
use crate::seams::ToolError;

/// Uninstalls a release, if it is there.
pub(super) async fn remove(
    cluster: &Cluster<'_>,
    release: &str,
    namespace: &str,
    evidence: &mut Cleanup,
) -> Result<(), Vec<Blocker>> {
    let run = cluster.run;
    let chart = Chart { release: release.to_owned(), namespace: namespace.to_owned(), ..Chart::default() };
    let helm = Helm::new(run, &cluster.connection, chart);
    let unknown = |error: &crate::helm::HelmError| vec![error.blocker(&helm.chart)];
    if helm.status().await.map_err(|error| unknown(&error))?.is_none() {
        run.step("uninstall", format!("release {namespace}/{release} is not there"));
        return Ok(());
    }
    right_endpoint(run, cluster).await?;
    run.step("uninstall", format!("uninstalling release {namespace}/{release}"));
    let answer = helm.uninstall().await;
    if let Err(ToolError::Stopped { reason, .. }) = &answer {
        return Err(vec![Blocker::stopped(*reason)]);
    }
    // An answer can be lost: what is there decides.
    let left = helm.status().await;
    if matches!(left, Ok(None)) {
        run.step("uninstall", format!("release {namespace}/{release} is gone"));
        evidence.removed.push(format!("release {namespace}/{release}"));
        return Ok(());
    }
    let succeeded = matches!(&answer, Ok(output) if output.success());
    let words = match answer {
        Ok(output) => said_last(&output),
        Err(error) => error.to_string(),
    };
    let unread = left.err().map(|error| error.blocker(&helm.chart));
    if let (true, Some(unread)) = (succeeded, &unread) {
        return Err(vec![unread.clone()]);
    }
    run.fail("uninstall", &words);
    // The first error stays the first; that the release cannot be read any more comes after it.
    let failed = std::iter::once(
        Blocker::new(
            Code::CleanupIncomplete,
            format!("release {namespace}/{release} could not be uninstalled: {words}"),
            "see what keeps it, mend that, and run cleanup again: it goes on from what is there",
        )
        .commands([
            format!("helm status {release} --namespace {namespace}"),
            format!("helm uninstall {release} --namespace {namespace} --wait"),
        ]),
    );
    Err(failed.chain(unread).collect())
}
