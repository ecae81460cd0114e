//! Controllers and scheduler: clients of the API server, which are started ahead and let go late.
//!
//! What they do before they ask the API server anything takes as long as all that comes after: above all, they make
//! keys that nobody uses here. So the next ones are started while those before them are at work, and wait at a
//! file that comes through a pipe (see [`components::LATE`]).

use std::path::Path;
use std::time::Duration;

use assets::Tool;
use tokio::time::sleep;

use super::blueprint::Blueprint;
use super::components;
use super::estate::Estate;
use super::pki;
use super::processes::{Group, Port, Process};
use super::ready::{Running, Trouble, Waiting, answers, read, until_or};
use crate::backend::ClusterError;

/// How often figures are read: a text of a hundred kilobytes.
const LOOK: Duration = Duration::from_millis(20);

/// Queues of the controllers whose objects every prepared cluster has.
const QUEUES: [&str; 3] = ["daemonset", "deployment", "replicaset"];

/// Where they find the API server.
#[derive(Clone, Copy)]
pub(super) struct Ways {
    pub(super) controllers: u16,
    pub(super) scheduler: u16,
}

/// Both, started, and not at work yet.
pub(super) struct Next {
    controllers: Standby,
    scheduler: Standby,
}

struct Standby {
    waiting: Waiting,
    port: Port,
    kubeconfig: String,
}

impl Next {
    /// Starts both.
    pub(super) fn start(
        blueprint: &Blueprint,
        group: &Group,
        estate: &Estate,
        ways: Ways,
    ) -> Result<Self, ClusterError> {
        let start = |tool: Tool, api, pair, flags: fn(u16, &Path, &Path) -> Vec<String>| {
            let name = tool.name();
            let kubeconfig = components::kubeconfig(api, &blueprint.keys, pair)?;
            let file = estate.path().join(format!("{name}.kubeconfig"));
            std::fs::write(&file, &kubeconfig)
                .map_err(|error| ClusterError::new(format!("write {}: {error}", file.display())))?;
            let port = Port::take();
            let port = port.map_err(|error| ClusterError::new(format!("start {name}: {error}")))?;
            let flags = flags(port.number(), &blueprint.keys, &file);
            let waiting = Waiting::start(tool, &flags, port.number(), blueprint, group, estate)?;
            Ok::<_, ClusterError>(Standby { waiting, port, kubeconfig })
        };
        Ok(Self {
            controllers: start(
                Tool::ControllerManager,
                ways.controllers,
                pki::CONTROLLERS,
                components::controllers,
            )?,
            scheduler: start(Tool::Scheduler, ways.scheduler, pki::SCHEDULER, components::scheduler)?,
        })
    }

    #[cfg(test)]
    pub(super) fn controllers(&self) -> &Process {
        self.controllers.waiting.held.process()
    }

    /// Whether both still wait.
    pub(super) fn alive(&self) -> bool {
        [&self.controllers, &self.scheduler].iter().all(|it| it.waiting.held.process().death().is_none())
    }

    /// Lets them go, and waits until they have looked at what is there: if the store is `prepared`, at the objects that
    /// every such store has. If that fails, they are killed.
    pub(super) async fn go(self, api: &Process, prepared: bool) -> Result<Clients, Trouble> {
        let (controllers, scheduler) = tokio::join!(self.controllers.go(), self.scheduler.go());
        let clients = Clients { controllers, scheduler };
        match clients.ready(api, prepared).await {
            Ok(()) => Ok(clients),
            Err(trouble) => {
                clients.kill().await;
                Err(trouble)
            }
        }
    }
}

impl Standby {
    async fn go(self) -> Client {
        Client { running: self.waiting.tell(&self.kubeconfig).await, _port: self.port }
    }
}

/// One at work.
struct Client {
    running: Running,
    // For as long as it may listen there.
    _port: Port,
}

/// Controllers and scheduler at work.
pub(super) struct Clients {
    controllers: Client,
    scheduler: Client,
}

impl Clients {
    pub(super) fn controllers(&self) -> &Running {
        &self.controllers.running
    }

    pub(super) fn scheduler(&self) -> &Running {
        &self.scheduler.running
    }

    async fn ready(&self, api: &Process, prepared: bool) -> Result<(), Trouble> {
        let (controllers, scheduler) = (self.controllers(), self.scheduler());
        let controllers = async {
            until_or(&controllers.process, api, || answers(&controllers.client, "/healthz")).await?;
            match prepared {
                true => until_or(&controllers.process, api, || looked(controllers)).await,
                false => Ok(()),
            }
        };
        // Ready when it has seen every object that it works on.
        let scheduler = until_or(&scheduler.process, api, || answers(&scheduler.client, "/readyz"));
        tokio::try_join!(controllers, scheduler).map(drop)
    }

    pub(super) async fn kill(self) {
        tokio::join!(self.controllers().process.kill(), self.scheduler().process.kill());
    }
}

/// Whether controllers have taken up what is there: those that have not seen it yet look as if they had nothing to do.
async fn looked(controllers: &Running) -> Result<(), String> {
    let figures = read(&controllers.client, "/metrics").await?;
    let begun = |queue: &&str| {
        let line = format!("workqueue_adds_total{{name=\"{queue}\"}} ");
        figures.lines().any(|it| it.strip_prefix(&line).is_some_and(|count| count != "0"))
    };
    match QUEUES.iter().find(|queue| !begun(queue)) {
        None => Ok(()),
        Some(queue) => {
            sleep(LOOK).await;
            Err(format!("the controllers have not begun with {queue}"))
        }
    }
}
