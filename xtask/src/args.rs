//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "\
Exit codes:
  0    all as expected
  2    usage: the command line or a scenario file is wrong
  4    nothing selected, or nothing that the backend can carry
  96   a prerequisite is missing
  100  an expectation failed, or two backends differ
  105  a cluster could not be provisioned
  106  something could not be cleaned up
  130  interrupted; everything was cleaned up

Environment:
  SEATRIAL_STATE_DIR    folder of the ledgers, which say what a dead run has left behind
  SEATRIAL_EXECUTABLES  folder of built executables, which are then not built again
  NO_COLOR              no colours

Examples:
  cargo xtask scenario no-nodes
  cargo xtask matrix --out report
  cargo xtask cluster up";

/// Sea trials for Kubernetes installers.
///
/// Gives an installer a cluster, breaks the cluster in a stated way, runs the installer, and judges what it
/// says against what the cluster says.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run scenarios by name, unique prefix, path or tag.
    #[command(after_help = "\
Examples:
  cargo xtask scenario no-nodes                      the built-in installer, on the embedded cluster
  cargo xtask scenario failed --retain               a unique prefix; keep what was recorded
  cargo xtask scenario ./mine/                       every scenario below a folder of your own
  cargo xtask scenario --tag seed --format json      for a pipe
  cargo xtask scenario no-nodes --installer './install.sh {args}'")]
    Scenario(ScenarioArgs),
    /// Run the whole catalogue, or all of it that has a tag.
    #[command(after_help = "\
Examples:
  cargo xtask matrix
  cargo xtask matrix --tag platform-gate --jobs 8
  cargo xtask matrix --backend sim,control-plane     on both, and compared
  cargo xtask matrix --out report --installer './install.sh {args}'")]
    Matrix(RunArgs),
    /// List the catalogue.
    #[command(after_help = "\
Examples:
  cargo xtask list
  cargo xtask list --tag seed
  cargo xtask list --format json")]
    List(ListArgs),
    /// Run installers with one known defect each; the catalogue must catch every one.
    #[command(after_help = "\
Examples:
  cargo xtask prove
  cargo xtask prove ignores-no-nodes --tag seed
  cargo xtask prove --fail-fast                  that each is caught, not by how many")]
    Prove(ProveArgs),
    /// Bring up an embedded cluster to poke at, or clear what dead runs left.
    #[command(after_help = "\
Examples:
  cargo xtask cluster up
  cargo xtask cluster prune")]
    Cluster(ClusterArgs),
    /// Find the real control plane and tools, or build them with Go.
    #[command(after_help = "\
Examples:
  cargo xtask assets                                 kube-apiserver, controllers, scheduler and etcd
  cargo xtask assets --kubernetes 1.36 --kubectl     of that version, with its kubectl
  eval \"$(cargo xtask assets --export --helm3)\"      for tests and other tools

Looked for in KUBEBUILDER_ASSETS, on PATH and in the cache (SEATRIAL_CACHE_DIR), in this order.")]
    Assets(AssetsArgs),
    /// Write the JSON Schemas of scenario files and results.
    #[command(after_help = "\
Examples:
  cargo xtask schema             after a change of the types
  cargo xtask schema --check     in CI")]
    Schema(SchemaArgs),
    /// Run every test of the workspace.
    #[command(after_help = "\
Examples:
  cargo xtask test
  cargo xtask test command_line")]
    Test(TestArgs),
    /// Measure, with medians.
    #[command(after_help = "\
Examples:
  cargo xtask bench
  cargo xtask bench start scenario --runs 21
  cargo xtask bench --cold --format json > figures.json

A goal that is missed shows as ✗ and does not change the exit code: figures depend on the machine.")]
    Bench(BenchArgs),
    /// Compare the embedded cluster with a real API server, request by request.
    #[command(disable_help_flag = true)]
    Conform(ConformArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ScenarioArgs {
    /// Names, unique prefixes, or paths of scenario files and of folders of them.
    #[arg(value_name = "NAME|PATH")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct RunArgs {
    /// Only scenarios with this tag or in this area; may be repeated.
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Only scenarios that run this phase.
    #[arg(long, value_name = "PHASE")]
    pub(crate) phase: Option<String>,
    /// Of what is selected only the first scenario of each area and the first with each kind of fault; no sweeps.
    #[arg(long)]
    pub(crate) spread: bool,
    /// Where clusters come from; with several, as in sim,control-plane, each scenario is run on each and compared.
    #[arg(long, value_name = "NAME[,NAME]", default_value = "sim")]
    pub(crate) backend: String,
    /// Command line of the installer under test; `{args}` stands for `install --phase …`, `{phase}` for the
    /// phase, and nothing is appended. The built-in installer when not given.
    #[arg(long, value_name = "CMD")]
    pub(crate) installer: Option<String>,
    /// Pass calls of a tool on to a real one: helm=/usr/bin/helm; may be repeated.
    #[arg(long, value_name = "NAME=PATH")]
    pub(crate) tool: Vec<String>,
    /// How many scenarios run at the same time; four times as many as there are processors when not given, since
    /// most of a scenario is waiting.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Seed of everything that is random.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Keep what was recorded, also where everything held.
    #[arg(long)]
    pub(crate) retain: bool,
    /// Write the reports (events.ndjson, report.json, junit.xml) and what was recorded to this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// How the report is written to standard output.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a person.
    Human,
    /// One JSON document.
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Only scenarios with this tag or in this area; may be repeated.
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// How the list is written.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct ProveArgs {
    /// Names of known-bad installers; all when none is given.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Only scenarios with this tag or in this area; may be repeated.
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// How many scenarios run at the same time.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Seed of everything that is random.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Leave out the right installer, where `cargo xtask matrix` runs it anyway.
    #[arg(long)]
    pub(crate) known_bad_only: bool,
    /// Leave a known-bad installer at the first scenario that catches it; the right one still runs all.
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Keep the reports and recordings in this folder, in a folder of each installer.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// How the table is written.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    pub(crate) command: ClusterCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum ClusterCommand {
    /// Start an embedded cluster, print how to reach it, and keep it until Ctrl-C.
    #[command(after_help = "\
Examples:
  cargo xtask cluster up
  cargo xtask cluster up --nodes 5 --kubeconfig ./kubeconfig
  cargo xtask cluster up --scenario no-nodes         broken as that scenario has it")]
    Up(UpArgs),
    /// Destroy what runs that died (kill -9, a crash) have left behind.
    #[command(after_help = "\
Examples:
  cargo xtask cluster prune")]
    Prune,
}

#[derive(Args, Debug)]
pub(crate) struct UpArgs {
    /// Ready nodes.
    #[arg(long, value_name = "N", default_value_t = 2, conflicts_with = "scenario")]
    pub(crate) nodes: u32,
    /// Port of the API server on 127.0.0.1; any that is free when 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,
    /// Where to write the kubeconfig; a temporary file when not given.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Shape and faults of this scenario.
    #[arg(long, value_name = "NAME|PATH")]
    pub(crate) scenario: Option<String>,
    /// Seed of everything that is random.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Args, Debug)]
pub(crate) struct AssetsArgs {
    /// Minor version of Kubernetes; that of KUBEBUILDER_ASSETS, else the newest, when not given.
    #[arg(long, value_name = "MINOR")]
    pub(crate) kubernetes: Option<assets::Minor>,
    /// Also kubectl, of the same version.
    #[arg(long)]
    pub(crate) kubectl: bool,
    /// Also Helm 3.
    #[arg(long)]
    pub(crate) helm3: bool,
    /// Also Helm 4.
    #[arg(long)]
    pub(crate) helm4: bool,
    /// Also kind.
    #[arg(long)]
    pub(crate) kind: bool,
    /// Only the tools that were named, no control plane.
    #[arg(long)]
    pub(crate) no_control_plane: bool,
    /// Only look; what is nowhere is an error.
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Print exports for a shell to evaluate.
    #[arg(long, conflicts_with = "format")]
    pub(crate) export: bool,
    /// How the paths are written.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct SchemaArgs {
    /// Compare instead of writing; exit code 100 when they differ.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Args, Debug)]
pub(crate) struct TestArgs {
    /// Passed on to `cargo test`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) rest: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// What to measure; everything when not given.
    #[arg(value_enum, value_name = "AREA")]
    pub(crate) areas: Vec<Area>,
    /// How often each figure is measured.
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) runs: u16,
    /// Also measure, once, the cold build up to the first verdict, in a temporary folder.
    #[arg(long)]
    pub(crate) cold: bool,
    /// How the figures are written.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Area {
    /// The embedded cluster from nothing to its first answer.
    Start,
    /// One scenario, with and without its control.
    Scenario,
    /// A run of the installer that has nothing to do.
    NoOp,
    /// List, watch and write through HTTPS.
    Throughput,
    /// 5,000 nodes and 50,000 pods; measured once.
    Scale,
    /// A real control plane beside a plain start of it, and the embedded cluster beside both; its memory once.
    ControlPlane,
    /// The whole catalogue; measured at most three times.
    Matrix,
}

#[derive(Args, Debug)]
pub(crate) struct ConformArgs {
    /// Passed on to `conform`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) rest: Vec<String>,
}
