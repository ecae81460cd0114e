//! Services of type LoadBalancer: the cloud's load balancer, named as AWS names one.

use serde_json::json;

use super::recorder::Note;
use super::{Context, Controller, Key, Seen, key_of};
use crate::store::{GroupResource, Meta, Store};

const COMPONENT: &str = "service-controller";
const CLEANUP: &str = "service.kubernetes.io/load-balancer-cleanup";

pub(crate) struct LoadBalancers {
    region: String,
}

impl LoadBalancers {
    /// Load balancers of one region.
    pub(crate) fn new(region: &str) -> Self {
        Self { region: region.to_owned() }
    }
}

fn services() -> GroupResource {
    GroupResource::new("", "services")
}

impl Controller for LoadBalancers {
    fn concerns(&mut self, _: &Store, resource: &GroupResource, change: &Seen<'_>) -> Vec<Key> {
        let held = change.object.finalizers().iter().any(|finalizer| finalizer == CLEANUP);
        let asks = change.object["spec"]["type"] == "LoadBalancer";
        if *resource == services() && !change.deleted && (asks || held) {
            vec![key_of(change.object)]
        } else {
            Vec::new()
        }
    }

    fn reconcile(&mut self, context: &mut Context<'_>, key: &Key) {
        let store = context.store;
        let Some(service) = store.get(&services(), &key.0, &key.1) else { return };
        let held = service.finalizers().iter().any(|finalizer| finalizer == CLEANUP);
        // Another controller's class is not ours to serve.
        let asks = service["spec"]["type"] == "LoadBalancer"
            && service["spec"]["loadBalancerClass"].is_null()
            && !service.is_terminating();
        if asks && !held {
            context
                .recorder
                .note(&service, &Note::normal(COMPONENT, "EnsuringLoadBalancer", "Ensuring load balancer"));
            let host = host(service.uid(), &self.region);
            let _ = store.update(&services(), &key.0, &key.1, |service| {
                let mut finalizers = service.finalizers().to_vec();
                finalizers.push(json!(CLEANUP));
                service["metadata"]["finalizers"] = json!(finalizers);
                service["status"]["loadBalancer"] = json!({"ingress": [{"hostname": host}]});
                Ok(())
            });
            context
                .recorder
                .note(&service, &Note::normal(COMPONENT, "EnsuredLoadBalancer", "Ensured load balancer"));
        } else if !asks && held {
            let say = |reason, message| Note::normal(COMPONENT, reason, message);
            context.recorder.note(&service, &say("DeletingLoadBalancer", "Deleting load balancer"));
            context.recorder.note(&service, &say("DeletedLoadBalancer", "Deleted load balancer"));
            let _ = store.update(&services(), &key.0, &key.1, |service| {
                service["status"]["loadBalancer"] = json!({});
                if let Some(finalizers) = service["metadata"]["finalizers"].as_array_mut() {
                    finalizers.retain(|finalizer| finalizer != CLEANUP);
                }
                Ok(())
            });
        }
    }
}

/// `a<uid without dashes>-<number>.<region>.elb.amazonaws.com`, in the 32 characters that AWS allows a name.
fn host(uid: &str, region: &str) -> String {
    let name: String = uid.chars().filter(|c| *c != '-').take(31).collect();
    let number = name.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    format!("a{name}-{number}.{region}.elb.amazonaws.com")
}
