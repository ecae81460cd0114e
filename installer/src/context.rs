//! What a run works with: the seams, and the run's own book-keeping.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::log::{Event, Level, Log};
use crate::redact::Redactor;
use crate::result::{Blocker, Plan, PlannedAction, PlannedStep, Retry, Telemetry};
use crate::retry::{Attempts, Circuits, RetryPolicy, Retryable, Target};
use crate::seams::{Clock, Connect, ToolCall, ToolError, ToolOutput, ToolRunner};
use crate::server_clock::{CLOSE, News, ServerClock};
use crate::settings::Settings;
use crate::stop::Stop;

/// The seams of a run. Clones share them.
#[derive(Clone)]
pub struct Context {
    /// The way to the cluster.
    pub cluster: Arc<dyn Connect>,
    /// helm, eksctl, aws.
    pub tools: Arc<dyn ToolRunner>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where progress goes.
    pub log: Arc<dyn Log>,
    /// The switch that ends the run early.
    pub stop: Stop,
    /// What must not be written.
    pub redactor: Redactor,
}

/// How long after its timeout, or after the stop, a runner may take to come back before it is dropped.
const RUNNER_GRACE: Duration = Duration::from_secs(10);

/// One run: seams, settings, and what is counted along the way.
pub struct Run<'a> {
    /// The seams.
    pub ctx: &'a Context,
    /// What was asked for.
    pub settings: &'a Settings,
    book: Mutex<Book>,
}

struct Book {
    rng: fastrand::Rng,
    circuits: Circuits,
    /// The API server's clock, as its answers have shown it.
    server: ServerClock,
    /// API servers of which EKS has said that they are the right cluster's.
    confirmed: BTreeSet<String>,
    /// Whether a gate was passed on somebody's word.
    forced: bool,
    retries: Vec<Retry>,
    telemetry: Telemetry,
    plan: Plan,
    /// What is waited for, each with a number of its own; the newest last.
    waits: Vec<(u64, String)>,
    /// Whether the cluster cannot be read before a step of the plan is done.
    unreadable: bool,
}

impl<'a> Run<'a> {
    /// A run that has done nothing yet.
    #[must_use]
    pub fn new(ctx: &'a Context, settings: &'a Settings) -> Self {
        let book = Book {
            rng: fastrand::Rng::with_seed(settings.seed),
            circuits: Circuits::default(),
            server: ServerClock::default(),
            confirmed: BTreeSet::new(),
            forced: false,
            retries: Vec::new(),
            telemetry: Telemetry::default(),
            plan: Plan::default(),
            waits: Vec::new(),
            unreadable: false,
        };
        Self { ctx, settings, book: Mutex::new(book) }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A panic elsewhere leaves the numbers as they were, which is as good as they get.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the telemetry.
    pub fn count(&self, change: impl FnOnce(&mut Telemetry)) {
        change(&mut self.book().telemetry);
    }

    /// Whether this API server is known to be the right cluster's.
    #[must_use]
    pub fn confirmed(&self, server: &str) -> bool {
        self.book().confirmed.contains(server)
    }

    /// EKS has said that this API server is the right cluster's.
    pub fn confirm(&self, server: &str) {
        self.book().confirmed.insert(server.to_owned());
    }

    /// Takes the permission to pass a gate, which is there once.
    pub(crate) fn take_force(&self) -> bool {
        !std::mem::replace(&mut self.book().forced, true)
    }

    /// Whether the run only says what it would do.
    #[must_use]
    pub fn dry(&self) -> bool {
        self.settings.dry_run
    }

    /// Notes what would be done, in a dry run; otherwise there is nothing to note.
    pub fn plan(&self, step: PlannedStep) {
        if !self.dry() {
            return;
        }
        let PlannedStep { action, what, why, .. } = &step;
        self.step("plan", format!("{} {what}: {why}", action.sign()));
        self.book().plan.steps.push(step);
    }

    /// The cluster cannot be read before what is planned is done: it is not there, or the kubeconfig does
    /// not lead to it.
    pub fn cannot_read_on(&self) {
        self.book().unreadable = true;
    }

    /// Whether the cluster can be read, as far as is known.
    #[must_use]
    pub fn can_read_on(&self) -> bool {
        !self.book().unreadable
    }

    /// What would be done.
    #[must_use]
    pub fn planned(&self) -> Plan {
        self.book().plan.clone()
    }

    /// Whether more than leaving things as they are is planned so far.
    #[must_use]
    pub fn plans_something(&self) -> bool {
        self.book().plan.steps.iter().any(|step| step.action != PlannedAction::Keep)
    }

    /// Notes the verdict of a gate.
    pub fn gate(&self, gate: &str, verdict: &str) {
        self.count(|telemetry| {
            telemetry.gates.insert(gate.to_owned(), verdict.to_owned());
        });
    }

    /// The retries and the numbers, at the end.
    #[must_use]
    pub fn close(&self) -> (Vec<Retry>, Telemetry) {
        let book = self.book();
        let mut telemetry = book.telemetry.clone();
        telemetry.duration_ms = millis(self.ctx.clock.elapsed());
        telemetry.retries = u32::try_from(book.retries.len()).unwrap_or(u32::MAX);
        telemetry.circuits_opened = book.circuits.opened();
        (book.retries.clone(), telemetry)
    }

    fn log(&self, level: Level, step: &'static str, message: impl AsRef<str>) {
        let message = self.ctx.redactor.text(message.as_ref());
        self.ctx.log.event(&Event::new(self.ctx.clock.elapsed(), level, step, message));
    }

    /// A step that went as it should.
    pub fn step(&self, step: &'static str, message: impl AsRef<str>) {
        self.log(Level::Info, step, message);
    }

    /// Something to know about.
    pub fn warn(&self, step: &'static str, message: impl AsRef<str>) {
        self.log(Level::Warn, step, message);
    }

    /// What stops the run.
    pub fn fail(&self, step: &'static str, message: impl AsRef<str>) {
        self.log(Level::Error, step, message);
    }

    /// An answer that was asked for at `sent`, by our clock, and has come now says that it was written at
    /// `date` by the API server's.
    pub fn server_shows(&self, date: Timestamp, sent: Timestamp) {
        let news = self.book().server.saw(date, sent, self.ctx.clock.now());
        match news {
            Some(News::Apart(skew)) => self.warn("clock", self.skew_words(skew)),
            Some(News::Jumped(by)) => self.warn("clock", jump_words(by)),
            None => {}
        }
    }

    /// How far the API server's clock is from ours, when that is more than a request takes.
    #[must_use]
    pub fn skew(&self) -> Option<SignedDuration> {
        self.book().server.skew()
    }

    /// For the log and the evidence.
    #[must_use]
    pub fn skew_words(&self, skew: SignedDuration) -> String {
        let side = if skew.is_negative() { "ahead of" } else { "behind" };
        let by = whole_seconds(skew);
        format!("this machine's clock is {by} {side} the API server's; the server's is used")
    }

    /// What to say of the API server's clock when it was set during the run.
    #[must_use]
    pub fn jump(&self) -> Option<String> {
        self.book().server.jumped().map(jump_words)
    }

    /// How old a time is that is written in the cluster, by the API server's clock, at the least; `None` of
    /// one that this clock has not shown yet.
    #[must_use]
    pub fn age(&self, written: Timestamp) -> Option<Duration> {
        self.book().server.age(written, self.ctx.clock.now())
    }

    /// Waits, or returns the blocker of a run that ends early.
    ///
    /// # Errors
    /// When the run is stopped meanwhile.
    pub async fn sleep(&self, duration: Duration) -> Result<(), Blocker> {
        tokio::select! {
            biased;
            reason = self.ctx.stop.wait() => Err(Blocker::stopped(reason)),
            () = self.ctx.clock.sleep(duration) => Ok(()),
        }
    }

    /// Attempts at one operation, under the run's policy.
    #[must_use]
    pub fn attempts(&self, target: Target) -> Attempts {
        Attempts::new(target, RetryPolicy::with_budget(self.settings.limits.retry_budget))
    }

    /// An attempt at `operation` failed for a passing reason: waits before the next one and notes it.
    /// `false` when the budget is spent, the target was given up on before, or the run is ending.
    pub async fn backoff(
        &self,
        attempts: &mut Attempts,
        operation: &str,
        error: &str,
        asked: Option<Duration>,
    ) -> bool {
        let now = self.ctx.clock.elapsed();
        let target = attempts.target();
        let granted = {
            let mut book = self.book();
            let Book { rng, circuits, retries, .. } = &mut *book;
            if let Some(wait) = asked {
                circuits.asked(target, now, wait);
            }
            let delay = if circuits.open(target) { None } else { attempts.after_failure(now, asked, rng) };
            match delay {
                Some(delay) => {
                    retries.push(Retry {
                        target,
                        operation: operation.to_owned(),
                        attempt: attempts.retries(),
                        error: error.to_owned(),
                        delay_ms: millis(delay),
                        at_ms: millis(now),
                    });
                    Ok(delay)
                }
                None => Err(circuits.gave_up(target)),
            }
        };
        match granted {
            Ok(delay) => {
                self.warn("retry", format!("{operation}: {error}; trying again in {delay:.1?}"));
                let _waiting = self.waiting(format!("before trying again: {operation}"));
                self.sleep(delay).await.is_ok()
            }
            Err(just_opened) => {
                if just_opened {
                    let name = target.name();
                    self.warn(
                        "retry",
                        format!("{operation}: {error}; {name} is not retried until it answers"),
                    );
                }
                false
            }
        }
    }

    /// The target of an operation has answered.
    pub fn answered(&self, target: Target) {
        self.book().circuits.answered(target);
    }

    /// Notes a retry that needs no delay.
    pub fn retried(&self, target: Target, operation: &str, error: &str) {
        let at_ms = millis(self.ctx.clock.elapsed());
        self.book().retries.push(Retry {
            target,
            operation: operation.to_owned(),
            attempt: 1,
            error: error.to_owned(),
            delay_ms: 0,
            at_ms,
        });
    }

    /// Runs `operation` until it succeeds, fails for good, or the budget is spent.
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn retrying<T, E, F>(&self, operation: &str, mut attempt: impl FnMut() -> F) -> Result<T, E>
    where
        E: Retryable + std::fmt::Display,
        F: Future<Output = Result<T, E>>,
    {
        let mut attempts = self.attempts(E::TARGET);
        self.patience::<E>(operation).await?;
        loop {
            let error = match attempt().await {
                Ok(value) => {
                    self.answered(E::TARGET);
                    return Ok(value);
                }
                Err(error) => error,
            };
            let Some(asked) = error.transient() else {
                self.answered(E::TARGET);
                return Err(error);
            };
            if !self.backoff(&mut attempts, operation, &error.to_string(), asked).await {
                return Err(error);
            }
        }
    }

    /// Waits as long as the target has asked every caller to; longer than the budget is not waited for.
    async fn patience<E: Retryable>(&self, operation: &str) -> Result<(), E> {
        let wait = self.book().circuits.wait(E::TARGET, self.ctx.clock.elapsed());
        if wait > self.settings.limits.retry_budget {
            return Err(E::withheld(operation, wait));
        }
        if !wait.is_zero() {
            // Whoever ends the run meanwhile is noticed by the attempt that follows.
            let _ = self.sleep(wait).await;
        }
        Ok(())
    }

    /// A tool's answer without secrets in what may be shown of it, which is cut into lines later. The output
    /// of a call that went well is data, and goes back to the tool as it is.
    fn cleaned(&self, answer: Result<ToolOutput, ToolError>) -> Result<ToolOutput, ToolError> {
        let clean = |text: &mut String| *text = self.ctx.redactor.text(text);
        match answer {
            Ok(mut output) => {
                clean(&mut output.stderr);
                if !output.success() {
                    clean(&mut output.stdout);
                }
                Ok(output)
            }
            Err(ToolError::TimedOut { program, after, mut stderr }) => {
                clean(&mut stderr);
                Err(ToolError::TimedOut { program, after, stderr })
            }
            other => other,
        }
    }

    /// Lets a person see what is waited for, until what this gives is dropped.
    pub(crate) fn waiting(&self, what: impl Into<String>) -> Waiting<'_> {
        let number = {
            let mut book = self.book();
            let number = book.waits.last().map_or(0, |(number, _)| number + 1);
            book.waits.push((number, what.into()));
            number
        };
        self.show_wait();
        Waiting(self, number)
    }

    fn show_wait(&self) {
        if !self.ctx.log.shows_waits() {
            return;
        }
        let newest = self.book().waits.last().map(|(_, what)| self.ctx.redactor.text(what));
        self.ctx.log.waiting(newest.as_deref());
    }

    /// Runs a tool that changes something, once: not in a dry run, which plans such calls instead.
    ///
    /// # Errors
    /// As [`Run::tool`].
    pub async fn changing_tool(
        &self,
        program: &str,
        args: Vec<String>,
        stdin: Option<String>,
        timeout: Duration,
    ) -> Result<ToolOutput, ToolError> {
        if self.dry() {
            return Err(ToolError::Dry { program: program.to_owned() });
        }
        self.tool(program, args, stdin, timeout).await
    }

    /// Runs a tool once. The runner's promise to come back after the timeout or the stop is enforced.
    ///
    /// # Errors
    /// When the tool gave no answer; a tool that answers with an error is not an error here.
    pub async fn tool(
        &self,
        program: &str,
        args: Vec<String>,
        stdin: Option<String>,
        timeout: Duration,
    ) -> Result<ToolOutput, ToolError> {
        if let Some(reason) = self.ctx.stop.reason() {
            return Err(ToolError::Stopped { program: program.to_owned(), reason });
        }
        self.count(|telemetry| telemetry.tool_calls += 1);
        let words = args.iter().take_while(|word| !word.starts_with('-')).take(3);
        let words: Vec<&str> = std::iter::once(program).chain(words.map(String::as_str)).collect();
        let _waiting = self.waiting(words.join(" "));
        let call = ToolCall {
            program: program.to_owned(),
            args,
            env: BTreeMap::new(),
            stdin,
            timeout,
            stop: self.ctx.stop.clone(),
        };
        let stopped = async {
            let reason = self.ctx.stop.wait().await;
            self.ctx.clock.sleep(RUNNER_GRACE).await;
            reason
        };
        tokio::select! {
            biased;
            answer = self.ctx.tools.run(call) => self.cleaned(answer),
            reason = stopped => Err(ToolError::Stopped { program: program.to_owned(), reason }),
            () = self.ctx.clock.sleep(timeout + RUNNER_GRACE) => Err(ToolError::TimedOut {
                program: program.to_owned(),
                after: timeout,
                stderr: String::new(),
            }),
        }
    }
}

/// Something is waited for, for as long as this lives.
#[must_use]
pub(crate) struct Waiting<'w>(&'w Run<'w>, u64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.book().waits.retain(|(number, _)| *number != self.1);
        self.0.show_wait();
    }
}

fn jump_words(by: SignedDuration) -> String {
    let to = match by {
        by if by.abs() <= CLOSE => {
            return "the API server's clock was set during this run, and set back".to_owned();
        }
        by if by.is_negative() => "back",
        _ => "forwards",
    };
    format!(
        "the API server's clock was set {to} by {} during this run; what was written before is as old as it was \
         by the clock that wrote it",
        // It is known to a second or two, of which its whole seconds are one.
        whole_seconds(SignedDuration::from_secs((by.as_secs().abs() + 2) / 5 * 5))
    )
}

/// Without its sign, as Go writes it.
fn whole_seconds(span: SignedDuration) -> String {
    crate::duration::go(Duration::from_secs(span.as_secs().unsigned_abs()))
}

/// Whole milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The last lines of a text, joined by `; `: what a tool said, short enough for a message.
#[must_use]
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut joined = String::new();
    for line in &lines[lines.len().saturating_sub(count)..] {
        let line: String = line.chars().take(600).collect();
        let _ = write!(joined, "{}{line}", if joined.is_empty() { "" } else { "; " });
    }
    joined
}
