//! helm, eksctl and aws as the installer's tool runner: the stand-ins, in this process.
//!
//! A call lives as it would as a process: it is numbered and written down when it starts and when it
//! ends, a fault may break it, and when its time is up or the run is stopped it is asked to end (SIGTERM)
//! and, after a grace period, made to (SIGKILL). All of that is tokio time.

mod call;
mod faults;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eks_installer::seams::{ToolCall, ToolError, ToolOutput, ToolRunner};
use eks_installer::stop::StopReason;
use futures::future::BoxFuture;
use interpose::cloud::Cloud;
use interpose::helm::Credentials;
use interpose::mutates::mutates;
use interpose::record::{End, Start};
use interpose::redact::Redactor;
use kubesim::clock::Clock;
use tokio::sync::watch;

pub use faults::Faults;

use crate::journal::{Happening, Journal, millis};
use call::Answer;

/// Time between SIGTERM and SIGKILL, as the installer's own runner has it.
const GRACE: Duration = Duration::from_secs(5);

/// SIGKILL's number.
const KILL: i32 = 9;

/// What the tools find around them.
#[derive(Clone)]
pub struct Surroundings {
    /// The cluster as the installer's own user, whose kubeconfig the tools are given.
    pub client: kube::Client,
    /// The account that eksctl and aws look into.
    pub cloud: Cloud,
    /// What Helm has stored for registries.
    pub credentials: Credentials,
    /// Time of day.
    pub clock: Clock,
    /// The environment that the installer would hand on.
    pub env: BTreeMap<String, String>,
}

/// The tools. Clones share the account, the faults and the numbering.
#[derive(Clone)]
pub struct StandIns {
    around: Surroundings,
    journal: Journal,
    faults: Arc<Mutex<Faults>>,
    calls: Arc<AtomicU64>,
}

/// How the wait for a tool ended.
enum Ended {
    Itself(Answer),
    TimedOut,
    Stopped(StopReason),
}

impl StandIns {
    /// Tools in these surroundings, nothing broken.
    #[must_use]
    pub fn new(around: Surroundings, journal: Journal) -> Self {
        Self { around, journal, faults: Arc::default(), calls: Arc::default() }
    }

    /// The faults, to be changed.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(&self, call: ToolCall) -> Result<ToolOutput, ToolError> {
        if !interpose::front::TOOLS.contains(&call.program.as_str()) {
            return Err(ToolError::NotFound { program: call.program });
        }
        let mut env = self.around.env.clone();
        env.extend(call.env.clone());
        let seq = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let fault = self.faults().next(&call.program, &call.args);
        let redactor = Redactor::new(&[], &env);
        let began = self.journal.elapsed();
        self.journal.note(Happening::ToolStarted(Start {
            seq,
            tool: call.program.clone(),
            argv: redactor.argv(&call.args),
            env: redactor.env(&env),
            started_at: self.around.clock.now(),
            mutating: mutates(&call.program, &call.args),
        }));
        let (terminate, terminated) = watch::channel(false);
        let mut work = std::pin::pin!(call::answer(&self.around, &call, &env, fault, terminated));
        let end = tokio::select! {
            biased;
            answer = &mut work => Ended::Itself(answer),
            reason = call.stop.wait() => Ended::Stopped(reason),
            () = tokio::time::sleep(call.timeout) => Ended::TimedOut,
        };
        let (answer, error) = match end {
            Ended::Itself(answer) => (answer, None),
            asked => {
                // The call holds the other end until it is dropped.
                let _ = terminate.send(true);
                let last = tokio::time::timeout(GRACE, &mut work).await;
                let answer = last.unwrap_or_else(|_| Answer::by_signal(KILL));
                let program = call.program.clone();
                let error = match asked {
                    Ended::Stopped(reason) => ToolError::Stopped { program, reason },
                    _ => ToolError::TimedOut { program, after: call.timeout, stderr: answer.stderr.clone() },
                };
                (answer, Some(error))
            }
        };
        self.journal.note(Happening::ToolEnded(End {
            seq,
            duration_ms: millis(self.journal.elapsed() - began),
            exit: answer.code,
            signal: answer.signal,
            stdout: redactor.text(&answer.stdout),
            stderr: redactor.text(&answer.stderr),
            route: answer.route,
            fault: answer.fault,
        }));
        match error {
            Some(error) => Err(error),
            None => Ok(ToolOutput {
                code: answer.code,
                signal: answer.signal,
                stdout: answer.stdout,
                stderr: answer.stderr,
            }),
        }
    }
}

impl ToolRunner for StandIns {
    fn run(&self, call: ToolCall) -> BoxFuture<'_, Result<ToolOutput, ToolError>> {
        Box::pin(self.call(call))
    }
}
