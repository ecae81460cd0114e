//! The commands, from phases to an outcome.

use std::time::Duration;

use crate::context::{Context, Run};
use crate::phases::compute::Ended;
use crate::phases::{Phase, compute, core, foundation, plan_unread, storage};
use crate::result::{
    Blocker, Cleanup, Code, Evidence, Forced, Outcome, Phase1, Phase2, Phase3, Preflight, RunResult,
    SCHEMA_VERSION, derive,
};
use crate::settings::Settings;
use crate::stop::StopReason;

/// What a command came to, before status and exit code are derived from it.
#[derive(Default)]
struct Report {
    phase: Option<Phase>,
    evidence: Evidence,
    blockers: Vec<Blocker>,
    forced: Option<Forced>,
    remaining: Option<Phase>,
}

/// Which phases are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them, in order. A phase for which nothing is configured is done when it is reached.
    All,
    /// This one, whatever comes before it.
    Only(Phase),
    /// From the first one to this one.
    Through(Phase),
}

impl Scope {
    pub(crate) fn phases(self) -> Vec<Phase> {
        match self {
            Self::All => Phase::ALL.to_vec(),
            Self::Only(phase) => vec![phase],
            Self::Through(last) => Phase::ALL.into_iter().filter(|phase| *phase <= last).collect(),
        }
    }
}

impl From<Option<Phase>> for Scope {
    fn from(phase: Option<Phase>) -> Self {
        phase.map_or(Self::All, Self::Only)
    }
}

/// Runs the phases in scope, in order, as far as they hold.
///
/// A dry run reads everything and changes nothing: what it would do is the result's plan. It is ok only
/// when there is nothing to do, so that nothing is called done that was not verified.
///
/// Ends within `settings.limits.deadline` plus the time that a tool takes to stop.
pub async fn install(ctx: &Context, settings: &Settings, scope: Scope) -> Outcome {
    let run = Run::new(ctx, settings);
    let mut report = within_deadline(&run, run_phases(&run, &scope.phases())).await;
    if run.dry() {
        note_plan(&run, &mut report);
    }
    close(&run, report)
}

/// Of a dry run: that something is planned is why what was asked for is not done.
fn note_plan(run: &Run<'_>, report: &mut Report) {
    let plan = run.planned();
    let summary = plan.summary();
    run.step("plan", format!("{summary}; nothing was changed"));
    let Some(first) = plan.begins_with().filter(|_| report.blockers.is_empty()) else { return };
    report.remaining = Some(first);
    report.blockers = vec![Blocker::new(
        Code::ChangesPlanned,
        format!("this is a dry run and nothing was changed; there is {summary}"),
        "run the same command without --dry-run; the result's plan has each step and its command",
    )];
}

/// Reads what there is, changing nothing.
pub async fn status(ctx: &Context, settings: &Settings) -> Outcome {
    let run = Run::new(ctx, settings);
    let report = within_deadline(&run, async {
        let mut evidence = Phase3::default();
        let found = compute::inspect(&run, &mut evidence).await;
        let done = matches!(found, Ok(true));
        Report {
            phase: Some(if done { Phase::Compute } else { Phase::Foundation }),
            blockers: found.err().unwrap_or_default(),
            evidence: Evidence { phase3: Some(evidence), ..Evidence::default() },
            forced: None,
            remaining: Some(if done { Phase::Core } else { Phase::Compute }),
        }
    })
    .await;
    close(&run, report)
}

/// The outcome of `status --watch`: what was last seen.
pub(crate) fn followed(run: &Run<'_>, evidence: Evidence, blockers: Vec<Blocker>) -> Outcome {
    close(run, Report { evidence, blockers, ..Report::default() })
}

/// The outcome of `preflight`: its checks, under the run's deadline.
pub(crate) async fn preflighted(
    run: &Run<'_>,
    work: impl Future<Output = (Preflight, Vec<Blocker>)>,
) -> Outcome {
    let (preflight, blockers) = within_deadline(run, work).await;
    let evidence = Evidence { preflight: Some(preflight), ..Evidence::default() };
    close(run, Report { evidence, blockers, remaining: Some(Phase::Foundation), ..Report::default() })
}

/// The outcome of `cleanup`: what went and what was left, under the run's deadline.
pub(crate) async fn cleaned_up(
    run: &Run<'_>,
    work: impl Future<Output = (Cleanup, Vec<Blocker>, Option<Phase>)>,
) -> Outcome {
    let (cleanup, blockers, phase) = within_deadline(run, work).await;
    let evidence = Evidence { cleanup: Some(cleanup), ..Evidence::default() };
    close(run, Report { phase, evidence, blockers, remaining: phase, ..Report::default() })
}

/// The outcome of a run that never began.
#[must_use]
pub fn usage(ctx: &Context, message: &str, remediation: &str) -> Outcome {
    let settings = Settings::default();
    let run = Run::new(ctx, &settings);
    let blockers = vec![Blocker::new(Code::Usage, message, remediation)];
    close(&run, Report { blockers, ..Report::default() })
}

/// Lets `work` go on until the run's deadline; then it is told to stop, and still comes to its own end.
async fn within_deadline<T>(run: &Run<'_>, work: impl Future<Output = T>) -> T {
    let left = run.settings.limits.deadline.saturating_sub(run.ctx.clock.elapsed());
    until(run, Some(left), StopReason::Deadline, work).await
}

/// The same for a limit of any kind: deadlines nest, and the reason says which one passed first.
async fn until<T>(
    run: &Run<'_>,
    limit: Option<Duration>,
    reason: StopReason,
    work: impl Future<Output = T>,
) -> T {
    let Some(limit) = limit else {
        return Box::pin(work).await;
    };
    // On the heap: a phase is deep, and would otherwise lie in every future above it once more.
    let mut work = Box::pin(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = run.ctx.clock.sleep(limit) => run.ctx.stop.trigger(reason),
    }
    run.fail("deadline", Blocker::stopped(reason).message);
    work.await
}

async fn run_phases(run: &Run<'_>, phases: &[Phase]) -> Report {
    let mut report = Report::default();
    for phase in phases {
        report.phase = Some(*phase);
        if !run.can_read_on() {
            plan_unread(run, *phase);
            continue;
        }
        let limit = run.settings.limits.phase_deadline;
        let work = run_phase(run, *phase, &mut report.evidence);
        let ended = until(run, limit, StopReason::PhaseDeadline(*phase), work).await;
        report.blockers = ended.blockers;
        report.forced = report.forced.or(ended.forced);
        if !report.blockers.is_empty() {
            return report;
        }
    }
    report.remaining = phases.last().copied().and_then(Phase::successor);
    report
}

async fn run_phase(run: &Run<'_>, phase: Phase, evidence: &mut Evidence) -> Ended {
    match phase {
        Phase::Foundation => foundation::run(run, evidence.phase1.get_or_insert_with(Phase1::default)).await,
        Phase::Storage => storage::run(run, evidence.phase2.get_or_insert_with(Phase2::default)).await,
        Phase::Compute => compute::run(run, evidence.phase3.get_or_insert_with(Phase3::default)).await,
        Phase::Core => core::run(run, evidence).await,
    }
}

fn close(run: &Run<'_>, mut report: Report) -> Outcome {
    if let Some(reason) = run.ctx.stop.reason() {
        let stopped = Blocker::stopped(reason);
        // A run that came to its end before it noticed the stop has ended well all the same.
        if !report.blockers.is_empty() && !report.blockers.iter().any(|it| it.code == stopped.code) {
            report.blockers.push(stopped);
        }
    }
    let verdict = derive(&report.blockers, report.remaining);
    let (retries, telemetry) = run.close();
    let forced = if report.forced.is_some() { " (forced)" } else { "" };
    let ended = format!("{}{forced}, exit code {}", verdict.status.name(), verdict.exit);
    let only_planned = report.blockers.iter().all(|blocker| blocker.code == Code::ChangesPlanned);
    match verdict.ok {
        true => run.step("end", ended),
        false if only_planned => run.warn("end", ended),
        false => run.fail("end", ended),
    }
    let result = RunResult {
        schema_version: SCHEMA_VERSION,
        ok: verdict.ok,
        status: verdict.status,
        phase: report.phase,
        evidence: report.evidence,
        blockers: report.blockers,
        next: verdict.next,
        forced: report.forced,
        plan: run.dry().then(|| run.planned()),
        telemetry,
        retries,
    };
    Outcome { result, exit: verdict.exit }
}
