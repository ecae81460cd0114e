//! One running control plane: started, brought back to its first state, ended.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assets::{Found, Tool};
use http::Request;
use kube::{Client, Config};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::components::{self, Ports};
use super::estate::Estate;
use super::etcd::{Etcd, Pulse};
use super::pki;
use super::processes::{Death, Group, Port, Process};
use super::restore::{self, Content};
use crate::backend::ClusterError;
use crate::ledger::Ledger;

/// How long a component may take to come up: it takes seconds, on a crowded machine tens of seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often a component that is coming up is asked whether it is there. None of them tells anybody, so there is
/// nothing to wait for.
const STEP: Duration = Duration::from_millis(5);

/// How often controllers are started that give up on an API server which a crowded machine has made slow.
const ATTEMPTS: u32 = 5;

/// How many rounds of changes it may take until nothing differs from the first state any more.
const ROUNDS: u32 = 5;

/// Both hooks only see to it that objects are there which prepared content has, and one of them begins by waiting
/// for a second.
const READY_WHEN_PREPARED: &str = "/readyz?exclude=poststarthook/scheduling/bootstrap-system-priority-classes\
    &exclude=poststarthook/rbac/bootstrap-roles";

/// What control planes are started from.
#[derive(Clone)]
pub(super) struct Blueprint {
    pub(super) binaries: Arc<Found>,
    /// Folder of keys and certificates.
    pub(super) keys: PathBuf,
    /// The first state; when empty, whatever the API server makes of an empty store.
    pub(super) first: Arc<Content>,
}

impl Blueprint {
    pub(super) fn new(binaries: Arc<Found>, keys: PathBuf, first: Arc<Content>) -> Self {
        Self { binaries, keys, first }
    }

    fn program(&self, tool: Tool) -> Result<&Path, ClusterError> {
        self.binaries.path(tool).ok_or_else(|| ClusterError::new(format!("find {}", tool.name())))
    }

    /// A client that shows one of our certificates.
    pub(super) fn client(&self, port: u16, pair: [&str; 2]) -> Result<Client, ClusterError> {
        let url = format!("https://127.0.0.1:{port}");
        let mut config = Config::new(url.parse().map_err(ClusterError::new)?);
        let authority = pki::der(&self.keys, pki::CA)?;
        config.root_cert = Some(vec![authority]);
        config.auth_info.client_certificate = Some(self.keys.join(pair[0]).display().to_string());
        config.auth_info.client_key = Some(self.keys.join(pair[1]).display().to_string());
        Client::try_from(config)
            .map_err(|error| ClusterError::new(format!("make a client of {url}: {error}")))
    }
}

/// A component, for those who kill it.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Component {
    /// etcd.
    Etcd,
    /// kube-apiserver.
    ApiServer,
    /// kube-controller-manager.
    Controllers,
    /// kube-scheduler.
    Scheduler,
}

/// A process that answers requests.
struct Running {
    process: Process,
    client: Client,
}

/// A running control plane. Dropping it kills it.
pub(super) struct Plane {
    blueprint: Blueprint,
    // Dropped before the estate: whoever writes into a folder is dead when it is removed.
    group: Group,
    estate: Estate,
    ports: Ports,
    // For as long as anybody may be started on them.
    _held: [Port; 4],
    store: Process,
    etcd: Etcd,
    api: Running,
    controllers: Option<Running>,
    scheduler: Option<Running>,
    /// Keys of the API server itself.
    own: BTreeSet<String>,
    /// Revision at which the store was last in its first state.
    clean: u64,
    pulse: watch::Receiver<Pulse>,
}

/// Why a start failed.
enum Trouble {
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

impl Plane {
    /// Starts one as far as the API server; see [`Plane::go`].
    ///
    /// # Errors
    /// A component ends, or is not ready in time.
    pub(super) async fn start(blueprint: &Blueprint, ledger: &Ledger) -> Result<Self, ClusterError> {
        let estate = Estate::found(ledger)?;
        let own = |error: io::Error| ClusterError::new(format!("start a control plane: {error}"));
        let group = Group::start(estate.mark()).map_err(own)?;
        let take = || Port::take().map_err(own);
        let held = [take()?, take()?, take()?, take()?];
        let [etcd, api, controllers, scheduler] = held.each_ref().map(Port::number);
        let ports = Ports { etcd, api, controllers, scheduler };
        let arguments = components::etcd(ports, estate.path(), estate.mark());
        let program = blueprint.program(Tool::Etcd)?;
        let store = group.spawn("etcd", program, &arguments, estate.path().join("etcd.log")).map_err(own)?;
        let etcd = Etcd::new(ports.etcd)?;
        until(&store, || async { etcd.name().await.map(drop).map_err(|error| error.to_string()) }).await?;
        let changes =
            restore::changes(&blueprint.first, &Default::default(), &Default::default(), &BTreeSet::new());
        if !changes.is_empty() {
            etcd.change(&changes).await?;
        }
        let api = spawn_api_server(blueprint, &group, &estate, ports)?;
        let ready = if blueprint.first.is_empty() { "/readyz" } else { READY_WHEN_PREPARED };
        until_or(&api.process, &store, || answers(&api.client, ready)).await?;
        let pulse = etcd.pulse(restore::is_heartbeat).await?;
        let (clean, keys) = etcd.all(false).await?;
        let own = keys.into_keys().filter(|key| restore::is_own(key)).collect();
        Ok(Self {
            blueprint: blueprint.clone(),
            group,
            estate,
            ports,
            _held: held,
            store,
            etcd,
            api,
            controllers: None,
            scheduler: None,
            own,
            clean,
            pulse,
        })
    }

    /// Starts controllers and scheduler, and waits until they have looked at what is there. What they are to find is
    /// made before.
    pub(super) async fn go(&mut self) -> Result<(), ClusterError> {
        for attempt in 1.. {
            match self.start_clients().await {
                Err(Trouble::Death(death)) if death.gave_up_waiting() && attempt < ATTEMPTS => {
                    // The scheduler lives, and there must not be two of it.
                    self.stop_clients().await;
                }
                other => return Ok(other?),
            }
        }
        Ok(())
    }

    async fn stop_clients(&mut self) {
        for running in [self.controllers.take(), self.scheduler.take()].into_iter().flatten() {
            running.process.kill().await;
        }
    }

    async fn start_clients(&mut self) -> Result<(), Trouble> {
        let keys = self.blueprint.keys.clone();
        let start = |name: &'static str, tool, port, pair, flags: fn(Ports, &Path, &Path) -> Vec<String>| {
            let kubeconfig = self.estate.path().join(format!("{name}.kubeconfig"));
            let text = components::kubeconfig(self.ports, &keys, pair)?;
            std::fs::write(&kubeconfig, text)
                .map_err(|error| ClusterError::new(format!("write {}: {error}", kubeconfig.display())))?;
            let flags = flags(self.ports, &keys, &kubeconfig);
            let log = self.estate.path().join(format!("{name}.log"));
            let process = self
                .group
                .spawn(name, self.blueprint.program(tool)?, &flags, log)
                .map_err(|error| ClusterError::new(format!("start {name}: {error}")))?;
            Ok::<_, ClusterError>(Running { process, client: self.blueprint.client(port, pki::ADMIN)? })
        };
        let controllers = start(
            "kube-controller-manager",
            Tool::ControllerManager,
            self.ports.controllers,
            pki::CONTROLLERS,
            components::controllers,
        )?;
        let scheduler = start(
            "kube-scheduler",
            Tool::Scheduler,
            self.ports.scheduler,
            pki::SCHEDULER,
            components::scheduler,
        )?;
        let (controllers, scheduler) =
            (self.controllers.insert(controllers), self.scheduler.insert(scheduler));
        let api = &self.api.process;
        until_or(&controllers.process, api, || answers(&controllers.client, "/healthz")).await?;
        if !self.blueprint.first.is_empty() {
            until_or(&controllers.process, api, || looked(&controllers.client)).await?;
        }
        // Ready when it has seen every object that it works on.
        until_or(&scheduler.process, api, || answers(&scheduler.client, "/readyz")).await
    }

    /// Brings it back to its first state. Controllers and scheduler are killed first: whatever they remember goes
    /// with them, and nobody writes while the store is put back; [`Plane::go`] starts them anew. What is clean is
    /// proven by reading every key.
    ///
    /// # Errors
    /// It is dead, or could not be proven clean; then it is to be thrown away.
    pub(super) async fn reset(&mut self) -> Result<(), ClusterError> {
        self.alive()?;
        self.stop_clients().await;
        let mut left = Vec::new();
        for _ in 0..ROUNDS {
            let changed = self.etcd.since(self.clean).await?;
            let (revision, now) = self.etcd.all(false).await?;
            left = restore::changes(&self.blueprint.first, &now, &changed, &self.own);
            if left.is_empty() {
                self.clean = revision;
                return Ok(());
            }
            let revision = self.etcd.change(&left).await?;
            self.seen(revision, &restore::touched(&left)).await?;
        }
        let keys: Vec<&str> = left.iter().map(super::etcd::Change::key).take(5).collect();
        Err(ClusterError::new(format!(
            "reset a control plane: {} come back again and again",
            keys.join(", ")
        )))
    }

    /// Waits until the API server itself has seen the changes of a revision to what it holds in memory.
    async fn seen(&self, revision: u64, paths: &[&str]) -> Result<(), ClusterError> {
        for path in paths {
            let query =
                format!("{path}?limit=1&resourceVersion={revision}&resourceVersionMatch=NotOlderThan");
            let request = Request::get(query).body(Vec::new()).map_err(ClusterError::new)?;
            let asked = self.api.client.request_text(request).await;
            asked.map_err(|error| ClusterError::new(format!("list {path}: {error}")))?;
        }
        if paths.iter().any(|path| path.contains("customresource") || path.contains("apiservices")) {
            let groups = self.first_groups();
            let same = || async {
                let now = self.groups().await.map_err(|error| error.to_string())?;
                if now == groups { Ok(()) } else { Err(format!("its groups are {now:?} and not {groups:?}")) }
            };
            until(&self.api.process, same).await.map_err(ClusterError::from)?;
        }
        Ok(())
    }

    /// Groups of the API, as the first state has them: those of its APIServices, and theirs, which has none.
    fn first_groups(&self) -> BTreeSet<String> {
        let services = self.blueprint.first.keys();
        let names =
            services.filter_map(|key| key.strip_prefix("/registry/apiregistration.k8s.io/apiservices/"));
        // `v1.apps`; the core group, `v1.`, is not listed among the others.
        let groups = names.filter_map(|name| name.split_once('.')).map(|(_, group)| group);
        let groups = groups.filter(|group| !group.is_empty()).chain(["apiregistration.k8s.io"]);
        groups.map(str::to_owned).collect()
    }

    async fn groups(&self) -> Result<BTreeSet<String>, ClusterError> {
        let groups = self.api.client.list_api_groups().await.map_err(ClusterError::new)?;
        Ok(groups.groups.into_iter().map(|group| group.name).collect())
    }

    /// Whether every component is alive.
    ///
    /// # Errors
    /// One is not; with its last words.
    pub(super) fn alive(&self) -> Result<(), ClusterError> {
        let clients = [&self.controllers, &self.scheduler].into_iter().flatten().map(|it| &it.process);
        match [&self.store, &self.api.process].into_iter().chain(clients).find_map(Process::death) {
            None => Ok(()),
            Some(death) => Err(death.into()),
        }
    }

    /// Kills a component.
    #[cfg(test)]
    pub(super) async fn kill(&self, component: Component) {
        let clients = |running: &Option<Running>| running.as_ref().map(|it| it.process.clone());
        let process = match component {
            Component::Etcd => Some(self.store.clone()),
            Component::ApiServer => Some(self.api.process.clone()),
            Component::Controllers => clients(&self.controllers),
            Component::Scheduler => clients(&self.scheduler),
        };
        if let Some(process) = process {
            process.kill().await;
        }
    }

    #[cfg(test)]
    /// Starts the API server again, on the same port and store. Controllers and scheduler find it by themselves.
    pub(super) async fn revive_api_server(&mut self) -> Result<(), ClusterError> {
        self.api = spawn_api_server(&self.blueprint, &self.group, &self.estate, self.ports)?;
        let ready = answers_until(&self.api, &self.store, READY_WHEN_PREPARED).await;
        ready.map_err(Into::into)
    }

    /// The API as its administrator.
    pub(super) fn admin(&self) -> Client {
        self.api.client.clone()
    }

    pub(super) fn url(&self) -> String {
        self.ports.url()
    }

    pub(super) fn keys(&self) -> &Path {
        &self.blueprint.keys
    }

    pub(super) fn etcd(&self) -> &Etcd {
        &self.etcd
    }

    /// Tells of every change of the store, heartbeats aside.
    pub(super) fn pulse(&self) -> watch::Receiver<Pulse> {
        self.pulse.clone()
    }

    /// Figures of the controllers and of the scheduler, as Prometheus text.
    pub(super) async fn figures(&self) -> Result<[String; 2], ClusterError> {
        let mut figures = [String::new(), String::new()];
        for (running, place) in [&self.controllers, &self.scheduler].into_iter().zip(&mut figures) {
            let Some(running) = running else { continue };
            let request = Request::get("/metrics").body(Vec::new()).map_err(ClusterError::new)?;
            let text = running.client.request_text(request).await;
            *place = text.map_err(|error| ClusterError::new(format!("read figures: {error}")))?;
        }
        Ok(figures)
    }
}

fn spawn_api_server(
    blueprint: &Blueprint,
    group: &Group,
    estate: &Estate,
    ports: Ports,
) -> Result<Running, ClusterError> {
    let arguments = components::api_server(ports, &blueprint.keys);
    let log = estate.path().join("kube-apiserver.log");
    let process = group
        .spawn("kube-apiserver", blueprint.program(Tool::ApiServer)?, &arguments, log)
        .map_err(|error| ClusterError::new(format!("start kube-apiserver: {error}")))?;
    Ok(Running { process, client: blueprint.client(ports.api, pki::ADMIN)? })
}

#[cfg(test)]
async fn answers_until(running: &Running, needs: &Process, path: &str) -> Result<(), Trouble> {
    until_or(&running.process, needs, || answers(&running.client, path)).await
}

/// Whether a GET is answered with 200; if not, what is said instead.
async fn answers(client: &Client, path: &str) -> Result<(), String> {
    let request = Request::get(path).body(Vec::new()).map_err(|error| error.to_string())?;
    client.request_text(request).await.map(|_| ()).map_err(|error| error.to_string())
}

/// Queues of the controllers whose objects every prepared cluster has.
const QUEUES: [&str; 3] = ["daemonset", "deployment", "replicaset"];

/// How often figures are read: a text of a hundred kilobytes.
const LOOK: Duration = Duration::from_millis(20);

/// Whether controllers have taken up what is there: those that have not seen it yet look as if they had nothing to do.
async fn looked(client: &Client) -> Result<(), String> {
    let request = Request::get("/metrics").body(Vec::new()).map_err(|error| error.to_string())?;
    let figures = client.request_text(request).await.map_err(|error| error.to_string())?;
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

/// Asks until something holds, the process dies or patience ends. What does not hold says what was seen.
async fn until<F>(process: &Process, holds: impl Fn() -> F) -> Result<(), Trouble>
where
    F: Future<Output = Result<(), String>>,
{
    until_or(process, process, holds).await
}

/// The same, which ends too when a process dies that the first one needs.
async fn until_or<F>(process: &Process, needed: &Process, holds: impl Fn() -> F) -> Result<(), Trouble>
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
