//! A cluster without nodes looks healthy, so Karpenter is installed on it; its pods stay Pending, and
//! the phase is reported complete all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use eks_installer::cli::Hooks;
use http::Uri;

use crate::api::{self, Answer, Lie};
use crate::{Defect, healthy, verdict};

pub(super) const DEFECT: Defect = Defect {
    name: "ignores-no-nodes",
    summary: "installs Karpenter on a cluster without nodes and reports the phase complete",
    hooks,
};

fn hooks() -> Hooks {
    let empty = Arc::new(AtomicBool::new(false));
    let nodes = Nodes { empty: empty.clone() };
    Hooks {
        wrap: Box::new(|context| api::lying(context, nodes)),
        edit: Box::new(move |outcome| {
            if empty.load(Relaxed) && verdict::compute_failed(&outcome.result.blockers) {
                verdict::complete(outcome)
            } else {
                outcome
            }
        }),
    }
}

struct Nodes {
    /// Whether the cluster had no node when it was last read.
    empty: Arc<AtomicBool>,
}

impl Lie for Nodes {
    fn concerns(&self, uri: &Uri) -> bool {
        healthy::asks_for_nodes(uri) || healthy::asks_for_coredns(uri)
    }

    fn tell(&self, uri: &Uri, truth: Answer) -> Answer {
        if healthy::asks_for_nodes(uri) {
            let Some(list) = api::document(&truth) else {
                return truth;
            };
            let empty = list["items"].as_array().is_none_or(Vec::is_empty);
            self.empty.store(empty, Relaxed);
            return if empty { api::says(&healthy::nodes()) } else { truth };
        }
        // Without nodes CoreDNS cannot run either; whoever does not mind the one does not mind the other.
        if self.empty.load(Relaxed) { api::says(&healthy::coredns()) } else { truth }
    }
}
