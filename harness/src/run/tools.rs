//! The interposed tools of one attempt: a folder to put first on PATH, and the plan that they follow.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use interpose::cloud::Account;
use interpose::plan::{self, Plan, Tool};
use interpose::record::{self, Call};

use crate::backend::{Cluster, ClusterError};
use crate::scenario::EksShape;

/// Tools that have a stand-in; `kubectl` has none and is interposed only where there is a real one.
const STAND_INS: [&str; 3] = ["helm", "eksctl", "aws"];

/// The tools' folders and plan.
pub struct Tools {
    bin: PathBuf,
    protocol: PathBuf,
    plan: Plan,
}

/// How tools are carried out: which executable interposes them, and which real ones calls are passed on to.
#[derive(Clone, Debug)]
pub struct ToolChoice {
    /// The interposing executable.
    pub interposer: PathBuf,
    /// Real tools by name; the others are answered by their stand-ins.
    pub real: BTreeMap<String, PathBuf>,
}

impl Tools {
    /// Makes the folder below `folder`.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub fn make(
        folder: &Path,
        choice: &ToolChoice,
        cluster: &dyn Cluster,
        eks: &EksShape,
        secrets: &[String],
    ) -> Result<Self, ClusterError> {
        let (bin, protocol) = (folder.join("bin"), folder.join("tools"));
        let failed = |error: std::io::Error| ClusterError::new(format!("make {}: {error}", folder.display()));
        std::fs::create_dir_all(&bin).map_err(failed)?;
        std::fs::create_dir_all(&protocol).map_err(failed)?;
        let owner = folder.join("owner-kubeconfig");
        std::fs::write(&owner, cluster.owner_kubeconfig()).map_err(failed)?;
        // What is asked with a kubeconfig that eksctl or aws wrote must be known as the installer's too.
        let caller = folder.join("caller-kubeconfig");
        std::fs::write(&caller, cluster.kubeconfig()).map_err(failed)?;
        for name in STAND_INS.iter().copied().chain(choice.real.keys().map(String::as_str)) {
            let link = bin.join(name);
            if !link.exists() {
                std::os::unix::fs::symlink(&choice.interposer, link).map_err(failed)?;
            }
        }
        let identity = cluster.identity();
        let exists = eks.exists.unwrap_or(true);
        let plan = Plan {
            tools: choice
                .real
                .iter()
                .map(|(name, path)| (name.clone(), Tool { real: Some(path.clone()) }))
                .collect(),
            secrets: secrets.to_vec(),
            admin_kubeconfig: Some(owner),
            caller_kubeconfig: Some(caller),
            cluster: plan::ClusterIdentity {
                name: identity.name,
                region: identity.region,
                account: identity.account,
                endpoint: Some(identity.endpoint),
            },
            eks: plan::Eks {
                exists: Some(exists),
                status: eks.status.clone(),
                tags: eks.tags.clone().unwrap_or_default(),
                node_groups: eks.node_groups.clone().unwrap_or_default(),
                joining: eks.joining,
                ..plan::Eks::default()
            },
            ..Plan::default()
        };
        let tools = Self { bin, protocol, plan };
        tools.save()?;
        Ok(tools)
    }

    /// Changes the plan; it holds from the next call on.
    ///
    /// # Errors
    /// The plan cannot be written.
    pub fn change(&mut self, change: impl FnOnce(&mut Plan)) -> Result<(), ClusterError> {
        change(&mut self.plan);
        self.save()
    }

    fn save(&self) -> Result<(), ClusterError> {
        self.plan
            .save(&self.protocol)
            .map_err(|error| ClusterError::new(format!("write the tools' plan: {error}")))
    }

    /// Every call so far.
    ///
    /// # Errors
    /// The recording cannot be read.
    pub fn calls(&self) -> Result<Vec<Call>, ClusterError> {
        record::read(&self.protocol)
            .map_err(|error| ClusterError::new(format!("read the tool calls: {error}")))
    }

    /// What the tools have made in the account.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn account(&self) -> Result<Account, ClusterError> {
        interpose::cloud::made(&self.protocol)
            .map_err(|error| ClusterError::new(format!("read the tools' account: {error}")))
    }

    /// Whether the fault of this label holds a call whose work is done.
    #[must_use]
    pub fn held(&self, label: &str) -> bool {
        interpose::state::State::of(&self.protocol).held(label)
    }

    /// The folder to put first on PATH.
    #[must_use]
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// The folder that the tools find their plan in.
    #[must_use]
    pub fn protocol(&self) -> &Path {
        &self.protocol
    }
}
