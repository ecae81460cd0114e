//! `test`: every test of the workspace, with the executables that they run built first.

use harness::verdict::ExitCode;
use xshell::cmd;

use crate::args::TestArgs;
use crate::build;
use crate::failure::Failure;

/// `cargo xtask test`.
pub(crate) fn run(args: &TestArgs) -> Result<ExitCode, Failure> {
    let shell = build::shell()?;
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let rest = &args.rest;
    // The tests find executables beside their own, so all of them are built first.
    let call = |call| build::as_if_typed(call).quiet().run();
    let built = call(cmd!(shell, "{cargo} build --workspace --bins --quiet"));
    let tested = built.and_then(|()| call(cmd!(shell, "{cargo} test --workspace {rest...}")));
    match tested {
        Ok(()) => Ok(ExitCode::Ok),
        // cargo has said what is wrong.
        Err(_) => Ok(ExitCode::Failed),
    }
}
