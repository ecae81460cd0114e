//! `preflight`: whether an installation could succeed, before anything is changed.

use crate::context::Context;
use crate::result::Outcome;
use crate::settings::Settings;

/// Runs the command.
pub async fn run(ctx: &Context, settings: &Settings) -> Outcome {
    let _ = settings;
    crate::install::usage(ctx, "preflight is not built yet", "use status to see what there is")
}
