//! What the interposed tools are told: where the real ones are, which calls to break, and which
//! words must never reach a recording.
//!
//! The harness writes one [`Plan`] as `plan.json` into the folder that `SEATRIAL_TOOLS_DIR` names,
//! before it starts the installer. Every call of a tool reads it afresh, so that a fault injected
//! or healed while the installer runs holds from the next call on.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cloud::{Holdings, Issue};

/// Environment variable that names the folder of the protocol (`plan.json`, `calls.ndjson`, `state/`).
pub const TOOLS_DIR: &str = "SEATRIAL_TOOLS_DIR";

/// File in that folder from which the plan is read.
pub const PLAN_FILE: &str = "plan.json";

/// Everything that a call of an interposed tool has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Plan {
    /// How each tool is carried out, by name (`helm`, `eksctl`, `aws`, `kubectl`). A tool that is
    /// absent here is answered by its stand-in.
    pub tools: BTreeMap<String, Tool>,
    /// Calls to break; the first that matches and still has occurrences left decides.
    pub faults: Vec<ToolFault>,
    /// Words that are replaced wherever they occur in a recording.
    pub secrets: Vec<String>,
    /// Kubeconfig with administrator's rights, for what eksctl and aws do on a user's behalf:
    /// making nodes, writing a kubeconfig.
    pub admin_kubeconfig: Option<PathBuf>,
    /// Kubeconfig of whoever calls the tools: what they write into his own; the administrator's when absent.
    pub caller_kubeconfig: Option<PathBuf>,
    /// The one cluster that the account holds, or would hold.
    pub cluster: ClusterIdentity,
    /// What EKS has and does.
    pub eks: Eks,
    /// What else the account holds.
    pub holdings: Holdings,
    /// Account of the credentials that eksctl and aws are called with; the cluster's when absent.
    pub caller: Option<String>,
    /// Actions that IAM does not allow whoever calls aws, such as `iam:CreateRole`.
    pub denied: BTreeSet<String>,
    /// Quotas of the account by their code, such as `L-1216C47A`, where they are not the usual ones.
    pub quotas: BTreeMap<String, u32>,
    /// What chart registries do.
    pub registry: Registry,
}

/// What chart registries do to the Helm stand-in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Registry {
    /// Hosts for which an expired token is stored: they answer 403 until `helm registry logout` or
    /// `login` of that host, which a mere retry does not replace.
    pub expired_tokens: Vec<String>,
}

/// What EKS has before the installer starts, and how well it does what it is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Eks {
    /// Whether the cluster is there before anybody creates it; `None` = it is when its identity has
    /// an endpoint.
    pub exists: Option<bool>,
    /// Status of a cluster that is there: `ACTIVE` unless said otherwise.
    pub status: Option<String>,
    /// Kubernetes version of a cluster that is there, `1.37` unless said otherwise.
    pub version: Option<String>,
    /// Tags of a cluster that is there.
    pub tags: BTreeMap<String, String>,
    /// Node groups of a cluster that is there: name and desired size.
    pub node_groups: BTreeMap<String, u32>,
    /// How many of the nodes asked for join the cluster; `None` = all.
    pub joining: Option<u32>,
    /// What EKS says is wrong with the cluster itself.
    pub issues: Vec<Issue>,
    /// What EKS says is wrong with every node group, those that are yet to be made among them: none of
    /// their nodes join.
    pub node_group_issue: Option<Issue>,
    /// The CloudFormation stack of the cluster, when it did not come to its end.
    pub stack: Option<Stack>,
    /// Add-ons that the cluster lacks.
    pub without_addons: BTreeSet<String>,
}

/// A CloudFormation stack that did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stack {
    /// Such as `ROLLBACK_COMPLETE`.
    pub status: String,
    /// Type of the resource that failed, such as `AWS::EC2::VPC`.
    pub resource_type: String,
    /// Why, in CloudFormation's words.
    pub reason: String,
}

/// How one tool is carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tool {
    /// Executable to pass calls on to; `None` = the stand-in answers.
    pub real: Option<PathBuf>,
}

/// The cluster as the cloud account knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClusterIdentity {
    /// Name of the EKS cluster.
    pub name: String,
    /// AWS region, such as `eu-central-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// URL of the API server, if there is one already.
    pub endpoint: Option<String>,
}

impl Default for ClusterIdentity {
    fn default() -> Self {
        Self {
            name: "seatrial".into(),
            region: "eu-central-1".into(),
            account: "111122223333".into(),
            endpoint: None,
        }
    }
}

impl ClusterIdentity {
    /// The cluster's ARN, which `aws eks update-kubeconfig` uses as the name of context, cluster
    /// and user alike.
    pub fn arn(&self) -> String {
        format!("arn:aws:eks:{}:{}:cluster/{}", self.region, self.account, self.name)
    }
}

/// One way to break some calls of one tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolFault {
    /// Name that the recording cites; also the key under which occurrences are counted.
    pub label: String,
    /// Tool whose calls are meant.
    pub tool: String,
    /// Words that must all occur in the arguments, in this order, with anything between them. A
    /// word matches an argument that equals it, or that starts with it and goes on with `=`.
    #[serde(default)]
    pub args: Vec<String>,
    /// How many matching calls are let through first.
    #[serde(default)]
    pub skip: u32,
    /// How many calls are broken after that; `None` = all.
    #[serde(default)]
    pub times: Option<u32>,
    /// Whether the call is broken instead of being carried out, or after it.
    #[serde(default)]
    pub when: When,
    /// What happens to the call.
    pub action: Action,
}

/// On which side of the tool's work a fault lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Nothing is carried out (a delay is followed by the work).
    #[default]
    Before,
    /// The work is done, its answer is lost and replaced.
    After,
}

/// What happens to a broken call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Ends with a code and words of the fault's choosing.
    Exit {
        /// Exit code.
        code: u8,
        /// Written to standard output as it is.
        #[serde(default)]
        stdout: String,
        /// Written to standard error as it is.
        #[serde(default)]
        stderr: String,
    },
    /// Never ends by itself; SIGTERM and SIGINT end it.
    Hang,
    /// Goes on after a while.
    Delay {
        /// Milliseconds of real time.
        ms: u64,
    },
    /// Dies by a signal.
    Signal {
        /// Number of the signal, 9 for SIGKILL.
        number: i32,
    },
}

/// Why a plan cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is missing or cannot be read or written.
    #[error("access {path}: {source}")]
    Io {
        /// The plan's file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a plan.
    #[error("read {path}: {source}")]
    Parse {
        /// The plan's file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
}

impl Plan {
    /// Reads the plan of a protocol folder.
    ///
    /// # Errors
    /// The file is missing, unreadable, or not a plan.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(PLAN_FILE);
        let text = std::fs::read(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        serde_json::from_slice(&text).map_err(|source| Error::Parse { path, source })
    }

    /// Writes the plan into a protocol folder in one step, so that a call that starts meanwhile
    /// reads the old plan or the new one, never half of one. Makes `state/` too.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), Error> {
        let path = dir.join(PLAN_FILE);
        let fail = |source| Error::Io { path: path.clone(), source };
        std::fs::create_dir_all(dir.join(crate::state::FOLDER)).map_err(fail)?;
        let text =
            serde_json::to_vec_pretty(self).map_err(|source| Error::Parse { path: path.clone(), source })?;
        let draft = dir.join(format!(".{PLAN_FILE}.{}", std::process::id()));
        let mut file = std::fs::File::create(&draft).map_err(fail)?;
        file.write_all(&text).map_err(fail)?;
        drop(file);
        std::fs::rename(&draft, &path).map_err(fail)
    }
}

impl ToolFault {
    /// Whether a call is one of those meant, occurrences aside. `argv` is without the tool's name.
    pub fn matches(&self, tool: &str, argv: &[String]) -> bool {
        if self.tool != tool {
            return false;
        }
        let mut rest = argv.iter();
        self.args.iter().all(|word| {
            rest.any(|argument| {
                argument == word
                    || argument.strip_prefix(word.as_str()).is_some_and(|tail| tail.starts_with('='))
            })
        })
    }

    /// Whether the `nth` matching call (from 0) is broken.
    pub fn holds(&self, nth: u32) -> bool {
        nth >= self.skip && self.times.is_none_or(|times| nth - self.skip < times)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fault(args: &[&str], skip: u32, times: Option<u32>) -> ToolFault {
        ToolFault {
            label: "broken".into(),
            tool: "helm".into(),
            args: args.iter().map(|a| (*a).into()).collect(),
            skip,
            times,
            when: When::Before,
            action: Action::Hang,
        }
    }

    fn argv(line: &str) -> Vec<String> {
        line.split(' ').map(Into::into).collect()
    }

    #[test]
    fn a_fault_matches_words_in_order_with_anything_between() {
        let upgrade = fault(&["upgrade", "karpenter", "--wait"], 0, None);
        assert!(upgrade.matches("helm", &argv("upgrade --install karpenter oci://x --wait")));
        assert!(upgrade.matches("helm", &argv("upgrade karpenter x --wait=true")));
        assert!(!upgrade.matches("helm", &argv("karpenter upgrade --wait")));
        assert!(!upgrade.matches("helm", &argv("upgrade karpenter --waiting")));
        assert!(!upgrade.matches("eksctl", &argv("upgrade karpenter --wait")));
    }

    #[test]
    fn a_fault_holds_for_its_occurrences_only() {
        let second = fault(&[], 1, Some(1));
        assert_eq!((0..4).map(|n| second.holds(n)).collect::<Vec<_>>(), [false, true, false, false]);
        assert!(fault(&[], 0, None).holds(u32::MAX));
    }

    #[test]
    fn a_plan_survives_its_file_and_an_unknown_key_does_not_pass() {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan {
            faults: vec![fault(&["status"], 2, Some(3))],
            secrets: vec!["hush".into()],
            ..Plan::default()
        };
        plan.save(dir.path()).unwrap();
        assert_eq!(Plan::load(dir.path()).unwrap(), plan);
        std::fs::write(dir.path().join(PLAN_FILE), r#"{"fualts":[]}"#).unwrap();
        let error = Plan::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("fualts"), "{error}");
    }
}
