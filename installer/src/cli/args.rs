//! The command line.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::output::Format;
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
    Status(TargetArgs),
    /// Print the JSON Schema of the result.
    Schema,
}

#[derive(Args, Debug, Clone)]
pub(super) struct InstallArgs {
    /// Run this phase only: foundation or compute (storage and core are not built yet).
    #[arg(long)]
    pub(super) phase: Option<String>,
    /// Pass one gate of this phase although it does not hold; the result says so.
    #[arg(long, value_name = "PHASE", requires = "reason")]
    pub(super) force_phase_complete: Option<String>,
    /// Why the gate is passed.
    #[arg(long, requires = "force_phase_complete")]
    pub(super) reason: Option<String>,
    /// Another value for the chart, name=value; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,
    /// Write metrics as OpenMetrics text to this file.
    #[arg(long, value_name = "FILE")]
    pub(super) metrics_file: Option<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

#[derive(Args, Debug, Clone)]
pub(super) struct TargetArgs {
    /// Name of the EKS cluster (CLUSTER_NAME).
    #[arg(long)]
    pub(super) cluster_name: Option<String>,
    /// Region of the EKS cluster (AWS_REGION).
    #[arg(long)]
    pub(super) region: Option<String>,
    /// Path of the kubeconfig (KUBECONFIG).
    #[arg(long)]
    pub(super) kubeconfig: Option<String>,
    /// Context of the kubeconfig; its current one by default.
    #[arg(long)]
    pub(super) context: Option<String>,
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

/// What to say of a phase that there is not, with the one that was perhaps meant.
pub(super) fn unknown_phase(name: &str) -> String {
    let names = Phase::ALL.map(Phase::name);
    let near = names
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    let meant = near.map_or_else(String::new, |(_, known)| format!("; did you mean {known}?"));
    format!("there is no phase {name:?}; the phases are {}{meant}", names.join(", "))
}
