//! One attempt at a scenario: a cluster, its faults, the steps, and what was judged on the way.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal as Nix;
use serde_json::json;

use super::environment::{self, Situation};
use super::judge::{self, After, Before};
use super::subject::Subject;
use super::tools::{ToolChoice, Tools};
use super::wait::missed;
use super::{Installer, Stop};
use crate::backend::{Backend, Capability, Cluster, ClusterError, Identity};
use crate::duration::Span;
use crate::event::{Attempt, Event, Mismatch};
use crate::expect::{self, Judged};
use crate::fault::{FaultSpec, Ground};
use crate::observe::{Observation, Snapshot};
use crate::parity::{self, Course, Told, Trace};
use crate::scenario::{RunStep, Scenario, Signal, StepKind, Timeouts};

/// What an attempt is made with.
#[derive(Clone)]
pub(super) struct Setting<'s> {
    pub(super) backend: &'s dyn Backend,
    /// What the scenario is called in events.
    pub(super) label: &'s str,
    /// Whether it is compared with another backend.
    pub(super) compared: bool,
    pub(super) installer: &'s Installer,
    pub(super) tools: &'s ToolChoice,
    pub(super) seed: u64,
    pub(super) stop: &'s Stop,
    /// The scenario's file, for places.
    pub(super) file: &'s str,
    /// A folder of the attempt's own, which exists.
    pub(super) folder: PathBuf,
    /// The mark of the processes that it starts.
    pub(super) mark: String,
    pub(super) which: Attempt,
    /// Whether a sweep tries a few of its points only.
    pub(super) sampled: bool,
    pub(super) emit: &'s (dyn Fn(Event) + Send + Sync),
}

impl<'s> Setting<'s> {
    /// The same for a part of the attempt, with a folder of its own.
    pub(super) fn within(&self, name: &str) -> Setting<'s> {
        Setting { folder: self.folder.join(name), mark: format!("{}/{name}", self.mark), ..self.clone() }
    }
}

/// How an attempt ended.
#[derive(Default)]
pub(super) struct Attempted {
    /// Expectations of the scenario that did not hold.
    pub(super) mismatches: Vec<Mismatch>,
    /// Invariants that did not hold.
    pub(super) violations: Vec<Mismatch>,
    /// How many single expectations were judged, invariants aside.
    pub(super) checked: usize,
    /// The newest run.
    pub(super) run: Option<Observation>,
    /// What it is compared by.
    pub(super) course: Course,
    /// Why it could not be carried through, if it could not.
    pub(super) trouble: Option<Trouble>,
    /// Whether the cluster could not be taken down.
    pub(super) left: Option<String>,
}

impl Attempted {
    /// Keeps a run of the installer, and what it is `compared` by if it is.
    fn ran(&mut self, run: Observation, compared: bool) {
        if compared {
            self.course.runs.push(Trace::of(&run));
        }
        self.run = Some(run);
    }

    /// Adds a part of the same attempt.
    pub(super) fn and(&mut self, part: Attempted) {
        self.mismatches.extend(part.mismatches);
        self.violations.extend(part.violations);
        self.checked += part.checked;
        self.run = part.run.or(self.run.take());
        self.course.runs.extend(part.course.runs);
        self.trouble = self.trouble.take().or(part.trouble);
        self.left = self.left.take().or(part.left);
    }
}

/// Why an attempt could not be carried through.
pub(super) enum Trouble {
    /// The harness or its cluster failed.
    Infrastructure(String),
    /// Somebody interrupted it.
    Interrupted,
}

impl From<ClusterError> for Trouble {
    fn from(error: ClusterError) -> Self {
        Self::Infrastructure(format!("failed to {error}"))
    }
}

/// What a scenario needs that a backend does not have.
pub(super) fn unsupported(scenario: &Scenario, backend: &dyn Backend) -> Option<String> {
    let shapes = [&scenario.cluster, &scenario.controlled().cluster];
    if let Some(lacking) = shapes.into_iter().find_map(|shape| backend.lacks(shape)) {
        return Some(format!("backend {}: {lacking}", backend.name()));
    }
    let offers = backend.offers();
    for fault in scenario.every_fault() {
        let lacking: Vec<&str> = fault
            .fault()
            .needs()
            .iter()
            .filter(|it| !offers.contains(it))
            .map(|it| Capability::words(*it))
            .collect();
        if !lacking.is_empty() {
            return Some(format!(
                "backend {} cannot carry fault {}: it cannot {}",
                backend.name(),
                fault.kind(),
                lacking.join(" or ")
            ));
        }
    }
    None
}

/// Makes one attempt.
pub(super) async fn attempt(setting: &Setting<'_>, scenario: &Scenario) -> Attempted {
    let mut attempted = Attempted::default();
    let began = Instant::now();
    let provisioned = tokio::select! {
        biased;
        () = setting.stop.wait() => Err(Trouble::Interrupted),
        cluster = setting.backend.provision(&scenario.cluster, setting.seed) => cluster
            .map_err(|error| Trouble::Infrastructure(format!("failed to provision a cluster: {error}"))),
    };
    let cluster = match provisioned {
        Ok(cluster) => cluster,
        Err(trouble) => {
            attempted.trouble = Some(trouble);
            return attempted;
        }
    };
    if let Err(trouble) = carry_out(setting, scenario, cluster.as_ref(), began, &mut attempted).await {
        // Where a part of the cluster has died, that is the cause, and the rest follows from it.
        attempted.trouble = match (trouble, cluster.health()) {
            (Trouble::Infrastructure(_), Err(dead)) => Some(dead.into()),
            (trouble, _) => Some(trouble),
        };
    }
    attempted.left = cluster.down().await.err().map(|error| error.to_string());
    attempted
}

/// The attempt while it runs.
pub(super) struct Stage<'s> {
    pub(super) setting: &'s Setting<'s>,
    pub(super) scenario: &'s Scenario,
    pub(super) cluster: &'s dyn Cluster,
    pub(super) tools: Tools,
    pub(super) identity: Identity,
    pub(super) timeouts: Timeouts,
    pub(super) kubeconfig: PathBuf,
    pub(super) config: PathBuf,
    /// Faults that are in, in order.
    pub(super) injected: Vec<FaultSpec>,
    pub(super) origin: Snapshot,
    /// The installers that run, the newest last.
    pub(super) running: Vec<(Subject, Before)>,
    pub(super) runs: u32,
}

async fn carry_out(
    setting: &Setting<'_>,
    scenario: &Scenario,
    cluster: &dyn Cluster,
    began: Instant,
    attempted: &mut Attempted,
) -> Result<(), Trouble> {
    let mut secrets = scenario.secrets.clone();
    secrets.push(environment::planted_key(setting.seed));
    secrets.extend(tokens(&cluster.kubeconfig()));
    std::fs::create_dir_all(&setting.folder).map_err(|error| {
        Trouble::Infrastructure(format!("failed to make {}: {error}", setting.folder.display()))
    })?;
    let tools = Tools::make(&setting.folder, setting.tools, cluster, &scenario.eks, &secrets)?;
    let kubeconfig = setting.folder.join("kubeconfig");
    // A cluster that is yet to be created has no kubeconfig either.
    if scenario.eks.exists.unwrap_or(true) {
        write(&kubeconfig, &cluster.kubeconfig())?;
    }
    let config = setting.folder.join("installer.yaml");
    if let Some(text) = &scenario.config {
        write(&config, text)?;
    }
    let mut stage = Stage {
        setting,
        scenario,
        cluster,
        tools,
        identity: cluster.identity(),
        timeouts: over(scenario.timeouts, setting.backend),
        kubeconfig,
        config,
        injected: Vec::new(),
        origin: Snapshot::default(),
        running: Vec::new(),
        runs: 0,
    };
    // Of use in a comparison only, and read before a fault is injected.
    let before = if setting.compared { Some(cluster.warned_before().await?) } else { None };
    let carried_out = steps(&mut stage, &secrets, began, before.as_ref(), attempted).await;
    stage.abandon().await;
    carried_out
}

/// The scenario, step by step.
async fn steps(
    stage: &mut Stage<'_>,
    secrets: &[String],
    began: Instant,
    before: Option<&Told>,
    attempted: &mut Attempted,
) -> Result<(), Trouble> {
    let Stage { setting, scenario, cluster, .. } = *stage;
    for fault in &scenario.faults {
        stage.inject(fault).await?;
    }
    stage.origin = cluster.snapshot().await?;
    (setting.emit)(Event::ClusterReady {
        scenario: setting.label.to_owned(),
        attempt: setting.which,
        elapsed_ms: millis(began.elapsed()),
        shape: stage.shape(),
    });
    for (index, step) in scenario.steps.iter().enumerate() {
        if setting.stop.is_triggered() {
            return Err(Trouble::Interrupted);
        }
        let step_began = Instant::now();
        let mut judged = Judged::default();
        let mut violations = Judged::default();
        let what = match step.kind() {
            Some(StepKind::Run(RunStep { killed_at: Some(point), .. })) => {
                let Some(run) = &step.run else { continue };
                let (run, missed) = stage.cut_off(run, point, secrets).await?;
                if let Some(observed) = missed {
                    judged.and(Judged::missed("kill", &format!("the run gets to {}", point.words), observed));
                }
                violations = expect::invariants(&run);
                attempted.ran(run, setting.compared);
                format!("kill after {}", point.words)
            }
            Some(StepKind::Run(run)) => {
                stage.start(run).await?;
                let named = words(run);
                if run.background {
                    format!("start {named}")
                } else {
                    let run = stage.end(None, secrets).await?;
                    violations = expect::invariants(&run);
                    let words = run.ending.words();
                    attempted.ran(run, setting.compared);
                    format!("{named}: {words}")
                }
            }
            Some(StepKind::Inject(fault)) => {
                stage.inject(fault).await?;
                format!("inject {}", fault.label())
            }
            Some(StepKind::Heal(label)) => {
                stage.heal(label).await?;
                format!("heal {label}")
            }
            Some(StepKind::Wait(wait)) => {
                if let Some(not_yet) = stage.wait(wait).await? {
                    judged.and(missed(&not_yet, wait, setting.file, step.line));
                }
                if wait.exit {
                    let run = stage.end(None, secrets).await?;
                    violations = expect::invariants(&run);
                    let words = run.ending.words();
                    attempted.ran(run, setting.compared);
                    format!("wait: {words}")
                } else {
                    "wait".to_owned()
                }
            }
            Some(StepKind::Kill(kill)) => {
                let run = stage.end(Some(kill.signal), secrets).await?;
                violations = expect::invariants(&run);
                let words = run.ending.words();
                attempted.ran(run, setting.compared);
                format!("kill {:?}: {words}", kill.signal)
            }
            Some(StepKind::Look) | None => "look".to_owned(),
        };
        if setting.stop.is_triggered() {
            return Err(Trouble::Interrupted);
        }
        // What the installer made of a cluster that broke down is not its fault.
        cluster.health()?;
        // What a run that is killed should have done is asked of the one that was left alone.
        let cut_off = step.run.as_ref().is_some_and(|run| run.killed_at.is_some());
        if let Some(expected) = step.expect.as_ref().filter(|_| !cut_off) {
            let now = cluster.snapshot().await?;
            judged.and(expect::judge(setting.file, expected, attempted.run.as_ref(), &stage.origin, &now));
        }
        attempted.checked += judged.checked;
        let mismatches = judged.mismatches.iter().chain(&violations.mismatches).cloned().collect();
        attempted.mismatches.extend(judged.mismatches);
        attempted.violations.extend(violations.mismatches);
        (setting.emit)(Event::StepFinished {
            scenario: setting.label.to_owned(),
            attempt: setting.which,
            step: index + 1,
            what,
            elapsed_ms: millis(step_began.elapsed()),
            checked: judged.checked + violations.checked,
            mismatches,
        });
    }
    if let Some(before) = before {
        cluster.settled().await;
        attempted.course.events = parity::events(&cluster.snapshot().await?, before);
    }
    Ok(())
}

impl Stage<'_> {
    fn shape(&self) -> String {
        let nodes = self.origin.of("nodes").count();
        let faults: Vec<&str> = self.injected.iter().map(FaultSpec::label).collect();
        let nodes = match nodes {
            0 => "no node".to_owned(),
            1 => "1 node".to_owned(),
            more => format!("{more} nodes"),
        };
        if faults.is_empty() { nodes } else { format!("{nodes}, {}", faults.join(", ")) }
    }

    async fn inject(&mut self, fault: &FaultSpec) -> Result<(), Trouble> {
        let mut fault = fault.clone();
        let pace = self.setting.backend.pace();
        let ground =
            Ground { cluster: self.cluster, tools: &mut self.tools, kubeconfig: &self.kubeconfig, pace };
        let done = fault.fault_mut().inject(ground).await;
        done.map_err(|error| {
            Trouble::Infrastructure(format!("failed to inject {}: {error}", fault.label()))
        })?;
        self.injected.push(fault);
        Ok(())
    }

    async fn heal(&mut self, label: &str) -> Result<(), Trouble> {
        let pace = self.setting.backend.pace();
        for fault in self.injected.iter_mut().filter(|fault| fault.label() == label) {
            let ground =
                Ground { cluster: self.cluster, tools: &mut self.tools, kubeconfig: &self.kubeconfig, pace };
            let done = fault.fault_mut().heal(ground).await;
            done.map_err(|error| Trouble::Infrastructure(format!("failed to heal {label}: {error}")))?;
        }
        self.injected.retain(|fault| fault.label() != label);
        Ok(())
    }

    pub(super) async fn start(&mut self, run: &RunStep) -> Result<(), Trouble> {
        let Setting { installer, folder, mark, seed, .. } = self.setting;
        // Of its own, so that what one of two leaves is not the other's.
        let mark = format!("{mark}/run-{}", self.runs + 1);
        let before = Before {
            snapshot: self.cluster.snapshot().await?,
            requests: self.cluster.requests().len(),
            calls: self.tools.calls()?.len(),
            phase: run.phase.clone(),
            command: run.command,
            deadline: self.timeouts.deadline.map_or(Duration::from_secs(3600), |span| span.0),
        };
        let environment = environment::of(&Situation {
            folder,
            kubeconfig: &self.kubeconfig,
            config: self.scenario.config.as_ref().map(|_| self.config.as_path()),
            tools: &self.tools,
            identity: &self.identity,
            timeouts: self.timeouts,
            pace: self.setting.backend.pace(),
            scenario: &self.scenario.env,
            run,
            mark: &mark,
            seed: *seed,
        });
        let work = folder.join("work");
        std::fs::create_dir_all(&work).map_err(|error| {
            Trouble::Infrastructure(format!("failed to make {}: {error}", work.display()))
        })?;
        let words = installer.words(run);
        let subject =
            Subject::start(installer.program(), &words, &environment, &work, &mark, before.deadline)
                .map_err(|error| Trouble::Infrastructure(unstartable(installer.shown(), &error)))?;
        self.runs += 1;
        self.running.push((subject, before));
        Ok(())
    }

    /// Ends the installers that run and that nobody waits for any more, each with the time to end by itself.
    async fn abandon(&mut self) {
        let ends = self.running.drain(..).map(|(subject, _)| subject.abandon());
        // What cannot be waited for is killed when it is dropped, and what it leaves is found by its mark.
        let _ = futures::future::join_all(ends).await;
    }

    /// Waits for the end of the running installer, or brings it about.
    pub(super) async fn end(
        &mut self,
        signal: Option<Signal>,
        secrets: &[String],
    ) -> Result<Observation, Trouble> {
        let Some((subject, before)) = self.running.pop() else {
            return Err(Trouble::Infrastructure("failed to end the installer: it is not running".into()));
        };
        let ended = match signal {
            None => subject.end(self.setting.stop).await,
            Some(signal) => {
                let signal = match signal {
                    Signal::Term => Nix::SIGTERM,
                    Signal::Int => Nix::SIGINT,
                    Signal::Kill => Nix::SIGKILL,
                };
                subject.kill(signal).await
            }
        };
        let ended = ended
            .map_err(|error| Trouble::Infrastructure(format!("failed to wait for the installer: {error}")))?;
        if self.setting.stop.is_triggered() {
            return Err(Trouble::Interrupted);
        }
        let after = After {
            snapshot: self.cluster.snapshot().await?,
            requests: self.cluster.requests(),
            calls: self.tools.calls()?,
            account: self.tools.account()?,
            schema: self.setting.installer.schema(),
        };
        let run = judge::observe(before, ended, after, &self.origin, secrets.to_vec());
        self.keep(&run)?;
        Ok(run)
    }

    /// Writes down what was seen of a run, for whoever has to find out why it failed.
    fn keep(&self, run: &Observation) -> Result<(), Trouble> {
        let folder = self.setting.folder.join(format!("run-{}", self.runs));
        let lines = |values: Vec<serde_json::Value>| {
            values.into_iter().map(|value| format!("{value}\n")).collect::<String>()
        };
        std::fs::create_dir_all(&folder).map_err(|error| {
            Trouble::Infrastructure(format!("failed to make {}: {error}", folder.display()))
        })?;
        let how = json!({ "ending": run.ending, "elapsedMs": run.elapsed.as_secs_f64() * 1000.0 });
        write(&folder.join("run.json"), &format!("{how}\n"))?;
        write(&folder.join("stdout"), &run.stdout.text)?;
        write(&folder.join("stderr"), &run.stderr.text)?;
        write(&folder.join("requests.ndjson"), &lines(run.requests.iter().map(|it| json!(it)).collect()))?;
        write(&folder.join("calls.ndjson"), &lines(run.calls.iter().map(|it| json!(it)).collect()))
    }
}

/// Why the system did not start an installer.
fn unstartable(installer: &str, error: &std::io::Error) -> String {
    // Linux says "Exec format error" of a file without an interpreter, and that the interpreter is missing as if
    // the file itself were.
    let script = "a script needs an interpreter that exists in its first line, such as #!/bin/sh";
    format!("failed to start {installer}: {error}; {script}")
}

fn words(run: &RunStep) -> String {
    let command = super::installer::command(run.command);
    run.phase.as_ref().map_or_else(|| command.to_owned(), |phase| format!("{command} {phase}"))
}

/// What the scenario says, at the backend's pace, else what the backend says.
fn over(scenario: Timeouts, backend: &dyn Backend) -> Timeouts {
    let (pace, usual) = (backend.pace(), backend.timeouts());
    let longer = |span: Option<Span>| span.map(|span| span.times(pace));
    Timeouts {
        node_wait: longer(scenario.node_wait).or(usual.node_wait),
        helm: longer(scenario.helm).or(usual.helm),
        ready: longer(scenario.ready).or(usual.ready),
        api: longer(scenario.api).or(usual.api),
        retry_budget: longer(scenario.retry_budget).or(usual.retry_budget),
        deadline: longer(scenario.deadline).or(usual.deadline),
    }
}

/// Bearer tokens of a kubeconfig.
fn tokens(kubeconfig: &str) -> Vec<String> {
    let lines = kubeconfig.lines().filter_map(|line| line.trim().strip_prefix("token:"));
    lines.map(|token| token.trim().trim_matches('"').to_owned()).filter(|token| !token.is_empty()).collect()
}

fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    std::fs::write(path, text)
        .map_err(|error| Trouble::Infrastructure(format!("failed to write {}: {error}", path.display())))
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
