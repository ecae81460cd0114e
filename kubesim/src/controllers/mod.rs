//! The control loop: every controller, the scheduler and the kubelets, taken in turn over one store.
//!
//! Controllers are level-triggered, as the real ones are: a change marks keys, and a marked key is
//! reconciled against the store as it stands. All of them run in one task, in a fixed order and each on
//! its keys in order, so that the same seed makes the same objects; the loop goes on until nothing is
//! marked, and then waits for the next change or the next time that a controller has asked for.

mod cronjob;
mod daemonset;
pub(crate) mod definitions;
mod deployment;
mod endpoints;
mod gc;
mod job;
mod load_balancer;
mod namespace;
mod node_lifecycle;
mod owned;
mod pdb;
mod quota;
mod recorder;
mod replicaset;
mod revisions;
mod rollout;
mod schedule;
mod service_account;
mod statefulset;
pub(crate) mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::clock::{Clock, Moment};
use crate::kubelet::Kubelets;
use crate::scheduler::Scheduler;
use crate::store::{Change, EventType, GroupResource, Meta, Object, Store};

pub(crate) use load_balancer::LoadBalancers;
pub(crate) use owned::{controller_of, set_condition};
pub(crate) use recorder::{Note, Recorder};
pub(crate) use service_account::RootCa;
pub(crate) use volumes::{claimed, claims, class_of, is_bound};

/// Namespace (empty for cluster-scoped objects) and name.
pub(crate) type Key = (String, String);

/// A controller, the scheduler, or the kubelets.
pub(crate) trait Controller: Send {
    /// Which keys a change concerns.
    fn concerns(&mut self, store: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key>;

    /// Brings what a key stands for one step nearer to what it should be.
    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key);

    /// What it has noted of objects is void, for changes of them were missed: all that are there follow.
    fn forget(&mut self) {}

    /// Keys to look at for a reason that is not an object's change, such as a setting of the model.
    fn woken(&mut self, _store: &Store) -> Vec<Key> {
        Vec::new()
    }
}

/// One change as a controller sees it.
pub(crate) struct Seen<'a> {
    /// The object after the change, or its last state.
    pub(crate) object: &'a Object,
    /// The object before the change.
    pub(crate) previous: Option<&'a Object>,
    /// Whether it is gone.
    pub(crate) deleted: bool,
}

/// What a controller works with.
pub(crate) struct Context<'a> {
    /// The cluster's state.
    pub(crate) store: &'a Store,
    /// The cluster's clock.
    pub(crate) clock: Clock,
    /// Where events are written.
    pub(crate) recorder: &'a mut Recorder,
    /// By the clock's steady time.
    again: Vec<Timestamp>,
}

impl Context<'_> {
    /// Cluster time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Has this key reconciled again when the wall clock will show `when`, if nobody sets it.
    pub(crate) fn again_at(&mut self, when: Timestamp) {
        self.again.push(self.clock.steady_when(when));
    }

    /// Has this key reconciled again at this moment.
    pub(crate) fn again_when(&mut self, due: Moment) {
        self.again.push(due.steady);
    }

    /// Has this key reconciled again after `wait`.
    pub(crate) fn again_in(&mut self, wait: Duration) {
        self.again_when(self.clock.moment().later(wait));
    }

    /// Sets the status of an object if it differs. Whoever deleted it meanwhile has the last word.
    pub(crate) fn set_status(&self, resource: &GroupResource, key: &Key, status: &Value) {
        let known = self.store.get(resource, &key.0, &key.1);
        if known.is_none_or(|object| object["status"] == *status) {
            return;
        }
        let _ = self.store.update(resource, &key.0, &key.1, |object| {
            object["status"] = status.clone();
            Ok(())
        });
    }
}

/// The loop.
pub(crate) struct ControlLoop {
    store: Store,
    clock: Clock,
    recorder: Recorder,
    controllers: Vec<Box<dyn Controller>>,
    marked: Vec<BTreeSet<Key>>,
    /// By the clock's steady time.
    timers: BTreeMap<(Timestamp, usize, Key), ()>,
    seen: u64,
}

impl ControlLoop {
    /// Every controller, in the order in which they are taken. One line a controller.
    pub(crate) fn new(
        store: Store,
        minor: u8,
        kubelets: Option<Kubelets>,
        authority: RootCa,
        load_balancers: Option<LoadBalancers>,
    ) -> Self {
        let mut controllers: Vec<Box<dyn Controller>> = vec![
            Box::new(namespace::Namespaces),
            Box::new(definitions::Definitions),
            Box::new(service_account::ServiceAccounts::new(authority)),
            Box::new(gc::GarbageCollector::default()),
            Box::new(node_lifecycle::NodeLifecycle::default()),
            Box::new(deployment::Deployments),
            Box::new(daemonset::DaemonSets::default()),
            Box::new(statefulset::StatefulSets),
            Box::new(cronjob::CronJobs),
            Box::new(job::Jobs),
            Box::new(cronjob::FinishedJobs),
            Box::new(replicaset::ReplicaSets),
            Box::new(volumes::Volumes),
            Box::new(Scheduler::of(minor)),
        ];
        // Before the kubelets, which take their time to end a pod: budgets see that its controller has gone.
        controllers.push(Box::new(pdb::DisruptionBudgets));
        controllers.extend(kubelets.map(|kubelets| Box::new(kubelets) as Box<dyn Controller>));
        controllers.push(Box::new(endpoints::Endpoints));
        controllers.push(Box::new(quota::Quotas));
        controllers.extend(load_balancers.map(|balancers| Box::new(balancers) as Box<dyn Controller>));
        Self::of(store, controllers)
    }

    /// The kubelets alone: the rest runs somewhere else.
    pub(crate) fn of_kubelets(store: Store, kubelets: Kubelets) -> Self {
        Self::of(store, vec![Box::new(kubelets)])
    }

    fn of(store: Store, controllers: Vec<Box<dyn Controller>>) -> Self {
        let marked = controllers.iter().map(|_| BTreeSet::new()).collect();
        let clock = store.clock();
        let recorder = Recorder::new(store.clone());
        Self { store, clock, recorder, controllers, marked, timers: BTreeMap::new(), seen: 0 }
    }

    /// [`ControlLoop::settle`] without a word: what happened before anybody looked is told in no event.
    pub(crate) fn settle_silently(&mut self) {
        self.recorder.silent = true;
        self.settle();
        self.recorder.silent = false;
    }

    /// Goes on until nothing is marked and nothing is due.
    pub(crate) fn settle(&mut self) {
        loop {
            self.take_changes();
            self.take_due();
            let Some(index) = self.marked.iter().position(|keys| !keys.is_empty()) else {
                if self.store.revision() == self.seen {
                    return;
                }
                continue;
            };
            let keys = std::mem::take(&mut self.marked[index]);
            for key in keys {
                let mut context = Context {
                    store: &self.store,
                    clock: self.clock.clone(),
                    recorder: &mut self.recorder,
                    again: Vec::new(),
                };
                self.controllers[index].reconcile(&mut context, &key);
                for when in context.again {
                    self.timers.insert((when, index, key.clone()), ());
                }
            }
        }
    }

    /// When the next timer is due.
    fn next_due(&self) -> Option<Timestamp> {
        self.timers.keys().next().map(|(when, ..)| *when)
    }

    fn take_due(&mut self) {
        let now = self.clock.steady();
        while let Some(entry) = self.timers.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((_, index, key), ()) = entry.remove_entry();
            self.marked[index].insert(key);
        }
    }

    fn take_changes(&mut self) {
        match self.store.changes_after(self.seen) {
            Ok(changes) => {
                for change in changes {
                    self.seen = self.seen.max(change.event.revision);
                    self.mark(&change);
                }
            }
            // History was compacted before the loop had read it: look at everything, as an informer
            // does that lists again after a 410.
            Err(_) => {
                self.seen = self.store.revision();
                for controller in &mut self.controllers {
                    controller.forget();
                }
                for resource in self.store.resources() {
                    for object in self.store.list(&resource, None).0 {
                        let seen = Seen { object: &object, previous: None, deleted: false };
                        for (controller, marked) in self.controllers.iter_mut().zip(&mut self.marked) {
                            marked.extend(controller.concerns(&self.store, &resource, &seen));
                        }
                    }
                }
            }
        }
    }

    fn mark(&mut self, change: &Change) {
        let seen = Seen {
            object: &change.event.object,
            previous: change.event.previous.as_ref(),
            deleted: change.event.event == EventType::Deleted,
        };
        for (controller, marked) in self.controllers.iter_mut().zip(&mut self.marked) {
            marked.extend(controller.concerns(&self.store, &change.resource, &seen));
        }
    }

    /// Runs for ever. Who sends a ping is answered when there is nothing left to do.
    pub(crate) async fn run(
        mut self,
        wake: Arc<Notify>,
        mut pings: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    ) {
        let mut newest = self.store.newest();
        loop {
            newest.borrow_and_update();
            self.settle();
            let due = self.next_due();
            let clock = self.clock.clone();
            tokio::select! {
                biased;
                () = wake.notified() => self.wake(),
                changed = newest.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                Some(ping) = pings.recv() => {
                    self.wake();
                    self.settle();
                    // Whoever asked may have gone.
                    let _ = ping.send(());
                }
                () = sleep_until(clock, due) => {}
            }
        }
    }

    fn wake(&mut self) {
        for (controller, marked) in self.controllers.iter_mut().zip(&mut self.marked) {
            marked.extend(controller.woken(&self.store));
        }
    }
}

async fn sleep_until(clock: Clock, due: Option<Timestamp>) {
    match due {
        None => std::future::pending().await,
        Some(due) => {
            let wait = due.duration_since(clock.steady());
            clock.sleep(Duration::try_from(wait).unwrap_or(Duration::ZERO)).await;
        }
    }
}

/// The key of an object.
pub(crate) fn key_of(object: &Value) -> Key {
    (object.namespace().to_owned(), object.name().to_owned())
}
