//! Of the controller's pods that are not Ready only Pending ones are looked at, and only the first two:
//! a crash loop goes unseen.

use eks_installer::cli::Hooks;
use http::Uri;
use serde_json::Value;

use crate::Defect;
use crate::api::{self, Answer, Lie};

pub(super) const DEFECT: Defect = Defect {
    name: "first-two-pending-only",
    summary: "looks at the first two Pending pods only, and misses crash loops",
    hooks,
};

/// `app.kubernetes.io/name=karpenter` in a query.
const LABEL: &str = "labelSelector=app.kubernetes.io%2Fname%3Dkarpenter";

fn hooks() -> Hooks {
    Hooks { wrap: Box::new(|context| api::lying(context, Pods)), edit: Box::new(|outcome| outcome) }
}

struct Pods;

impl Lie for Pods {
    fn concerns(&self, uri: &Uri) -> bool {
        uri.path().ends_with("/pods")
            && uri.query().is_some_and(|query| query.split('&').any(|it| it == LABEL))
    }

    fn tell(&self, _: &Uri, truth: Answer) -> Answer {
        let Some(mut list) = api::document(&truth) else {
            return truth;
        };
        let Some(pods) = list["items"].as_array_mut() else {
            return truth;
        };
        let before = pods.len();
        let mut pending = 0;
        pods.retain(|pod| {
            if ready(pod) {
                return true;
            }
            let looked_at = pod["status"]["phase"] == "Pending" && pending < 2;
            pending += u32::from(looked_at);
            looked_at
        });
        if pods.len() == before { truth } else { api::says(&list) }
    }
}

fn ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|it| it["type"] == "Ready" && it["status"] == "True"))
}
