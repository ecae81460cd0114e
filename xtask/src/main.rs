//! The command line of the project: parse, call the harness, map to an exit code.

mod args;
mod assets;
mod bench;
mod build;
mod cluster;
mod conform;
mod failure;
mod interrupt;
mod list;
mod prove;
mod scenario;
mod schema;
mod test;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    // Fails only when somebody else was first, and then one is installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // clap ends the process itself with code 2 on a wrong command line and 0 on --help.
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => ExitCode::from(code.code()),
        Err(failure) => failure.tell(),
    }
}

fn run(command: Command) -> Result<harness::verdict::ExitCode, Failure> {
    match command {
        Command::Scenario(args) => scenario::run(&args),
        Command::Matrix(args) => scenario::matrix(&args),
        Command::List(args) => list::run(&args),
        Command::Prove(args) => prove::run(&args),
        Command::Cluster(args) => cluster::run(&args),
        Command::Assets(args) => assets::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Conform(args) => conform::run(&args),
    }
}
