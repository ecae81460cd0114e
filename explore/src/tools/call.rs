//! One call of a tool: broken, or carried out by its stand-in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eks_installer::seams::ToolCall;
use interpose::helm::{Access, World};
use interpose::plan::{Action, ToolFault, When};
use interpose::record::Route;
use interpose::{Invocation, Output, aws, eksctl, helm, mutates};
use tokio::sync::watch;

use super::Surroundings;

/// SIGTERM's number.
const TERMINATE: i32 = 15;

/// How a call ended.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) route: Route,
    pub(super) fault: Option<String>,
}

impl Answer {
    fn of(output: Output, route: Route) -> Self {
        let Output { code, stdout, stderr } = output;
        Self { code: Some(code), signal: None, stdout, stderr, route, fault: None }
    }

    /// The end of a tool that a signal has ended.
    pub(super) fn by_signal(number: i32) -> Self {
        let (stdout, stderr) = (String::new(), String::new());
        Self { code: None, signal: Some(number), stdout, stderr, route: Route::StandIn, fault: None }
    }
}

/// Becomes true once the tool has been asked to end.
type Terminated = watch::Receiver<bool>;

async fn asked_to_end(terminated: &mut Terminated) {
    if terminated.wait_for(|asked| *asked).await.is_err() {
        std::future::pending().await
    }
}

/// Answers a call, broken by `fault` if there is one.
pub(super) async fn answer(
    around: &Surroundings,
    call: &ToolCall,
    env: &BTreeMap<String, String>,
    fault: Option<ToolFault>,
    mut terminated: Terminated,
) -> Answer {
    let Some(fault) = fault else { return carry_out(around, call, env, &mut terminated).await };
    let mut answer = match fault.when {
        When::Before => match broken(&fault.action, &mut terminated).await {
            Some(answer) => answer,
            None => carry_out(around, call, env, &mut terminated).await,
        },
        When::After => {
            let done = carry_out(around, call, env, &mut terminated).await;
            let route = done.route;
            Answer { route, ..broken(&fault.action, &mut terminated).await.unwrap_or(done) }
        }
    };
    answer.fault = Some(fault.label);
    answer
}

/// Acts a fault out. `None`: the call goes on.
async fn broken(action: &Action, terminated: &mut Terminated) -> Option<Answer> {
    let signalled = |number| Answer { route: Route::Fault, ..Answer::by_signal(number) };
    match action {
        Action::Exit { code, stdout, stderr } => {
            let output = Output { code: i32::from(*code), stdout: stdout.clone(), stderr: stderr.clone() };
            Some(Answer::of(output, Route::Fault))
        }
        Action::Signal { number } => Some(signalled(*number)),
        Action::Hang => {
            asked_to_end(terminated).await;
            Some(signalled(TERMINATE))
        }
        Action::Delay { ms } => tokio::select! {
            biased;
            () = asked_to_end(terminated) => Some(signalled(TERMINATE)),
            () = tokio::time::sleep(Duration::from_millis(*ms)) => None,
        },
    }
}

async fn carry_out(
    around: &Surroundings,
    call: &ToolCall,
    env: &BTreeMap<String, String>,
    terminated: &mut Terminated,
) -> Answer {
    let (stop, stopping) = watch::channel(false);
    let mut work = std::pin::pin!(dispatch(around, call, env, stopping));
    tokio::select! {
        biased;
        () = asked_to_end(terminated) => {}
        output = &mut work => return Answer::of(output, Route::StandIn),
    }
    // Helm marks the release that it installs or upgrades as failed before it ends; all else just ends.
    let words = mutates::words(&call.program, &call.args);
    let marks = call.program == "helm" && matches!(words.first(), Some(&("install" | "upgrade")));
    if !marks || stop.send(true).is_err() {
        return Answer::by_signal(TERMINATE);
    }
    Answer::of(work.await, Route::StandIn)
}

async fn dispatch(
    around: &Surroundings,
    call: &ToolCall,
    env: &BTreeMap<String, String>,
    stopping: watch::Receiver<bool>,
) -> Output {
    let stdin = call.stdin.clone().unwrap_or_default();
    let invocation = Invocation { args: call.args.clone(), env: env.clone(), stdin };
    match call.program.as_str() {
        "helm" => {
            let clock = around.clock.clone();
            let world = World {
                now: Arc::new(move || clock.now()),
                stop: Some(stopping),
                credentials: around.credentials.clone(),
                access: Access::Client {
                    client: around.client.clone(),
                    server: crate::trial::SERVER.to_owned(),
                },
            };
            helm::run(&invocation, &world).await
        }
        "eksctl" => eksctl::run(&invocation, &around.cloud).await,
        "aws" => aws::run(&invocation, &around.cloud).await,
        other => Output::fail(127, format!("there is no stand-in for {other} in this process")),
    }
}
