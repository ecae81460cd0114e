//! Reviews: who am I, and what may I do.

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Reply;
use super::{Call, Core};
use crate::admission::{Attributes, rules_for};
use crate::resources::Resource;
use crate::status::Status;
use crate::transport::User;

impl Core {
    pub(super) fn review(&self, call: &mut Call, resource: &Resource) -> Result<Reply, Status> {
        let mut review = self.body_object(call, resource)?;
        let spec = &review["spec"];
        let status = match resource.plural.as_str() {
            "selfsubjectreviews" => json!({"userInfo": user_info(&call.user)}),
            "tokenreviews" => {
                match spec["token"].as_str().and_then(|token| self.authenticator().token_user(token)) {
                    Some(user) => json!({"authenticated": true, "user": user_info(&user)}),
                    None => json!({"user": {}, "error": "[invalid bearer token, Unauthorized]"}),
                }
            }
            "selfsubjectrulesreviews" => {
                let namespace = spec["namespace"].as_str().unwrap_or_default();
                rules_for(self, &call.user, namespace)
            }
            "selfsubjectaccessreviews" => self.access(spec, &call.user),
            _ => {
                let groups = spec["groups"].as_array().into_iter().flatten();
                let user = User {
                    name: spec["user"].as_str().unwrap_or_default().to_owned(),
                    groups: groups.filter_map(Value::as_str).map(str::to_owned).collect(),
                };
                self.access(spec, &user)
            }
        };
        review["status"] = status;
        review["metadata"] = json!({"creationTimestamp": null});
        // Of the reviews only this one is made anew, and says when.
        if resource.plural == "selfsubjectreviews" {
            review["metadata"]["creationTimestamp"] = json!(self.store.clock().rfc3339());
        }
        Ok(Reply::Value(StatusCode::CREATED, review))
    }

    fn access(&self, spec: &Value, user: &User) -> Value {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let attributes = if spec["nonResourceAttributes"].is_object() {
            let asked = &spec["nonResourceAttributes"];
            Attributes { verb: text(&asked["verb"]), path: text(&asked["path"]), ..Attributes::default() }
        } else {
            let asked = &spec["resourceAttributes"];
            Attributes {
                verb: text(&asked["verb"]),
                group: text(&asked["group"]),
                resource: text(&asked["resource"]),
                subresource: text(&asked["subresource"]),
                namespace: text(&asked["namespace"]),
                name: text(&asked["name"]),
                path: String::new(),
            }
        };
        let decision = crate::admission::decide(self, user, &attributes);
        let mut status = json!({"allowed": decision.allowed});
        if !decision.reason.is_empty() {
            status["reason"] = json!(decision.reason);
        }
        status
    }
}

fn user_info(user: &User) -> Value {
    json!({"username": user.name, "groups": user.groups})
}
