//! `cleanup`: takes down what this installer made, in the reverse order, and nothing else.

use crate::context::Context;
use crate::install::Scope;
use crate::result::Outcome;
use crate::settings::Settings;

/// Takes down what the phases in scope made.
pub async fn run(ctx: &Context, settings: &Settings, scope: Scope) -> Outcome {
    let _ = (settings, scope);
    crate::install::usage(ctx, "cleanup is not built yet", "use status to see what there is")
}
