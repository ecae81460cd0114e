//! Phase 2: the object store that workloads need.
//!
//! A bucket, a policy and a role for it, and the association by which EKS gives the role to the pods of
//! one service account. Each is looked for, made when it is not there, and read back. What is there and
//! says something else than it should is never changed: it has an owner, and a blocker of its own.

mod association;
mod bucket;
mod document;
mod iam;
mod objects;

use super::compute::Ended;
use super::ensure::Trouble;
use super::force::pass;
use super::target;
use crate::aws::{Aws, AwsError, Caller};
use crate::cluster::Cluster;
use crate::context::Run;
use crate::phases::Phase;
use crate::result::{Blocker, Class, Code, Phase2};
use crate::settings::StorageSettings;

/// Runs the phase; what it reads goes into `evidence`. Without a configured store there is nothing to do,
/// and the evidence says so.
pub async fn run(run: &Run<'_>, evidence: &mut Phase2) -> Ended {
    let Some(storage) = &run.settings.storage else {
        run.step("storage", "no object store is configured: there is nothing to do");
        return Ended::default();
    };
    evidence.configured = true;
    let Err(blockers) = steps(run, storage, evidence).await else {
        if run.planned().begins_with().is_some_and(|phase| phase <= Phase::Storage) {
            return Ended::default();
        }
        run.gate("storage", "passed");
        run.step("storage", "the object store is there");
        return Ended::default();
    };
    for blocker in &blockers {
        run.fail("storage", &blocker.message);
    }
    let unknown = blockers.iter().any(|it| matches!(it.code.class(), Class::Unknown | Class::Signal(_)));
    run.gate("storage", if unknown { "unknown" } else { "blocked" });
    if unknown || blockers.iter().any(|it| matches!(it.code, Code::WrongCluster | Code::Usage)) {
        return Ended { blockers, forced: None };
    }
    pass(run, Phase::Storage, "storage", blockers).into()
}

/// The phase at work.
struct Storage<'a, 'r> {
    run: &'r Run<'r>,
    cluster: &'a Cluster<'r>,
    aws: Aws<'r>,
    settings: &'r StorageSettings,
    caller: Caller,
    /// Name of the EKS cluster.
    name: String,
    /// Its region, and the bucket's.
    region: String,
}

async fn steps(run: &Run<'_>, settings: &StorageSettings, evidence: &mut Phase2) -> Result<(), Vec<Blocker>> {
    let cluster = Cluster::connect(run).await.map_err(|error| {
        run.fail("connect", error.to_string());
        vec![error.blocker(None)]
    })?;
    evidence.identity = cluster.connection.identity.clone();
    target::right_cluster(run, &cluster)?;
    let Some((name, region)) = target::named(run, &cluster.connection.identity) else {
        return Err(vec![Blocker::new(
            Code::Usage,
            "the storage phase needs to know which cluster: CLUSTER_NAME and AWS_REGION",
            "set both, or pass --cluster-name and --region",
        )]);
    };
    let aws = Aws::new(run, Some(&region));
    let caller = target::right_account(run, &aws, &cluster.connection.identity).await?;
    evidence.account = Some(caller.account.clone());
    target::right_endpoint(run, &cluster).await?;
    let storage = Storage { run, cluster: &cluster, aws, settings, caller, name, region };
    storage.agent(evidence).await?;
    storage.bucket(&mut evidence.bucket).await?;
    storage.policy(&mut evidence.policy).await?;
    storage.role(&mut evidence.role).await?;
    storage.namespace(&mut evidence.namespace).await?;
    storage.service_account(evidence).await?;
    storage.association(&mut evidence.association).await
}

impl Storage<'_, '_> {
    fn arn(&self, service: &str, region: &str, account: &str, what: &str) -> String {
        format!("arn:{}:{service}:{region}:{account}:{what}", self.caller.partition())
    }

    /// The tag by which things of this installer are known again.
    fn tag(&self) -> (&'static str, &str) {
        ("eks-installer/cluster", &self.name)
    }

    fn policy_name(&self) -> String {
        self.settings.policy.clone().unwrap_or_else(|| format!("{}-{}", self.name, self.settings.bucket))
    }

    fn role_name(&self) -> String {
        self.settings.role.clone().unwrap_or_else(|| self.policy_name())
    }

    fn policy_arn(&self) -> String {
        self.arn("iam", "", &self.caller.account, &format!("policy/{}", self.policy_name()))
    }

    fn role_arn(&self) -> String {
        self.arn("iam", "", &self.caller.account, &format!("role/{}", self.role_name()))
    }

    /// The blocker of something in AWS that could not be had.
    fn trouble(&self, what: &str, trouble: Trouble<AwsError>, look: &str) -> Vec<Blocker> {
        let failed = |why: String| {
            Blocker::new(
                Code::StorageSetupFailed,
                format!("{what} could not be made: {why}"),
                "mend what the message names and run the storage phase again: it goes on where it stopped",
            )
            .commands([self.aws.command(look)])
        };
        if let Some(reason) = self.run.ctx.stop.reason() {
            return vec![Blocker::stopped(reason)];
        }
        vec![match trouble {
            Trouble::Read(error) => error.blocker(),
            Trouble::Write(error) if error.denied() => error.blocker(),
            Trouble::Write(error) => failed(error.to_string()),
            Trouble::Absent => failed("it was made, and does not show when it is read back".to_owned()),
        }]
    }
}
