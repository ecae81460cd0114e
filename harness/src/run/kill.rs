//! SIGKILL at a stated point of a run: after a given write, before its answer has come.
//!
//! The point is held still rather than raced for: the tap commits the write and never answers it, or the
//! interposer lets the tool do its work and never ends. Whoever waits for that answer is killed meanwhile,
//! installer and tools together, as when the machine they run on is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use interpose::plan::{Action as ToolAction, ToolFault, When as ToolWhen};
use kubesim::tap::{Action, Rule, RuleId, When};

use super::attempt::{Stage, Trouble};
use crate::observe::Observation;
use crate::scenario::{RunStep, Signal};

/// The label of what holds a run still.
const LABEL: &str = "kill-point";

/// A write after which a run is killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KillPoint {
    /// For a report: `write 3 of 12: create secrets karpenter`.
    pub words: String,
    at: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// After this many mutating requests of these users.
    Request { nth: u32, users: Vec<String> },
    /// After a call of a tool with these words, so many like it having passed.
    Call { tool: String, args: Vec<String>, skip: u32 },
}

/// What holds the run still, to be taken away again.
enum Armed {
    Request(RuleId),
    Call,
}

impl KillPoint {
    /// Every write of a run: its mutating requests, and the calls of tools that change an account. What
    /// Helm and kubectl change shows in the requests.
    #[must_use]
    pub fn of(run: &Observation) -> Vec<Self> {
        let writes: Vec<_> = run.requests.iter().filter(|it| it.mutating() && it.status < 300).collect();
        let users: BTreeSet<&str> = writes.iter().map(|it| it.user.as_str()).collect();
        let users: Vec<String> = users.into_iter().map(str::to_owned).collect();
        let calls: Vec<_> = run
            .calls
            .iter()
            .filter(|call| call.mutating && matches!(call.tool.as_str(), "eksctl" | "aws"))
            .collect();
        let all = writes.len() + calls.len();
        let mut points = Vec::new();
        for (index, write) in writes.iter().enumerate() {
            let nth = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let words =
                format!("write {nth} of {all}: {} {} {}", write.verb, write.full_resource(), write.name);
            points.push(Self { words, at: Place::Request { nth, users: users.clone() } });
        }
        for (index, call) in calls.iter().enumerate() {
            let words = interpose::mutates::words(&call.tool, &call.argv);
            let args: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            let same = |other: &&&interpose::record::Call| {
                other.tool == call.tool && interpose::mutates::words(&other.tool, &other.argv) == words
            };
            let skip = calls[..index].iter().filter(same).count();
            let number = writes.len() + index + 1;
            points.push(Self {
                words: format!("write {number} of {all}: {} {}", call.tool, args.join(" ")),
                at: Place::Call { tool: call.tool.clone(), args, skip: u32::try_from(skip).unwrap_or(0) },
            });
        }
        points
    }
}

impl Stage<'_> {
    /// Starts a run and kills it at this point; says so when the run ended before it got there.
    pub(super) async fn cut_off(
        &mut self,
        run: &RunStep,
        point: &KillPoint,
        secrets: &[String],
    ) -> Result<(Observation, Option<String>), Trouble> {
        let armed = self.arm(point)?;
        self.start(run).await?;
        let reached = self.until_held(&armed).await?;
        let signal = reached.then_some(Signal::Kill);
        let run = self.end(signal, secrets).await?;
        self.disarm(&armed)?;
        let missed = (!reached).then(|| format!("it ended before {}: {}", point.words, run.ending.words()));
        Ok((run, missed))
    }

    fn arm(&mut self, point: &KillPoint) -> Result<Armed, Trouble> {
        match &point.at {
            Place::Request { nth, users } => {
                let tap = self.cluster.tap().ok_or_else(no_tap)?;
                Ok(Armed::Request(tap.add(Rule {
                    users: users.clone(),
                    mutating: true,
                    skip: nth - 1,
                    times: Some(1),
                    when: When::AfterCommit,
                    ..Rule::new(LABEL, Action::Hang)
                })))
            }
            Place::Call { tool, args, skip } => {
                let fault = ToolFault {
                    label: LABEL.to_owned(),
                    tool: tool.clone(),
                    args: args.clone(),
                    skip: *skip,
                    times: Some(1),
                    when: ToolWhen::After,
                    action: ToolAction::Hang,
                };
                self.tools.change(|plan| plan.faults.push(fault))?;
                Ok(Armed::Call)
            }
        }
    }

    fn disarm(&mut self, armed: &Armed) -> Result<(), Trouble> {
        match armed {
            Armed::Request(rule) => {
                let tap = self.cluster.tap().ok_or_else(no_tap)?;
                tap.remove(*rule);
            }
            Armed::Call => self.tools.change(|plan| plan.faults.retain(|fault| fault.label != LABEL))?,
        }
        Ok(())
    }

    /// Waits until the run stands still at its point; `false` when it has ended instead.
    async fn until_held(&mut self, armed: &Armed) -> Result<bool, Trouble> {
        loop {
            let held = match armed {
                Armed::Request(rule) => {
                    let tap = self.cluster.tap().ok_or_else(no_tap)?;
                    tap.held(*rule)
                }
                Armed::Call => self.tools.held(LABEL),
            };
            if held {
                return Ok(true);
            }
            if self.running.last_mut().is_none_or(|(subject, _)| subject.has_ended()) {
                return Ok(false);
            }
            tokio::select! {
                biased;
                () = self.setting.stop.wait() => return Err(Trouble::Interrupted),
                () = self.cluster.changed() => {}
                // A tool that is held, and a process that has ended, show in nothing that can be watched.
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
    }
}

fn no_tap() -> Trouble {
    Trouble::Infrastructure("failed to hold a run still: the backend has no tap".into())
}
