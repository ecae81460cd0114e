//! The executable's way through one call: number it, record its start, break it or carry it out,
//! record its end, and end as the tool ended.

mod ending;
mod real;
mod stand_in;
mod stops;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use stops::Stops;

pub use ending::{DIE, Ending, GUARD, die, guard};

use crate::mutates::mutates;
use crate::plan::{Action, Plan, TOOLS_DIR, ToolFault, When};
use crate::record::{self, End, Route, Start};
use crate::redact::Redactor;
use crate::state::State;

/// Tools that the executable answers for.
pub const TOOLS: &[&str] = &["helm", "eksctl", "aws", "kubectl"];

/// Exit code of a call that could not be interposed: the plan or the recording is unusable. High, so
/// that no installer takes it for an answer of the tool.
const BROKEN: i32 = 125;

/// What a carried-out call left behind.
#[derive(Debug, Clone)]
struct Answer {
    ending: Ending,
    stdout: String,
    stderr: String,
    route: Route,
    fault: Option<String>,
}

/// Runs the tool of this name with these arguments in the process's environment. Output is already
/// written when it returns; the caller only has to [`Ending::take`] the ending.
pub async fn run(tool: &str, argv: Vec<String>) -> Ending {
    let env: BTreeMap<String, String> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    let Some(dir) = env.get(TOOLS_DIR).filter(|dir| !dir.is_empty()).map(PathBuf::from) else {
        let plan = Plan::default();
        let mut stops = Stops::listen();
        return stand_in::run(tool, &argv, &env, &plan, None, &mut stops).await.ending;
    };
    match recorded(tool, argv, &env, &dir).await {
        Ok(ending) => ending,
        Err(error) => {
            eprintln!("interposed {tool}: {error:#}");
            Ending::Exit(BROKEN)
        }
    }
}

async fn recorded(
    tool: &str,
    argv: Vec<String>,
    env: &BTreeMap<String, String>,
    dir: &Path,
) -> anyhow::Result<Ending> {
    let mut stops = Stops::listen();
    let plan = Plan::load(dir)?;
    let redactor = Redactor::new(&plan.secrets, env);
    let begun = Instant::now();
    let (seq, fault) = {
        let state = State::of(dir).lock()?;
        (state.next("calls")?, state.fault(&plan.faults, tool, &argv)?.cloned())
    };
    let start = Start {
        seq,
        tool: tool.to_owned(),
        argv: redactor.argv(&argv),
        env: redactor.env(env),
        started_at: Timestamp::now(),
        mutating: mutates(tool, &argv),
    };
    record::start(dir, start)?;
    let answer = answer(Asked { tool, argv: &argv, env, dir, plan: &plan }, fault, &mut stops).await?;
    let (exit, signal) = answer.ending.parts();
    let end = End {
        seq,
        duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        exit,
        signal,
        stdout: redactor.text(&answer.stdout),
        stderr: redactor.text(&answer.stderr),
        route: answer.route,
        fault: answer.fault,
    };
    record::end(dir, end)?;
    Ok(answer.ending)
}

/// One call, as everything that carries it out sees it.
#[derive(Clone, Copy)]
struct Asked<'a> {
    tool: &'a str,
    argv: &'a [String],
    env: &'a BTreeMap<String, String>,
    dir: &'a Path,
    plan: &'a Plan,
}

async fn answer(asked: Asked<'_>, fault: Option<ToolFault>, stops: &mut Stops) -> anyhow::Result<Answer> {
    let Some(fault) = fault else { return carry_out(asked, true, stops).await };
    let mut answer = match fault.when {
        When::Before => match broken(&fault, asked.dir, stops).await? {
            Some(ended) => ended,
            None => carry_out(asked, true, stops).await?,
        },
        // The tool's own words are lost with a lost answer; a delay keeps them.
        When::After => {
            let speak = matches!(fault.action, Action::Delay { .. });
            let done = carry_out(asked, speak, stops).await?;
            let route = done.route;
            Answer { route, ..broken(&fault, asked.dir, stops).await?.unwrap_or(done) }
        }
    };
    answer.fault = Some(fault.label);
    Ok(answer)
}

impl Answer {
    fn fault(ending: Ending) -> Self {
        Self { ending, stdout: String::new(), stderr: String::new(), route: Route::Fault, fault: None }
    }
}

/// Acts a fault out. `None`: the call goes on.
async fn broken(fault: &ToolFault, dir: &Path, stops: &mut Stops) -> io::Result<Option<Answer>> {
    if matches!(fault.action, Action::Hang | Action::Delay { .. }) {
        State::of(dir).hold(&fault.label)?;
    }
    Ok(match &fault.action {
        Action::Exit { code, stdout, stderr } => {
            say(stdout, stderr);
            let ending = Ending::Exit(i32::from(*code));
            Some(Answer { stdout: stdout.clone(), stderr: stderr.clone(), ..Answer::fault(ending) })
        }
        Action::Signal { number } => Some(Answer::fault(Ending::Signal(*number))),
        Action::Hang => Some(Answer::fault(Ending::Signal(stops.next().await))),
        Action::Delay { ms } => {
            tokio::select! {
                biased;
                number = stops.next() => Some(Answer::fault(Ending::Signal(number))),
                () = tokio::time::sleep(Duration::from_millis(*ms)) => None,
            }
        }
    })
}

async fn carry_out(asked: Asked<'_>, speak: bool, stops: &mut Stops) -> anyhow::Result<Answer> {
    let Asked { tool, argv, env, dir, plan } = asked;
    if let Some(real) = plan.tools.get(tool).and_then(|it| it.real.as_deref()) {
        return real::run(real, argv, speak, stops).await;
    }
    if speak {
        return Ok(stand_in::run(tool, argv, env, plan, Some(dir), stops).await);
    }
    Ok(stand_in::silent(tool, argv, env, plan, Some(dir), stops).await)
}

/// Writes both streams. A reader that has gone away is no reason to fail.
fn say(stdout: &str, stderr: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(stdout.as_bytes()).and_then(|()| out.flush()));
    drop(std::io::stderr().lock().write_all(stderr.as_bytes()));
}
