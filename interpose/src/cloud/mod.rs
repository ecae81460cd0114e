//! The cloud account that eksctl and aws look into: one EKS cluster, its node groups, and the nodes
//! that join it.
//!
//! What nobody has changed comes from the plan; what the tools make is kept in `state/account.json`,
//! under the lock, so that calls of different tools in different processes see one account. Nodes are
//! real Node objects in the cluster, made with the administrator's kubeconfig.

pub(crate) mod flags;
mod holdings;
mod kubeconfig;
mod nodes;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use kube::config::Kubeconfig;
use serde::{Deserialize, Serialize};

pub use holdings::{Addon, Association, Bucket, Changes, Holdings, Issue, Policy, Role};
pub(crate) use kubeconfig::{Naming, write_kubeconfig};
pub(crate) use nodes::{NodesError, join, leave};

use crate::cluster::{Api, client};
use crate::plan::{ClusterIdentity, Eks, Plan};
use crate::state::State;

/// Name of the document of the state folder.
const DOCUMENT: &str = "account";

/// What the tools that share a protocol folder have made so far.
///
/// # Errors
/// It is there and cannot be read.
pub fn made(dir: &std::path::Path) -> std::io::Result<Account> {
    Ok(State::of(dir).lock()?.read(DOCUMENT)?.unwrap_or_default())
}

/// The account, as one call sees it.
#[derive(Clone)]
pub struct Cloud {
    /// The cluster that there is, or would be.
    pub identity: ClusterIdentity,
    /// What EKS has and does by the plan.
    pub eks: Eks,
    /// What else the account holds by the plan.
    pub holdings: Holdings,
    /// Account of the credentials that the tools are called with; the cluster's own when absent.
    pub caller: Option<String>,
    /// Actions that IAM does not allow the caller.
    pub denied: BTreeSet<String>,
    /// Quotas by their code, where they are not the usual ones.
    pub quotas: BTreeMap<String, u32>,
    /// How the account's owner reaches the cluster.
    pub admin: Admin,
    /// Kubeconfig that tells how the caller reaches it; the owner's when absent.
    pub kubeconfig: Option<PathBuf>,
    /// The time of day.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    memory: Memory,
}

/// How the account's owner reaches the cluster.
#[derive(Clone)]
pub enum Admin {
    /// Not at all: nodes never join, and no kubeconfig can be written.
    Nobody,
    /// By a kubeconfig on disk.
    Kubeconfig(PathBuf),
    /// By a client, for use within another process.
    Client(kube::Client),
}

#[derive(Clone)]
enum Memory {
    Folder(State),
    Process(Arc<Mutex<Account>>),
}

/// What the tools have made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Account {
    /// The cluster, when eksctl made it.
    pub cluster: Option<Made>,
    /// Node groups by name, made by eksctl.
    pub node_groups: BTreeMap<String, NodeGroup>,
    /// How many nodes have been made so far, for their names.
    pub nodes_made: u32,
    /// What else has changed.
    pub changes: Changes,
    /// How many things have been made so far, for their ids.
    pub made: u32,
}

/// A cluster that eksctl made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Made {
    /// `CREATING`, `ACTIVE`….
    pub status: String,
    /// Kubernetes version.
    pub version: String,
    /// When.
    pub created_at: Timestamp,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A node group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeGroup {
    /// Least number of nodes.
    pub min: u32,
    /// Most.
    pub max: u32,
    /// Wanted.
    pub desired: u32,
    /// EC2 instance type.
    pub instance_type: String,
    /// `ACTIVE`, `CREATE_FAILED`….
    pub status: String,
    /// When.
    pub created_at: Timestamp,
}

/// The cluster as EKS describes it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) status: String,
    pub(crate) version: String,
    pub(crate) created_at: Timestamp,
    pub(crate) endpoint: Option<String>,
    pub(crate) authority: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Cloud {
    /// The account of a plan; changes are kept in `dir`, or in memory without one.
    pub fn of(plan: &Plan, dir: Option<&std::path::Path>) -> Self {
        let memory =
            dir.map_or_else(|| Memory::Process(Arc::default()), |dir| Memory::Folder(State::of(dir)));
        Self {
            identity: plan.cluster.clone(),
            eks: plan.eks.clone(),
            holdings: plan.holdings.clone(),
            caller: plan.caller.clone(),
            denied: plan.denied.clone(),
            quotas: plan.quotas.clone(),
            kubeconfig: plan.caller_kubeconfig.clone(),
            admin: plan.admin_kubeconfig.clone().map_or(Admin::Nobody, Admin::Kubeconfig),
            now: Arc::new(Timestamp::now),
            memory,
        }
    }

    /// An account for use within another process: nothing on disk, that client, that clock. Cloning
    /// it shares the account.
    pub fn within(
        identity: ClusterIdentity,
        eks: Eks,
        client: kube::Client,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let memory = Memory::Process(Arc::default());
        Self {
            identity,
            eks,
            holdings: Holdings::default(),
            caller: None,
            denied: BTreeSet::new(),
            quotas: BTreeMap::new(),
            admin: Admin::Client(client),
            kubeconfig: None,
            now: Arc::new(now),
            memory,
        }
    }

    /// Reads what has been made, and changes it.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Account) -> T) -> Result<T, String> {
        match &self.memory {
            Memory::Process(account) => {
                Ok(change(&mut account.lock().unwrap_or_else(PoisonError::into_inner)))
            }
            Memory::Folder(state) => {
                let state = state.lock().map_err(|error| format!("lock the state: {error}"))?;
                let mut account: Account =
                    state.read(DOCUMENT).map_err(|error| error.to_string())?.unwrap_or_default();
                let before = account.clone();
                let result = change(&mut account);
                if account != before {
                    state.write(DOCUMENT, &account).map_err(|error| format!("write the state: {error}"))?;
                }
                Ok(result)
            }
        }
    }

    /// Account of the credentials that the tools are called with.
    pub(crate) fn account(&self) -> &str {
        self.caller.as_deref().unwrap_or(&self.identity.account)
    }

    /// What the account holds besides its cluster, to be changed; the change is kept.
    pub(crate) fn alter<T>(&self, change: impl FnOnce(&mut Holdings) -> T) -> Result<T, String> {
        let start = self.start();
        self.change(|account| {
            let before = account.changes.applied_to(&start);
            let mut after = before.clone();
            let result = change(&mut after);
            account.changes.note(&before, &after);
            result
        })
    }

    /// What the plan gives the account, the add-ons of every cluster among it.
    fn start(&self) -> Holdings {
        let mut start = self.holdings.clone();
        for name in ["vpc-cni", "coredns", "kube-proxy", "eks-pod-identity-agent"] {
            let active = Addon { status: "ACTIVE".into(), issues: Vec::new() };
            start.addons.entry(name.to_owned()).or_insert(active);
        }
        for name in &self.eks.without_addons {
            start.addons.remove(name);
        }
        start
    }

    /// A number that no other thing of the account has.
    pub(crate) fn number(&self) -> Result<u32, String> {
        self.change(|account| {
            account.made += 1;
            account.made
        })
    }

    /// The cluster of that name in that region, if the caller's account has one.
    pub(crate) fn describe(&self, name: &str, region: &str) -> Result<Option<Described>, String> {
        if name != self.identity.name
            || region != self.identity.region
            || self.account() != self.identity.account
        {
            return Ok(None);
        }
        let made = self.change(|account| account.cluster.clone())?;
        let (endpoint, authority) = self.reach();
        let endpoint = self.identity.endpoint.clone().or(endpoint);
        if let Some(made) = made {
            return Ok(Some(Described {
                status: made.status,
                version: made.version,
                created_at: made.created_at,
                tags: made.tags,
                endpoint,
                authority,
            }));
        }
        if !self.eks.exists.unwrap_or(self.identity.endpoint.is_some()) {
            return Ok(None);
        }
        Ok(Some(Described {
            status: self.eks.status.clone().unwrap_or_else(|| "ACTIVE".into()),
            version: self.eks.version.clone().unwrap_or_else(|| "1.37".into()),
            created_at: Timestamp::UNIX_EPOCH,
            endpoint,
            authority,
            tags: self.eks.tags.clone(),
        }))
    }

    /// Node groups of the cluster, the plan's and those that were made since.
    pub(crate) fn node_groups(&self) -> Result<BTreeMap<String, NodeGroup>, String> {
        let mut all: BTreeMap<String, NodeGroup> = self
            .eks
            .node_groups
            .iter()
            .map(|(name, desired)| {
                let failed = self.eks.node_group_issue.is_some();
                let group = NodeGroup {
                    min: *desired,
                    max: *desired,
                    desired: *desired,
                    instance_type: "m5.large".into(),
                    status: if failed { "CREATE_FAILED" } else { "ACTIVE" }.into(),
                    created_at: Timestamp::UNIX_EPOCH,
                };
                (name.clone(), group)
            })
            .collect();
        all.extend(self.change(|account| account.node_groups.clone())?);
        Ok(all)
    }

    /// What EKS says of a node group whose nodes did not join.
    pub(crate) fn node_group_issue(&self) -> Issue {
        self.eks.node_group_issue.clone().unwrap_or_else(|| Issue {
            code: "NodeCreationFailure".into(),
            message: "Instances failed to join the kubernetes cluster".into(),
        })
    }

    /// Server and authority of the administrator's kubeconfig.
    fn reach(&self) -> (Option<String>, Option<String>) {
        let Admin::Kubeconfig(path) = &self.admin else { return (None, None) };
        let Ok(kubeconfig) = Kubeconfig::read_from(path) else { return (None, None) };
        let cluster = kubeconfig.clusters.into_iter().find_map(|it| it.cluster);
        cluster.map_or((None, None), |it| (it.server, it.certificate_authority_data))
    }

    /// The cluster, with the administrator's rights.
    pub(crate) async fn api(&self, agent: &'static str) -> Result<Api, String> {
        match &self.admin {
            Admin::Nobody => Err("no administrator's kubeconfig in the plan (adminKubeconfig)".into()),
            Admin::Client(client) => Ok(Api::new(client.clone(), "https://cluster.local", agent)),
            Admin::Kubeconfig(path) => {
                let kubeconfig = Kubeconfig::read_from(path).map_err(|error| error.to_string())?;
                let (client, server, _) = client(kubeconfig, None).await?;
                Ok(Api::new(client, server, agent))
            }
        }
    }

    /// Now.
    pub(crate) fn now(&self) -> Timestamp {
        (self.now)()
    }
}
