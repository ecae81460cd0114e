//! The edge: command line, environment, files, signals, standard output.
//!
//! Everything here can be done without: the library takes values and seams. [`Hooks`] lets a caller put
//! something of its own between the installer and the world and leaves all the rest as it is.

mod args;
mod ending;
mod kubeconfig;
mod output;
mod progress;
mod settings;
mod variables;
mod wrap;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::generate::SchemaSettings;

use self::args::{CleanupArgs, Command, Document, InstallArgs, Parsed, StatusArgs, TargetArgs};
use self::kubeconfig::KubeconfigFile;
use self::progress::Stderr;
use crate::config::Config;
use crate::context::Context;
use crate::install::{self, Scope};
use crate::log::{Event, Level, Log};
use crate::redact::{Redactor, names_a_secret};
use crate::result::{Outcome, RunResult};
use crate::seams::{ProcessRunner, TokioClock};
use crate::settings::Settings;
use crate::stop::{Stop, StopReason};
use crate::{cleanup, follow, metrics, preflight};

pub use variables::VARIABLES;

/// What a caller may put between the installer and the world.
pub struct Hooks {
    /// Wraps the seams before anything uses them.
    pub wrap: Box<dyn FnOnce(Context) -> Context>,
    /// Edits the outcome before it is written.
    pub edit: Box<dyn FnOnce(Outcome) -> Outcome>,
}

impl Default for Hooks {
    fn default() -> Self {
        Self { wrap: Box::new(|context| context), edit: Box::new(|outcome| outcome) }
    }
}

/// The executable, with the process's own arguments and environment.
pub fn main(hooks: Hooks) -> ExitCode {
    run(std::env::args_os().collect(), std::env::vars_os(), hooks)
}

/// The executable, with given arguments (the first is the program's name) and environment.
pub fn run(
    argv: Vec<OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    hooks: Hooks,
) -> ExitCode {
    // rustls takes the process's provider; the first one that is installed stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let environment: BTreeMap<String, String> = environment
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let exit = match runtime {
        Ok(runtime) => runtime.block_on(edge(argv, &environment, hooks)),
        Err(error) => {
            anstream::eprintln!("error: failed to start: {error}");
            1
        }
    };
    ExitCode::from(exit)
}

async fn edge(argv: Vec<OsString>, environment: &BTreeMap<String, String>, hooks: Hooks) -> u8 {
    let redactor = Redactor::default();
    for (name, value) in environment {
        if names_a_secret(name) {
            redactor.hide(value);
        }
    }
    let cli = match args::parse(argv) {
        Parsed::Run(cli) => *cli,
        Parsed::Text(text) => return output::print(&text),
        Parsed::Wrong(message) => {
            anstream::eprintln!("{message}");
            let context = bare_context(redactor.clone());
            let hint = "see eks-installer --help";
            return write(&install::usage(&context, &first_paragraph(&message), hint), &redactor);
        }
    };
    let job = match cli.command {
        Command::Schema { of } => return output::print(&schema(of)),
        Command::Completions { shell } => return output::print(&args::completions(shell)),
        Command::Install(args) => Job::Install(args),
        Command::Status(args) => Job::Status(args),
        Command::Preflight(target) => Job::Preflight(target),
        Command::Cleanup(args) => Job::Cleanup(args),
    };
    perform(job, cli.log, environment, redactor, hooks).await
}

/// A command that ends in a result.
enum Job {
    Install(InstallArgs),
    Status(StatusArgs),
    Preflight(TargetArgs),
    Cleanup(CleanupArgs),
}

impl Job {
    fn target(&self) -> &TargetArgs {
        match self {
            Self::Install(args) => &args.target,
            Self::Status(args) => &args.target,
            Self::Preflight(target) => target,
            Self::Cleanup(args) => &args.target,
        }
    }

    fn install(&self) -> Option<&InstallArgs> {
        match self {
            Self::Install(args) => Some(args),
            _ => None,
        }
    }

    /// The phases of an installation.
    fn scope(&self) -> Result<Scope, String> {
        match self {
            Self::Install(InstallArgs { phase: Some(name), .. }) => args::phase(name).map(Scope::Only),
            Self::Install(InstallArgs { through: Some(name), .. }) => args::phase(name).map(Scope::Through),
            Self::Cleanup(CleanupArgs { phase: Some(name), .. }) => args::phase(name).map(Scope::Only),
            _ => Ok(Scope::All),
        }
    }
}

async fn perform(
    job: Job,
    format: progress::Format,
    environment: &BTreeMap<String, String>,
    redactor: Redactor,
    hooks: Hooks,
) -> u8 {
    let target = job.target();
    let metrics = job.install().and_then(|args| args.metrics_file.clone());
    let wrong = |message: &str| {
        let context = bare_context(redactor.clone());
        let hint = "see eks-installer --help for every variable and its unit, and eks-installer schema \
                    config for the configuration file";
        let outcome = install::usage(&context, message, hint);
        match format {
            progress::Format::Human => anstream::eprintln!("error: {message}\nhint: {hint}"),
            progress::Format::Json => {
                let message = redactor.text(message);
                Stderr::new(format).event(&Event::new(Duration::ZERO, Level::Error, "usage", message));
            }
        }
        write(&outcome, &redactor)
    };
    let settings = match settings::read(job.install(), target, environment) {
        Ok(settings) => settings,
        Err(message) => return wrong(&message),
    };
    let scope = match job.scope() {
        Ok(scope) => scope,
        Err(message) => return wrong(&message),
    };
    settings.hide_secrets(&redactor);
    for path in settings.values_files() {
        // One that cannot be read is Helm's to complain about.
        let text = std::fs::read_to_string(path).unwrap_or_default();
        redactor.hide_named(&serde_saphyr::from_str(&text).unwrap_or_default());
    }
    let kubeconfig = match KubeconfigFile::find(target, environment) {
        Ok(kubeconfig) => kubeconfig.redacting(redactor.clone()),
        Err(message) => return wrong(&message),
    };
    let stop = Stop::default();
    let stderr = Arc::new(Stderr::new(format));
    let context = (hooks.wrap)(Context {
        cluster: Arc::new(kubeconfig),
        tools: Arc::new(ProcessRunner::default()),
        clock: Arc::new(TokioClock::new(Timestamp::now())),
        log: stderr.clone(),
        stop: stop.clone(),
        redactor: redactor.clone(),
    });
    listen_for_signals(stop);
    let outcome = match job {
        Job::Install(_) => install::install(&context, &settings, scope).await,
        Job::Status(args) if args.watch => follow::run(&context, &settings).await,
        Job::Status(_) => install::status(&context, &settings).await,
        Job::Preflight(_) => preflight::run(&context, &settings).await,
        Job::Cleanup(_) => cleanup::run(&context, &settings, scope).await,
    };
    let outcome = (hooks.edit)(outcome);
    // A plan is no run that could be counted among the others.
    if let Some(path) = metrics.filter(|_| !settings.dry_run) {
        write_metrics(&path, &outcome, &settings, &context);
    }
    context.log.waiting(None);
    if stderr.human() {
        stderr.text(&ending::words(&outcome, &redactor, progress::columns()));
    }
    write(&outcome, &redactor)
}

fn bare_context(redactor: Redactor) -> Context {
    Context {
        cluster: Arc::new(KubeconfigFile::default()),
        tools: Arc::new(ProcessRunner::default()),
        clock: Arc::new(TokioClock::new(Timestamp::now())),
        log: Arc::new(crate::log::Silent),
        stop: Stop::default(),
        redactor,
    }
}

/// Writes the metrics. That they cannot be written is said, and takes nothing from the result.
fn write_metrics(path: &str, outcome: &Outcome, settings: &Settings, context: &Context) {
    let evidence = &outcome.result.evidence;
    let found = evidence.phase3.as_ref().and_then(|it| it.identity.name.as_deref());
    let last = metrics::Last {
        result: &outcome.result,
        exit: outcome.exit,
        cluster: settings.cluster.name.as_deref().or(found).unwrap_or_default(),
        at: context.clock.now(),
    };
    if let Err(error) = metrics::write(Path::new(path), &last) {
        let message = context.redactor.text(&format!("failed to write metrics to {path}: {error}"));
        context.log.event(&Event::new(context.clock.elapsed(), Level::Warn, "metrics", message));
    }
}

/// Writes the result.
fn write(outcome: &Outcome, redactor: &Redactor) -> u8 {
    match output::result(&outcome.result, redactor) {
        Ok(()) => outcome.exit,
        Err(error) => {
            anstream::eprintln!("error: failed to write the result: {error}");
            outcome.exit.max(1)
        }
    }
}

/// The JSON Schema of a document.
fn schema(of: Document) -> String {
    let schema = match of {
        // As it is written: what could not be read is there all the same, and null.
        Document::Result => SchemaSettings::draft2020_12()
            .for_serialize()
            .into_generator()
            .into_root_schema_for::<RunResult>(),
        Document::Config => schemars::schema_for!(Config),
    };
    serde_json::to_string_pretty(&schema).unwrap_or_default()
}

/// The first paragraph, on one line: what is wrong, and of which arguments.
fn first_paragraph(text: &str) -> String {
    let lines = text.lines().map(str::trim).skip_while(|line| line.is_empty());
    let words: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}

/// SIGINT and SIGTERM throw the switch; a process that waits for them can always be ended with SIGKILL.
fn listen_for_signals(stop: Stop) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut interrupt) = signal(SignalKind::interrupt()) else {
        return;
    };
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::spawn(async move {
        let reason = tokio::select! {
            biased;
            _ = terminate.recv() => StopReason::Terminated,
            _ = interrupt.recv() => StopReason::Interrupted,
        };
        stop.trigger(reason);
    });
}
