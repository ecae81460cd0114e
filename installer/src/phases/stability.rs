//! Whether what is Ready has been so for a while: a crash loop caught in its up phase does not count.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::context::Run;

/// What the API cuts off its times: they are whole seconds.
const CUT_OFF: Duration = Duration::from_secs(1);

/// What tells one life of a pod from the next: its uid, its containers' restarts, and since when it is
/// Ready, which is nothing of one that is not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Life {
    uid: String,
    restarts: i32,
    ready: Option<String>,
}

/// What counts of the pods of a workload that is Ready by its own numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lives {
    lives: Vec<Life>,
    /// How long all of them have been Ready, at the least; `None` while there are none.
    lasted: Option<Duration>,
}

impl Lives {
    /// Adds a pod, as it is now. One that has done its work, that was evicted or that is going away does not
    /// count: the workload has another in its place; nor does one of a Job, which a chart may have labelled like
    /// the workload. One that is not Ready has been so for no time, whatever
    /// the workload's numbers say: they follow the pods, and may be a moment behind.
    pub(crate) fn add(&mut self, run: &Run<'_>, pod: &Pod) {
        let status = pod.status.as_ref();
        let over =
            status.and_then(|it| it.phase.as_deref()).is_some_and(|it| it == "Failed" || it == "Succeeded");
        let mut owners = pod.metadata.owner_references.iter().flatten();
        let of_a_job = owners.any(|it| it.controller == Some(true) && it.kind == "Job");
        if over || of_a_job || pod.metadata.deletion_timestamp.is_some() {
            return;
        }
        let ready = status
            .and_then(|it| it.conditions.as_ref())
            .and_then(|all| all.iter().find(|it| it.type_ == "Ready" && it.status == "True"));
        // One that does not say since when has been so for no time, as has one whose time nobody's clock has
        // shown yet.
        let since = ready.and_then(|ready| ready.last_transition_time.as_ref());
        let lasted = since.and_then(|Time(since)| run.age(*since)).unwrap_or_default();
        let restarts = status.and_then(|it| it.container_statuses.as_ref()).into_iter().flatten();
        self.lives.push(Life {
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            restarts: restarts.map(|container| container.restart_count).sum(),
            ready: ready.map(|_| since.map_or_else(String::new, |Time(since)| since.to_string())),
        });
        self.lasted = Some(self.lasted.map_or(lasted, |least| least.min(lasted)));
    }

    /// How long all of them have been Ready, at the least; none at all is no time.
    pub(crate) fn ready_for(&self) -> Duration {
        self.lasted.unwrap_or_default().saturating_sub(CUT_OFF)
    }

    /// Whether these are the lives of `before`, and all Ready: then they were so all the while.
    pub(crate) fn are_still(&self, before: &Self) -> bool {
        let sorted = |of: &Self| {
            let mut lives = of.lives.clone();
            lives.sort();
            lives
        };
        sorted(self) == sorted(before) && self.lives.iter().all(|life| life.ready.is_some())
    }
}
