//! The command line.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::progress::Format;
use super::variables;
use crate::phases::Phase;

/// A command line, read.
pub(super) enum Parsed {
    /// Do this.
    Run(Box<Cli>),
    /// Print this (help, version) and be done.
    Text(String),
    /// It cannot be read, for this reason.
    Wrong(String),
}

/// Make an EKS cluster ready and put Karpenter on it, phase by phase.
///
/// Standard output carries one JSON document, the result; progress goes to standard error.
#[derive(Parser, Debug)]
#[command(name = "eks-installer", version, disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
    /// How progress is written to standard error.
    #[arg(long = "log-format", value_enum, default_value_t = Format::Human, global = true)]
    pub(super) log: Format,
}

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Install one phase, or all of them in order.
    Install(InstallArgs),
    /// Say what is there and which phase comes next; changes nothing.
    Status(StatusArgs),
    /// Say whether an installation could succeed; changes nothing.
    Preflight(TargetArgs),
    /// Take down what this installer made, in the reverse order, and nothing else.
    Cleanup(CleanupArgs),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print a JSON Schema.
    Schema {
        /// Of which document.
        #[arg(value_enum, default_value_t = Document::Result)]
        of: Document,
    },
}

/// A document that has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Document {
    /// What a run writes to standard output.
    Result,
    /// The configuration file.
    Config,
}

#[derive(Args, Debug, Clone)]
pub(super) struct InstallArgs {
    /// Run this phase only: foundation, storage, compute or core.
    #[arg(long, conflicts_with = "through")]
    pub(super) phase: Option<String>,
    /// Run every phase up to and including this one.
    #[arg(long, value_name = "PHASE")]
    pub(super) through: Option<String>,
    /// Say what would be done, and change nothing; exit code 0 when there is nothing to do, 1 when there is.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Pass one gate of this phase although it does not hold; the result says so.
    #[arg(long, value_name = "PHASE", requires = "reason")]
    pub(super) force_phase_complete: Option<String>,
    /// Why the gate is passed.
    #[arg(long, requires = "force_phase_complete")]
    pub(super) reason: Option<String>,
    /// Another value for the chart, name=value; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,
    /// Write metrics as OpenMetrics text to this file; not of a dry run.
    #[arg(long, value_name = "FILE")]
    pub(super) metrics_file: Option<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

#[derive(Args, Debug, Clone)]
pub(super) struct StatusArgs {
    /// Go on until interrupted, and print each change as it happens.
    #[arg(long)]
    pub(super) watch: bool,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

#[derive(Args, Debug, Clone)]
pub(super) struct CleanupArgs {
    /// Take down what this phase made only.
    #[arg(long)]
    pub(super) phase: Option<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

#[derive(Args, Debug, Clone, Default)]
pub(super) struct TargetArgs {
    /// Configuration file (EKS_INSTALLER_CONFIG); see `schema config`.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<String>,
    /// Name of the EKS cluster (CLUSTER_NAME).
    #[arg(long)]
    pub(super) cluster_name: Option<String>,
    /// Region of the EKS cluster (AWS_REGION).
    #[arg(long)]
    pub(super) region: Option<String>,
    /// Account of the EKS cluster, twelve digits (AWS_ACCOUNT_ID).
    #[arg(long)]
    pub(super) account: Option<String>,
    /// Path of the kubeconfig (KUBECONFIG).
    #[arg(long)]
    pub(super) kubeconfig: Option<String>,
    /// Context of the kubeconfig; its current one by default.
    #[arg(long)]
    pub(super) context: Option<String>,
}

/// Completions for a shell.
pub(super) fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "eks-installer", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Reads a command line.
pub(super) fn parse(argv: Vec<OsString>) -> Parsed {
    let help = variables::help();
    let command = Cli::command()
        .after_long_help(help.clone())
        .after_help("Try --help for the environment variables and the exit codes.")
        .mut_subcommand("install", |install| install.after_long_help(help));
    let read = command.try_get_matches_from(argv).and_then(|it| Cli::from_arg_matches(&it));
    match read {
        Ok(cli) => Parsed::Run(Box::new(cli)),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Parsed::Text(error.render().to_string())
        }
        Err(error) => Parsed::Wrong(error.render().to_string()),
    }
}

/// Reads a phase's name.
pub(super) fn phase(name: &str) -> Result<Phase, String> {
    Phase::parse(name).ok_or_else(|| unknown_phase(name))
}

/// What to say of a phase that there is not, with the one that was perhaps meant.
fn unknown_phase(name: &str) -> String {
    let names = Phase::ALL.map(Phase::name);
    let near = names
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    let meant = near.map_or_else(String::new, |(_, known)| format!("; did you mean {known}?"));
    format!("there is no phase {name:?}; the phases are {}{meant}", names.join(", "))
}
