//! One running control plane: started, brought back to its first state, ended.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use assets::Tool;
use http::Request;
use kube::Client;
use tokio::sync::watch;

use super::blueprint::Blueprint;
use super::clients::{Clients, Next, Ways};
use super::components::{self, Ports};
use super::estate::Estate;
use super::etcd::{Etcd, Pulse};
use super::processes::{Group, Port, Process};
use super::ready::{Running, Trouble, Waiting, answers, read, until, until_or};
use super::relay::Relay;
use super::restore;
use crate::backend::ClusterError;
use crate::ledger::Ledger;

/// How often controllers are started that give up on an API server which a crowded machine has made slow.
const ATTEMPTS: u32 = 5;

/// How many rounds of changes it may take until nothing differs from the first state any more.
const ROUNDS: u32 = 5;

/// Both hooks only see to it that objects are there which prepared content has, and one of them begins by waiting
/// for a second.
const READY_WHEN_PREPARED: &str = "/readyz?exclude=poststarthook/scheduling/bootstrap-system-priority-classes\
    &exclude=poststarthook/rbac/bootstrap-roles";

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
    /// The kube-controller-manager that is to come after the next reset.
    NextControllers,
}

/// A running control plane. Dropping it kills it.
pub(super) struct Plane {
    blueprint: Blueprint,
    // Dropped before the estate: whoever writes into a folder is dead when it is removed.
    group: Group,
    estate: Estate,
    ports: Ports,
    // For as long as anybody may be started on them.
    _held: [Port; 2],
    store: Process,
    etcd: Etcd,
    api: Running,
    clients: Option<Clients>,
    /// Those that come after them.
    next: Option<Next>,
    /// The way for the first controllers of a prepared store.
    relay: Option<Relay>,
    /// Keys of the API server itself.
    own: BTreeSet<String>,
    /// Revision at which the store was last in its first state.
    clean: u64,
    pulse: watch::Receiver<Pulse>,
}

impl Plane {
    /// Starts one as far as the API server; see [`Plane::go`].
    ///
    /// # Errors
    /// A component ends, or is not ready in time.
    pub(super) async fn start(blueprint: &Blueprint, ledger: &Ledger) -> Result<Self, ClusterError> {
        let estate = Estate::found(ledger)?;
        let own = |error: io::Error| ClusterError::new(format!("start a control plane: {error}"));
        let group = Group::start(estate.mark(), &components::ENVIRONMENT).map_err(own)?;
        let held = [Port::take().map_err(own)?, Port::take().map_err(own)?];
        let [etcd, api] = held.each_ref().map(Port::number);
        let ports = Ports { etcd, api };
        // Beside etcd: it waits to be told that etcd is there, and would else try again after a second.
        let server = start_api_server(blueprint, &group, &estate, ports)?;
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
        let api = server.tell(components::NO_EGRESS_SELECTOR).await;
        let prepared = blueprint.is_prepared();
        let (next, relay) = match prepared {
            true => {
                let relay = Relay::open(&blueprint.keys, ports.api).await?;
                let ways = Ways { controllers: relay.port(), scheduler: ports.api };
                (Some(Next::start(blueprint, &group, &estate, ways)?), Some(relay))
            }
            false => (None, None),
        };
        let ready = if prepared { READY_WHEN_PREPARED } else { "/readyz" };
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
            clients: None,
            next,
            relay,
            own,
            clean,
            pulse,
        })
    }

    /// Lets controllers and scheduler go, and waits until they have looked at what is there. What they are to find is
    /// made before.
    pub(super) async fn go(&mut self) -> Result<(), ClusterError> {
        let prepared = self.blueprint.is_prepared();
        for attempt in 1.. {
            let next = match self.next.take().filter(Next::alive) {
                Some(next) => next,
                None => self.start_next(self.relay.as_ref().map_or(self.ports.api, Relay::port))?,
            };
            match next.go(&self.api.process, prepared).await {
                Ok(clients) => {
                    self.clients = Some(clients);
                    return Ok(());
                }
                Err(Trouble::Death(death)) if death.gave_up_waiting() && attempt < ATTEMPTS => {}
                Err(trouble) => return Err(trouble.into()),
            }
        }
        Ok(())
    }

    /// Starts the controllers and the scheduler that are to go after the next reset, which then need not be waited
    /// for.
    pub(super) fn prepare_reset(&mut self) -> Result<(), ClusterError> {
        self.next = Some(self.start_next(self.ports.api)?);
        Ok(())
    }

    fn start_next(&self, controllers: u16) -> Result<Next, ClusterError> {
        let ways = Ways { controllers, scheduler: self.ports.api };
        Next::start(&self.blueprint, &self.group, &self.estate, ways)
    }

    /// Brings it back to its first state. Controllers and scheduler are killed first: whatever they remember goes
    /// with them, and nobody writes while the store is put back; [`Plane::go`] starts them anew. What is clean is
    /// proven by reading every key.
    ///
    /// # Errors
    /// It is dead, or could not be proven clean; then it is to be thrown away.
    pub(super) async fn reset(&mut self) -> Result<(), ClusterError> {
        self.alive()?;
        if let Some(clients) = self.clients.take() {
            clients.kill().await;
        }
        let mut left = Vec::new();
        for _ in 0..ROUNDS {
            let changed = self.etcd.since(self.clean).await?;
            let (revision, now) = self.etcd.all(false).await?;
            left = restore::changes(&self.blueprint.first, &now, &changed, &self.own);
            if left.is_empty() {
                self.clean = revision;
                return Ok(());
            }
            left = restore::without_consequences(left);
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
        let names = services.filter_map(|key| key.strip_prefix(restore::SERVICES));
        // `v1.apps`; the core group, `v1.`, is not listed among the others.
        let groups = names.filter_map(restore::group_of);
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
        let clients = self.clients.iter().flat_map(|it| [&it.controllers().process, &it.scheduler().process]);
        match [&self.store, &self.api.process].into_iter().chain(clients).find_map(Process::death) {
            None => Ok(()),
            Some(death) => Err(death.into()),
        }
    }

    /// Kills a component.
    #[cfg(test)]
    pub(super) async fn kill(&self, component: Component) {
        let process = match component {
            Component::Etcd => Some(self.store.clone()),
            Component::ApiServer => Some(self.api.process.clone()),
            Component::Controllers => self.clients.as_ref().map(|it| it.controllers().process.clone()),
            Component::NextControllers => self.next.as_ref().map(|it| it.controllers().clone()),
            Component::Scheduler => self.clients.as_ref().map(|it| it.scheduler().process.clone()),
        };
        if let Some(process) = process {
            process.kill().await;
        }
    }

    #[cfg(test)]
    /// Starts the API server again, on the same port and store. Controllers and scheduler find it by themselves.
    pub(super) async fn revive_api_server(&mut self) -> Result<(), ClusterError> {
        let server = start_api_server(&self.blueprint, &self.group, &self.estate, self.ports)?;
        self.api = server.tell(components::NO_EGRESS_SELECTOR).await;
        let api = &self.api;
        let ready = until_or(&api.process, &self.store, || answers(&api.client, READY_WHEN_PREPARED)).await;
        ready.map_err(Into::into)
    }

    /// The API as its administrator.
    pub(super) fn admin(&self) -> Client {
        self.api.client.clone()
    }

    pub(super) fn url(&self) -> String {
        components::url(self.ports.api)
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
        let Some(clients) = &self.clients else { return Ok(Default::default()) };
        let figures = async |of: &Running| {
            let text = read(&of.client, "/metrics").await;
            text.map_err(|error| ClusterError::new(format!("read figures of {}: {error}", of.process.name())))
        };
        Ok([figures(clients.controllers()).await?, figures(clients.scheduler()).await?])
    }
}

/// An API server that waits until it is told that its store is there.
fn start_api_server(
    blueprint: &Blueprint,
    group: &Group,
    estate: &Estate,
    ports: Ports,
) -> Result<Waiting, ClusterError> {
    let flags = components::api_server(ports, &blueprint.keys);
    Waiting::start(Tool::ApiServer, &flags, ports.api, blueprint, group, estate)
}
