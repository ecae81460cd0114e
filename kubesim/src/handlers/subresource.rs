//! Subresources: status, scale, log, eviction, binding, token, finalize.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::answer::Reply;
use super::delete::Options;
use super::follow::Follower;
use super::logs::LogRequest;
use super::negotiate::Media;
use super::{Call, Core, header, storage_namespace};
use crate::admission;
use crate::patch::Patch;
use crate::resources::Resource;
use crate::selector::LabelSelector;
use crate::status::Status;
use crate::store::{GroupResource, Meta};
use crate::transport::User;

impl Core {
    pub(super) fn subresource(&self, call: &mut Call, resource: &Arc<Resource>) -> Result<Reply, Status> {
        let name = call.info.subresource.clone();
        let Some(subresource) = resource.subresource(&name) else {
            return Err(Status::no_route());
        };
        if !subresource.verbs.contains(&call.info.verb) {
            return Err(Status::method_not_allowed());
        }
        match (name.as_str(), call.info.verb.as_str()) {
            ("scale", _) => self.scale(call, resource),
            ("log", _) => self.log(call, resource),
            ("eviction", _) => self.evict(call, resource),
            ("binding", _) => self.bind(call),
            ("token", _) => self.token(call, resource),
            ("exec" | "attach" | "portforward" | "proxy", _) => Err(Status::method_not_allowed()),
            (_, "get") => self.get(call, resource),
            (part, "update") => self.replace(call, resource, Some(part)),
            (part, "patch") => self.patch(call, resource, Some(part)),
            _ => Err(Status::method_not_allowed()),
        }
    }

    fn scale(&self, call: &mut Call, resource: &Arc<Resource>) -> Result<Reply, Status> {
        let object = self.object(call, resource)?;
        let paths = ScalePaths::of(resource);
        let current = paths.read(&object);
        let wanted = match call.info.verb.as_str() {
            "get" => return Ok(Reply::value(current)),
            "update" => crate::codec::decode(&call.headers, &call.body)?,
            _ => {
                let media = Media::parse(header(&call.headers, "content-type"));
                let patch = Patch::parse(&media.name, &call.body, resource)?;
                let mut next = current.clone();
                patch.apply_untyped(&mut next)?;
                next
            }
        };
        let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
        if replicas < 0 {
            return Err(Status::invalid(
                "autoscaling",
                "Scale",
                &call.info.name,
                &format!("spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0"),
            ));
        }
        let revision = wanted.resource_version().to_owned();
        let writer = self.writer(call, Some("scale"));
        let object = self.change(call, resource, Some("scale"), &writer, |_, current| {
            let mut next = current.clone();
            next["metadata"]["resourceVersion"] = json!(revision);
            set(&mut next, &paths.spec, json!(replicas));
            Ok(next)
        })?;
        Ok(Reply::value(paths.read(&object)))
    }

    fn log(&self, call: &Call, resource: &Resource) -> Result<Reply, Status> {
        let pod = self.object(call, resource)?;
        let query = &call.info.query;
        let names: Vec<&str> = ["initContainers", "containers", "ephemeralContainers"]
            .into_iter()
            .flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
            .filter_map(|container| container["name"].as_str())
            .collect();
        let container = query.get("container").map(str::to_owned);
        match &container {
            Some(container) if !names.contains(&container.as_str()) => {
                return Err(Status::bad_request(format!(
                    "container {container} is not valid for pod {}",
                    pod.name()
                )));
            }
            None if pod["spec"]["containers"].as_array().map_or(0, Vec::len) > 1 => {
                return Err(Status::bad_request(format!(
                    "a container name must be specified for pod {}, choose one of: [{}]",
                    pod.name(),
                    names.join(" ")
                )));
            }
            _ => {}
        }
        let request = LogRequest::parse(container, query);
        let text = self.logs.log(pod.namespace(), pod.name(), &request)?;
        if query.is_true("follow") && !request.previous {
            let follower = Follower { store: self.store.clone(), logs: self.logs.clone(), pod, request };
            return Ok(Reply::Stream("text/plain", follower.stream(text)));
        }
        Ok(Reply::text(Bytes::from(text)))
    }

    /// `policy/v1` Eviction: a delete that a disruption budget may refuse.
    fn evict(&self, call: &mut Call, resource: &Resource) -> Result<Reply, Status> {
        let mut body =
            if call.body.is_empty() { Value::Null } else { crate::codec::decode(&call.headers, &call.body)? };
        if body.is_object() {
            admission::check_body(call, ("policy", "v1", "Eviction"), &mut body)?;
        }
        let options = Options::from_value(&body["deleteOptions"], call)?;
        let pod = self.object(call, resource)?;
        let budgets = GroupResource::new("policy", "poddisruptionbudgets");
        let done = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Pending"));
        if !done && !pod.is_terminating() {
            let (found, _) = self.store.list(&budgets, Some(pod.namespace()));
            for budget in found {
                let selects = LabelSelector::from_value(&budget["spec"]["selector"]);
                if !selects.is_some_and(|selector| selector.matches(pod.labels())) {
                    continue;
                }
                let allowed = budget["status"]["disruptionsAllowed"].as_i64().unwrap_or(0);
                if allowed <= 0 {
                    return Err(budget_spent(&budget));
                }
                if !call.info.dry_run() {
                    self.store.update(&budgets, budget.namespace(), budget.name(), |budget| {
                        budget["status"]["disruptionsAllowed"] = json!(allowed - 1);
                        Ok(())
                    })?;
                }
            }
        }
        self.evict_now(call, resource, &options)?;
        Ok(Reply::Value(StatusCode::CREATED, success()))
    }

    /// `v1` Binding: puts a pod on a node.
    pub(super) fn bind(&self, call: &Call) -> Result<Reply, Status> {
        let body = crate::codec::decode(&call.headers, &call.body)?;
        let name = if call.info.name.is_empty() { body.name().to_owned() } else { call.info.name.clone() };
        let node = body["target"]["name"].as_str().unwrap_or_default().to_owned();
        if node.is_empty() {
            return Err(Status::invalid("", "Binding", &name, "target.name: Required value"));
        }
        let now = self.store.clock().rfc3339();
        let pods = GroupResource::new("", "pods");
        let place = admission::place_of(&self.store, self.minor, &node);
        self.store.update(&pods, &call.info.namespace, &name, |pod| {
            let refused = |why: String| Err(Status::conflict("", "pods/binding", &name, &why));
            if pod.is_terminating() {
                return refused(format!("pod {name} is being deleted, cannot be assigned to a host"));
            }
            if let Some(taken) = pod["spec"]["nodeName"].as_str().filter(|taken| !taken.is_empty()) {
                return refused(format!("pod {name} is already assigned to node \"{taken}\""));
            }
            if call.info.dry_run() {
                return Ok(());
            }
            pod["spec"]["nodeName"] = json!(node);
            admission::label_with(pod, &place);
            let condition = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
            let conditions = &mut pod["status"]["conditions"];
            match conditions.as_array_mut() {
                Some(conditions) => {
                    conditions.retain(|condition| condition["type"] != "PodScheduled");
                    conditions.push(condition);
                }
                None => *conditions = json!([condition]),
            }
            Ok(())
        })?;
        Ok(Reply::Value(StatusCode::CREATED, success()))
    }

    /// `authentication.k8s.io/v1` TokenRequest.
    fn token(&self, call: &mut Call, resource: &Resource) -> Result<Reply, Status> {
        let account = self.object(call, resource)?;
        let mut request =
            if call.body.is_empty() { json!({}) } else { crate::codec::decode(&call.headers, &call.body)? };
        let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(3600);
        if seconds < 600 {
            return Err(Status::invalid(
                "authentication.k8s.io",
                "TokenRequest",
                "",
                &format!(
                    "spec.expirationSeconds: Invalid value: {seconds}: may not specify a duration less than 10 minutes"
                ),
            ));
        }
        let now = self.store.clock().now();
        let expires = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(jiff::Timestamp::MAX);
        let (namespace, name) = (storage_namespace(call, resource).to_owned(), account.name().to_owned());
        let audiences =
            match request["spec"]["audiences"].as_array().filter(|audiences| !audiences.is_empty()) {
                Some(audiences) => json!(audiences),
                None => json!(["https://kubernetes.default.svc"]),
            };
        let claims = json!({
            "aud": audiences, "exp": expires.as_second(), "iat": now.as_second(), "nbf": now.as_second(),
            "iss": "https://kubernetes.default.svc", "jti": self.store.name_suffix(),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": account.uid()}},
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
        });
        let segment = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        // The signature is not one: nothing here verifies it, the server knows the token itself.
        let token = format!(
            "{}.{}.{}",
            segment(&json!({"alg": "RS256", "kid": "seatrial"})),
            segment(&claims),
            URL_SAFE_NO_PAD.encode(format!("{}{}", self.store.name_suffix(), self.store.name_suffix()))
        );
        self.authenticator().accept_token(&token, &User::service_account(&namespace, &name));
        request["kind"] = json!("TokenRequest");
        request["apiVersion"] = json!("authentication.k8s.io/v1");
        request["metadata"] =
            json!({"name": name, "namespace": namespace, "creationTimestamp": self.store.clock().rfc3339()});
        request["spec"]["expirationSeconds"] = json!(seconds);
        request["spec"]["audiences"] = audiences;
        request["status"] = json!({
            "token": token, "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        Ok(Reply::Value(StatusCode::CREATED, request))
    }
}

fn budget_spent(budget: &Value) -> Status {
    let number = |field: &str| budget["status"][field].as_i64().unwrap_or(0);
    let mut status = Status::new(
        429,
        "TooManyRequests",
        "Cannot evict pod as it would violate the pod's disruption budget.",
    );
    status.details = Some(json!({"causes": [{
        "reason": "DisruptionBudget",
        "message": format!(
            "The disruption budget {} needs {} healthy pods and has {} currently",
            budget.name(), number("desiredHealthy"), number("currentHealthy")
        ),
    }]}));
    status
}

fn success() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
}

/// Where a kind keeps what `Scale` shows.
struct ScalePaths {
    spec: Vec<String>,
    status: Vec<String>,
    selector: Vec<String>,
}

impl ScalePaths {
    fn of(resource: &Resource) -> Self {
        let split = |path: &str| path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let scale = resource.custom.as_deref().map(|version| &version["subresources"]["scale"]);
        let path = |field: &str, usual: &str| match scale {
            Some(scale) => split(scale[field].as_str().unwrap_or_default()),
            None => split(usual),
        };
        Self {
            spec: path("specReplicasPath", "spec.replicas"),
            status: path("statusReplicasPath", "status.replicas"),
            selector: path("labelSelectorPath", "spec.selector"),
        }
    }

    fn read(&self, object: &Value) -> Value {
        let metadata = &object["metadata"];
        let mut scale = json!({
            "kind": "Scale", "apiVersion": "autoscaling/v1",
            "metadata": {
                "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
            },
            "spec": {"replicas": get(object, &self.spec).as_i64().unwrap_or(0)},
            "status": {"replicas": get(object, &self.status).as_i64().unwrap_or(0)},
        });
        let selector = match get(object, &self.selector) {
            Value::String(text) => text.clone(),
            selector => {
                let labels = selector["matchLabels"].as_object().or(selector.as_object());
                let pairs =
                    labels.into_iter().flatten().filter_map(|(k, v)| Some(format!("{k}={}", v.as_str()?)));
                pairs.collect::<Vec<_>>().join(",")
            }
        };
        if !selector.is_empty() {
            scale["status"]["selector"] = json!(selector);
        }
        scale
    }
}

fn get<'a>(object: &'a Value, path: &[String]) -> &'a Value {
    if path.is_empty() { &Value::Null } else { path.iter().fold(object, |value, part| &value[part.as_str()]) }
}

fn set(object: &mut Value, path: &[String], value: Value) {
    let mut place = object;
    for part in path {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[part.as_str()];
    }
    *place = value;
}
