//! `bench`.

use harness::verdict::ExitCode;

use crate::args::BenchArgs;
use crate::failure::Failure;

/// `cargo xtask bench`.
pub(crate) fn run(_args: &BenchArgs) -> Result<ExitCode, Failure> {
    Err(Failure::new(ExitCode::Usage, "not measured yet"))
}
