//! `explore`: plays a named case on a paused clock and writes what happened, one JSON document a line.

use std::io::Write as _;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use explore::{cases, judge, sail};

/// A verdict that is not the contract's.
const DIFFERS: u8 = 100;

#[derive(Parser)]
#[command(
    version,
    about = "Play cases of installer and embedded cluster in one process, on a paused clock",
    after_help = "Exit codes: 0 as the contract says, 1 the case could not be played, 2 usage, 100 another verdict.\n\n\
                  Examples:\n  explore list\n  explore run --case never-ready --seed 7 > events.ndjson"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the cases.
    List,
    /// Play one case and write its events to standard output as newline-delimited JSON.
    Run {
        /// The case.
        #[arg(long, value_parser = PossibleValuesParser::new(cases::all().iter().map(|case| case.name)), hide_possible_values = true)]
        case: String,
        /// Decides uids, generated names and the jitter of retries.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
}

fn main() -> ExitCode {
    match perform(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(command: Command) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::List => {
            for case in cases::all() {
                writeln!(out, "{:<34} {}", case.name, case.summary)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Run { case, seed } => {
            let case = cases::find(&case)
                .ok_or_else(|| anyhow::anyhow!("there is no case {case}; see `explore list`"))?;
            let report = sail(&case, seed)?;
            out.write_all(&report.ndjson()?)?;
            out.flush()?;
            let mismatches = judge(&case, &report);
            for mismatch in &mismatches {
                eprintln!("{}: {mismatch}", case.name);
            }
            Ok(if mismatches.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
        }
    }
}
