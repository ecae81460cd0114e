//! What happens around a run, at its moment: faults begin and end, and the run may be cut short.

use std::collections::BTreeMap;
use std::time::Duration;

use eks_installer::stop::Stop;
use tokio::time::Instant;

use crate::case::{Ending, Interruption, Run};
use crate::fault::{Injected, Moment, Scheduled, heal, inject};
use crate::journal::Happening;
use crate::trial::{Error, Trial};

/// Something that happens around a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// The fault of this index begins.
    Inject(usize),
    /// It ends.
    Heal(usize),
    /// The run is ended.
    End(Ending),
}

/// Whether a run goes on after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goes {
    On,
    Over,
}

/// The run is dead.
pub(crate) struct Killed;

/// What is due during a run. Within a list, events of one moment keep the order in which the case has them.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    start: Vec<Event>,
    /// By milliseconds since the run began.
    timed: Vec<(u64, Event)>,
    /// By writes of the run.
    counted: Vec<(u32, Event)>,
}

impl Agenda {
    pub(crate) fn of(run: &Run) -> Self {
        let mut agenda = Self::default();
        for (index, Scheduled { from, until, .. }) in run.faults.iter().enumerate() {
            agenda.put(*from, Event::Inject(index));
            if let Some(until) = until {
                agenda.put(*until, Event::Heal(index));
            }
        }
        if let Some(Interruption { at, ending }) = run.interruption {
            agenda.put(at, Event::End(ending));
        }
        agenda.timed.sort_by_key(|(ms, _)| *ms);
        agenda.counted.sort_by_key(|(writes, _)| *writes);
        agenda
    }

    fn put(&mut self, at: Moment, event: Event) {
        match at {
            Moment::Start => self.start.push(event),
            Moment::Ms(ms) => self.timed.push((ms, event)),
            Moment::Writes(writes) => self.counted.push((writes, event)),
        }
    }
}

/// Who sees to it that what is due happens.
pub(crate) struct Stagehand<'t> {
    trial: &'t Trial,
    run: &'t Run,
    stop: &'t Stop,
    /// Index of the first recording that is the run's.
    first: usize,
    injected: BTreeMap<usize, Injected>,
}

impl<'t> Stagehand<'t> {
    pub(crate) fn of(trial: &'t Trial, run: &'t Run, stop: &'t Stop, first: usize) -> Self {
        Self { trial, run, stop, first, injected: BTreeMap::new() }
    }

    /// Lets happen what is due before the run begins.
    pub(crate) async fn prepare(&mut self, agenda: &Agenda) -> Result<Goes, Error> {
        for event in &agenda.start {
            if self.perform(*event).await? == Goes::Over {
                return Ok(Goes::Over);
            }
        }
        Ok(Goes::On)
    }

    /// Lets everything else happen at its moment; comes back only when the run is dead.
    pub(crate) async fn attend(&mut self, agenda: Agenda) -> Result<Killed, Error> {
        let began = Instant::now();
        let mut timed = agenda.timed.into_iter().peekable();
        let mut counted = agenda.counted.into_iter().peekable();
        loop {
            let at = timed.peek().map(|(ms, _)| began + Duration::from_millis(*ms));
            let writes = counted.peek().map(|(writes, _)| *writes as usize);
            let event = tokio::select! {
                biased;
                () = self.written(writes) => counted.next().map(|(_, event)| event),
                () = until(at) => timed.next().map(|(_, event)| event),
            };
            if let Some(event) = event
                && self.perform(event).await? == Goes::Over
            {
                return Ok(Killed);
            }
        }
    }

    /// Ends what was to end during the run and outlived it.
    pub(crate) async fn clear(&mut self) -> Result<(), Error> {
        let passing = |index: &usize| self.run.faults[*index].until.is_some();
        for index in self.injected.keys().copied().filter(passing).collect::<Vec<_>>() {
            self.perform(Event::Heal(index)).await?;
        }
        Ok(())
    }

    async fn perform(&mut self, event: Event) -> Result<Goes, Error> {
        let Trial { cluster, tools, journal, .. } = self.trial;
        match event {
            Event::Inject(index) => {
                let fault = &self.run.faults[index].fault;
                journal.note(Happening::Injected(fault.clone()));
                let injected = inject(fault, cluster, tools).await.map_err(Error::Fault)?;
                self.injected.insert(index, injected);
            }
            Event::Heal(index) => {
                if let Some(injected) = self.injected.remove(&index) {
                    journal.note(Happening::Healed(self.run.faults[index].fault.clone()));
                    heal(injected, cluster, tools).await.map_err(Error::Fault)?;
                }
            }
            Event::End(ending) => {
                journal.note(Happening::Interrupted(ending));
                match ending.reason() {
                    Some(reason) => self.stop.trigger(reason),
                    None => return Ok(Goes::Over),
                }
            }
        }
        Ok(Goes::On)
    }

    /// Waits until so many writes of the run have been answered; for ever without a number.
    async fn written(&self, count: Option<usize>) {
        let Some(count) = count else { return std::future::pending().await };
        let mut changes = self.trial.cluster.tap().changes();
        loop {
            changes.mark_unchanged();
            if self.trial.writes(self.first, |it| it.status != 0) >= count {
                return;
            }
            // The tap lives as long as the cluster, which outlives this wait.
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
