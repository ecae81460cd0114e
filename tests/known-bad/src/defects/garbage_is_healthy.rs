//! When the API fails or answers garbage to the platform gate, the platform counts as healthy.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use eks_installer::cli::Hooks;
use http::{StatusCode, Uri};

use crate::api::{self, Answer, Lie};
use crate::{Defect, healthy};

pub(super) const DEFECT: Defect = Defect {
    name: "garbage-is-healthy",
    summary: "takes the platform for healthy when the API fails or answers garbage",
    hooks,
};

fn hooks() -> Hooks {
    Hooks {
        wrap: Box::new(|context| api::lying(context, Platform::default())),
        edit: Box::new(|outcome| outcome),
    }
}

#[derive(Default)]
struct Platform {
    /// Whether the nodes could not be read when they were last asked for.
    unread: AtomicBool,
}

impl Lie for Platform {
    fn concerns(&self, uri: &Uri) -> bool {
        healthy::asks_for_nodes(uri) || healthy::asks_for_coredns(uri)
    }

    fn tell(&self, uri: &Uri, truth: Answer) -> Answer {
        let document = api::document(&truth);
        if healthy::asks_for_nodes(uri) {
            let list = document.is_some_and(|it| it["kind"] == "NodeList" && it.get("items").is_some());
            self.unread.store(!list, Relaxed);
            return if list { truth } else { api::says(&healthy::nodes()) };
        }
        // That there is no CoreDNS is an answer too, and neither a failure nor garbage.
        let absent = truth.as_ref().is_ok_and(|answer| answer.status() == StatusCode::NOT_FOUND);
        let understood = absent || document.is_some_and(|it| it["kind"] == "Deployment");
        // A platform counts as healthy as a whole: what CoreDNS says of itself no longer matters.
        if understood && !self.unread.load(Relaxed) { truth } else { api::says(&healthy::coredns()) }
    }
}
