//! Waiting for a component that comes up.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use assets::Tool;
use http::Request;
use kube::Client;
use tokio::time::{sleep, timeout};

use super::blueprint::Blueprint;
use super::estate::Estate;
use super::pki;
use super::processes::{Death, Group, Held, Process};
use crate::backend::ClusterError;

/// How long a component may take to come up: it takes seconds, on a crowded machine tens of seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often a component that is coming up is asked whether it is there. None of them tells anybody, so there is
/// nothing to wait for.
const STEP: Duration = Duration::from_millis(5);

/// Why a start failed.
pub(super) enum Trouble {
    Death(Death),
    Other(ClusterError),
}

impl From<ClusterError> for Trouble {
    fn from(error: ClusterError) -> Self {
        Self::Other(error)
    }
}

impl From<Trouble> for ClusterError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Death(death) => death.into(),
            Trouble::Other(error) => error,
        }
    }
}

/// A process that answers requests.
pub(super) struct Running {
    pub(super) process: Process,
    pub(super) client: Client,
}

/// One that was started and waits for what is to come through its standard input.
pub(super) struct Waiting {
    pub(super) held: Held,
    pub(super) client: Client,
}

impl Waiting {
    /// Starts a component that will listen on a port.
    pub(super) fn start(
        tool: Tool,
        flags: &[String],
        port: u16,
        blueprint: &Blueprint,
        group: &Group,
        estate: &Estate,
    ) -> Result<Self, ClusterError> {
        let name = tool.name();
        let log = estate.path().join(format!("{name}.log"));
        let held = group.spawn_held(name, blueprint.program(tool)?, flags, log);
        let held = held.map_err(|error| ClusterError::new(format!("start {name}: {error}")))?;
        Ok(Self { held, client: blueprint.client(port, pki::ADMIN)? })
    }

    /// Gives it that, and it goes on.
    pub(super) async fn tell(self, text: &str) -> Running {
        Running { process: self.held.tell(text).await, client: self.client }
    }
}

/// Whether a GET is answered with 200; if not, what is said instead.
pub(super) async fn answers(client: &Client, path: &str) -> Result<(), String> {
    read(client, path).await.map(drop)
}

/// What a GET is answered with; if not with 200, what is said instead.
pub(super) async fn read(client: &Client, path: &str) -> Result<String, String> {
    let request = Request::get(path).body(Vec::new()).map_err(|error| error.to_string())?;
    client.request_text(request).await.map_err(|error| error.to_string())
}

/// Asks until something holds, the process dies or patience ends. What does not hold says what was seen.
pub(super) async fn until<F>(process: &Process, holds: impl Fn() -> F) -> Result<(), Trouble>
where
    F: Future<Output = Result<(), String>>,
{
    until_or(process, process, holds).await
}

/// The same, which ends too when a process dies that the first one needs.
pub(super) async fn until_or<F>(
    process: &Process,
    needed: &Process,
    holds: impl Fn() -> F,
) -> Result<(), Trouble>
where
    F: Future<Output = Result<(), String>>,
{
    let seen = Mutex::new(String::new());
    let asking = async {
        while let Err(what) = holds().await {
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = what;
            sleep(STEP).await;
        }
    };
    tokio::select! {
        biased;
        // First, since it is the cause where both have died.
        death = needed.died() => Err(Trouble::Death(death)),
        death = process.died() => Err(Trouble::Death(death)),
        done = timeout(PATIENCE, asking) => done.map_err(|_| {
            let (seconds, seen) = (PATIENCE.as_secs(), seen.lock().unwrap_or_else(PoisonError::into_inner));
            let words = format!("start {}: it is not ready after {seconds} s: {seen}", process.name());
            Trouble::Other(ClusterError(words))
        }),
    }
}
