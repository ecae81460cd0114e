//! `conform`: how far the embedded cluster answers as a real API server does.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use harness::verdict::ExitCode;

use crate::args::ConformArgs;
use crate::build;
use crate::failure::Failure;

/// `cargo xtask conform`: becomes the executable of that name. It is one of its own, and built when it is asked for,
/// since what it generates requests with takes longer to build than a first verdict can wait.
pub(crate) fn run(args: &ConformArgs) -> Result<ExitCode, Failure> {
    let built = build::executables(&["conform"])?;
    let conform = build::executable(&built, "conform")?;
    let error = Command::new(conform).args(&args.rest).exec();
    Err(Failure::new(ExitCode::Prerequisite, format!("failed to run {}: {error}", conform.display())))
}
