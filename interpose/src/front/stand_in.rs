//! Answering a call by a stand-in.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use super::stops::Stops;
use super::{Answer, Ending, say};
use crate::cloud::Cloud;
use crate::plan::Plan;
use crate::record::Route;
use crate::{Invocation, Output, aws, eksctl, helm};

/// Answers, and writes the answer to our own streams.
pub(super) async fn run(
    tool: &str,
    argv: &[String],
    env: &BTreeMap<String, String>,
    plan: &Plan,
    dir: Option<&Path>,
    stops: &mut Stops,
) -> Answer {
    let answer = silent(tool, argv, env, plan, dir, stops).await;
    say(&answer.stdout, &answer.stderr);
    answer
}

/// Answers without a word to our own streams.
pub(super) async fn silent(
    tool: &str,
    argv: &[String],
    env: &BTreeMap<String, String>,
    plan: &Plan,
    dir: Option<&Path>,
    stops: &mut Stops,
) -> Answer {
    let answer = |ending, output: Output| Answer {
        ending,
        stdout: output.stdout,
        stderr: output.stderr,
        route: Route::StandIn,
        fault: None,
    };
    let (stop, stopping) = watch::channel(false);
    let work = dispatch(tool, argv, env, plan, dir, stopping);
    tokio::pin!(work);
    let number = tokio::select! {
        biased;
        number = stops.next() => number,
        output = &mut work => return answer(Ending::Exit(output.code), output),
    };
    // Helm marks the release that it installs or upgrades as failed before it ends; all else just ends.
    let words = crate::mutates::words(tool, argv);
    let marks = tool == "helm" && matches!(words.first(), Some(&("install" | "upgrade")));
    if !marks || stop.send(true).is_err() {
        return answer(Ending::Signal(number), Output::default());
    }
    tokio::select! {
        biased;
        output = &mut work => answer(Ending::Exit(output.code), output),
        number = stops.next() => answer(Ending::Signal(number), Output::default()),
    }
}

async fn dispatch(
    tool: &str,
    argv: &[String],
    env: &BTreeMap<String, String>,
    plan: &Plan,
    dir: Option<&Path>,
    stopping: watch::Receiver<bool>,
) -> Output {
    let invocation = Invocation { args: argv.to_vec(), env: env.clone(), stdin: stdin_if_read(argv).await };
    match tool {
        "eksctl" => eksctl::run(&invocation, &Cloud::of(plan, dir)).await,
        "aws" => aws::run(&invocation, &Cloud::of(plan, dir)).await,
        "helm" => {
            let now = Arc::new(jiff::Timestamp::now);
            let hosts = &plan.registry.expired_tokens;
            let credentials = dir.map_or_else(
                || helm::Credentials::expired(hosts),
                |dir| helm::Credentials::kept_in(hosts, dir),
            );
            let access = helm::Access::Kubeconfig;
            let world = helm::World { access, now, stop: Some(stopping), credentials };
            helm::run(&invocation, &world).await
        }
        _ => Output::fail(
            127,
            format!(
                "interposed {tool}: there is no stand-in for {tool}; name the real one in the plan's \
                 tools.{tool}.real"
            ),
        ),
    }
}

/// Standard input, when the arguments say that the tool reads it.
async fn stdin_if_read(argv: &[String]) -> String {
    if !argv.iter().any(|a| a == "-" || a.ends_with("=-") || a == "--password-stdin") {
        return String::new();
    }
    let read = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())).await;
    read.ok().and_then(Result::ok).unwrap_or_default()
}
