//! Is it the right cluster? By the kubeconfig's context first, which costs nothing, and before anything
//! is changed by what EKS itself says: the endpoint, and the account that the cluster belongs to.

use crate::aws::{Aws, AwsError, Caller};
use crate::cluster::Cluster;
use crate::context::Run;
use crate::identity::Identity;
use crate::result::{Blocker, Code};
use crate::seams::ToolError;

/// Sees that the kubeconfig's context is the cluster that was asked for.
pub(crate) fn right_cluster(run: &Run<'_>, cluster: &Cluster<'_>) -> Result<(), Vec<Blocker>> {
    let connection = &cluster.connection;
    let contradictions = connection.identity.contradictions(&run.settings.cluster);
    if contradictions.is_empty() {
        if connection.identity.name.is_none() && run.settings.cluster.name.is_some() {
            run.warn("connect", "the kubeconfig's context does not say which EKS cluster it is");
        }
        return Ok(());
    }
    let context = connection.context.as_deref().unwrap_or("(none)");
    Err(wrong(run, &format!("{} (context {context})", contradictions.join("; "))))
}

/// The name and region of the cluster: as asked for, or else as the kubeconfig's context has them.
pub(crate) fn named(run: &Run<'_>, found: &Identity) -> Option<(String, String)> {
    let asked = &run.settings.cluster;
    let name = asked.name.clone().or_else(|| found.name.clone())?;
    let region = asked.region.clone().or_else(|| found.region.clone())?;
    Some((name, region))
}

/// Sees that EKS's cluster of that name is the one that the kubeconfig leads to, and in the right
/// account. Asked once, before the first write of a run, and not before: it takes a second.
pub(crate) async fn right_endpoint(run: &Run<'_>, cluster: &Cluster<'_>) -> Result<(), Vec<Blocker>> {
    let connection = &cluster.connection;
    if run.confirmed(&connection.server) {
        return Ok(());
    }
    let Some((name, region)) = named(run, &connection.identity) else {
        run.warn("connect", "neither name nor region of the EKS cluster are known; EKS is not asked");
        return Ok(());
    };
    let aws = Aws::new(run, Some(&region));
    let found = match aws.find(&["eks", "describe-cluster", "--name", &name]).await {
        Ok(Some(answer)) => answer["cluster"].clone(),
        Ok(None) => {
            return Err(wrong(
                run,
                &format!(
                    "EKS knows no cluster {name:?} in region {region:?} of the account that these \
                     credentials are for, and the kubeconfig leads to {}",
                    connection.server
                ),
            ));
        }
        Err(error) => return unconfirmed(run, &connection.identity, &error),
    };
    let arn = found["arn"].as_str().unwrap_or_default();
    let contradictions = Identity::from_names([arn]).contradictions(&run.settings.cluster);
    if !contradictions.is_empty() {
        return Err(wrong(run, &format!("{} (EKS: {arn})", contradictions.join("; "))));
    }
    if let Some(endpoint) = found["endpoint"].as_str()
        && !same_server(endpoint, &connection.server)
    {
        return Err(wrong(
            run,
            &format!(
                "the endpoint of EKS cluster {name:?} in {region} is {endpoint}, and the kubeconfig leads to {}",
                connection.server
            ),
        ));
    }
    run.confirm(&connection.server);
    run.step("connect", format!("EKS confirms the cluster: {name} in {region}"));
    Ok(())
}

/// EKS could not be asked. A context that names the cluster will do; one that does not will not.
fn unconfirmed(run: &Run<'_>, context: &Identity, error: &AwsError) -> Result<(), Vec<Blocker>> {
    if let AwsError::Tool(ToolError::Stopped { .. }) = error {
        return Err(vec![error.blocker()]);
    }
    let no_tool = matches!(error, AwsError::Tool(ToolError::NotFound { .. }));
    if context.name.is_some() || no_tool {
        run.warn("connect", format!("EKS could not be asked whether this is the right cluster: {error}"));
        return Ok(());
    }
    run.fail("connect", error.to_string());
    Err(vec![error.blocker()])
}

/// Sees that the credentials are of the account that was asked for.
pub(crate) async fn right_account(
    run: &Run<'_>,
    aws: &Aws<'_>,
    context: &Identity,
) -> Result<Caller, Vec<Blocker>> {
    let caller = aws.caller().await.map_err(|error| {
        run.fail("account", error.to_string());
        vec![error.blocker()]
    })?;
    let asked = run.settings.cluster.account.as_ref();
    match asked.or(context.account.as_ref()) {
        Some(account) if *account != caller.account => {
            let how = if asked.is_some() { "was asked for" } else { "is the cluster's" };
            Err(wrong(
                run,
                &format!(
                    "account {account:?} {how}, the AWS credentials are of {:?} ({})",
                    caller.account, caller.arn
                ),
            ))
        }
        _ => Ok(caller),
    }
}

pub(crate) fn wrong(run: &Run<'_>, why: &str) -> Vec<Blocker> {
    let message = format!("wrong cluster: {why}");
    run.fail("connect", &message);
    vec![
        Blocker::new(
            Code::WrongCluster,
            message,
            "nothing was touched: point KUBECONFIG and AWS_PROFILE at the cluster that was asked for, or ask \
             for this one",
        )
        .commands([
            "kubectl config get-contexts",
            "kubectl config current-context",
            "aws sts get-caller-identity",
        ]),
    ]
}

/// Whether two URLs are one server's.
pub(crate) fn same_server(one: &str, other: &str) -> bool {
    let bare = |url: &str| {
        let url = url.trim_end_matches('/').to_lowercase();
        url.strip_suffix(":443").map_or_else(|| url.clone(), str::to_owned)
    };
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_the_same_with_and_without_its_usual_port() {
        assert!(same_server("https://ABC.eks.amazonaws.com", "https://abc.eks.amazonaws.com:443/"));
        assert!(!same_server("https://abc.eks.amazonaws.com", "https://127.0.0.1:6443"));
        assert!(!same_server("https://127.0.0.1:1", "https://127.0.0.1:2"));
    }
}
