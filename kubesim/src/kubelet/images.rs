//! What containers do, by the image that they run.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use super::locked;
use crate::store::{GroupResource, Store};

/// What a container does with its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Starts and stays up; its probes succeed. In a pod that is not to be restarted, and as an init
    /// container, it ends at once with exit code 0.
    Runs,
    /// Starts at once; its readiness probe succeeds after this long.
    ReadyAfter(Duration),
    /// Starts and stays up; its readiness probe fails for ever with this text, as in
    /// `HTTP probe failed with statuscode: 503`. A container without a readiness probe is ready.
    NeverReady {
        /// What the probe says.
        probe: String,
    },
    /// Writes a log and exits after a while, again and again.
    CrashLoop {
        /// What it writes each time.
        log: String,
        /// Its exit code.
        exit_code: i32,
        /// How long it lives each time.
        after: Duration,
    },
    /// The image cannot be pulled.
    CannotPull {
        /// What the container runtime says.
        error: String,
    },
    /// Runs while the cluster has an object without a namespace, such as a custom resource definition that
    /// the program is written for; behaves otherwise while it has not.
    Needs {
        /// Plural resource, with its group after a dot.
        resource: String,
        /// Name of the object.
        name: String,
        /// What it does without the object.
        otherwise: Box<Behaviour>,
    },
}

#[derive(Default)]
struct Table {
    /// Later entries win.
    behaviours: Vec<(String, Behaviour)>,
    logs: Vec<(String, String)>,
    /// Parts of image references whose behaviour is another since somebody asked.
    changed: Vec<String>,
}

/// Behaviours by image. Cloning shares it; a change takes effect at once, also for what runs.
#[derive(Clone)]
pub struct Images {
    table: Arc<Mutex<Table>>,
    wake: Arc<Notify>,
    store: Store,
}

impl Images {
    pub(crate) fn new(wake: Arc<Notify>, store: Store) -> Self {
        Self { table: Arc::default(), wake, store }
    }

    /// From now on containers whose image reference contains `part` behave so.
    pub fn set(&self, part: impl Into<String>, behaviour: Behaviour) {
        let part = part.into();
        let mut table = locked(&self.table);
        table.behaviours.retain(|(known, _)| *known != part);
        table.behaviours.push((part.clone(), behaviour));
        table.changed.push(part);
        drop(table);
        self.wake.notify_one();
    }

    /// Containers whose image reference contains `part` behave as if it had never been set.
    pub fn unset(&self, part: &str) {
        let mut table = locked(&self.table);
        table.behaviours.retain(|(known, _)| known != part);
        table.changed.push(part.to_owned());
        drop(table);
        self.wake.notify_one();
    }

    /// Parts of image references whose containers may behave otherwise than when this was last asked.
    pub(super) fn take_changed(&self) -> Vec<String> {
        let mut table = locked(&self.table);
        let mut changed = std::mem::take(&mut table.changed);
        let needs = table.behaviours.iter().filter(|(_, it)| matches!(it, Behaviour::Needs { .. }));
        changed.extend(needs.map(|(part, _)| part.clone()));
        changed
    }

    /// What a container of this image does at this moment; [`Behaviour::Runs`] unless said otherwise.
    #[must_use]
    pub fn get(&self, image: &str) -> Behaviour {
        let table = locked(&self.table);
        let found = table.behaviours.iter().rev().find(|(part, _)| image.contains(part.as_str()));
        let behaviour = found.map_or(Behaviour::Runs, |(_, behaviour)| behaviour.clone());
        drop(table);
        match behaviour {
            Behaviour::Needs { resource, name, otherwise } => {
                let (plural, group) = resource.split_once('.').unwrap_or((&resource, ""));
                let there = self.store.get(&GroupResource::new(group, plural), "", &name).is_some();
                if there { Behaviour::Runs } else { *otherwise }
            }
            plain => plain,
        }
    }

    /// What a container whose image reference contains `part` writes when it starts.
    pub fn set_log(&self, part: impl Into<String>, text: impl Into<String>) {
        locked(&self.table).logs.push((part.into(), text.into()));
    }

    pub(super) fn log(&self, image: &str) -> String {
        let table = locked(&self.table);
        let found = table.logs.iter().rev().find(|(part, _)| image.contains(part.as_str()));
        found.map(|(_, text)| text.clone()).unwrap_or_default()
    }
}
