//! A cluster without CoreDNS passes the platform gate: what is not there cannot be unhealthy.

use eks_installer::cli::Hooks;
use http::{StatusCode, Uri};

use crate::api::{self, Answer, Lie};
use crate::{Defect, healthy};

pub(super) const DEFECT: Defect = Defect {
    name: "missing-coredns-passes",
    summary: "finds no fault with a platform that has no CoreDNS at all",
    hooks,
};

fn hooks() -> Hooks {
    Hooks { wrap: Box::new(|context| api::lying(context, Coredns)), edit: Box::new(|outcome| outcome) }
}

struct Coredns;

impl Lie for Coredns {
    fn concerns(&self, uri: &Uri) -> bool {
        healthy::asks_for_coredns(uri)
    }

    fn tell(&self, _: &Uri, truth: Answer) -> Answer {
        match truth {
            Ok(answer) if answer.status() == StatusCode::NOT_FOUND => api::says(&healthy::coredns()),
            truth => truth,
        }
    }
}
