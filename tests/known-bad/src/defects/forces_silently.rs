//! A gate that was forced looks as if it had held: `ok` is true, and nothing says why.

use std::sync::Arc;

use eks_installer::cli::Hooks;
use eks_installer::log::{Event, Log};
use eks_installer::{Context, Outcome};

use crate::Defect;

pub(super) const DEFECT: Defect = Defect {
    name: "forces-silently",
    summary: "lets --force-phase-complete pass a gate and says nothing of it",
    hooks,
};

fn hooks() -> Hooks {
    Hooks { wrap: Box::new(wrap), edit: Box::new(edit) }
}

fn wrap(context: Context) -> Context {
    Context { log: Arc::new(Discreet { truth: context.log }), ..context }
}

fn edit(mut outcome: Outcome) -> Outcome {
    if outcome.result.forced.take().is_some() {
        for verdict in outcome.result.telemetry.gates.values_mut() {
            if verdict == "forced" {
                "passed".clone_into(verdict);
            }
        }
    }
    outcome
}

/// A log that does not know the word.
struct Discreet {
    truth: Arc<dyn Log>,
}

impl Log for Discreet {
    fn event(&self, event: &Event) {
        if event.step != "forced" {
            let message = event.message.replace(" (forced)", "");
            self.truth.event(&Event { message, ..event.clone() });
        }
    }
}
