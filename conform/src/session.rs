//! Recorded sessions: short scripts of unmodified tools, and what the library kube does ([`crate::by_kube`]), run against
//! both sides through proxies that record, and compared request by request.
//!
//! A script is a file of `sessions/`, for `sh -eu`. Its first line names the tools that it needs, and `nodes` when it
//! needs one to run pods on; its second says what it is about. One that needs `helm` is a session of Helm 3 and one
//! of Helm 4, and one that needs `kubectl` alone a session of each kubectl that there is. It runs in a namespace of its own, which `NAMESPACE` names; `SESSIONS` names the folder of the scripts,
//! where what several of them use is in folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use kube::Client;
use kubesim::kubelet::NodeShape;

use crate::Error;
use crate::by_kube::{self, Said};
use crate::exchanges;
use crate::known::List;
use crate::record::{Exchange, Recorder};
use crate::report::Report;
use crate::side::Side;

/// How long a script may take; what a tool waits for is bounded by the script itself.
const PATIENCE: Duration = Duration::from_secs(180);

/// How many scripts run at once.
const AT_ONCE: usize = 4;

/// A script.
#[derive(Clone, Debug)]
pub struct Script {
    /// The file's name without its ending, and with the name of the tool that it is a session of.
    pub name: String,
    /// What it needs, of [`Tools`]; nothing when it is a session of kube.
    pub tools: Vec<String>,
    nodes: bool,
    runs: Runs,
}

#[derive(Clone, Debug)]
enum Runs {
    /// A script, for the shell.
    Shell(PathBuf),
    /// A session of kube.
    Kube(fn(Client, String) -> Said),
}

/// Executables: `kubectl`, `helm3`, `helm4`, and `kubectl-1-34` for a kubectl of that version besides.
pub type Tools = BTreeMap<String, PathBuf>;

/// What scripts call a tool.
fn called(tool: &str) -> &str {
    ["kubectl", "helm"].into_iter().find(|name| tool.starts_with(name)).unwrap_or(tool)
}

/// Every script of a folder, with each of the tools that it is for, and every session of kube, by name.
///
/// # Errors
/// When one cannot be read, or does not say what it needs and what it is about.
pub fn scripts(folder: &Path, tools: &Tools) -> Result<Vec<Script>, Error> {
    let wrong = |path: &Path, why: String| Error::File { path: path.display().to_string(), why };
    let entries = std::fs::read_dir(folder).map_err(|error| wrong(folder, error.to_string()))?;
    let mut scripts = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| wrong(folder, error.to_string()))?.path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(&path, error.to_string()))?;
        let mut head = text.lines().map(|line| line.strip_prefix("# "));
        let (Some(Some(needs)), Some(Some(_))) = (head.next(), head.next()) else {
            return Err(wrong(
                &path,
                "it begins with two comments: what it needs, and what it is about".into(),
            ));
        };
        let (nodes, needed): (Vec<&str>, Vec<&str>) = needs.split_whitespace().partition(|it| *it == "nodes");
        if let Some(unknown) = needed.iter().find(|tool| !matches!(**tool, "kubectl" | "helm")) {
            return Err(wrong(&path, format!("there is no tool {unknown}; use kubectl or helm")));
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let others = || tools.keys().map(String::as_str).filter(|tool| tool.starts_with("kubectl-"));
        let (family, members): (&str, Vec<&str>) = match needed.as_slice() {
            ["kubectl"] => ("kubectl", std::iter::once("kubectl").chain(others()).collect()),
            needed if needed.contains(&"helm") => ("helm", vec!["helm3", "helm4"]),
            _ => ("kubectl", vec!["kubectl"]),
        };
        scripts.extend(members.into_iter().map(|member| Script {
            name: stem.replacen(family, member, 1),
            tools: needed.iter().map(|tool| if *tool == family { member } else { tool }.to_owned()).collect(),
            nodes: !nodes.is_empty(),
            runs: Runs::Shell(path.clone()),
        }));
    }
    scripts.extend(by_kube::SESSIONS.iter().map(|session| Script {
        name: session.name.to_owned(),
        tools: Vec::new(),
        nodes: session.nodes,
        runs: Runs::Kube(session.run),
    }));
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(scripts)
}

/// How a script ended on one side.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exchanges: Vec<Exchange>,
}

/// Runs scripts on both sides, and compares.
///
/// # Errors
/// When a side does not answer, or a script cannot be run.
pub async fn run(
    scripts: &[Script],
    tools: &Tools,
    embedded: &Side,
    reference: &Side,
    known: &List,
) -> Result<Report, Error> {
    let mut report = Report::against(known);
    if scripts.iter().any(|script| script.nodes) {
        futures::try_join!(node(embedded), node(reference))?;
    }
    let both = |script| async move {
        futures::try_join!(run_one(script, tools, embedded), run_one(script, tools, reference))
    };
    // Scripts wait for rollouts most of the time, and each has a namespace of its own.
    let ran: Vec<(Ran, Ran)> =
        futures::stream::iter(scripts.iter().map(both)).buffered(AT_ONCE).try_collect().await?;
    for (script, (ours, theirs)) in scripts.iter().zip(&ran) {
        // A script may end as it likes; a session of kube that comes to its end nowhere is one that is wrong.
        if matches!(script.runs, Runs::Kube(_)) && ours.code != 0 && theirs.code != 0 {
            return Err(Error::File { path: script.name.clone(), why: theirs.stderr.clone() });
        }
        exchanges::compare(script, ours, theirs, known, &mut report);
    }
    Ok(report)
}

/// Sees to it that there is a node.
async fn node(side: &Side) -> Result<(), Error> {
    let Some(nodes) = side.nodes() else { return Ok(()) };
    if nodes.names().is_empty() {
        let shape = NodeShape::numbered(0, "us-west-2");
        nodes.add(shape).map_err(|status| side.broken(&status))?;
    }
    let ready = |node: &serde_json::Value| {
        let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
        let tainted = node["spec"]["taints"].as_array().is_some_and(|taints| !taints.is_empty());
        conditions.clone().any(|it| it["type"] == "Ready" && it["status"] == "True") && !tainted
    };
    for name in nodes.names() {
        side.until(&format!("/api/v1/nodes/{name}"), ready).await?;
    }
    Ok(())
}

async fn run_one(script: &Script, tools: &Tools, side: &Side) -> Result<Ran, Error> {
    let recorder = Recorder::start(side.client()).await?;
    let namespace = format!("session-{}", script.name);
    side.make_namespace(&namespace).await?;
    match &script.runs {
        Runs::Shell(path) => run_shell(path, script, tools, recorder, &namespace).await,
        Runs::Kube(run) => run_kube(*run, script, recorder, namespace).await,
    }
}

async fn run_kube(
    run: fn(Client, String) -> Said,
    script: &Script,
    recorder: Recorder,
    namespace: String,
) -> Result<Ran, Error> {
    let wrong = |why: String| Error::File { path: script.name.clone(), why };
    let url = recorder.url.parse().map_err(|error| wrong(format!("find the recorder: {error}")))?;
    // A refusal is what is looked for; asked again as it says it would take minutes.
    let mut config = kube::Config::new(url);
    config.default_retry = false;
    let client = Client::try_from(config).map_err(|error| wrong(format!("run it: {error}")))?;
    let ended = tokio::time::timeout(PATIENCE, run(client, namespace)).await;
    let ended = ended.map_err(|_| wrong("run it: it takes too long".into()))?;
    let (code, stdout, stderr) = match ended {
        Ok(said) => (0, said, String::new()),
        Err(error) => (1, String::new(), error.to_string()),
    };
    Ok(Ran { code, stdout, stderr, exchanges: recorder.take() })
}

async fn run_shell(
    path: &Path,
    script: &Script,
    tools: &Tools,
    recorder: Recorder,
    namespace: &str,
) -> Result<Ran, Error> {
    let failed = |what: &str, error: std::io::Error| Error::File {
        path: path.display().to_string(),
        why: format!("{what}: {error}"),
    };
    let home = tempfile::tempdir().map_err(|error| failed("make a folder for it", error))?;
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).map_err(|error| failed("make a folder for its tools", error))?;
    for tool in &script.tools {
        let Some(executable) = tools.get(tool) else { continue };
        let link = bin.join(called(tool));
        std::os::unix::fs::symlink(executable, link).map_err(|error| failed("link its tools", error))?;
    }
    let kubeconfig = home.path().join("kubeconfig");
    std::fs::write(&kubeconfig, kubeconfig_of(&recorder.url, namespace))
        .map_err(|error| failed("write its kubeconfig", error))?;
    let script_path = std::path::absolute(path).map_err(|error| failed("find it", error))?;
    let mut command = tokio::process::Command::new("sh");
    command
        .arg("-eu")
        .arg(&script_path)
        .current_dir(home.path())
        .env_clear()
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()))
        .env("HOME", home.path())
        .env("KUBECONFIG", &kubeconfig)
        .env("KUBECACHEDIR", home.path().join("cache"))
        .env("NAMESPACE", namespace)
        .env("SESSIONS", script_path.parent().unwrap_or(&script_path))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.map_err(|_| failed("run it", std::io::ErrorKind::TimedOut.into()))?;
    let output = output.map_err(|error| failed("run it", error))?;
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        // Where the tools and the server are is nothing that they say.
        text.replace(&home.path().display().to_string(), "<home>").replace(&recorder.url, "<server>")
    };
    Ok(Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
        exchanges: recorder.take(),
    })
}

fn kubeconfig_of(url: &str, namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: session\n\
         clusters: [{{name: session, cluster: {{server: \"{url}\"}}}}]\n\
         users: [{{name: session, user: {{}}}}]\n\
         contexts: [{{name: session, context: {{cluster: session, user: session, namespace: {namespace}}}}}]\n"
    )
}
