//! `conform`: how far the embedded cluster answers as a real API server does.

use ::conform::known::List;
use ::conform::report::Report;
use ::conform::side::Side;
use ::conform::{Error, Options, play, replay};
use harness::verdict::ExitCode;

use crate::args::ConformArgs;
use crate::build;
use crate::failure::Failure;
use crate::scenario;

/// `cargo xtask conform`.
pub(crate) fn run(args: &ConformArgs) -> Result<ExitCode, Failure> {
    let root = build::root();
    let known = List::read(&root.join("conform/known.yaml"))?;
    let kubeconfig = std::fs::read_to_string(&args.reference).map_err(|error| {
        let what = format!("failed to read the kubeconfig {}: {error}", args.reference.display());
        Failure::new(ExitCode::Prerequisite, what).hint("cargo xtask conform --reference FILE")
    })?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::new(ExitCode::Prerequisite, format!("failed to start: {error}")))?;
    let report = runtime.block_on(async {
        let embedded = Side::embedded(37).await?;
        let reference = Side::reference(&kubeconfig, None).await?;
        match &args.replay {
            Some(file) => play(&replay::read(file)?, &embedded, &reference, &known).await,
            None => {
                let keep = Some(root.join("target/conform"));
                let options =
                    Options { seed: args.seed, sequences: args.sequences, keep, ..Options::default() };
                ::conform::run(&options, &embedded, &reference, &known).await
            }
        }
    })?;
    scenario::print(&told(&report, &known))?;
    Ok(if report.total().new == 0 { ExitCode::Ok } else { ExitCode::Failed })
}

fn told(report: &Report, known: &List) -> String {
    format!("{}\n{}\n{}", report.told(), report.known(known), report.table())
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error {
            Error::Embedded(_) => ExitCode::Infrastructure,
            Error::Reference(_) => ExitCode::Prerequisite,
            Error::File { .. } | Error::Write { .. } => ExitCode::Usage,
        };
        Self::new(exit, error)
    }
}
