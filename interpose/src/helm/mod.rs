//! A stand-in for Helm 3: its commands, words, exit codes and storage format.
//!
//! It works on any cluster that a `kube::Client` reaches, and knows only tokio's time, so that the
//! same code serves the executable and a whole installation on a paused clock. It installs the charts
//! of its own catalogue only; a chart of one's own needs the real Helm.

mod change;
mod chart;
mod connect;
mod flags;
mod objects;
mod read;
mod registry;
mod release;
mod seed;
pub mod storage;
mod time;
mod undo;
mod values;
mod wait;

pub(crate) use flags::duration;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

pub use registry::Credentials;
pub use release::{Info, Release, Status};
pub use seed::{Seed, Seeded, karpenter_release};

use crate::cluster::{Api, ApiError};
use crate::{Invocation, Output};

/// What Helm finds around it.
#[derive(Clone)]
pub struct World {
    /// How it reaches a cluster.
    pub access: Access,
    /// The time of day.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Becomes true when somebody asks Helm to stop (SIGTERM, SIGINT).
    pub stop: Option<watch::Receiver<bool>>,
    /// What it has stored for chart registries.
    pub credentials: Credentials,
}

/// How Helm reaches a cluster.
#[derive(Clone)]
pub enum Access {
    /// By the kubeconfig that its flags and environment name.
    Kubeconfig,
    /// By this client, whatever the flags say.
    Client {
        /// The client.
        client: kube::Client,
        /// URL of the server, for error texts.
        server: String,
    },
}

impl World {
    /// A world with one cluster, for use within another process.
    pub fn of(client: kube::Client, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let server = "https://cluster.local".to_owned();
        Self {
            access: Access::Client { client, server },
            now: Arc::new(now),
            stop: None,
            credentials: Credentials::default(),
        }
    }
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    /// With these words.
    Said(String),
    /// There is no such release.
    NotFound,
    /// Helm could, the stand-in cannot.
    NotHere(String),
}

impl Failure {
    fn said(words: impl Into<String>) -> Self {
        Self::Said(words.into())
    }

    fn api(error: ApiError) -> Self {
        Self::Said(error.to_string())
    }

    /// The same with words before it, as Helm wraps errors.
    fn within(self, words: &str) -> Self {
        match self {
            Self::NotHere(_) => self,
            other => Self::Said(format!("{words}: {other}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(words) => f.write_str(words),
            Self::NotFound => f.write_str("release: not found"),
            Self::NotHere(what) => {
                write!(
                    f,
                    "the stand-in for helm does not do {what}; name a real helm in the plan's tools.helm.real"
                )
            }
        }
    }
}

/// Exit code for what Helm could do and the stand-in cannot: no answer of Helm's.
const NOT_HERE: i32 = 125;

/// One run of Helm.
struct Session<'a> {
    world: &'a World,
    invocation: &'a Invocation,
    line: flags::Line,
    api: Api,
    namespace: String,
    out: String,
    err: String,
}

/// Runs Helm with these arguments.
pub async fn run(invocation: &Invocation, world: &World) -> Output {
    let mut output = Output::default();
    match command(invocation, world, &mut output).await {
        Ok(()) => {}
        Err(failure) => {
            output.code = if matches!(failure, Failure::NotHere(_)) { NOT_HERE } else { 1 };
            output.stderr += &format!("Error: {failure}\n");
        }
    }
    output
}

async fn command(invocation: &Invocation, world: &World, output: &mut Output) -> Result<(), Failure> {
    let line = flags::Line::parse(&invocation.args)?;
    if line.is("help") {
        return Err(Failure::NotHere("--help".into()));
    }
    match line.command.name {
        "version" => {
            output.stdout += &read::version(line.is("short"));
            return Ok(());
        }
        "show chart" => {
            let (chart, said) = chart::locate(line.word(0), line.one("version"), &world.credentials)?;
            output.stderr += &said;
            output.stdout += &chart::yaml(&chart.metadata);
            return Ok(());
        }
        "registry logout" => {
            world.credentials.renew(line.word(0)).map_err(|error| Failure::said(error.to_string()))?;
            output.stderr += &format!("Removing login credentials for {}\n", line.word(0));
            return Ok(());
        }
        "registry login" => {
            world.credentials.renew(line.word(0)).map_err(|error| Failure::said(error.to_string()))?;
            output.stderr += "Login Succeeded\n";
            return Ok(());
        }
        _ => {}
    }
    line.format()?;
    line.timeout()?;
    let (api, namespace) = connect::connect(&line, invocation, &world.access).await?;
    let mut session =
        Session { world, invocation, line, api, namespace, out: String::new(), err: String::new() };
    let done = session.run().await;
    output.stdout += &session.out;
    output.stderr += &session.err;
    done
}

impl Session<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        match self.line.command.name {
            "status" => self.status().await,
            "list" => self.list().await,
            "history" => self.history().await,
            "get values" => self.get_values().await,
            "get manifest" => self.get_manifest().await,
            "install" => self.install_command().await,
            "upgrade" => self.upgrade_command().await,
            "rollback" => self.rollback_command().await,
            "uninstall" => self.uninstall_command().await,
            other => Err(Failure::NotHere(format!("helm {other}"))),
        }
    }

    fn now(&self) -> Timestamp {
        (self.world.now)()
    }

    fn storage(&self) -> storage::Storage<'_> {
        storage::Storage::new(&self.api, &self.namespace)
    }

    /// Helm's first question to every cluster.
    async fn reachable(&self) -> Result<(), Failure> {
        let answer = self.api.version().await;
        answer.map_err(|error| Failure::said(format!("Kubernetes cluster unreachable: {error}")))
    }

    /// Waits until somebody asks Helm to stop.
    async fn stopped(&self) {
        if let Some(mut stop) = self.world.stop.clone()
            && stop.wait_for(|stop| *stop).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}
