//! What a dry run says of a phase whose cluster cannot be read yet: what the configuration asks for, and
//! that nobody knows how much of it is there.

use super::Phase;
use crate::context::Run;
use crate::result::{PlannedAction, PlannedStep};

/// Plans a phase from the settings alone.
pub(crate) fn plan_unread(run: &Run<'_>, phase: Phase) {
    let plan = |what: String| {
        let why = "it is looked for, and made if it is not there, once the cluster can be read";
        run.plan(PlannedStep::new(phase, PlannedAction::Unknown, what, why));
    };
    match phase {
        Phase::Foundation => {}
        Phase::Storage => {
            if let Some(storage) = &run.settings.storage {
                plan(format!("bucket {}, its policy and its role", storage.bucket));
                let (namespace, account) = (&storage.namespace, &storage.service_account);
                plan(format!("service account {namespace}/{account} and its Pod Identity association"));
            }
        }
        Phase::Compute => {
            let karpenter = &run.settings.karpenter;
            let (namespace, release) = (&karpenter.namespace, &karpenter.release);
            plan(format!("release {namespace}/{release} from {} {}", karpenter.chart, karpenter.version));
        }
        Phase::Core => {
            for release in &run.settings.core.releases {
                plan(format!("release {}/{} from {}", release.namespace, release.name, release.chart));
            }
        }
    }
}
